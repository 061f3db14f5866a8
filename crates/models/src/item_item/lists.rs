//! The served form: for each item of a history the items it speaks for or against.

use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::model::{Admit, HistoryItem, Model, ModelQuery, Prepared, Scored};
use crate::top_k::TopK;
use crate::weight_scale::WeightScale;

/// A sparse matrix from items to items.
pub(crate) struct ItemLists {
    name: &'static str,
    items: ItemIds,
    weights: WeightScale,
    /// End of each item's list within `entries`.
    ends: Vec<u32>,
    /// Best first within each list; scores may be negative.
    entries: Vec<Scored>,
}

/// Strengths beyond this are cut, so that sums over any history stay finite.
const STRENGTH_MAX: f32 = 1e6;

impl ItemLists {
    /// A model called `name` with a list per item.
    ///
    /// # Errors
    /// [`ModelError::UnusableData`] when the lists together pass 2^32 entries.
    pub(crate) fn new(
        name: &'static str,
        items: ItemIds,
        weights: WeightScale,
        lists: &[Vec<Scored>],
    ) -> Result<Self, ModelError> {
        let mut end = 0_usize;
        let mut ends = Vec::with_capacity(lists.len());
        for list in lists {
            end += list.len();
            ends.push(u32::try_from(end).map_err(|_| ModelError::UnusableData {
                model: name,
                reason: "there are too many weights; lower `neighbours`".to_owned(),
            })?);
        }
        Ok(Self {
            name,
            items,
            weights,
            ends,
            entries: lists.concat(),
        })
    }

    /// Reads what [`Model::encode`] wrote.
    pub(crate) fn decode(name: &'static str, reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        let items = reader.item_ids()?;
        let weights = WeightScale::decode(reader)?;
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
            name,
            weights,
            ends,
            entries: neighbours.iter().zip(&strengths).map(pair).collect(),
            items,
        })
    }

    fn list(&self, item: u32) -> &[Scored] {
        let at = item as usize;
        let Some(&end) = self.ends.get(at) else {
            return &[];
        };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.entries[start as usize..end as usize]
    }

    /// One entry per known item of the history, strengths summed, ascending by item.
    fn strengths(&self, history: &[HistoryItem]) -> Vec<(u32, f32)> {
        let known = history
            .iter()
            .filter(|entry| entry.weight.is_finite() && (entry.item as usize) < self.items.len());
        let mut strengths: Vec<(u32, f32)> = known
            .map(|entry| (entry.item, entry.weight.clamp(-STRENGTH_MAX, STRENGTH_MAX)))
            .collect();
        // Stable, so repeated items are summed in the order of the history.
        strengths.sort_by_key(|(item, _)| *item);
        strengths.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
        strengths.retain(|(_, strength)| *strength != 0.0);
        strengths
    }
}

/// The scores that are not 0, ascending by item; `touched` names all that may not be.
fn nonzero(sums: &[f32], mut touched: Vec<u32>) -> Vec<Scored> {
    let scored = |item: u32| Scored {
        item,
        score: sums[item as usize],
    };
    let is_evidence = |one: &Scored| one.score != 0.0 && one.score.is_finite();
    if touched.len() * 8 < sums.len() {
        touched.sort_unstable();
        touched.dedup();
        touched
            .into_iter()
            .map(scored)
            .filter(is_evidence)
            .collect()
    } else {
        (0..sums.len() as u32)
            .map(scored)
            .filter(is_evidence)
            .collect()
    }
}

impl Model for ItemLists {
    fn name(&self) -> &'static str {
        self.name
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let mut sums = vec![0.0_f32; self.items.len()];
        let mut touched: Vec<u32> = Vec::new();
        for (item, strength) in self.strengths(query.history) {
            let confidence = self.weights.signed_confidence(strength);
            let list = self.list(item);
            if touched.len() * 8 < sums.len() {
                touched.extend(list.iter().map(|entry| entry.item));
            }
            for entry in list {
                sums[entry.item as usize] += confidence * entry.score;
            }
        }
        let scored = nonzero(&sums, touched);
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
        let positive = self.list(item).iter().take_while(|entry| entry.score > 0.0);
        positive.take(k).copied().collect()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, self.name, &self.items);
        self.weights.encode(&mut writer);
        writer.u32s(&self.ends);
        let items: Vec<u32> = self.entries.iter().map(|entry| entry.item).collect();
        let strengths: Vec<f32> = self.entries.iter().map(|entry| entry.score).collect();
        writer.u32s(&items);
        writer.f32s(&strengths);
        writer.finish();
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + self.ends.len() * 4 + self.entries.len() * 8
    }
}
