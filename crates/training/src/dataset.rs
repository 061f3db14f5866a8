//! Events become interactions.
//!
//! What counts: events with an item, a strength other than 0 and the user's consent to training.
//! Strengths of one user and item are summed with their signs; models of order see each by itself. An erasure empties the user, and a
//! repeated event id counts once, as in the fold. Where a model tells slots apart, interactions of
//! positive strength that came of a list which a slot had shown are told as outcomes of the slot.

use crate::config::TrainingConfig;
use crate::shown::{Place, Shown, item_hash};
use nowcast_models::{Interactions, InteractionsBuilder, ItemContent, ItemIds, trainer};
use nowcast_store::Catalog;
use nowcast_types::ids::dedup_key;
use nowcast_types::{Consent, Event, EventTypeCode, EventTypes, Record, Slate, Span, UserKey};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Event ids remembered for deduplication, per generation of two.
const DEDUP_GENERATION: usize = 1 << 20;

/// Interactions ready for training, and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// What models learn from.
    pub interactions: Interactions,
    /// Where the records went.
    pub stats: DatasetStats,
}

/// Where the records of a data set went.
/// `records = used + without_taste + without_consent + duplicate + other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct DatasetStats {
    /// Records seen.
    pub records: u64,
    /// Events that became part of an interaction, before caps and erasures.
    pub used: u64,
    /// Events without an item or with strength 0.
    pub without_taste: u64,
    /// Events whose user does not allow training.
    pub without_consent: u64,
    /// Events whose id was seen shortly before.
    pub duplicate: u64,
    /// Records that are not events.
    pub other: u64,
    /// Erasures obeyed.
    pub erasures: u64,
    /// Events dropped because newer ones filled the data set.
    pub over_cap: u64,
    /// Outcomes of slots in the data set: the newest of each user and slot. 0 where no model tells
    /// slots apart.
    pub slot_outcomes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    user: u32,
    item: u32,
    weight: f32,
    time_s: u32,
}

/// Collects records into a [`Dataset`].
#[derive(Debug)]
pub struct DatasetBuilder {
    types: Arc<EventTypes>,
    interactions_max: usize,
    interactions_per_user_max: usize,
    users: HashMap<UserKey, u32>,
    /// By user number; an erased user who comes back gets a new number.
    is_erased: Vec<bool>,
    items: HashMap<String, u32>,
    item_ids: ItemIds,
    entries: Vec<Entry>,
    /// `None` where no model tells slots apart.
    shown: Option<Shown>,
    seen: [HashSet<u64>; 2],
    stats: DatasetStats,
}

impl DatasetBuilder {
    /// An empty data set with the caps of `config`, for its models. An interaction comes of a list
    /// that was shown within the attribution window before it.
    #[must_use]
    pub fn new(types: Arc<EventTypes>, config: &TrainingConfig, attribution_window: Span) -> Self {
        let learns_slots = |name: &String| trainer(name).is_ok_and(|t| t.learns_slots());
        let has_learner = config.models.iter().any(learns_slots);
        Self {
            types,
            interactions_max: config.interactions_max,
            interactions_per_user_max: config.interactions_per_user_max,
            users: HashMap::new(),
            is_erased: Vec::new(),
            items: HashMap::new(),
            item_ids: ItemIds::default(),
            entries: Vec::new(),
            shown: has_learner.then(|| Shown::new(attribution_window)),
            seen: [HashSet::new(), HashSet::new()],
            stats: DatasetStats::default(),
        }
    }

    /// Takes the next record of the events stream. The records of a user come in their order.
    pub fn apply(&mut self, record: &Record<'_>) {
        self.stats.records += 1;
        match record {
            Record::Event(event) => self.apply_event(event),
            Record::Erase { user, .. } => {
                self.stats.other += 1;
                self.stats.erasures += 1;
                if let Some(number) = self.users.remove(user) {
                    self.is_erased[number as usize] = true;
                }
            }
            Record::Slate(slate) => {
                self.stats.other += 1;
                self.note_slate(slate);
            }
            Record::User(_)
            | Record::Item(_)
            | Record::DeadLetter(_)
            | Record::Schema(_)
            | Record::Example(_) => self.stats.other += 1,
        }
    }

    fn note_slate(&mut self, slate: &Slate<'_>) {
        let (Some(shown), Some(&user)) = (&mut self.shown, self.users.get(&slate.user)) else {
            return;
        };
        for item in slate.items.iter() {
            let place = Place {
                user,
                item: item.item,
                request_id: Some(slate.request_id),
                time_s: slate.at.seconds_u32(),
            };
            shown.show(slate.slot, &place);
        }
    }

    fn note_impression(&mut self, event: &Event<'_>) {
        let (Some(shown), Some(&user)) = (&mut self.shown, self.users.get(&event.user)) else {
            return;
        };
        if let (Some(slot), Some(item_id)) = (event.slot, event.item_id)
            && event.consent.allows(Consent::TRAIN)
        {
            shown.show(slot, &place(user, item_id, event));
        }
    }

    fn apply_event(&mut self, event: &Event<'_>) {
        if event.event_type == EventTypeCode::IMPRESSION {
            self.note_impression(event);
        }
        let strength = self.types.strength(event.event_type, event.value);
        let item_id = event.item_id.filter(|_| strength != 0.0);
        let Some(item_id) = item_id.filter(|_| strength.is_finite()) else {
            self.stats.without_taste += 1;
            return;
        };
        if !event.consent.allows(Consent::TRAIN) {
            self.stats.without_consent += 1;
            return;
        }
        if !self.is_first(dedup_key(event.user, event.event_id)) {
            self.stats.duplicate += 1;
            return;
        }
        self.stats.used += 1;
        let entry = Entry {
            user: self.user(event.user),
            item: self.item(item_id),
            weight: strength,
            time_s: event.timestamp.seconds_u32(),
        };
        self.entries.push(entry);
        if let Some(shown) = self.shown.as_mut().filter(|_| strength > 0.0) {
            shown.chosen(entry.item, &place(entry.user, item_id, event));
        }
        // Amortised: one selection for every quarter of the cap.
        if self.entries.len() > self.interactions_max + self.interactions_max / 4 {
            self.drop_oldest();
        }
    }

    fn user(&mut self, key: UserKey) -> u32 {
        let next = self.is_erased.len() as u32;
        let user = *self.users.entry(key).or_insert(next);
        if user == next {
            self.is_erased.push(false);
        }
        user
    }

    fn item(&mut self, id: &str) -> u32 {
        if let Some(&item) = self.items.get(id) {
            return item;
        }
        let item = self.item_ids.push(id);
        self.items.insert(id.to_owned(), item);
        item
    }

    fn is_first(&mut self, key: u64) -> bool {
        if self.seen.iter().any(|generation| generation.contains(&key)) {
            return false;
        }
        if self.seen[0].len() >= DEDUP_GENERATION {
            self.seen.swap(0, 1);
            self.seen[0].clear();
        }
        self.seen[0].insert(key)
    }

    fn drop_oldest(&mut self) {
        let is_erased = &self.is_erased;
        self.entries.retain(|entry| !is_erased[entry.user as usize]);
        let surplus = self.entries.len().saturating_sub(self.interactions_max);
        if surplus == 0 {
            return;
        }
        let mut times: Vec<u32> = self.entries.iter().map(|entry| entry.time_s).collect();
        let (_, &mut oldest_kept, _) = times.select_nth_unstable(surplus);
        // Of the entries at the boundary's second the first ones go.
        let older = times.iter().filter(|time| **time < oldest_kept).count();
        let mut boundary_surplus = surplus - older;
        self.entries.retain(|entry| {
            if entry.time_s == oldest_kept && boundary_surplus > 0 {
                boundary_surplus -= 1;
                return false;
            }
            entry.time_s >= oldest_kept
        });
        self.stats.over_cap += surplus as u64;
    }

    /// The data set of everything applied so far. With a `catalog`, items carry their contents.
    #[must_use]
    pub fn build(mut self, catalog: Option<&Catalog>) -> Dataset {
        self.drop_oldest();
        let mut builder = InteractionsBuilder::new(self.item_ids)
            .with_row_max(self.interactions_per_user_max)
            .with_repeats();
        // Users are numbered anew, so that erased ones leave not even an empty row.
        let mut renumbered = vec![u32::MAX; self.is_erased.len()];
        for entry in &self.entries {
            let is_erased = self.is_erased[entry.user as usize];
            if is_erased {
                continue;
            }
            let number = &mut renumbered[entry.user as usize];
            if *number == u32::MAX {
                *number = builder.push_user();
            }
            builder.push(*number, entry.item, entry.weight, entry.time_s);
        }
        let mut interactions = builder.build();
        if let Some(shown) = self.shown {
            let outcomes = shown.finish(&renumbered);
            self.stats.slot_outcomes = outcomes.len() as u64;
            interactions = interactions.with_slot_outcomes(outcomes);
        }
        Dataset {
            interactions: match catalog {
                Some(catalog) => with_contents(interactions, catalog),
                None => interactions,
            },
            stats: self.stats,
        }
    }
}

/// Where an event is looked for, or was seen.
fn place<'a>(user: u32, item_id: &str, event: &Event<'a>) -> Place<'a> {
    Place {
        user,
        item: item_hash(item_id),
        request_id: event.request_id,
        time_s: event.timestamp.seconds_u32(),
    }
}

fn with_contents(interactions: Interactions, catalog: &Catalog) -> Interactions {
    let content = |id: &str| {
        let item = catalog.find(id).and_then(|item| catalog.item(item));
        item.map_or_else(ItemContent::default, |item| ItemContent::from_item(&item))
    };
    let contents: Vec<ItemContent> = interactions.item_ids().iter().map(content).collect();
    if contents
        .iter()
        .all(|content| *content == ItemContent::default())
    {
        return interactions;
    }
    interactions.with_contents(contents)
}
