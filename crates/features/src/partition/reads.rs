//! What serving reads from a partition: a user's profile, and counters of items, categories and
//! segments. Everything decaying or windowed is read as of a given time.

use super::PartitionState;
use crate::history::HistoryEntry;
use crate::ids::{LocalCategory, LocalItem, LocalSegment};
use crate::plan::{PartialValue, ViewId};
use crate::session::Session;
use nowcast_types::{EventTypeCode, Timestamp, UserKey};

/// Whose feature is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// A user.
    User(UserKey),
    /// An item.
    Item(LocalItem),
    /// A category.
    Category(LocalCategory),
    /// A segment.
    Segment(LocalSegment),
    /// An item within a segment.
    ItemSegment(LocalItem, LocalSegment),
    /// Everything.
    Global,
}

/// The value of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureValue {
    /// There was no event that counts.
    Missing,
    /// One number.
    Number(f64),
    /// Keys in order, each with its score (a count, or a time in seconds).
    Ranked(Vec<(FeatureKey, f64)>),
}

/// A key of a ranked feature; [`PartitionState::key_name`] gives its string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKey {
    /// An item.
    Item(LocalItem),
    /// A category.
    Category(LocalCategory),
    /// An event type.
    EventType(EventTypeCode),
}

/// Decayed sums of positive strength.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Popularity {
    /// With the short half-life.
    pub trending: f64,
    /// With the long half-life.
    pub popular: f64,
}

/// A user as of the state's position.
#[derive(Debug, Clone, Copy)]
pub struct UserRef<'a> {
    state: &'a PartitionState,
}

impl<'a> UserRef<'a> {
    /// The interactions, in event-time order, newest last.
    #[must_use]
    pub fn history(&self) -> &'a [HistoryEntry] {
        let _ = self.state;
        &[]
    }

    /// The present or last session; `None` if the user never did anything.
    #[must_use]
    pub const fn session(&self) -> Option<&'a Session> {
        None
    }

    /// Signed, decayed weight of each remembered category, the strongest liking first.
    #[must_use]
    pub fn affinity(&self, _as_of: Timestamp) -> Vec<(LocalCategory, f64)> {
        Vec::new()
    }

    /// The segment of the user's record.
    #[must_use]
    pub const fn segment(&self) -> Option<LocalSegment> {
        None
    }

    /// The attributes of the user's record, a JSON object.
    #[must_use]
    pub const fn attributes(&self) -> Option<&'a str> {
        None
    }

    /// Event times of the user's first and latest event, in seconds; 0 if there was none.
    #[must_use]
    pub const fn active_s(&self) -> (u32, u32) {
        (0, 0)
    }

    /// The value of a view of users; missing for views of other entities.
    #[must_use]
    pub fn feature(&self, _view: ViewId, _as_of: Timestamp) -> FeatureValue {
        FeatureValue::Missing
    }

    /// All views of users with their values, in the order of the configuration.
    #[must_use]
    pub fn features(&self, _as_of: Timestamp) -> Vec<(ViewId, FeatureValue)> {
        Vec::new()
    }
}

impl PartitionState {
    /// A user, if the state knows them.
    #[must_use]
    pub fn user(&self, _key: &UserKey) -> Option<UserRef<'_>> {
        None
    }

    /// Number of users.
    #[must_use]
    pub const fn users_len(&self) -> usize {
        0
    }

    /// Number of items ever seen; local numbers are below it.
    #[must_use]
    pub const fn items_len(&self) -> u32 {
        0
    }

    /// The id behind a local number.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn item_id(&self, _item: LocalItem) -> &str {
        ""
    }

    /// The local number of an item id.
    #[must_use]
    pub fn find_item(&self, _id: &str) -> Option<LocalItem> {
        None
    }

    /// Decayed popularity of an item; zero for an unknown number.
    #[must_use]
    pub fn popularity(&self, _item: LocalItem, _as_of: Timestamp) -> Popularity {
        Popularity::default()
    }

    /// Decayed popularity (long half-life) of an item by segment of users, in no particular order.
    pub fn segment_popularity(
        &self,
        _item: LocalItem,
        _as_of: Timestamp,
    ) -> impl Iterator<Item = (LocalSegment, f64)> + '_ {
        std::iter::empty()
    }

    /// Items seen around `item` by the same users, with decayed weights, in no particular order.
    pub fn neighbours(
        &self,
        _item: LocalItem,
        _as_of: Timestamp,
    ) -> impl Iterator<Item = (LocalItem, f64)> + '_ {
        std::iter::empty()
    }

    /// Number of categories ever seen.
    #[must_use]
    pub const fn categories_len(&self) -> u32 {
        0
    }

    /// The category behind a local number.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn category(&self, _category: LocalCategory) -> &str {
        ""
    }

    /// The local number of a category.
    #[must_use]
    pub fn find_category(&self, _name: &str) -> Option<LocalCategory> {
        None
    }

    /// Decayed popularity of a category.
    #[must_use]
    pub fn category_popularity(&self, _category: LocalCategory, _as_of: Timestamp) -> Popularity {
        Popularity::default()
    }

    /// Number of segments ever seen.
    #[must_use]
    pub const fn segments_len(&self) -> u32 {
        0
    }

    /// The segment behind a local number.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn segment(&self, _segment: LocalSegment) -> &str {
        ""
    }

    /// The local number of a segment.
    #[must_use]
    pub fn find_segment(&self, _name: &str) -> Option<LocalSegment> {
        None
    }

    /// The partial aggregate of a view for an entity, as of a time; `None` if there was no event
    /// or the view is of another kind of entity. Merge those of several partitions with
    /// [`crate::FoldPlan::merge_partials`].
    #[must_use]
    pub fn partial(
        &self,
        _view: ViewId,
        _entity: &Entity,
        _as_of: Timestamp,
    ) -> Option<PartialValue> {
        None
    }

    /// The string behind a key of a ranked feature.
    #[must_use]
    pub fn key_name(&self, key: FeatureKey) -> &str {
        match key {
            FeatureKey::Item(item) => self.item_id(item),
            FeatureKey::Category(category) => self.category(category),
            FeatureKey::EventType(code) => self.plan.event_types().name(code),
        }
    }
}
