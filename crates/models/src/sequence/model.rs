//! The model at request time: the network over the newest part of the history, then a scan.
//!
//! What the network computed for a history is held for a while, so that the next request of the
//! same session pays for the items that came since. Past `length` items the window slides, every
//! row changes, and each new item costs a whole pass.

use super::NAME;
use super::forward::Ready;
use super::network::{PackedBlock, Parameters, Shape};
use super::recent::{BYTES_MAX, RecentStates};
use super::state::State;
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::item_ids::ItemIds;
use crate::kernels::Isa;
use crate::model::{Admit, Model, ModelQuery, Prepared, Scored};
use crate::vector_index::{VectorIndex, example_users};

/// Longest side that an artifact may claim; guards sizes computed from it.
const SIDE_MAX: usize = 4096;

/// A trained network.
pub(super) struct SequenceModel {
    items: ItemIds,
    shape: Shape,
    /// All parameters but the item vectors, which the index has.
    rest: Vec<f32>,
    packed: Vec<PackedBlock>,
    index: VectorIndex,
    recent: RecentStates,
}

impl SequenceModel {
    pub(super) fn new(items: ItemIds, shape: Shape, parameters: Parameters) -> Self {
        let index = VectorIndex::new(parameters.items, shape.width);
        Self::assemble(items, shape, index, parameters.rest)
    }

    fn assemble(items: ItemIds, shape: Shape, index: VectorIndex, rest: Vec<f32>) -> Self {
        let mut packed: Vec<PackedBlock> = Vec::new();
        packed.resize_with(shape.blocks, PackedBlock::default);
        for (number, block) in packed.iter_mut().enumerate() {
            block.forward(&shape, number, &rest);
        }
        Self {
            items,
            shape,
            rest,
            packed,
            index,
            recent: RecentStates::within(BYTES_MAX),
        }
    }

    /// Divides the items into cells, with the answers to what some users of `data` did as examples
    /// of queries.
    pub(super) fn divide(&mut self, data: &Interactions) {
        let examples = example_users(data.users_len()).filter_map(|user| {
            let items = data.sequence(user).items;
            self.vector(&items[items.len().saturating_sub(self.shape.length)..])
        });
        let examples: Vec<f32> = examples.flatten().collect();
        let vectors = self.index.vectors().to_vec();
        self.index = VectorIndex::with_cells(vectors, self.shape.width, &examples);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        let items = reader.item_ids()?;
        let mut side = || reader.u32().map(|side| side as usize);
        let shape = Shape {
            items: items.len(),
            width: side()?,
            heads: side()?,
            blocks: side()?,
            length: side()?,
            taps: side()?,
        };
        let sides = [
            shape.width,
            shape.heads,
            shape.blocks,
            shape.length,
            shape.taps,
        ];
        let is_small = sides.iter().all(|side| *side <= SIDE_MAX);
        reader.require(is_small && shape.is_sound(), "the sizes fit each other")?;
        let vectors = reader.f32s()?;
        let rest = reader.f32s()?;
        reader.require(
            vectors.len() == items.len() * shape.width,
            "a vector per item",
        )?;
        reader.require(
            rest.len() == shape.rest_len(),
            "as many weights as the sizes ask for",
        )?;
        let index = VectorIndex::decode(vectors, shape.width, reader)?;
        Ok(Self::assemble(items, shape, index, rest))
    }

    /// The newest items that were liked, oldest first, at most as many as the network looks at.
    fn newest(&self, query: &ModelQuery<'_>) -> Vec<u32> {
        let known = query.history.iter().rev().filter(|entry| {
            entry.weight.is_finite()
                && entry.weight > 0.0
                && (entry.item as usize) < self.items.len()
        });
        let newest = known.take(self.shape.length).map(|entry| entry.item);
        let mut items: Vec<u32> = newest.collect();
        items.reverse();
        items
    }

    /// The network's answer to known items, oldest first; none for no item or where weights are
    /// so large that the answer is no number.
    fn vector(&self, items: &[u32]) -> Option<Vec<f32>> {
        if items.is_empty() {
            return None;
        }
        let state = State::after(self.ready(), items, None);
        state.answer().map(<[f32]>::to_vec)
    }

    /// As [`Self::vector`], from what is held of a beginning of `items`.
    fn resumed(&self, items: &[u32]) -> Option<Vec<f32>> {
        if items.is_empty() {
            return None;
        }
        let beginning = self.recent.longest(items);
        if let Some(same) = beginning.as_ref().filter(|held| held.items() == items) {
            return same.answer().map(<[f32]>::to_vec);
        }
        let state = State::after(self.ready(), items, beginning.as_deref());
        let answer = state.answer()?.to_vec();
        self.recent.hold(state, beginning.as_deref());
        Some(answer)
    }

    fn ready(&self) -> Ready<'_> {
        Ready {
            isa: Isa::detect(),
            shape: &self.shape,
            vectors: self.index.vectors(),
            rest: &self.rest,
            packed: &self.packed,
        }
    }
}

impl Model for SequenceModel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let items = self.newest(query);
        match self.resumed(&items) {
            Some(vector) => Prepared::Vector(vector),
            None => Prepared::Unpersonalized,
        }
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        match prepared {
            Prepared::Vector(user) => self.index.score(user, items, out),
            _ => out.iter_mut().for_each(|score| *score = 0.0),
        }
    }

    fn retrieve(&self, prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>) {
        out.clear();
        if let Prepared::Vector(user) = prepared {
            let mut lists = self.index.nearest(&[user], k, &|_, item| admit(item));
            out.append(&mut lists[0]);
        }
    }

    /// What the network expects after `item` alone: near in use, not only in the table of vectors.
    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        if item as usize >= self.items.len() {
            return Vec::new();
        }
        let Some(vector) = self.vector(&[item]) else {
            return Vec::new();
        };
        let mut lists = self.index.nearest(&[&vector], k, &|_, other| other != item);
        lists.pop().unwrap_or_default()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let shape = &self.shape;
        let mut writer = Writer::begin(out, NAME, &self.items);
        let sides = [
            shape.width,
            shape.heads,
            shape.blocks,
            shape.length,
            shape.taps,
        ];
        for side in sides {
            writer.u32(side as u32);
        }
        writer.f32s(self.index.vectors());
        writer.f32s(&self.rest);
        self.index.encode_cells(&mut writer);
        writer.finish();
    }

    fn index_recall(&self) -> Option<f32> {
        self.index.recall()
    }

    fn shares_passes(&self) -> bool {
        self.index.shares_passes()
    }

    fn bytes(&self) -> usize {
        // Matrices are held packed as well.
        let parameters = self.items.bytes() + self.index.bytes() + 2 * self.rest.len() * 4;
        parameters + self.recent.bytes()
    }
}
