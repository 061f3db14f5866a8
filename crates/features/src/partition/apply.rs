//! The fold step: one record, one outcome.
//!
//! Consent decides which side an event reaches. With `PERSONALIZE` it changes the user's profile
//! (history, session, affinity, features of users) and what is counted by the user's segment. With
//! `TRAIN` it changes what is counted by item, category and overall. Co-visitation and counts by
//! segment need both. Without `PERSONALIZE` the outcome is suppressed; without either, the event
//! leaves its id in the dedup memory and its time in the watermark, nothing else.

use super::PartitionState;
use crate::aggregations::Sample;
use crate::config::{EntityKind, Operand};
use crate::covisit::Pairs;
use crate::decay::Scale;
use crate::history::HistoryEntry;
use crate::ids::{LocalItem, LocalSegment};
use crate::outcome::{Outcome, SkipReason};
use crate::plan::{EventPlan, EventView, FoldPlan, ViewPlan};
use crate::session::Activity;
use crate::tiles;
use crate::weights::{self, Bounds, WhenFull};
use nowcast_types::event::CATEGORIES_MAX;
use nowcast_types::ids::dedup_key;
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Consent, Event, Offset, Record};

/// Hashes of an event's keys, and where its user and item may be found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EventKeys {
    pub(super) dedup: u64,
    pub(super) item: u64,
    pub(super) user_guess: Option<u32>,
    pub(super) item_guess: Option<u32>,
}

impl EventKeys {
    pub(super) fn of(event: &Event<'_>) -> Self {
        Self {
            dedup: dedup_key(event.user, event.event_id),
            item: event.item_id.map_or(0, |id| stable_hash(id.as_bytes(), 0)),
            user_guess: None,
            item_guess: None,
        }
    }
}

/// Strengths beyond this, in either direction, count as this.
const STRENGTH_MAX: f32 = 1_000.0;

/// One event with everything that several parts of the fold need.
struct Step<'a> {
    event: &'a Event<'a>,
    plan: &'a FoldPlan,
    event_plan: &'a EventPlan,
    keys: &'a EventKeys,
    time_s: u32,
    strength: f32,
    item: Option<u32>,
    categories: [u32; CATEGORIES_MAX],
    categories_len: usize,
    lap: u8,
}

/// What the profile side hands to the item side.
#[derive(Default)]
struct Profile {
    segment: Option<LocalSegment>,
    pairs: Pairs,
}

impl PartitionState {
    /// Folds the record at `offset`; an offset below [`Self::position`] changes nothing.
    pub fn apply(&mut self, offset: Offset, record: &Record<'_>) -> Outcome {
        let keys = match record {
            Record::Event(event) => EventKeys::of(event),
            _ => EventKeys::default(),
        };
        self.apply_with(offset, record, &keys)
    }

    /// Moves past a record that cannot be folded, and counts it.
    pub fn skip(&mut self, offset: Offset, reason: SkipReason) -> Outcome {
        if offset < self.progress.position {
            return Outcome::Skipped(SkipReason::AlreadyFolded);
        }
        self.finish(offset, Outcome::Skipped(reason))
    }

    pub(super) fn apply_with(
        &mut self,
        offset: Offset,
        record: &Record<'_>,
        keys: &EventKeys,
    ) -> Outcome {
        if offset < self.progress.position {
            return Outcome::Skipped(SkipReason::AlreadyFolded);
        }
        let outcome = match record {
            Record::Event(event) => {
                let outcome = self.apply_event(event, keys);
                self.attribute(offset, event, keys, outcome);
                outcome
            }
            Record::Slate(slate) => self.apply_slate(offset, slate),
            Record::User(change) => self.apply_user_change(change),
            Record::Erase { user, .. } => self.erase(user),
            Record::Item(_) | Record::DeadLetter(_) | Record::Schema(_) | Record::Example(_) => {
                Outcome::Skipped(SkipReason::WrongStream)
            }
        };
        self.finish(offset, outcome)
    }

    fn finish(&mut self, offset: Offset, outcome: Outcome) -> Outcome {
        self.keep_budget();
        self.progress.position = offset.saturating_add(1);
        self.progress.counters.count(outcome);
        outcome
    }

    fn apply_event(&mut self, event: &Event<'_>, keys: &EventKeys) -> Outcome {
        let plan = std::sync::Arc::clone(&self.plan);
        let event_plan = plan.event(event.event_type);
        if !event_plan.is_known {
            return Outcome::Skipped(SkipReason::UnknownEventType);
        }
        if !self.dedup.insert(keys.dedup) {
            return Outcome::Duplicate;
        }
        let is_late = self.watermark.since_ms(event.timestamp) > plan.lateness_ms;
        let believable = event.received_at.plus_ms(plan.clock_ahead_ms);
        self.watermark = self.watermark.max(event.timestamp.min(believable));
        let was_forced = self.dedup.advance(
            self.watermark,
            plan.dedup_horizon_ms,
            plan.dedup_entries_max,
        );
        self.progress.counters.dedup_forgotten_early += u64::from(was_forced);
        if is_late {
            return Outcome::Late;
        }
        let may_personalize = event.consent.allows(Consent::PERSONALIZE);
        let may_train = event.consent.allows(Consent::TRAIN);
        self.progress.counters.untrained += u64::from(!may_train);
        if !may_personalize && !may_train {
            return Outcome::Suppressed;
        }
        let step = self.step(event, keys, &plan, event_plan);
        let profile = if may_personalize {
            self.fold_profile(&step, may_train)
        } else {
            Profile::default()
        };
        if may_train {
            self.fold_item_side(&step, &profile);
        }
        if may_personalize {
            Outcome::Applied
        } else {
            Outcome::Suppressed
        }
    }

    /// Numbers the event's strings and gathers what the parts of the fold share.
    fn step<'a>(
        &mut self,
        event: &'a Event<'a>,
        keys: &'a EventKeys,
        plan: &'a FoldPlan,
        event_plan: &'a EventPlan,
    ) -> Step<'a> {
        let strength = plan.event_types().strength(event.event_type, event.value);
        let mut step = Step {
            event,
            plan,
            event_plan,
            keys,
            time_s: event.timestamp.seconds_u32(),
            strength: strength.clamp(-STRENGTH_MAX, STRENGTH_MAX),
            item: event
                .item_id
                .map(|id| self.items.intern(keys.item, id, keys.item_guess)),
            categories: [0; CATEGORIES_MAX],
            categories_len: 0,
            lap: self.clock.items_lap,
        };
        if event_plan.needs_categories {
            for name in event.categories.iter().filter(|name| !name.is_empty()) {
                step.categories[step.categories_len] = self.categories.intern_name(name);
                step.categories_len += 1;
            }
        }
        step
    }

    fn fold_profile(&mut self, step: &Step<'_>, may_train: bool) -> Profile {
        let plan = step.plan;
        let slot = self
            .users
            .find_or_insert(&step.event.user, step.keys.user_guess);
        let user = self.users.touch(slot, self.clock.users_lap);
        let before = user.bytes(plan.history_len);
        let mut profile = Profile {
            segment: user.segment(),
            pairs: Pairs::default(),
        };
        user.see(step.time_s);
        if step.event_plan.is_action {
            user.session.fold(&step.activity(), plan.session_gap_ms);
        }
        if step.event_plan.is_interaction
            && let Some(item) = step.item
        {
            if may_train && step.strength > 0.0 {
                let history = user.history.entries(plan.history_len);
                profile.pairs = Pairs::of(&plan.covisit, history, item, step.time_s);
            }
            let code = step.event.event_type;
            let entry = HistoryEntry::new(LocalItem(item), step.time_s, code, step.strength);
            user.history.insert(entry, plan.history_len);
        }
        let blocks = plan.blocks(EntityKind::User);
        if step.strength != 0.0 && step.categories_len > 0 {
            let bounds = Bounds {
                pairs_max: plan.affinity_categories_max,
                when_full: WhenFull::Replace,
            };
            let scale = plan.affinity_decay.at(step.time_s);
            tiles::change_block(&mut user.words, blocks, 0, |run| {
                for category in step.categories() {
                    weights::add(run, &bounds, scale, *category, step.strength);
                }
            });
        }
        step.fold_views(EntityKind::User, &mut user.words);
        let after = user.bytes(plan.history_len);
        self.users.settle(before, after);
        profile
    }

    fn fold_item_side(&mut self, step: &Step<'_>, profile: &Profile) {
        let plan = step.plan;
        let liking = f64::from(step.strength.max(0.0));
        let scales = [
            plan.trending_decay.at(step.time_s),
            plan.popular_decay.at(step.time_s),
        ];
        if let Some(item) = step.item {
            self.fold_item(item, step, profile, scales);
            self.fold_pairs(item, step, profile);
        }
        for category in step.categories() {
            self.categories.change(*category, |row| {
                if liking > 0.0 {
                    row.trending.add(scales[0], liking);
                    row.popular.add(scales[1], liking);
                }
                step.fold_views(EntityKind::Category, &mut row.words);
            });
        }
        if let Some(segment) = profile.segment {
            if step.touches(EntityKind::Segment) {
                self.segments.change(segment.0, |row| {
                    step.fold_views(EntityKind::Segment, &mut row.words);
                });
            }
            if step.touches(EntityKind::ItemSegment)
                && let Some(item) = step.item
            {
                let row = self.item_segments.intern_pair([item, segment.0]);
                self.item_segments.change(row, |row| {
                    step.fold_views(EntityKind::ItemSegment, &mut row.words);
                });
            }
        }
        if step.touches(EntityKind::Global) {
            self.global.change(0, |row| {
                step.fold_views(EntityKind::Global, &mut row.words);
            });
        }
    }

    fn fold_item(&mut self, item: u32, step: &Step<'_>, profile: &Profile, scales: [Scale; 2]) {
        let plan = step.plan;
        let blocks = plan.blocks(EntityKind::Item);
        self.items.change(item, step.lap, |row| {
            if step.strength > 0.0 {
                row.trending.add(scales[0], f64::from(step.strength));
                row.popular.add(scales[1], f64::from(step.strength));
                if let Some(segment) = profile.segment
                    && plan.segments_max > 0
                {
                    let bounds = Bounds {
                        pairs_max: plan.segments_max,
                        when_full: WhenFull::Inherit,
                    };
                    tiles::change_block(&mut row.words, blocks, 0, |run| {
                        weights::add(run, &bounds, scales[1], segment.0, step.strength);
                    });
                }
            }
            step.fold_views(EntityKind::Item, &mut row.words);
        });
    }

    fn fold_pairs(&mut self, item: u32, step: &Step<'_>, profile: &Profile) {
        let pairs = profile.pairs.as_slice();
        if pairs.is_empty() {
            return;
        }
        let bounds = Bounds {
            pairs_max: step.plan.covisit.neighbours_max,
            when_full: WhenFull::Inherit,
        };
        let scale = step.plan.covisit.decay.at(step.time_s);
        for pair in pairs {
            let there = (pair.other, item);
            let back = (item, pair.other);
            self.items
                .add_neighbour(there, step.lap, &bounds, scale, pair.to_new);
            if pair.to_other > 0.0 {
                self.items
                    .add_neighbour(back, step.lap, &bounds, scale, pair.to_other);
            }
        }
    }
}

impl Step<'_> {
    fn categories(&self) -> &[u32] {
        &self.categories[..self.categories_len]
    }

    fn touches(&self, entity: EntityKind) -> bool {
        !self.event_plan.views(entity).is_empty()
    }

    fn activity(&self) -> Activity {
        let engaged_ms = match self.event.value {
            Some(ms) if self.event_plan.is_engagement => ms as u32,
            _ => 0,
        };
        Activity {
            at: self.event.timestamp,
            key: self.event.session,
            is_item_interaction: self.item.is_some(),
            engaged_ms,
            strength: self.strength,
        }
    }

    /// Adds the event to the tiles of all views of one entity.
    fn fold_views(&self, entity: EntityKind, words: &mut Vec<u32>) {
        let blocks = self.plan.blocks(entity);
        for event_view in self.event_plan.views(entity) {
            let view = self.plan.view_at(event_view.view);
            if !view
                .conditions
                .iter()
                .all(|condition| condition.holds(self.event))
            {
                continue;
            }
            if view.operand == Operand::Category {
                for category in self.categories() {
                    let key = self.category_key(view, *category);
                    let sample = self.sample(event_view, 1.0, key);
                    tiles::fold(words, blocks, view, &sample);
                }
            } else if let Some((quantity, key)) = self.operand(view) {
                let sample = self.sample(event_view, quantity, key);
                tiles::fold(words, blocks, view, &sample);
            }
        }
    }

    fn sample(&self, event_view: &EventView, quantity: f64, key: u64) -> Sample {
        Sample {
            time_s: self.time_s,
            quantity,
            key,
            is_denominator: event_view.is_denominator,
        }
    }

    /// What ranked views report is the local number; what is only counted must mean the same in
    /// every partition, so it is a hash of the string.
    fn category_key(&self, view: &ViewPlan, category: u32) -> u64 {
        if view.is_ranked() {
            return u64::from(category);
        }
        let at = self
            .categories()
            .iter()
            .position(|other| *other == category);
        let mut names = self.event.categories.iter().filter(|name| !name.is_empty());
        at.and_then(|at| names.nth(at))
            .map_or(0, |name| stable_hash(name.as_bytes(), 0))
    }

    /// The quantity and the key that a view aggregates; `None` if the event has none.
    fn operand(&self, view: &ViewPlan) -> Option<(f64, u64)> {
        match view.operand {
            Operand::One | Operand::Category => Some((1.0, 0)),
            Operand::Value => {
                let value = self.event.value.filter(|value| value.is_finite())?;
                Some((f64::from(value), 0))
            }
            Operand::Strength => Some((f64::from(self.strength), 0)),
            Operand::Item if view.is_ranked() => Some((1.0, u64::from(self.item?))),
            Operand::Item => self.item.map(|_| (1.0, self.keys.item)),
            Operand::User => Some((1.0, self.event.user.bits())),
            Operand::Session => Some((1.0, self.event.session?.0)),
            Operand::EventType => Some((1.0, u64::from(self.event.event_type.0))),
        }
    }
}
