//! What the pipeline reads of live state, and nothing else of it.
//!
//! The processor is one implementation; a replay that freezes state for an hour is another. Reads
//! copy what they need and hold no lock when they return.

use crate::answer::Position;
use nowcast_store::{ItemIdx, LabelIdx};
use nowcast_stream::{StoredUser, TrendingTables};
use nowcast_types::{EventTypeCode, Timestamp, UserKey};
use std::sync::Arc;

/// Live state, as of the last event folded.
///
/// Contract: no call blocks for longer than a micro-batch of the fold; equal state gives equal
/// results in equal order, whatever the numbering of items.
pub trait Live: Send + Sync {
    /// Fills `profile` with what is known of `user` and returns whether anything is.
    /// `profile` is empty when the call begins; `stored` is what was read ahead of the request.
    fn profile(
        &self,
        user: &UserKey,
        stored: Option<&StoredUser>,
        now: Timestamp,
        profile: &mut Profile,
    ) -> bool;

    /// Calls `neighbour(place of the seed, item, weight above 0)` for every item met together with
    /// one of `seeds`. A pair may come in several parts, which add up.
    fn for_each_neighbour(
        &self,
        seeds: &[ItemIdx],
        now: Timestamp,
        neighbour: &mut dyn FnMut(usize, ItemIdx, f32),
    );

    /// The present popularity tables.
    fn trending(&self) -> Arc<Trending>;

    /// How far each partition of the event log has been folded, in the order of partitions.
    fn positions(&self) -> Vec<Position>;
}

/// What is known of one user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Interactions with a strength other than 0, oldest first. Items may repeat.
    pub history: Vec<Touch>,
    /// The segment of the user's record.
    pub segment: Option<Arc<str>>,
    /// Categories and their decayed weight, heaviest first.
    pub affinity: Vec<(LabelIdx, f32)>,
}

impl Profile {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.history.clear();
        self.segment = None;
        self.affinity.clear();
    }
}

/// One interaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Touch {
    /// With what.
    pub item: ItemIdx,
    /// How.
    pub event_type: EventTypeCode,
    /// Signed strength as implicit feedback.
    pub strength: f32,
    /// When.
    pub at: Timestamp,
}

/// Popularity as of a moment. Rebuilt now and then, shared by all requests in between.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trending {
    /// Popular items overall, by category and by segment, and the popularity of every item.
    pub tables: TrendingTables,
    /// Smoothed click-through rate of every item by its number; items beyond the end have none.
    pub ctr: Vec<f32>,
}
