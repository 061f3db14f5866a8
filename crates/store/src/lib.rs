//! What outlives the process besides the log: checkpoints of folded state and model artifacts;
//! and the item catalogue, whose rows they bring back.
//!
//! * [`CheckpointStore`]: per partition a chain of delta files, compacted in the background.
//! * [`StateStore`]: what the processor needs of a store, embedded or remote.
//! * [`StateReader`]: what those need who read the states of others' chains.
//! * [`ArtifactStore`]: versioned models behind atomically moved aliases, on any
//!   [`ArtifactPlace`].
//! * [`Catalog`]: the item table in memory, with a lock-free view for hot loops.
//!
//! It is not a database: no queries, no transactions over partitions, one process at a time.

pub mod artifact;
pub mod catalog;
pub mod checkpoint;
pub mod conformance;
pub mod error;
pub mod reader;
pub mod sections;
pub mod state;

pub use artifact::{ArtifactPlace, ArtifactStore, ArtifactVersion};
pub use catalog::{Catalog, CatalogReader, CatalogStats, CatalogView, Changes};
pub use catalog::{ItemIdx, ItemRow, ItemStatus, LabelIdx};
pub use checkpoint::{Blobs, Chain, ChainId, CheckpointConfig, CheckpointStore};
pub use checkpoint::{Compacted, Damage, Recovery};
pub use error::StoreError;
pub use reader::{ItemRows, SectionRead, Standing, StateReader};
pub use state::{Commit, Content, Epoch, Loaded, Saved, StateStore, Verdict};
