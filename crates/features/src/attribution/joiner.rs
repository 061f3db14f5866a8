//! Pending slates of one partition, and what becomes of them.

use super::example::OwnedExample;
use super::plan::AttributionPlan;
use hashbrown::HashMap;
use nowcast_types::{EventTypeCode, Offset, Slate, SlateItem, SlateItems, Timestamp, UserKey};
use std::collections::{BTreeMap, BTreeSet};

/// An item of which nothing more is to be said: its user does not allow training.
const WITHHELD: u8 = u8::MAX;
/// Bytes that a slate counts beside its texts and facts.
const SLATE_BYTES: u64 = 160;

/// How many labels the joiner has given, and what it has let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Labelled {
    /// Slates that became pending.
    pub slates: u64,
    /// Slates let go before their window closed, because a bound was reached.
    pub forgotten: u64,
    /// Labels of what came true in time.
    pub positive: u64,
    /// Labels of what had not come true when the window closed.
    pub negative: u64,
    /// Labels of what came true and had been said not to.
    pub corrected: u64,
}

/// Number of counts, for the checkpoint.
pub(crate) const LABELLED: usize = 5;

impl Labelled {
    pub(crate) const fn to_array(self) -> [u64; LABELLED] {
        [
            self.slates,
            self.forgotten,
            self.positive,
            self.negative,
            self.corrected,
        ]
    }

    pub(crate) const fn from_array(counts: [u64; LABELLED]) -> Self {
        let [slates, forgotten, positive, negative, corrected] = counts;
        Self {
            slates,
            forgotten,
            positive,
            negative,
            corrected,
        }
    }
}

/// A slate that may still be labelled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PendingSlate {
    pub(super) user: UserKey,
    pub(super) at: Timestamp,
    pub(super) request_id: Box<str>,
    pub(super) slot: Box<str>,
    pub(super) situation: Box<[u8]>,
    /// The items as [`SlateItems`] has them.
    pub(super) items: Box<[u8]>,
    pub(super) facts_bytes: usize,
    /// Bits of the objectives that came true, by item.
    pub(super) met: Box<[u8]>,
    /// Whether the window has closed.
    pub(super) is_closed: bool,
}

/// An event as the joiner sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutcomeEvent<'a> {
    pub(crate) user: UserKey,
    pub(crate) event_type: EventTypeCode,
    pub(crate) value: Option<f32>,
    pub(crate) item: u64,
    pub(crate) at: Timestamp,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) may_train: bool,
}

/// All pending slates, by the offset at which they were shown.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    slates: BTreeMap<Offset, PendingSlate>,
    by_user: HashMap<UserKey, Vec<Offset>>,
    /// When each slate closes or, if it is closed, is forgotten.
    due: BTreeSet<(i64, Offset)>,
    bytes: u64,
    pub(crate) labelled: Labelled,
    changed: BTreeSet<Offset>,
    removed: BTreeSet<Offset>,
    /// Examples that nobody has taken yet; `None` while nobody wants any.
    examples: Option<Vec<OwnedExample>>,
    /// Number of the next example of the record under way.
    index: u32,
}

impl PendingSlate {
    fn items(&self) -> SlateItems<'_> {
        SlateItems::new(&self.items, self.facts_bytes).expect("only whole items are kept")
    }

    fn bytes(&self) -> u64 {
        let texts = self.request_id.len() + self.slot.len() + self.situation.len();
        SLATE_BYTES + (texts + self.items.len() + self.met.len()) as u64
    }

    fn due_ms(&self, plan: &AttributionPlan, lateness_ms: i64) -> i64 {
        let close_ms = self.at.0.saturating_add(plan.window_ms);
        if self.is_closed {
            close_ms.saturating_add(lateness_ms)
        } else {
            close_ms
        }
    }
}

impl Joiner {
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of pending slates.
    pub(crate) fn len(&self) -> usize {
        self.slates.len()
    }

    pub(crate) fn slates(&self) -> impl Iterator<Item = (Offset, &PendingSlate)> {
        self.slates.iter().map(|(offset, slate)| (*offset, slate))
    }

    pub(crate) fn get(&self, offset: Offset) -> Option<&PendingSlate> {
        self.slates.get(&offset)
    }

    /// Whether examples are kept for somebody to take.
    pub(crate) fn collect(&mut self, is_collecting: bool) {
        self.examples = is_collecting.then(Vec::new);
    }

    pub(crate) fn take_examples(&mut self) -> Vec<OwnedExample> {
        self.examples.as_mut().map_or_else(Vec::new, std::mem::take)
    }

    pub(crate) fn take_changed(&mut self) -> Vec<Offset> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    pub(crate) fn take_removed(&mut self) -> Vec<Offset> {
        std::mem::take(&mut self.removed).into_iter().collect()
    }

    /// Begins a record: its examples are numbered from 0.
    pub(crate) fn begin(&mut self) {
        self.index = 0;
    }

    /// A slate was shown.
    pub(crate) fn show(
        &mut self,
        plan: &AttributionPlan,
        lateness_ms: i64,
        offset: Offset,
        slate: &Slate<'_>,
    ) {
        self.labelled.slates += 1;
        let pending = PendingSlate {
            user: slate.user,
            at: slate.at,
            request_id: slate.request_id.into(),
            slot: slate.slot.into(),
            situation: slate.situation.into(),
            items: slate.items.bytes().into(),
            facts_bytes: slate.items.facts_bytes(),
            met: vec![0; slate.items.iter().len()].into(),
            is_closed: false,
        };
        self.insert(plan, lateness_ms, offset, pending);
        self.changed.insert(offset);
        while self.by_user[&slate.user].len() > plan.answers_per_user_max {
            let oldest = self.by_user[&slate.user][0];
            self.forget(plan, lateness_ms, oldest);
        }
        while self.bytes > plan.bytes_max
            && let Some(oldest) = self.slates.keys().next().copied()
        {
            self.forget(plan, lateness_ms, oldest);
        }
    }

    /// Puts a slate in; for restoring as well.
    pub(crate) fn insert(
        &mut self,
        plan: &AttributionPlan,
        lateness_ms: i64,
        offset: Offset,
        slate: PendingSlate,
    ) {
        self.bytes += slate.bytes();
        self.due.insert((slate.due_ms(plan, lateness_ms), offset));
        let own = self.by_user.entry(slate.user).or_default();
        let at = own.partition_point(|other| *other < offset);
        own.insert(at, offset);
        self.slates.insert(offset, slate);
    }

    fn forget(&mut self, plan: &AttributionPlan, lateness_ms: i64, offset: Offset) {
        if self
            .remove(plan, lateness_ms, offset)
            .is_some_and(|s| !s.is_closed)
        {
            self.labelled.forgotten += 1;
        }
    }

    fn remove(
        &mut self,
        plan: &AttributionPlan,
        lateness_ms: i64,
        offset: Offset,
    ) -> Option<PendingSlate> {
        let slate = self.slates.remove(&offset)?;
        self.due.remove(&(slate.due_ms(plan, lateness_ms), offset));
        self.bytes -= slate.bytes();
        if let Some(own) = self.by_user.get_mut(&slate.user) {
            own.retain(|other| *other != offset);
            if own.is_empty() {
                self.by_user.remove(&slate.user);
            }
        }
        self.changed.remove(&offset);
        self.removed.insert(offset);
        Some(slate)
    }

    /// Everything pending of a user goes; it is labelled no more.
    pub(crate) fn erase(&mut self, plan: &AttributionPlan, lateness_ms: i64, user: &UserKey) {
        for offset in self.by_user.get(user).cloned().unwrap_or_default() {
            self.remove(plan, lateness_ms, offset);
        }
    }

    /// The user did something with an item.
    pub(crate) fn outcome(
        &mut self,
        plan: &AttributionPlan,
        offset: Offset,
        event: &OutcomeEvent<'_>,
    ) {
        let bits = plan.objectives_of(event.event_type, event.value);
        if bits == 0 {
            return;
        }
        let Some((slate_at, place)) = self.find(plan, event) else {
            return;
        };
        let slate = self.slates.get_mut(&slate_at).expect("it was just found");
        let before = slate.met[place];
        let new = bits & !before;
        slate.met[place] |= if event.may_train { new } else { WITHHELD };
        if slate.met[place] == before {
            return;
        }
        self.changed.insert(slate_at);
        if event.may_train {
            let sign = if slate.is_closed { '~' } else { '+' };
            let count = u64::from(new.count_ones());
            match sign {
                '+' => self.labelled.positive += count,
                _ => self.labelled.corrected += count,
            }
            self.label((offset, slate_at), place, plan.labels(new, sign));
        }
    }

    /// The slate and the place in it that an event belongs to: those of the answer that it names, or
    /// the latest time that its item was shown before it.
    fn find(&self, plan: &AttributionPlan, event: &OutcomeEvent<'_>) -> Option<(Offset, usize)> {
        let own = self.by_user.get(&event.user)?.iter();
        let shown = own.map(|offset| (*offset, &self.slates[offset]));
        let is_in_time = |slate: &PendingSlate| {
            let age_ms = event.at.since_ms(slate.at);
            age_ms <= plan.window_ms && (event.request_id.is_some() || age_ms >= 0)
        };
        let is_named = |slate: &PendingSlate| {
            event
                .request_id
                .is_none_or(|request_id| *slate.request_id == *request_id)
        };
        let possible = shown.filter(|(_, slate)| is_named(slate) && is_in_time(slate));
        let places = possible.filter_map(|(offset, slate)| {
            let place = slate.items().iter().position(|i| i.item == event.item)?;
            Some((slate.at, offset, place))
        });
        let (_, offset, place) = places.max()?;
        Some((offset, place))
    }

    /// Closes the windows that the watermark has passed, and forgets what nothing can refer to.
    pub(crate) fn advance(
        &mut self,
        plan: &AttributionPlan,
        lateness_ms: i64,
        offset: Offset,
        watermark: Timestamp,
    ) {
        while let Some((due_ms, slate_at)) = self.due.first().copied()
            && due_ms < watermark.0
        {
            self.due.pop_first();
            let slate = self
                .slates
                .get_mut(&slate_at)
                .expect("what is due is there");
            if slate.is_closed {
                self.remove(plan, lateness_ms, slate_at);
                continue;
            }
            slate.is_closed = true;
            self.due.insert((slate.due_ms(plan, lateness_ms), slate_at));
            self.changed.insert(slate_at);
            for place in 0..slate.met.len() {
                let missed = plan.all() & !self.slates[&slate_at].met[place];
                if missed != 0 {
                    self.labelled.negative += u64::from(missed.count_ones());
                    self.label((offset, slate_at), place, plan.labels(missed, '-'));
                }
            }
        }
    }

    fn label(&mut self, (offset, slate_at): (Offset, Offset), place: usize, labels: String) {
        let index = self.index;
        self.index += 1;
        let Some(examples) = &mut self.examples else {
            return;
        };
        let slate = &self.slates[&slate_at];
        let item: Option<SlateItem<'_>> = slate.items().iter().nth(place);
        let Some(item) = item else { return };
        examples.push(OwnedExample {
            offset,
            index,
            at: slate.at,
            slate: slate_at,
            place: place as u16,
            slot: slate.slot.clone(),
            labels,
            score: item.score,
            situation: slate.situation.clone(),
            facts: item.facts.into(),
        });
    }
}
