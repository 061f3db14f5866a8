//! Which examples must be labelled, computed a second time from the records of the log.
//!
//! Written from the documents, not from the fold: every slate stays in a plain list, and each record
//! looks through all of it. Only the vocabulary of the log is shared with the product.

use super::site::OBJECTIVES;
use nowcast_types::{
    Consent, Event, EventTypes, LabelledExample, Origin, Record, Slate, SlateItems, Timestamp,
    UserKey,
};
use std::collections::HashSet;

/// An example that owns what it holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) origin: Origin,
    pub(super) at: i64,
    pub(super) slate: u64,
    pub(super) place: u16,
    pub(super) slot: String,
    pub(super) labels: String,
    pub(super) score: f32,
    pub(super) situation: Vec<u8>,
    pub(super) facts: Vec<u8>,
}

impl Told {
    pub(super) fn of(example: &LabelledExample<'_>) -> Self {
        Self {
            origin: example.origin,
            at: example.at.0,
            slate: example.slate,
            place: example.place,
            slot: example.slot.to_owned(),
            labels: example.labels.to_owned(),
            score: example.score,
            situation: example.situation.to_vec(),
            facts: example.facts.to_vec(),
        }
    }

    pub(super) fn example(&self) -> LabelledExample<'_> {
        LabelledExample {
            origin: self.origin,
            at: Timestamp(self.at),
            slate: self.slate,
            place: self.place,
            slot: &self.slot,
            labels: &self.labels,
            score: self.score,
            situation: &self.situation,
            facts: &self.facts,
        }
    }
}

/// Times that decide, from the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) window_ms: i64,
    pub(super) lateness_ms: i64,
    pub(super) clock_ahead_ms: i64,
}

/// One partition, record by record.
pub(super) struct Labeller<'t> {
    partition: u16,
    times: Times,
    types: &'t EventTypes,
    watermark: i64,
    events_seen: HashSet<(UserKey, String)>,
    slates_seen: HashSet<(UserKey, String)>,
    shown: Vec<Shown>,
    /// Everything labelled so far, in order.
    pub(super) told: Vec<Told>,
}

struct Shown {
    offset: u64,
    user: UserKey,
    at: i64,
    request_id: String,
    slot: String,
    situation: Vec<u8>,
    items: Vec<ShownItem>,
    is_closed: bool,
}

struct ShownItem {
    id_hash: u64,
    score: f32,
    facts: Vec<u8>,
    /// Names of the objectives that came true.
    met: Vec<&'static str>,
    is_withheld: bool,
}

impl<'t> Labeller<'t> {
    pub(super) fn new(partition: u16, times: Times, types: &'t EventTypes) -> Self {
        Self {
            partition,
            times,
            types,
            watermark: i64::MIN,
            events_seen: HashSet::new(),
            slates_seen: HashSet::new(),
            shown: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Takes the next record of the partition.
    pub(super) fn take(&mut self, offset: u64, record: &Record<'_>) {
        match record {
            Record::Slate(slate) => self.show(offset, slate),
            Record::Event(event) => self.event(offset, event),
            Record::Erase { user, .. } => self.shown.retain(|shown| shown.user != *user),
            _ => return,
        }
        self.close(offset);
    }

    fn show(&mut self, offset: u64, slate: &Slate<'_>) {
        let id = (slate.user, slate.request_id.to_owned());
        if !self.slates_seen.insert(id) {
            return;
        }
        let items: SlateItems<'_> = slate.items;
        self.shown.push(Shown {
            offset,
            user: slate.user,
            at: slate.at.0,
            request_id: slate.request_id.to_owned(),
            slot: slate.slot.to_owned(),
            situation: slate.situation.to_vec(),
            items: items
                .iter()
                .map(|item| ShownItem {
                    id_hash: item.item,
                    score: item.score,
                    facts: item.facts.to_vec(),
                    met: Vec::new(),
                    is_withheld: false,
                })
                .collect(),
            is_closed: false,
        });
    }

    fn event(&mut self, offset: u64, event: &Event<'_>) {
        let id = (event.user, event.event_id.to_owned());
        if !self.events_seen.insert(id) {
            return;
        }
        let is_late = self.watermark.saturating_sub(event.timestamp.0) > self.times.lateness_ms;
        let believable = event.received_at.0 + self.times.clock_ahead_ms;
        self.watermark = self.watermark.max(event.timestamp.0.min(believable));
        let Some(item) = event.item_id else { return };
        let name = self.types.name(event.event_type);
        let met: Vec<&'static str> = OBJECTIVES
            .iter()
            .filter(|(_, events)| events.contains(&name))
            .map(|(objective, _)| *objective)
            .collect();
        if is_late || met.is_empty() {
            return;
        }
        let hash = nowcast_types::stable_hash::stable_hash(item.as_bytes(), 0);
        let Some((at, place)) = self.find(event, hash) else {
            return;
        };
        let shown = &mut self.shown[at];
        let found = &mut shown.items[place];
        if found.is_withheld {
            return;
        }
        if !event.consent.allows(Consent::TRAIN) {
            found.is_withheld = true;
            return;
        }
        let sign = if shown.is_closed { '~' } else { '+' };
        let news = met.into_iter().filter(|name| !found.met.contains(name));
        let news: Vec<&'static str> = news.collect();
        if news.is_empty() {
            return;
        }
        found.met.extend(&news);
        let labels: Vec<String> = news.iter().map(|name| format!("{sign}{name}")).collect();
        self.tell(offset, at, place, labels.join(" "));
    }

    /// The slate that the event names, or the latest one before it with its item.
    fn find(&self, event: &Event<'_>, hash: u64) -> Option<(usize, usize)> {
        let mut best: Option<(i64, u64, usize, usize)> = None;
        for (at, shown) in self.shown.iter().enumerate() {
            let age = event.timestamp.0 - shown.at;
            let is_possible = match event.request_id {
                Some(request_id) => shown.request_id == request_id,
                None => age >= 0,
            };
            if shown.user != event.user || !is_possible || age > self.times.window_ms {
                continue;
            }
            let place = shown.items.iter().position(|item| item.id_hash == hash);
            if let Some(place) = place {
                best = best.max(Some((shown.at, shown.offset, at, place)));
            }
        }
        best.map(|(_, _, at, place)| (at, place))
    }

    /// Labels what the watermark has left behind, the earliest first, and forgets what is too old to
    /// be referred to.
    fn close(&mut self, offset: u64) {
        let mut due: Vec<usize> = (0..self.shown.len())
            .filter(|at| {
                let shown = &self.shown[*at];
                !shown.is_closed && shown.at + self.times.window_ms < self.watermark
            })
            .collect();
        due.sort_by_key(|at| (self.shown[*at].at, self.shown[*at].offset));
        for at in due {
            self.shown[at].is_closed = true;
            for place in 0..self.shown[at].items.len() {
                let item = &self.shown[at].items[place];
                if item.is_withheld {
                    continue;
                }
                let missed = OBJECTIVES
                    .iter()
                    .filter(|(name, _)| !item.met.contains(name))
                    .map(|(name, _)| format!("-{name}"));
                let labels: Vec<String> = missed.collect();
                if !labels.is_empty() {
                    self.tell(offset, at, place, labels.join(" "));
                }
            }
        }
        let (times, watermark) = (self.times, self.watermark);
        self.shown.retain(|shown| {
            let end = shown.at + times.window_ms + times.lateness_ms;
            !(shown.is_closed && end < watermark)
        });
    }

    fn tell(&mut self, offset: u64, at: usize, place: usize, labels: String) {
        let same = self.told.iter().rev();
        let index = same.take_while(|told| told.origin.offset == offset).count();
        let shown = &self.shown[at];
        let item = &shown.items[place];
        self.told.push(Told {
            origin: Origin {
                partition: self.partition,
                offset,
                index: index as u32,
            },
            at: shown.at,
            slate: shown.offset,
            place: place as u16,
            slot: shown.slot.clone(),
            labels,
            score: item.score,
            situation: shown.situation.clone(),
            facts: item.facts.clone(),
        });
    }
}
