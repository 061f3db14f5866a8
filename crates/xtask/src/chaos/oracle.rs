//! What the state must be, computed a second time from what was acknowledged.
//!
//! Written from the documents, not from the fold: it shares no code with the product, keeps every
//! event in plain collections and recomputes each value from scratch when asked. It knows users,
//! histories, segments, erasure, dedup by id, lateness, consent, and windows of integer values.

use super::workload::{self, Fate, Operation, Sent};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A feature view of the drill's configuration, as its words in `fold.views` say.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) entity: Entity,
    /// Event types that count; empty means all of the drill.
    pub(super) events: &'static [&'static str],
    pub(super) what: What,
    pub(super) window_s: i64,
    pub(super) slots: i64,
}

/// Whom a view describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entity {
    User,
    Item,
    Category,
    Segment,
    Global,
}

/// What a view computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Count,
    SumOfValues,
    MaxOfValues,
}

impl Entity {
    /// The word of the configuration.
    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Item => "item",
            Self::Category => "category",
            Self::Segment => "segment",
            Self::Global => "global",
        }
    }
}

impl What {
    /// The word of the configuration, and what it aggregates.
    const fn words(self) -> &'static str {
        match self {
            Self::Count => "aggregation = \"count\"",
            Self::SumOfValues => "aggregation = \"sum\"\nof = \"value\"",
            Self::MaxOfValues => "aggregation = \"max\"\nof = \"value\"",
        }
    }
}

/// Event types that say nothing about taste and are in no history.
const TASTELESS: &[&str] = &["impression", "search", "nod"];
const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;
const ALL_TYPES: &[&str] = &["view", "click", "purchase", "like", "impression"];

/// The views of the drill.
pub(super) const VIEWS: &[View] = &[
    View {
        name: "user_events_30d",
        entity: Entity::User,
        events: ALL_TYPES,
        what: What::Count,
        window_s: 30 * DAY_S,
        slots: 30,
    },
    View {
        name: "user_spend_30d",
        entity: Entity::User,
        events: &["purchase"],
        what: What::SumOfValues,
        window_s: 30 * DAY_S,
        slots: 10,
    },
    View {
        name: "item_events_30d",
        entity: Entity::Item,
        events: ALL_TYPES,
        what: What::Count,
        window_s: 30 * DAY_S,
        slots: 30,
    },
    View {
        name: "item_clicks_6h",
        entity: Entity::Item,
        events: &["click"],
        what: What::Count,
        window_s: 6 * HOUR_S,
        slots: 6,
    },
    View {
        name: "item_price_max_2d",
        entity: Entity::Item,
        events: &["purchase"],
        what: What::MaxOfValues,
        window_s: 2 * DAY_S,
        slots: 4,
    },
    View {
        name: "category_events_30d",
        entity: Entity::Category,
        events: ALL_TYPES,
        what: What::Count,
        window_s: 30 * DAY_S,
        slots: 30,
    },
    View {
        name: "segment_events_30d",
        entity: Entity::Segment,
        events: ALL_TYPES,
        what: What::Count,
        window_s: 30 * DAY_S,
        slots: 30,
    },
    View {
        name: "global_events_12h",
        entity: Entity::Global,
        events: ALL_TYPES,
        what: What::Count,
        window_s: 12 * HOUR_S,
        slots: 12,
    },
];

/// The views as configuration text.
pub(super) fn views_toml() -> String {
    VIEWS
        .iter()
        .map(|view| {
            let events: Vec<String> = view.events.iter().map(|e| format!("{e:?}")).collect();
            format!(
                "[[fold.views]]\nname = {:?}\nentity = {:?}\nevents = [{}]\n{}\nwindow = \"{}s\"\n\
                 slots = {}\n\n",
                view.name,
                view.entity.word(),
                events.join(", "),
                view.what.words(),
                view.window_s,
                view.slots
            )
        })
        .collect()
}

/// An event that changed the state, and the user's segment when it did.
#[derive(Debug, Clone)]
struct Counted {
    sent: Sent,
    segment: Option<&'static str>,
    /// Whether the user still has it: an erasure empties the user, not the items.
    is_remembered: bool,
}

/// Time in seconds, item and event type of each entry, sorted.
pub(super) type History = Vec<(i64, String, String)>;

/// Everything that was acknowledged, folded naively.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    counted: Vec<Counted>,
    /// Places in `counted` of what each user still has.
    remembered: HashMap<String, Vec<usize>>,
    seen: HashSet<String>,
    segments: BTreeMap<String, &'static str>,
    late: HashSet<String>,
}

impl Oracle {
    /// Folds one acknowledged operation; operations of one user come in their order.
    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Events(events) => events.iter().for_each(|sent| self.apply_event(sent)),
            Operation::Show(_) => {}
            Operation::PutUser { user, segment } => {
                self.segments.insert(user.clone(), segment);
            }
            Operation::Erase { user } => {
                self.segments.remove(user);
                for place in self.remembered.remove(user).unwrap_or_default() {
                    self.counted[place].is_remembered = false;
                }
            }
        }
    }

    fn apply_event(&mut self, sent: &Sent) {
        if !self.seen.insert(sent.event_id.clone()) {
            return;
        }
        match sent.fate {
            Fate::Late => {
                self.late.insert(sent.event_id.clone());
            }
            Fate::Denied => {}
            Fate::Counts => {
                let places = self.remembered.entry(sent.user.clone()).or_default();
                places.push(self.counted.len());
                self.counted.push(Counted {
                    sent: sent.clone(),
                    segment: self.segments.get(&sent.user).copied(),
                    is_remembered: true,
                });
            }
        }
    }

    /// Distinct events that were acknowledged, of any fate.
    pub(super) fn acked(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Ids of the events that must be in the late stream.
    pub(super) fn late(&self) -> &HashSet<String> {
        &self.late
    }

    /// Stops expecting anything in the late stream.
    pub(super) fn forget_late(&mut self) {
        self.late.clear();
    }

    /// The segment of a user.
    pub(super) fn segment(&self, user: &str) -> Option<&'static str> {
        self.segments.get(user).copied()
    }

    /// What each user's history must hold, sorted: time in seconds, item, event type. Users whose
    /// history must be empty are there too.
    ///
    /// What says nothing about taste is in no history.
    pub(super) fn histories(&self) -> BTreeMap<String, History> {
        let mut histories: BTreeMap<String, History> = BTreeMap::new();
        for counted in &self.counted {
            let sent = &counted.sent;
            let history = histories.entry(sent.user.clone()).or_default();
            if counted.is_remembered && !TASTELESS.contains(&sent.event_type) {
                let seconds = sent.timestamp_ms.div_euclid(1000);
                history.push((
                    seconds,
                    workload::item_id(sent.item),
                    sent.event_type.to_owned(),
                ));
            }
        }
        histories.values_mut().for_each(|history| history.sort());
        histories
    }

    /// The value of a view for every entity that has one, as of a time.
    pub(super) fn view(&self, view: &View, as_of_ms: i64) -> BTreeMap<String, i64> {
        let slot_ms = view.window_s * 1000 / view.slots;
        let newest = as_of_ms.div_euclid(slot_ms);
        let mut values: BTreeMap<String, i64> = BTreeMap::new();
        for counted in &self.counted {
            let sent = &counted.sent;
            let slot = sent.timestamp_ms.div_euclid(slot_ms);
            let is_inside = slot > newest - view.slots && slot <= newest;
            if !is_inside || !view.events.contains(&sent.event_type) {
                continue;
            }
            let Some(entity) = counted.entity(view.entity) else {
                continue;
            };
            let quantity = i64::from(sent.value.unwrap_or(0));
            let value = values.entry(entity).or_insert(0);
            *value = match view.what {
                What::Count => *value + 1,
                What::SumOfValues => *value + quantity,
                What::MaxOfValues => (*value).max(quantity),
            };
        }
        values
    }
}

impl Counted {
    fn entity(&self, kind: Entity) -> Option<String> {
        match kind {
            Entity::User => self.is_remembered.then(|| self.sent.user.clone()),
            Entity::Item => Some(workload::item_id(self.sent.item)),
            Entity::Category => Some(workload::category(self.sent.item)),
            Entity::Segment => self.segment.map(str::to_owned),
            Entity::Global => Some(String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(event_id: &str, event_type: &'static str, timestamp_ms: i64, fate: Fate) -> Sent {
        Sent {
            event_id: event_id.to_owned(),
            user: "ann".to_owned(),
            item: 1,
            event_type,
            timestamp_ms,
            value: Some(5),
            request_id: None,
            fate,
        }
    }

    fn view(name: &str) -> &'static View {
        VIEWS.iter().find(|view| view.name == name).unwrap()
    }

    #[test]
    fn duplicates_late_and_denied_events_do_not_count() {
        let mut oracle = Oracle::default();
        let click = sent("1", "click", 10_000, Fate::Counts);
        oracle.apply(&Operation::Events(vec![
            click.clone(),
            click,
            sent("2", "click", 0, Fate::Late),
            sent("3", "click", 10_000, Fate::Denied),
        ]));
        assert_eq!(oracle.acked(), 3);
        assert_eq!(oracle.histories()["ann"].len(), 1);
        assert_eq!(oracle.view(view("user_events_30d"), 10_000)["ann"], 1);
        assert_eq!(oracle.late().len(), 1);
    }

    #[test]
    fn an_erasure_empties_the_user_and_keeps_the_items() {
        let mut oracle = Oracle::default();
        oracle.apply(&Operation::PutUser {
            user: "ann".to_owned(),
            segment: "gold",
        });
        oracle.apply(&Operation::Events(vec![sent(
            "1",
            "purchase",
            10_000,
            Fate::Counts,
        )]));
        oracle.apply(&Operation::Erase {
            user: "ann".to_owned(),
        });
        assert!(oracle.histories()["ann"].is_empty());
        assert_eq!(oracle.segment("ann"), None);
        assert!(oracle.view(view("user_spend_30d"), 10_000).is_empty());
        assert_eq!(oracle.view(view("item_price_max_2d"), 10_000)["item-1"], 5);
        assert_eq!(oracle.view(view("segment_events_30d"), 10_000)["gold"], 1);
    }

    #[test]
    fn a_window_ends_after_its_slots() {
        let mut oracle = Oracle::default();
        let hour_ms = 3_600_000;
        oracle.apply(&Operation::Events(vec![
            sent("1", "click", 10 * hour_ms, Fate::Counts),
            sent("2", "click", 5 * hour_ms, Fate::Counts),
            sent("3", "click", 4 * hour_ms, Fate::Counts),
        ]));
        let as_of = 10 * hour_ms + 1;
        assert_eq!(oracle.view(view("item_clicks_6h"), as_of)["item-1"], 2);
    }
}
