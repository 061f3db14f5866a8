//! From a client's words to the log: check, pseudonymise, enrich, encode, append, await.

mod category_cache;
pub mod device;
pub mod draft;
pub mod event_id;
pub mod ingestor;
pub mod redact;
pub mod rules;
pub mod when;

pub use device::device_class;
pub use draft::{ConsentDraft, EventDraft, Text};
pub use ingestor::{EventFate, FateCounts, IngestOutcome, Ingestor};
pub use rules::{Arrival, ArrivalClock, EventRules};
pub use when::When;
