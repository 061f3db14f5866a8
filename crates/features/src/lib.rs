//! Feature views, sessions, history: the pure fold of a partition.
//!
//! [`PartitionState`] is the state of one partition of the event log and
//! [`PartitionState::apply`] the step `(state, record) -> state`. Everything the product knows
//! about users and items in real time is here: deduplication, watermark and lateness, sessions,
//! histories, category affinity, decayed popularity, co-visitation, the feature views of the
//! configuration as tiles, and the joiner that labels what was shown. The result depends on the log alone: any batching, any number of
//! checkpoints and restarts in between, give the same bytes.
//!
//! It is not: a stream processor (no threads, no IO, no clock; see `nowcast-stream`), a store
//! (checkpoints are byte blobs for somebody else to keep), a model.

pub mod aggregations;
mod attribution;
pub mod checkpoint;
pub mod config;
mod covisit;
pub mod decay;
mod dedup;
mod error;
mod groups;
mod history;
mod ids;
mod index;
mod items;
mod kernels;
mod outcome;
mod partition;
mod plan;
mod session;
mod slab;
mod tiles;
mod users;
mod weights;
mod words;

pub use attribution::{Labelled, OwnedExample};
pub use checkpoint::{
    Section, begin_blob, for_each_section, kind as section_kind, merge_blobs, write_section,
};
pub use config::{AttributionConfig, EntityKind, FeatureViewConfig, FoldConfig, ObjectiveConfig};
pub use error::FeaturesError;
pub use history::HistoryEntry;
pub use ids::{LocalCategory, LocalItem, LocalSegment};
pub use outcome::{Counters, Outcome, SkipReason};
pub use partition::{
    Changes, Entity, FeatureKey, FeatureValue, PartitionReplica, PartitionState, Popularity,
    RemoteUser, UserRef, user_slot,
};
pub use plan::{FoldPlan, PartialValue, ViewId, ViewPlan};
pub use session::Session;
