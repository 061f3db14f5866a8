//! The combination at request time: candidates of all parts, scored by all parts, added by weight.

use super::features::{FEATURES, Scale};
use super::learnt::{self, Learnt, Weights};
use super::{NAME, PARTS};
use crate::artifact::{self, Reader, Writer};
use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::model::{Admit, HistoryItem, Model, ModelQuery, Prepared, PreparedPart, Scored};
use crate::top_k::TopK;

/// Most candidates of a part that an artifact may ask for.
pub(super) const CANDIDATES_MAX: usize = 10_000;

/// Most slots that an artifact may tell apart.
const SLOTS_MAX: usize = 1_000;

/// One model of the combination.
pub(super) struct Part {
    pub(super) model: Box<dyn Model>,
    pub(super) learnt: Learnt,
}

/// Models over the same items and what each of them has to say. There is at least one.
pub(super) struct Blend {
    parts: Vec<Part>,
    /// Names of the slots with weights of their own.
    slots: Vec<String>,
    /// How many of its best each part brings, and is measured by.
    candidates: usize,
}

impl Blend {
    /// # Errors
    /// [`ModelError::UnusableData`] without a part, [`ModelError::Numeric`] if the parts do not
    /// number the items alike.
    pub(super) fn new(parts: Vec<Part>, candidates: usize) -> Result<Self, ModelError> {
        let Some(first) = parts.first() else {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "no part could be trained".to_owned(),
            });
        };
        let items = first.model.items();
        if parts.iter().any(|part| part.model.items() != items) {
            return Err(ModelError::Numeric {
                model: NAME,
                what: "parts number the items differently".to_owned(),
            });
        }
        Ok(Self {
            parts,
            slots: Vec::new(),
            candidates,
        })
    }

    /// The same combination of other parts: those of the same name are taken to be worth as much.
    ///
    /// # Errors
    /// Those of [`Blend::new`].
    pub(super) fn with_parts(self, mut parts: Vec<Part>) -> Result<Self, ModelError> {
        for part in &mut parts {
            let same = |own: &&Part| own.model.name() == part.model.name();
            part.learnt = match self.parts.iter().find(same) {
                Some(own) => own.learnt.clone(),
                None => Learnt::nothing(self.slots.len()),
            };
        }
        let mut other = Self::new(parts, self.candidates)?;
        other.slots = self.slots;
        Ok(other)
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        let items = reader.item_ids()?;
        let candidates = reader.u32()? as usize;
        reader.require(
            (1..=CANDIDATES_MAX).contains(&candidates),
            "a possible number of candidates",
        )?;
        let parts_len = reader.u32()? as usize;
        reader.require(
            (1..=PARTS.len()).contains(&parts_len),
            "a possible number of parts",
        )?;
        let mut parts = Vec::with_capacity(parts_len);
        for _ in 0..parts_len {
            let learnt = Learnt::decode(reader)?;
            let bytes = reader.bytes()?;
            // Looked at before it is read, so that nothing nests without end.
            let name = artifact::open(bytes)?.text()?;
            reader.require(PARTS.iter().any(|part| part.name == name), "a known part")?;
            let model = artifact::decode(bytes)?;
            reader.require(*model.items() == items, "parts number the items alike")?;
            parts.push(Part { model, learnt });
        }
        let mut blend = Self::new(parts, candidates)?;
        // Artifacts without a slot end here.
        if !reader.is_at_end() {
            blend.decode_slots(reader)?;
        }
        Ok(blend)
    }

    fn decode_slots(&mut self, reader: &mut Reader<'_>) -> Result<(), ModelError> {
        let slots_len = reader.u32()? as usize;
        reader.require(
            (1..=SLOTS_MAX).contains(&slots_len),
            "a possible number of slots",
        )?;
        for _ in 0..slots_len {
            let name = reader.text()?.to_owned();
            reader.require(!self.slots.contains(&name), "each slot once")?;
            self.slots.push(name);
            for part in &mut self.parts {
                part.learnt.of_slots.push(learnt::decode_weights(reader)?);
            }
        }
        Ok(())
    }

    fn encode_slots(&self, writer: &mut Writer<'_>) {
        if self.slots.is_empty() {
            return;
        }
        writer.u32(self.slots.len() as u32);
        for (slot, name) in self.slots.iter().enumerate() {
            writer.text(name);
            for part in &self.parts {
                writer.f32s(part.learnt.weights(Some(slot)));
            }
        }
    }

    /// The weights of all parts where no slot is named, part by part.
    pub(super) fn weights(&self) -> Vec<f64> {
        let weights = self.parts.iter().flat_map(|part| part.learnt.weights);
        weights.map(f64::from).collect()
    }

    /// Replaces [`Blend::weights`].
    pub(super) fn set_weights(&mut self, weights: &[f64]) {
        for (part, weights) in self.parts.iter_mut().zip(learnt::of_parts(weights)) {
            part.learnt.weights = weights;
        }
    }

    /// Gives a slot weights of its own.
    pub(super) fn add_slot(&mut self, name: &str, weights: &[f64]) {
        self.slots.push(name.to_owned());
        for (part, weights) in self.parts.iter_mut().zip(learnt::of_parts(weights)) {
            part.learnt.of_slots.push(weights);
        }
    }

    /// The parts, for the one who learns their weights.
    pub(super) fn parts_mut(&mut self) -> &mut [Part] {
        &mut self.parts
    }

    fn scale<'a>(&self, part: &'a PreparedPart) -> Scale<'a> {
        let is_dense = matches!(part.prepared, Prepared::Vector(_));
        Scale::new(&part.best, self.candidates, is_dense)
    }

    /// How far each part's best score stands above nothing.
    pub(super) fn heights(&self, prepared: &Prepared) -> Vec<f32> {
        let parts = parts_of(prepared).iter();
        parts.map(|part| self.scale(part).height()).collect()
    }

    /// The best `k` of each part, or as many as it usually brings if that is more, together,
    /// ascending.
    pub(super) fn gather(&self, prepared: &Prepared, k: usize, admit: Admit<'_>) -> Vec<u32> {
        let (mut gathered, mut list) = (Vec::new(), Vec::new());
        let wanted = k.max(self.candidates);
        for (part, of_user) in self.parts.iter().zip(parts_of(prepared)) {
            let known = of_user.best.iter().map(|scored| scored.item);
            let start = gathered.len();
            gathered.extend(known.filter(|item| admit(*item)).take(wanted));
            if gathered.len() - start < wanted && !of_user.is_all {
                gathered.truncate(start);
                part.model
                    .retrieve(&of_user.prepared, wanted, admit, &mut list);
                gathered.extend(list.iter().map(|scored| scored.item));
            }
        }
        gathered.sort_unstable();
        gathered.dedup();
        gathered
    }

    /// Calls `each` with part, place in `items` and features, part by part.
    fn each_feature(
        &self,
        prepared: &Prepared,
        items: &[u32],
        mut each: impl FnMut(usize, usize, [f32; FEATURES]),
    ) {
        let mut scores = vec![0.0; items.len()];
        for (number, (part, of_user)) in self.parts.iter().zip(parts_of(prepared)).enumerate() {
            part.model.score(&of_user.prepared, items, &mut scores);
            let scale = self.scale(of_user);
            for (at, score) in scores.iter().enumerate() {
                each(number, at, scale.features(*score, part.learnt.typical));
            }
        }
    }

    /// One row of features for each of `items`, part by part.
    pub(super) fn rows(&self, prepared: &Prepared, items: &[u32]) -> Vec<f32> {
        let width = self.parts.len() * FEATURES;
        let mut rows = vec![0.0; items.len() * width];
        self.each_feature(prepared, items, |part, at, features| {
            rows[at * width + part * FEATURES..][..FEATURES].copy_from_slice(&features);
        });
        rows
    }
}

fn parts_of(prepared: &Prepared) -> &[PreparedPart] {
    match prepared {
        Prepared::Parts { parts, .. } => parts,
        _ => &[],
    }
}

impl Model for Blend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        self.parts[0].model.items()
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        // Most filters turn down the history and little else: so deep a list need not be found again.
        let depth = self.candidates + query.history.len();
        let prepare = |part: &Part| {
            let prepared = part.model.prepare(query);
            let mut best = Vec::new();
            part.model.retrieve(&prepared, depth, &|_| true, &mut best);
            PreparedPart {
                prepared,
                is_all: best.len() < depth,
                best,
            }
        };
        let parts: Vec<PreparedPart> = self.parts.iter().map(prepare).collect();
        if !parts.iter().any(|part| part.prepared.is_personalized()) {
            return Prepared::Unpersonalized;
        }
        let is_named = |name: &String| query.slot == Some(name.as_str());
        let slot = self.slots.iter().position(is_named);
        Prepared::Parts { parts, slot }
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        let len = items.len().min(out.len());
        let (items, out) = (&items[..len], &mut out[..len]);
        out.fill(0.0);
        let slot = match prepared {
            Prepared::Parts { slot, .. } => *slot,
            _ => None,
        };
        self.each_feature(prepared, items, |part, at, features| {
            let weights = self.parts[part].learnt.weights(slot);
            let products = features.iter().zip(weights).map(|(x, w)| x * w);
            out[at] += products.sum::<f32>();
        });
        let known = self.items().len();
        for (item, score) in items.iter().zip(out) {
            if *item as usize >= known {
                *score = 0.0;
            }
            *score = score.clamp(f32::MIN, f32::MAX);
        }
    }

    fn retrieve(&self, prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>) {
        out.clear();
        if k == 0 {
            return;
        }
        let items = self.gather(prepared, k, admit);
        let mut scores = vec![0.0; items.len()];
        self.score(prepared, &items, &mut scores);
        let mut best = TopK::new(k);
        for (item, score) in items.iter().zip(scores) {
            best.push(*item, score);
        }
        best.finish_into(out);
    }

    /// What it expects after `item` alone.
    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        let mut out = Vec::new();
        if (item as usize) < self.items().len() {
            let entry = HistoryItem {
                item,
                weight: 1.0,
                age_s: 0,
            };
            let prepared = self.prepare(&ModelQuery::new(&[entry]));
            self.retrieve(&prepared, k, &|other| other != item, &mut out);
        }
        out
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, NAME, self.items());
        writer.u32(self.candidates as u32);
        writer.u32(self.parts.len() as u32);
        let mut bytes = Vec::new();
        for part in &self.parts {
            part.learnt.encode(&mut writer);
            bytes.clear();
            part.model.encode(&mut bytes);
            writer.bytes(&bytes);
        }
        self.encode_slots(&mut writer);
        writer.finish();
    }

    fn shares_passes(&self) -> bool {
        self.parts.iter().any(|part| part.model.shares_passes())
    }

    fn bytes(&self) -> usize {
        let parts = self.parts.iter();
        let of_slots = self.slots.len() * size_of::<Weights>();
        parts
            .map(|part| part.model.bytes() + size_of::<Part>() + of_slots)
            .sum()
    }
}
