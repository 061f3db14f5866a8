//! Item vectors at request time: fold-in of the user, then an 8-bit scan with an `f32` re-rank.

use super::NAME;
use super::solver::{HalfStep, Observed, Ridge, RowSystem, Scratch, solve_row};
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::kernels::Isa;
use crate::kernels::dense::padded;
use crate::model::{HistoryItem, Model, ModelQuery, Prepared, Scored};
use crate::vector_index::VectorIndex;
use crate::weight_scale::WeightScale;

/// What training leaves behind.
pub(super) struct Parts {
    pub(super) factors: usize,
    pub(super) ridge: Ridge,
    pub(super) weights: WeightScale,
    /// 0 when history entries keep their weight.
    pub(super) recency_half_life_s: f32,
    /// Item vectors, each padded to a multiple of 16 values.
    pub(super) index: VectorIndex,
}

/// A trained iALS model.
pub(super) struct Ials {
    items: ItemIds,
    factors: usize,
    ridge: Ridge,
    weights: WeightScale,
    recency_half_life_s: f32,
    /// The part of the fold-in's matrix that all users share.
    base: Vec<f32>,
    index: VectorIndex,
}

/// Strengths beyond this are cut, so that sums over any history stay finite.
const STRENGTH_MAX: f32 = 1e6;

impl Ials {
    pub(super) fn new(items: ItemIds, parts: Parts) -> Self {
        let side = padded(parts.factors);
        let base = HalfStep::new(parts.index.vectors(), side, parts.ridge).into_base();
        Self {
            items,
            factors: parts.factors,
            ridge: parts.ridge,
            weights: parts.weights,
            recency_half_life_s: parts.recency_half_life_s,
            base,
            index: parts.index,
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        let items = reader.item_ids()?;
        let factors = reader.u32()? as usize;
        reader.require((1..=1024).contains(&factors), "factors are 1 to 1024")?;
        let ridge = Ridge {
            unobserved_weight: reader.f32()?,
            regularisation: reader.f32()?,
            constant: reader.f32()?,
            frequency_exponent: reader.f32()?,
        };
        let weights = WeightScale::decode(reader)?;
        let recency_half_life_s = reader.f32()?;
        let packed = reader.f32s()?;
        reader.require(packed.len() == items.len() * factors, "a vector per item")?;
        let side = padded(factors);
        let mut vectors = vec![0.0; items.len() * side];
        let padded_rows = vectors.chunks_exact_mut(side);
        for (to, from) in padded_rows.zip(packed.chunks_exact(factors)) {
            to[..factors].copy_from_slice(from);
        }
        let parts = Parts {
            factors,
            ridge,
            weights,
            recency_half_life_s,
            index: VectorIndex::decode(vectors, side, reader)?,
        };
        Ok(Self::new(items, parts))
    }

    /// What the history observed: one entry per known item, strengths summed, ascending by item.
    fn observed(&self, history: &[HistoryItem]) -> Vec<Observed> {
        let usable = history
            .iter()
            .filter(|entry| entry.weight.is_finite() && (entry.item as usize) < self.items.len());
        let mut strengths: Vec<(u32, f32)> = usable
            .map(|entry| (entry.item, self.strength(entry)))
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
        strengths
            .into_iter()
            .filter(|(_, strength)| *strength != 0.0)
            .map(|(row, strength)| Observed {
                row,
                confidence: self.weights.signed_confidence(strength),
            })
            .collect()
    }

    fn strength(&self, entry: &HistoryItem) -> f32 {
        let weight = entry.weight.clamp(-STRENGTH_MAX, STRENGTH_MAX);
        if self.recency_half_life_s > 0.0 {
            weight * (-(entry.age_s as f32) / self.recency_half_life_s).exp2()
        } else {
            weight
        }
    }
}

impl Model for Ials {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let observed = self.observed(query.history);
        let side = self.index.side();
        let mut user = vec![0.0; side];
        let system = RowSystem {
            isa: Isa::detect(),
            side,
            others: self.index.vectors(),
            base: &self.base,
            ridge: self.ridge,
        };
        let is_solved = solve_row(system, &observed, &mut Scratch::new(side), &mut user);
        if is_solved && user.iter().any(|value| *value != 0.0) {
            Prepared::Vector(user)
        } else {
            Prepared::Unpersonalized
        }
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        match prepared {
            Prepared::Vector(user) => self.index.score(user, items, out),
            _ => out.iter_mut().for_each(|score| *score = 0.0),
        }
    }

    fn retrieve(
        &self,
        prepared: &Prepared,
        k: usize,
        admit: &dyn Fn(u32) -> bool,
        out: &mut Vec<Scored>,
    ) {
        out.clear();
        if let Prepared::Vector(user) = prepared {
            let mut lists = self.index.nearest(&[user], k, &|_, item| admit(item));
            out.append(&mut lists[0]);
        }
    }

    fn retrieve_batch(
        &self,
        prepared: &[Prepared],
        k: usize,
        admit: &dyn Fn(usize, u32) -> bool,
        out: &mut Vec<Vec<Scored>>,
    ) {
        out.clear();
        out.resize_with(prepared.len(), Vec::new);
        let known = prepared
            .iter()
            .enumerate()
            .filter_map(|(at, one)| match one {
                Prepared::Vector(user) => Some((at, user.as_slice())),
                _ => None,
            });
        let (positions, users): (Vec<usize>, Vec<&[f32]>) = known.unzip();
        let lists = self
            .index
            .nearest(&users, k, &|at, item| admit(positions[at], item));
        for (at, list) in positions.iter().zip(lists) {
            out[*at] = list;
        }
    }

    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        self.index.similar(item, k)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, NAME, &self.items);
        writer.u32(self.factors as u32);
        writer.f32(self.ridge.unobserved_weight);
        writer.f32(self.ridge.regularisation);
        writer.f32(self.ridge.constant);
        writer.f32(self.ridge.frequency_exponent);
        self.weights.encode(&mut writer);
        writer.f32(self.recency_half_life_s);
        let rows = self.index.vectors().chunks_exact(self.index.side());
        let packed = rows.flat_map(|row| &row[..self.factors]).copied();
        writer.f32s(&packed.collect::<Vec<f32>>());
        self.index.encode_cells(&mut writer);
        writer.finish();
    }

    fn index_recall(&self) -> Option<f32> {
        self.index.recall()
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + self.base.len() * 4 + self.index.bytes()
    }
}
