//! Item vectors at request time: fold-in of the user, then an 8-bit scan with an `f32` re-rank.

use super::NAME;
use super::solver::{Observed, Ridge, RowSystem, scaled_gram, solve_row};
use crate::artifact::{self, Reader, Writer};
use crate::content::{ContentMap, ItemContent};
use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::kernels::Isa;
use crate::kernels::dense::padded;
use crate::model::{Admit, AdmitByUser, HistoryItem, Model, ModelQuery, Prepared, Scored};
use crate::vector_index::VectorIndex;
use crate::weight_scale::WeightScale;

/// What training leaves behind.
pub(super) struct Parts {
    pub(super) factors: usize,
    pub(super) ridge: Ridge,
    pub(super) weights: WeightScale,
    /// 0 when history entries keep their weight.
    pub(super) recency_half_life_s: f32,
    /// The part of the fold-in's matrix that all users share.
    pub(super) base: Vec<f32>,
    /// Item vectors, each padded to a multiple of 16 values.
    pub(super) index: VectorIndex,
    pub(super) placing: Option<Placing>,
}

/// How items without interactions are placed, and which of the catalogue were. What a user has not
/// done with those says nothing of the user, so they have no part in the fold-in's base.
pub(super) struct Placing {
    map: ContentMap,
    /// Ascending.
    placed: Vec<u32>,
}

impl Placing {
    /// Gives each item whose vector is zero one by its content.
    pub(super) fn place(
        map: ContentMap,
        contents: &[ItemContent],
        vectors: &mut [f32],
        side: usize,
    ) -> Self {
        let mut placed = Vec::new();
        let rows = vectors.chunks_exact_mut(side).zip(contents);
        for (item, (vector, content)) in (0_u32..).zip(rows) {
            if vector.iter().any(|value| *value != 0.0) {
                continue;
            }
            if let Some(place) = map.place(content) {
                vector.copy_from_slice(&place);
                placed.push(item);
            }
        }
        Self { map, placed }
    }

    fn encode(&self, factors: usize, writer: &mut Writer<'_>) {
        writer.u32s(&self.placed);
        self.map.encode(factors, writer);
    }

    fn decode(
        (factors, side): (usize, usize),
        items_len: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Self, ModelError> {
        let placed = reader.u32s()?;
        let is_sound = placed.is_sorted_by(|a, b| a < b)
            && placed
                .last()
                .is_none_or(|last| (*last as usize) < items_len);
        reader.require(is_sound, "placed items are items")?;
        let map = ContentMap::decode(factors, side, reader)?;
        Ok(Self { map, placed })
    }

    fn has_placed(&self, item: u32) -> bool {
        self.placed.binary_search(&item).is_ok()
    }
}

/// A trained iALS model.
pub(super) struct Ials {
    items: ItemIds,
    parts: Parts,
}

/// Strengths beyond this are cut, so that sums over any history stay finite.
const STRENGTH_MAX: f32 = 1e6;

impl Ials {
    pub(super) fn new(items: ItemIds, parts: Parts) -> Self {
        Self { items, parts }
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
        let side = padded(factors);
        let rows = (items.len(), side, factors);
        let vectors = reader.padded_rows(rows, "a vector per item")?;
        // Artifacts with neither a map nor cells end here.
        let has_more = !reader.is_at_end();
        let flag = if has_more { reader.u32()? } else { 0 };
        reader.require(flag <= 1, "it says whether there is a map")?;
        let placing = (flag == 1)
            .then(|| Placing::decode((factors, side), items.len(), reader))
            .transpose()?;
        let placed = placing.iter().flat_map(|placing| &placing.placed);
        let mut met = vectors.clone();
        for &item in placed {
            met[item as usize * side..][..side].fill(0.0);
        }
        let base = scaled_gram(Isa::detect(), &met, side, ridge.unobserved_weight);
        let parts = Parts {
            factors,
            ridge,
            weights,
            recency_half_life_s,
            base,
            index: VectorIndex::decode(vectors, side, reader)?,
            placing,
        };
        Ok(Self::new(items, parts))
    }

    /// Reads a whole artifact.
    pub(super) fn open(artifact: &[u8]) -> Result<Self, ModelError> {
        let mut reader = artifact::open(artifact)?;
        let name = reader.text()?;
        reader.require(name == NAME, "it is of this model")?;
        let model = Self::decode(&mut reader)?;
        reader.require(reader.is_at_end(), "nothing is left over")?;
        Ok(model)
    }

    pub(super) fn factors(&self) -> usize {
        self.parts.factors
    }

    /// The padded vectors of `items`; zeros for those it has not met.
    pub(super) fn vectors_of(&self, items: &ItemIds) -> Vec<f32> {
        let (known, side) = (self.items.to_index(), self.parts.index.side());
        let placing = self.parts.placing.as_ref();
        let mut vectors = vec![0.0; items.len() * side];
        for (id, vector) in items.iter().zip(vectors.chunks_exact_mut(side)) {
            let met = known
                .get(id)
                .filter(|&&at| !placing.is_some_and(|placing| placing.has_placed(at)));
            if let Some(&at) = met {
                let from = at as usize * side;
                vector.copy_from_slice(&self.parts.index.vectors()[from..from + side]);
            }
        }
        vectors
    }

    /// What the history observed: one entry per known item, strengths summed, ascending by item.
    fn observed(&self, history: &[HistoryItem]) -> Observed {
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
        let mut observed = Observed::default();
        for (row, strength) in strengths {
            if strength != 0.0 {
                observed.push(row, self.parts.weights.signed_confidence(strength));
            }
        }
        observed
    }

    fn strength(&self, entry: &HistoryItem) -> f32 {
        let weight = entry.weight.clamp(-STRENGTH_MAX, STRENGTH_MAX);
        if self.parts.recency_half_life_s > 0.0 {
            weight * (-(entry.age_s as f32) / self.parts.recency_half_life_s).exp2()
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
        let side = self.parts.index.side();
        let mut user = vec![0.0; side];
        let system = RowSystem {
            isa: Isa::detect(),
            side,
            others: self.parts.index.vectors(),
            base: &self.parts.base,
            ridge: self.parts.ridge,
        };
        let is_solved = solve_row(system, &observed, &mut user);
        if is_solved && user.iter().any(|value| *value != 0.0) {
            Prepared::Vector(user)
        } else {
            Prepared::Unpersonalized
        }
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        match prepared {
            Prepared::Vector(user) => self.parts.index.score(user, items, out),
            _ => out.iter_mut().for_each(|score| *score = 0.0),
        }
    }

    fn retrieve(&self, prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>) {
        out.clear();
        if let Prepared::Vector(user) = prepared {
            let mut lists = self.parts.index.nearest(&[user], k, &|_, item| admit(item));
            out.append(&mut lists[0]);
        }
    }

    fn retrieve_batch(
        &self,
        prepared: &[Prepared],
        k: usize,
        admit: AdmitByUser<'_>,
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
            .parts
            .index
            .nearest(&users, k, &|at, item| admit(positions[at], item));
        for (at, list) in positions.iter().zip(lists) {
            out[*at] = list;
        }
    }

    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        self.parts.index.similar(item, k)
    }

    fn content_map(&self) -> Option<&ContentMap> {
        self.parts.placing.as_ref().map(|placing| &placing.map)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, NAME, &self.items);
        writer.u32(self.parts.factors as u32);
        writer.f32(self.parts.ridge.unobserved_weight);
        writer.f32(self.parts.ridge.regularisation);
        writer.f32(self.parts.ridge.constant);
        writer.f32(self.parts.ridge.frequency_exponent);
        self.parts.weights.encode(&mut writer);
        writer.f32(self.parts.recency_half_life_s);
        let index = &self.parts.index;
        writer.padded_rows(index.vectors(), index.side(), self.parts.factors);
        let placing = self.parts.placing.as_ref();
        if placing.is_some() || index.has_cells() {
            writer.u32(placing.is_some().into());
        }
        if let Some(placing) = placing {
            placing.encode(self.parts.factors, &mut writer);
        }
        index.encode_cells(&mut writer);
        writer.finish();
    }

    fn index_recall(&self) -> Option<f32> {
        self.parts.index.recall()
    }

    fn shares_passes(&self) -> bool {
        self.parts.index.shares_passes()
    }

    fn bytes(&self) -> usize {
        let map = self.content_map().map_or(0, ContentMap::bytes);
        self.items.bytes() + self.parts.base.len() * 4 + self.parts.index.bytes() + map
    }
}
