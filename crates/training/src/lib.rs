//! Training in the background: a data set from the log, fit, validate, publish.
//!
//! - [`DatasetBuilder`] turns events into [`nowcast_models::Interactions`]: strengths summed,
//!   erasures and consent honoured, the newest kept. It is pure: records go in one by one. For models
//!   that tell slots apart it also says which interactions came of which slot's lists.
//! - [`fit_validated`] trains a model without the newest interaction of some users, and passes it
//!   only if it is sound and finds those interactions at least about as well as popularity does.
//! - [`publish()`] stores the artifact and makes it live; [`load_live`] is the way back.
//! - [`TrainerLoop`] does all that whenever the log has grown enough, and refreshes what is live in
//!   between.
//!
//! It is not a place for algorithms (`models`) nor for offline experiments (`evaluation`).

pub mod config;
pub mod dataset;
pub mod error;
pub mod hold_out;
pub mod publish;
pub mod run;
mod shown;
pub mod trainer_loop;
pub mod validate;

pub use config::TrainingConfig;
pub use dataset::{Dataset, DatasetBuilder, DatasetStats};
pub use error::TrainingError;
pub use publish::{Loaded, load_live, publish};
pub use run::{Effort, ModelOutcome, TrainerDeps, TrainingReport, train_once};
pub use trainer_loop::{TrainerLoop, TrainingStatus};
pub use validate::{Fitted, Validation, fit_validated};
