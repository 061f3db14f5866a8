//! What serving reads from a partition: a user's profile, and counters of items, categories and
//! segments. Everything decaying or windowed is read as of a given time.

use super::PartitionState;
use crate::aggregations::AggregateValue;
use crate::config::{EntityKind, Operand};
use crate::decay::Decayed;
use crate::history::HistoryEntry;
use crate::ids::{LocalCategory, LocalItem, LocalSegment};
use crate::plan::{FoldPlan, PartialValue, ViewId};
use crate::session::Session;
use crate::users::User;
use crate::{tiles, weights};
use nowcast_types::stable_hash::stable_hash;
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
    pub(super) plan: &'a FoldPlan,
    pub(super) user: &'a User,
    pub(super) known: Known,
}

/// How many items and categories the reader has names for. A partition knows all that its users
/// name; a replica may be a moment behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) items: u32,
    pub(super) categories: u32,
    pub(super) segments: u32,
}

impl<'a> UserRef<'a> {
    /// The interactions, in event-time order, newest last.
    #[must_use]
    pub fn history(&self) -> &'a [HistoryEntry] {
        self.user.history.entries(self.plan.history_len)
    }

    /// The present or last session; `None` if the user never did anything.
    #[must_use]
    pub fn session(&self) -> Option<&'a Session> {
        Some(&self.user.session).filter(|session| session.ordinal > 0)
    }

    /// Signed, decayed weight of each remembered category, the strongest liking first.
    #[must_use]
    pub fn affinity(&self, as_of: Timestamp) -> Vec<(LocalCategory, f64)> {
        let plan = self.plan;
        let run = tiles::block(&self.user.words, plan.blocks(EntityKind::User), 0);
        let mut affinity: Vec<_> = weights::read(run, &plan.affinity_decay, as_of.seconds_u32())
            .filter(|(key, _)| *key < self.known.categories)
            .map(|(key, weight)| (LocalCategory(key), weight))
            .collect();
        affinity.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        affinity
    }

    /// The segment of the user's record.
    #[must_use]
    pub fn segment(&self) -> Option<LocalSegment> {
        self.user
            .segment()
            .filter(|segment| segment.0 < self.known.segments)
    }

    /// The attributes of the user's record, a JSON object.
    #[must_use]
    pub fn attributes(&self) -> Option<&'a str> {
        self.user.attributes()
    }

    /// Event times of the user's first and latest event, in seconds; 0 if there was none.
    #[must_use]
    pub const fn active_s(&self) -> (u32, u32) {
        (self.user.first_s, self.user.last_s)
    }

    /// The value of a view of users; missing for views of other entities.
    #[must_use]
    pub fn feature(&self, view: ViewId, as_of: Timestamp) -> FeatureValue {
        let plan = self.plan;
        let Some(view) = plan
            .view(view)
            .filter(|view| view.entity() == EntityKind::User)
        else {
            return FeatureValue::Missing;
        };
        let blocks = plan.blocks(EntityKind::User);
        let as_of_s = as_of.seconds_u32();
        let Some(words) = tiles::window(&self.user.words, blocks, view, as_of_s) else {
            return FeatureValue::Missing;
        };
        match view.value(&words, as_of_s) {
            AggregateValue::Missing => FeatureValue::Missing,
            AggregateValue::Number(number) => FeatureValue::Number(number),
            AggregateValue::Ranked(keys) => {
                let key = |key: u32| match view.operand() {
                    Operand::Item => FeatureKey::Item(LocalItem(key)),
                    Operand::Category => FeatureKey::Category(LocalCategory(key)),
                    _ => FeatureKey::EventType(EventTypeCode(key as u8)),
                };
                let is_known = |key: u32| match view.operand() {
                    Operand::Item => key < self.known.items,
                    Operand::Category => key < self.known.categories,
                    _ => true,
                };
                let known = keys.into_iter().filter(|(k, _)| is_known(*k));
                FeatureValue::Ranked(known.map(|(k, score)| (key(k), score)).collect())
            }
        }
    }

    /// All views of users with their values, in the order of the configuration.
    #[must_use]
    pub fn features(&self, as_of: Timestamp) -> Vec<(ViewId, FeatureValue)> {
        let views = self.plan.views();
        views
            .filter(|(_, view)| view.entity() == EntityKind::User)
            .map(|(id, _)| (id, self.feature(id, as_of)))
            .collect()
    }
}

impl PartitionState {
    /// A user, if the state knows them.
    #[must_use]
    pub fn user(&self, key: &UserKey) -> Option<UserRef<'_>> {
        let user = self.users.get(self.users.find(key)?)?;
        Some(self.user_ref(user))
    }

    pub(super) const fn known(&self) -> Known {
        Known {
            items: self.items.len(),
            categories: self.categories.len(),
            segments: self.segments.len(),
        }
    }

    pub(super) fn user_ref<'a>(&'a self, user: &'a User) -> UserRef<'a> {
        UserRef {
            plan: &self.plan,
            user,
            known: self.known(),
        }
    }

    /// Number of users.
    #[must_use]
    pub const fn users_len(&self) -> usize {
        self.users.len()
    }

    /// Keys of all users, in no meaningful order.
    pub fn user_keys(&self) -> impl Iterator<Item = UserKey> + '_ {
        self.users.iter().map(|(_, user)| user.key)
    }

    /// Number of items ever seen; local numbers are below it.
    #[must_use]
    pub const fn items_len(&self) -> u32 {
        self.items.len()
    }

    /// The id behind a local number.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn item_id(&self, item: LocalItem) -> &str {
        &self
            .items
            .get(item.0)
            .expect("a number of this partition")
            .id
    }

    /// The local number of an item id.
    #[must_use]
    pub fn find_item(&self, id: &str) -> Option<LocalItem> {
        self.items
            .find(stable_hash(id.as_bytes(), 0), id)
            .map(LocalItem)
    }

    /// Decayed popularity of an item; zero for an unknown number.
    #[must_use]
    pub fn popularity(&self, item: LocalItem, as_of: Timestamp) -> Popularity {
        self.items
            .get(item.0)
            .map_or_else(Popularity::default, |row| {
                self.popularity_of(&row.trending, &row.popular, as_of)
            })
    }

    fn popularity_of(&self, trending: &Decayed, popular: &Decayed, as_of: Timestamp) -> Popularity {
        let as_of_s = as_of.seconds_u32();
        Popularity {
            trending: trending.value(&self.plan.trending_decay, as_of_s),
            popular: popular.value(&self.plan.popular_decay, as_of_s),
        }
    }

    /// Decayed popularity (long half-life) of an item by segment of users, in no particular order.
    pub fn segment_popularity(
        &self,
        item: LocalItem,
        as_of: Timestamp,
    ) -> impl Iterator<Item = (LocalSegment, f64)> + '_ {
        let words = self.items.get(item.0).map_or(&[][..], |row| &row.words);
        let run = tiles::block(words, self.plan.blocks(EntityKind::Item), 0);
        weights::read(run, &self.plan.popular_decay, as_of.seconds_u32())
            .filter(|(key, _)| *key < self.segments.len())
            .map(|(key, weight)| (LocalSegment(key), weight))
    }

    /// Items seen around `item` by the same users, with decayed weights, in no particular order.
    pub fn neighbours(
        &self,
        item: LocalItem,
        as_of: Timestamp,
    ) -> impl Iterator<Item = (LocalItem, f64)> + '_ {
        let run = self
            .items
            .get(item.0)
            .map_or(&[][..], |row| &row.neighbours);
        weights::read(run, &self.plan.covisit.decay, as_of.seconds_u32())
            .filter(|(key, _)| *key < self.items.len())
            .map(|(key, weight)| (LocalItem(key), weight))
    }

    /// Number of categories ever seen.
    #[must_use]
    pub const fn categories_len(&self) -> u32 {
        self.categories.len()
    }

    /// The category behind a local number.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn category(&self, category: LocalCategory) -> &str {
        &self
            .categories
            .get(category.0)
            .expect("a number of this partition")
            .name
    }

    /// The local number of a category.
    #[must_use]
    pub fn find_category(&self, name: &str) -> Option<LocalCategory> {
        self.categories.find_name(name).map(LocalCategory)
    }

    /// Decayed popularity of a category; zero for an unknown number.
    #[must_use]
    pub fn category_popularity(&self, category: LocalCategory, as_of: Timestamp) -> Popularity {
        self.categories
            .get(category.0)
            .map_or_else(Popularity::default, |row| {
                self.popularity_of(&row.trending, &row.popular, as_of)
            })
    }

    /// Number of segments ever seen.
    #[must_use]
    pub const fn segments_len(&self) -> u32 {
        self.segments.len()
    }

    /// The segment behind a local number.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn segment(&self, segment: LocalSegment) -> &str {
        &self
            .segments
            .get(segment.0)
            .expect("a number of this partition")
            .name
    }

    /// The local number of a segment.
    #[must_use]
    pub fn find_segment(&self, name: &str) -> Option<LocalSegment> {
        self.segments.find_name(name).map(LocalSegment)
    }

    /// The partial aggregate of a view for an entity, as of a time; `None` if there was no event
    /// or the view is of another kind of entity. Merge those of several partitions with
    /// [`crate::FoldPlan::merge_partials`].
    #[must_use]
    pub fn partial(&self, view: ViewId, entity: &Entity, as_of: Timestamp) -> Option<PartialValue> {
        let view = self.plan.view(view)?;
        let (kind, words) = match entity {
            Entity::User(key) => (
                EntityKind::User,
                &self.users.get(self.users.find(key)?)?.words,
            ),
            Entity::Item(item) => (EntityKind::Item, &self.items.get(item.0)?.words),
            Entity::Category(number) => {
                (EntityKind::Category, &self.categories.get(number.0)?.words)
            }
            Entity::Segment(number) => (EntityKind::Segment, &self.segments.get(number.0)?.words),
            Entity::ItemSegment(item, segment) => {
                let row = self.item_segments.find_pair([item.0, segment.0])?;
                (EntityKind::ItemSegment, &self.item_segments.get(row)?.words)
            }
            Entity::Global => (EntityKind::Global, &self.global.get(0)?.words),
        };
        if view.entity() != kind {
            return None;
        }
        tiles::window(words, self.plan.blocks(kind), view, as_of.seconds_u32()).map(PartialValue)
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
