//! What the combination knows of each part: weights, for the whole data set and for single slots.

use super::features::FEATURES;
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;

/// One for each feature.
pub(super) type Weights = [f32; FEATURES];

/// Weights that trust all parts alike.
pub(super) const PRIOR: Weights = [1.0, 0.0, 0.0, 0.0, 0.0];

/// What is known of a part.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Learnt {
    /// How far its best score usually stands above nothing.
    pub(super) typical: f32,
    /// Where no slot is named, or one without weights of its own.
    pub(super) weights: Weights,
    /// In the order of the slots.
    pub(super) of_slots: Vec<Weights>,
}

impl Learnt {
    /// Before anything is learnt.
    pub(super) fn nothing(slots_len: usize) -> Self {
        Self {
            typical: 1.0,
            weights: PRIOR,
            of_slots: vec![PRIOR; slots_len],
        }
    }

    pub(super) fn weights(&self, slot: Option<usize>) -> &Weights {
        let of_slot = slot.and_then(|slot| self.of_slots.get(slot));
        of_slot.unwrap_or(&self.weights)
    }

    /// Writes it without the slots.
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.f32(self.typical);
        writer.f32s(&self.weights);
    }

    /// Reads it without the slots.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            typical: reader.f32()?,
            weights: decode_weights(reader)?,
            of_slots: Vec::new(),
        })
    }
}

pub(super) fn decode_weights(reader: &mut Reader<'_>) -> Result<Weights, ModelError> {
    let weights: Result<Weights, _> = reader.f32s()?.try_into();
    weights.map_err(|_| ModelError::Damaged("a weight per feature".to_owned()))
}

/// Weights of all parts as those of each.
pub(super) fn of_parts(weights: &[f64]) -> impl Iterator<Item = Weights> {
    let of_parts = weights.chunks_exact(FEATURES);
    of_parts.map(|weights| std::array::from_fn(|at| weights[at] as f32))
}
