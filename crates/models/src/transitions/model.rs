//! Transition lists at request time: the lists of the history's items, added with decay.

use super::NAME;
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::model::{Admit, Model, ModelQuery, Prepared, Scored};
use crate::sparse;

/// Entries of a history that are looked at, the newest; bounds the work of a request.
const HISTORY_MAX: usize = 100;

/// Transition lists.
pub(super) struct Transitions {
    items: ItemIds,
    history_decay: f32,
    /// End of each item's list within `neighbours`.
    ends: Vec<u32>,
    /// Best first within each list.
    neighbours: Vec<Scored>,
}

impl Transitions {
    pub(super) fn new(items: ItemIds, history_decay: f32, lists: &[Vec<Scored>]) -> Self {
        let mut end = 0_u32;
        let ends = lists.iter().map(|list| {
            end += list.len() as u32;
            end
        });
        Self {
            ends: ends.collect(),
            neighbours: lists.concat(),
            items,
            history_decay,
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        let items = reader.item_ids()?;
        let history_decay = reader.f32()?;
        let ends = reader.u32s()?;
        let neighbours = reader.u32s()?;
        let strengths = reader.f32s()?;
        reader.require(ends.len() == items.len(), "one list per item")?;
        reader.require(neighbours.len() == strengths.len(), "a strength each")?;
        let total = ends.last().map_or(0, |end| *end as usize);
        reader.require(total == neighbours.len(), "lists cover all neighbours")?;
        reader.require(ends.is_sorted(), "lists are in order")?;
        let is_known = |item: &u32| (*item as usize) < items.len();
        reader.require(neighbours.iter().all(is_known), "neighbours are known")?;
        let pair = |(&item, &score): (&u32, &f32)| Scored { item, score };
        Ok(Self {
            history_decay,
            ends,
            neighbours: neighbours.iter().zip(&strengths).map(pair).collect(),
            items,
        })
    }

    fn list(&self, item: u32) -> &[Scored] {
        let at = item as usize;
        let Some(&end) = self.ends.get(at) else {
            return &[];
        };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.neighbours[start as usize..end as usize]
    }
}

impl Model for Transitions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let mut sums = vec![0.0_f32; self.items.len()];
        let mut touched: Vec<u32> = Vec::new();
        let mut share = 1.0_f32;
        for entry in query.history.iter().rev().take(HISTORY_MAX) {
            let weight = share * entry.weight.clamp(-1e6, 1e6);
            share *= self.history_decay;
            if !entry.weight.is_finite() || weight == 0.0 {
                continue;
            }
            for neighbour in self.list(entry.item) {
                let sum = &mut sums[neighbour.item as usize];
                if *sum == 0.0 {
                    touched.push(neighbour.item);
                }
                *sum += weight * neighbour.score;
            }
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
        self.list(item).iter().take(k).copied().collect()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, NAME, &self.items);
        writer.f32(self.history_decay);
        writer.u32s(&self.ends);
        let items: Vec<u32> = self.neighbours.iter().map(|n| n.item).collect();
        let strengths: Vec<f32> = self.neighbours.iter().map(|n| n.score).collect();
        writer.u32s(&items);
        writer.f32s(&strengths);
        writer.finish();
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + self.ends.len() * 4 + self.neighbours.len() * 8
    }
}
