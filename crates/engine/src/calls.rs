//! What callers ask an engine for, in raw ids; the engine turns them into pseudonyms.

use nowcast_recommend::{HistoryInput, RecommendError, TrendingScope};
use nowcast_stream::StoredUser;
use nowcast_types::{DeviceClass, PartitionId, UserKey};
use serde_json::{Map, Value};
use std::time::Duration;

/// A request for a ranked list.
#[derive(Debug, Clone, Copy)]
pub struct RecommendCall<'a> {
    /// Id of the answer; impressions and clicks refer to it.
    pub request_id: &'a str,
    /// For whom.
    pub subject: CallSubject<'a>,
    /// What [`Engine::read_ahead`](crate::Engine::read_ahead) found, for those who await it.
    pub stored: Option<&'a StoredUser>,
    /// Name of the configured slot.
    pub slot: &'a str,
    /// How many items.
    pub k: usize,
    /// Whatever the caller knows about the moment.
    pub context: Option<&'a Map<String, Value>>,
    /// Items that must not be in the answer.
    pub exclude: &'a [&'a str],
    /// CEL expression over item attributes.
    pub filter: Option<&'a str>,
    /// A list to re-rank.
    pub candidates: Option<&'a [&'a str]>,
    /// Whether the answer explains itself.
    pub explain: bool,
    /// Time the answer may take; the configured one if absent.
    pub deadline: Option<Duration>,
    /// Whether the answer's items are recorded as impressions (if the engine records any).
    pub records_impressions: bool,
    /// The kind of device that asks, for the impressions.
    pub device: DeviceClass,
}

/// For whom an answer is made, in the caller's own ids.
#[derive(Debug, Clone, Copy)]
pub enum CallSubject<'a> {
    /// A raw user id, and the session it is in.
    User {
        /// The raw user id.
        user_id: &'a str,
        /// The raw session id.
        session_id: Option<&'a str>,
    },
    /// A visitor without a user id.
    Visitor {
        /// The raw session id.
        session_id: &'a str,
    },
    /// A history that the caller brings, oldest first.
    History(&'a [HistoryInput<'a>]),
    /// Nobody in particular.
    Anonymous,
}

impl<'a> RecommendCall<'a> {
    /// A plain request, to be completed with struct update syntax.
    #[must_use]
    pub const fn new(subject: CallSubject<'a>, slot: &'a str, k: usize) -> Self {
        Self {
            request_id: "",
            subject,
            stored: None,
            slot,
            k,
            context: None,
            exclude: &[],
            filter: None,
            candidates: None,
            explain: false,
            deadline: None,
            records_impressions: true,
            device: DeviceClass::Unknown,
        }
    }
}

/// A request for popular items or an item's neighbours.
#[derive(Debug, Clone, Copy)]
pub struct ListCall<'a> {
    /// What the list is about.
    pub about: ListSubject<'a>,
    /// How many items.
    pub k: usize,
    /// CEL expression over item attributes.
    pub filter: Option<&'a str>,
}

/// What a list is about.
#[derive(Debug, Clone, Copy)]
pub enum ListSubject<'a> {
    /// Items like this one.
    Similar(&'a str),
    /// What is popular now.
    Trending(TrendingScope<'a>),
}

/// Where a change was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The partition of its stream.
    pub partition: PartitionId,
    /// Its offset there.
    pub offset: u64,
}

/// What remains of an erased user: the proof that it was asked for and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureReceipt {
    /// The pseudonym that was erased.
    pub user: UserKey,
    /// When it was asked for.
    pub at: nowcast_types::Timestamp,
    /// Where the erasure is recorded.
    pub stored: Stored,
    /// Whether every view is empty already; false only if that took long.
    pub applied: bool,
}

impl From<RecommendError> for crate::EngineError {
    fn from(error: RecommendError) -> Self {
        Self::Recommend(error)
    }
}
