//! Nearest sessions at request time: candidates by shared items, then votes of the nearest.

use super::index::SessionIndex;
use super::{NAME, PARAMS, Settings};
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::model::{Admit, HistoryItem, Model, ModelQuery, Prepared, Scored};
use crate::params::Params;
use crate::sparse;
use crate::top_k::TopK;
use std::cmp::Reverse;

/// An index of sessions and how it is asked.
pub struct SessionKnn {
    items: ItemIds,
    settings: Settings,
    index: SessionIndex,
}

/// The newest place of each item of a history, newest item first, with what it counts.
struct Recent {
    items: Vec<(u32, f32)>,
    /// Steps back of each known item; [`NOWHERE`] for those that the history lacks. Looked up once
    /// for each item of each near session.
    steps: Vec<u32>,
}

/// Steps back of an item that is not in the history.
const NOWHERE: u32 = u32::MAX;

impl SessionKnn {
    pub(super) fn new(items: ItemIds, settings: Settings) -> Self {
        Self {
            index: SessionIndex::new(items.len()),
            items,
            settings,
        }
    }

    /// Appends one session, newest of all, its items in order.
    pub fn push_session(&mut self, items: &[u32]) {
        self.index.push(items);
    }

    /// The sessions it answers from.
    #[must_use]
    pub const fn index(&self) -> &SessionIndex {
        &self.index
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        let items = reader.item_ids()?;
        let mut params = Params::new();
        for def in PARAMS
            .iter()
            .filter(|def| def.name != "session_gap_minutes")
        {
            params = params.with(def.name, reader.f32()?);
        }
        let unreadable = |error: ModelError| ModelError::Damaged(error.to_string());
        let resolved = params.resolve(NAME, PARAMS).map_err(unreadable)?;
        let settings = Settings::read(&resolved).map_err(unreadable)?;
        let (ends, held) = (reader.u32s()?, reader.u32s()?);
        let total = ends.last().map_or(0, |end| *end as usize);
        reader.require(total == held.len(), "sessions cover all entries")?;
        reader.require(ends.first() != Some(&0), "sessions are not empty")?;
        reader.require(ends.is_sorted_by(|a, b| a < b), "sessions are in order")?;
        let is_known = |item: &u32| (*item as usize) < items.len();
        reader.require(held.iter().all(is_known), "items are known")?;
        let mut model = Self::new(items, settings);
        let mut start = 0;
        for end in ends {
            model.push_session(&held[start..end as usize]);
            start = end as usize;
        }
        Ok(model)
    }

    fn recent(&self, history: &[HistoryItem]) -> Recent {
        let mut recent = Recent {
            items: Vec::new(),
            steps: vec![NOWHERE; self.items.len()],
        };
        let newest = history.iter().rev().take(self.settings.history_len);
        let mut share = 1.0_f32;
        for (step, entry) in (0_u32..).zip(newest) {
            let is_liked = entry.weight > 0.0 && entry.weight.is_finite();
            let known = recent.steps.get_mut(entry.item as usize);
            if let Some(known) = known.filter(|known| is_liked && **known == NOWHERE) {
                *known = step;
                recent.items.push((entry.item, share));
            }
            share *= self.settings.history_decay;
        }
        recent
    }

    /// The nearest sessions and how near they are.
    fn nearest(&self, recent: &Recent) -> Vec<Scored> {
        let mut sums = vec![0.0_f32; self.index.len()];
        let mut touched: Vec<u32> = Vec::new();
        let sessions_len = self.index.len() as f32;
        for &(item, share) in &recent.items {
            let holders = self.index.holders(item);
            // An item that all sessions have says little, not nothing.
            let rarity = (sessions_len / holders.len() as f32).ln().max(0.01);
            let weight = share * rarity.powf(self.settings.idf_power);
            let newest = holders.len().saturating_sub(self.settings.item_sessions);
            for &session in &holders[newest..] {
                let sum = &mut sums[session as usize];
                if *sum == 0.0 {
                    touched.push(session);
                }
                *sum += weight;
            }
        }
        let mut best = TopK::new(self.settings.sessions);
        let recency = self.settings.recency / sessions_len.max(1.0);
        for session in touched {
            let age = sessions_len - session as f32;
            let sum = std::mem::take(&mut sums[session as usize]);
            best.push(session, sum * (-age * recency).exp());
        }
        let mut nearest = Vec::new();
        best.finish_into(&mut nearest);
        nearest
    }

    fn vote(&self, session: u32, nearness: f32, recent: &Recent, mut add: impl FnMut(u32, f32)) {
        let items = self.index.session(session);
        // The newest item of the history that is shared, at its last place in the session.
        let steps = items.iter().map(|item| recent.steps[*item as usize]);
        let places = steps.enumerate().map(|(at, step)| (step, Reverse(at)));
        let Some((_, Reverse(shared))) = places.min() else {
            return;
        };
        let decay = self.settings.session_decay;
        // The place of the shared item itself is no step further than the one after it.
        let mut vote = nearness;
        for &item in &items[shared + 1..] {
            vote *= decay;
            add(item, vote);
        }
        let mut vote = nearness * self.settings.backward;
        for &item in items[..=shared].iter().rev() {
            add(item, vote);
            vote *= decay;
        }
    }
}

impl Model for SessionKnn {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let recent = self.recent(query.history);
        let mut sums = vec![0.0_f32; self.items.len()];
        let mut touched: Vec<u32> = Vec::new();
        for near in self.nearest(&recent) {
            self.vote(near.item, near.score, &recent, |item, vote| {
                let sum = &mut sums[item as usize];
                if *sum == 0.0 && vote > 0.0 {
                    touched.push(item);
                }
                *sum += vote;
            });
        }
        for &item in &touched {
            let step = recent.steps[item as usize];
            let is_again = step > 0 && step != NOWHERE;
            let factor = if is_again { self.settings.again } else { 1.0 };
            let popularity = self.index.holders(item).len() as f32;
            sums[item as usize] *= factor / popularity.powf(self.settings.popularity_power);
        }
        sparse::collect(touched, &mut sums)
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        sparse::score(prepared, items, out);
    }

    fn retrieve(&self, prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>) {
        sparse::retrieve(prepared, k, admit, out);
    }

    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        let entry = HistoryItem {
            item,
            weight: 1.0,
            age_s: 0,
        };
        let mut out = Vec::new();
        let prepared = self.prepare(&ModelQuery::new(&[entry]));
        self.retrieve(&prepared, k, &|other| other != item, &mut out);
        out
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, NAME, &self.items);
        let s = &self.settings;
        // In the order of the declared parameters.
        for value in [
            s.sessions as f32,
            s.history_len as f32,
            s.history_decay,
            s.idf_power,
            s.recency,
            s.session_decay,
            s.backward,
            s.popularity_power,
            s.again,
            s.item_sessions as f32,
        ] {
            writer.f32(value);
        }
        let (ends, items) = self.index.raw();
        writer.u32s(ends);
        writer.u32s(items);
        writer.finish();
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + self.index.bytes()
    }
}
