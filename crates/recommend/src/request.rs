//! What is asked. Everything is borrowed from the caller, and time is an argument: two equal
//! requests against equal state have equal answers.

use nowcast_stream::StoredUser;
use nowcast_types::{Timestamp, UserKey};
use serde_json::{Map, Value};
use std::time::Instant;

/// A request for a ranked list.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Id of the answer; also the seed of its exploration.
    pub request_id: &'a str,
    /// For whom.
    pub subject: Subject<'a>,
    /// The subject's user, where it was read ahead of the request.
    pub stored: Option<&'a StoredUser>,
    /// Name of the configured slot.
    pub slot: &'a str,
    /// How many items; ignored when `candidates` are given, which are all returned.
    pub k: usize,
    /// The present.
    pub now: Timestamp,
    /// Whatever the caller knows about the moment, visible to the filter as `context.*`.
    pub context: Option<&'a Map<String, Value>>,
    /// Segment to assume where the subject has none of its own.
    pub segment: Option<&'a str>,
    /// Items that must not be in the answer.
    pub exclude: &'a [&'a str],
    /// CEL expression over `item.*` and `context.*`; items for which it is not `true` are removed.
    pub filter: Option<&'a str>,
    /// A list to re-rank, in the order in which it would be shown; all of it is returned, without
    /// repetitions and without what `exclude` and `filter` ask to remove.
    pub candidates: Option<&'a [&'a str]>,
    /// Whether the answer carries an [`crate::Explanation`].
    pub explain: bool,
    /// Whether the answer carries the facts that the online ranker goes by, so that it can learn
    /// from the outcome.
    pub keep_facts: bool,
    /// When sources and scorers not yet run are skipped; `None` for never.
    pub deadline: Option<Instant>,
}

impl<'a> Request<'a> {
    /// A plain request of `k` items for `subject`, to be completed with struct update syntax.
    #[must_use]
    pub const fn new(subject: Subject<'a>, slot: &'a str, k: usize, now: Timestamp) -> Self {
        Self {
            request_id: "",
            subject,
            stored: None,
            slot,
            k,
            now,
            context: None,
            segment: None,
            exclude: &[],
            filter: None,
            candidates: None,
            explain: false,
            keep_facts: false,
            deadline: None,
        }
    }
}

/// For whom an answer is made.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A known user or a visitor known by session: history and counters come from live state.
    User(UserKey),
    /// A history that the caller brings, oldest first; nothing is looked up.
    History(&'a [HistoryInput<'a>]),
    /// Nobody in particular.
    Anonymous,
}

/// One interaction of a history that the caller brings.
#[derive(Debug, Clone, Copy)]
pub struct HistoryInput<'a> {
    /// The item.
    pub item_id: &'a str,
    /// Strength as implicit feedback, 1 for a view; negative for a dislike.
    pub strength: f32,
    /// When it happened.
    pub timestamp: Timestamp,
}

/// A request for the neighbours of an item.
#[derive(Debug, Clone, Copy)]
pub struct SimilarRequest<'a> {
    /// The item.
    pub item_id: &'a str,
    /// How many.
    pub k: usize,
    /// The present.
    pub now: Timestamp,
    /// As in [`Request::filter`].
    pub filter: Option<&'a str>,
    /// As in [`Request::context`].
    pub context: Option<&'a Map<String, Value>>,
}

/// A request for what is popular at the moment.
#[derive(Debug, Clone, Copy)]
pub struct TrendingRequest<'a> {
    /// Among whom or what.
    pub scope: TrendingScope<'a>,
    /// How many.
    pub k: usize,
    /// The present.
    pub now: Timestamp,
    /// As in [`Request::filter`].
    pub filter: Option<&'a str>,
    /// As in [`Request::context`].
    pub context: Option<&'a Map<String, Value>>,
}

/// Which popularity is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrendingScope<'a> {
    /// Everybody's.
    Global,
    /// Within a category.
    Category(&'a str),
    /// Among the users of a segment.
    Segment(&'a str),
}
