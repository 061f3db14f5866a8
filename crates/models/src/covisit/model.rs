//! Neighbour lists at request time.

use super::NAME;
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::model::{Admit, HistoryItem, Model, ModelQuery, Prepared, Scored};
use crate::top_k::TopK;

/// Neighbour lists.
pub(super) struct Covisit {
    items: ItemIds,
    history_decay: f32,
    /// End of each item's list within `neighbours`.
    ends: Vec<u32>,
    /// Best first within each list.
    neighbours: Vec<Scored>,
}

impl Covisit {
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

    /// Weight of each history entry by its place, newest last.
    fn weights<'h>(
        &self,
        history: &'h [HistoryItem],
    ) -> impl Iterator<Item = (&'h HistoryItem, f32)> {
        let has_times = history.iter().any(|entry| entry.age_s > 0);
        let decay = if has_times { self.history_decay } else { 1.0 };
        let mut share = 1.0_f32;
        history.iter().rev().map(move |entry| {
            let weight = share * entry.weight.clamp(-1e6, 1e6);
            share *= decay;
            (entry, weight)
        })
    }
}

impl Model for Covisit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let mut sums = vec![0.0_f32; self.items.len()];
        let mut touched: Vec<u32> = Vec::new();
        for (entry, weight) in self.weights(query.history) {
            if !weight.is_finite() || weight == 0.0 {
                continue;
            }
            for neighbour in self.list(entry.item) {
                touched.push(neighbour.item);
                sums[neighbour.item as usize] += weight * neighbour.score;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let scored = touched.into_iter().map(|item| Scored {
            item,
            score: sums[item as usize],
        });
        let scored: Vec<Scored> = scored.filter(|one| one.score != 0.0).collect();
        if scored.is_empty() {
            Prepared::Unpersonalized
        } else {
            Prepared::Sparse(scored)
        }
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        let scores: &[Scored] = match prepared {
            Prepared::Sparse(scores) => scores,
            _ => &[],
        };
        for (item, out) in items.iter().zip(out) {
            let found = scores.binary_search_by_key(item, |scored| scored.item);
            *out = found.map_or(0.0, |at| scores[at].score);
        }
    }

    fn retrieve(&self, prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>) {
        let mut best = TopK::new(k);
        if let Prepared::Sparse(scores) = prepared {
            for scored in scores {
                let enters = scored.score > 0.0 && scored.score >= best.threshold();
                if enters && admit(scored.item) {
                    best.push(scored.item, scored.score);
                }
            }
        }
        best.finish_into(out);
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
