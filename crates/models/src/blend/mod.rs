//! A learnt combination of other models.
//!
//! The last item of some users is held out and each part is trained on the rest. The best of each
//! part are the candidates, what the parts say of them are the features (`features`), and the
//! weights are those under which the held-out items are likely among the candidates (`logit`). Then
//! every part is trained again, on everything. Parts keep their own defaults.
//!
//! Where the data say which interactions came of a list that a slot had shown, the newest of each
//! user in a slot is held out as well, with all that the user did after it, and a slot with enough
//! of them gets weights of its own, held near those of the whole data set.

mod features;
mod held_out;
mod learnt;
mod logit;
mod model;
mod slot_examples;
#[cfg(test)]
mod tests;

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::model::{Model, ModelQuery};
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::trainer::{Progress, Trainer, trainer};
use held_out::{Example, HeldOut, Limits, hold_out};
use learnt::Learnt;
use logit::Choice;
use model::{Blend, CANDIDATES_MAX, Part};
use rayon::prelude::*;

const NAME: &str = "blend";

/// Trains the parts and learns their weights.
pub struct BlendTrainer;

/// Whether a model takes part, by the model's name.
const fn part(name: &'static str, default: &'static str) -> ParamDef {
    ParamDef {
        name,
        default,
        doc: "whether the model of this name takes part, 0 or 1",
    }
}

const PARAMS: &[ParamDef] = &[
    part("transitions", "1"),
    part("session_knn", "1"),
    part("item_knn", "1"),
    part("ials", "1"),
    part("graph", "1"),
    ParamDef {
        name: "ease",
        default: "auto",
        doc: "whether the model of this name takes part, 0 or 1; auto is 1 in catalogues of at most \
              20,000 items, where it costs little",
    },
    part("covisit", "0"),
    part("popular", "1"),
    part("content", "0"),
    part("sequence", "0"),
    ParamDef {
        name: "candidates",
        default: "100",
        doc: "best items of each part that are weighed against each other, from 1 to 10000",
    },
    ParamDef {
        name: "held_out",
        default: "0.3",
        doc: "share of users whose last item is held out to learn the weights, from 0 to 1",
    },
    ParamDef {
        name: "held_out_max",
        default: "10000",
        doc: "most users whose last item is held out, and most outcomes of a slot, from 0 to 1000000",
    },
    ParamDef {
        name: "repeats",
        default: "auto",
        doc: "whether weights are learnt to find items of the history again, 0 or 1; auto is 1 \
              where one held-out item in twenty is one",
    },
    ParamDef {
        name: "ridge",
        default: "1",
        doc: "how strongly weights are held near those that trust all parts alike, from 1e-6 to 1e6",
    },
    ParamDef {
        name: "slot_outcomes_min",
        default: "200",
        doc: "users who chose something of a slot's lists from which on the slot gets weights of its \
              own, from 0 to 1000000; 0 for never",
    },
    ParamDef {
        name: "slot_ridge",
        default: "10",
        doc: "how strongly a slot's weights are held near those of the whole data set, from 1e-6 to \
              1e6",
    },
];

/// Most items of a catalogue where `ease` takes part by itself.
const EASE_ITEMS_MAX: usize = 20_000;

/// The models that may take part: the first parameters.
const PARTS: &[ParamDef] = PARAMS.split_at(10).0;

const SEARCH: &[SearchRange] = &[
    SearchRange::whole("candidates", 20.0, 500.0),
    SearchRange::log("ridge", 0.1, 100.0),
];

/// The parameters, typed.
struct Settings {
    trainers: Vec<&'static dyn Trainer>,
    candidates: usize,
    limits: Limits,
    /// None: by how many of the held-out items are repeats.
    repeats: Option<bool>,
    ridge: f64,
    slot_ridge: f64,
}

impl Settings {
    fn read(params: &ResolvedParams, items: usize) -> Result<Self, ModelError> {
        let mut trainers = Vec::new();
        for part in PARTS {
            let takes_part = match params.text(part.name) {
                "auto" => items <= EASE_ITEMS_MAX,
                _ => params.count(part.name, 0..=1)? == 1,
            };
            if takes_part {
                trainers.push(trainer(part.name)?);
            }
        }
        Ok(Self {
            trainers,
            candidates: params.count("candidates", 1..=CANDIDATES_MAX)?,
            limits: Limits {
                share: params.number("held_out", 0.0..=1.0)?,
                most: params.count("held_out_max", 0..=1_000_000)?,
                slot_min: params.count("slot_outcomes_min", 0..=1_000_000)?,
            },
            repeats: match params.text("repeats") {
                "auto" => None,
                _ => Some(params.count("repeats", 0..=1)? == 1),
            },
            ridge: params.number("ridge", 1e-6..=1e6)?,
            slot_ridge: params.number("slot_ridge", 1e-6..=1e6)?,
        })
    }

    fn repeats(&self, examples: &[Example]) -> bool {
        let repeats = examples
            .iter()
            .filter(|example| example.is_repeat())
            .count();
        self.repeats.unwrap_or(repeats * 20 > examples.len())
    }
}

impl Trainer for BlendTrainer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn params(&self) -> &'static [ParamDef] {
        PARAMS
    }

    fn search(&self) -> &'static [SearchRange] {
        SEARCH
    }

    fn learns_slots(&self) -> bool {
        true
    }

    fn fit(
        &self,
        data: &Interactions,
        params: &Params,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError> {
        let settings = Settings::read(&params.resolve(NAME, PARAMS)?, data.items_len())?;
        let held = hold_out(data, settings.limits, seed);
        let models = parts(&held.rest, &settings.trainers, seed, progress)?;
        let mut learner = Blend::new(models, settings.candidates)?;
        if held.last.is_empty() && held.slots.is_empty() {
            return Ok(Box::new(learner));
        }
        learn(&mut learner, &held, &settings, progress)?;
        drop(held);
        let models = parts(data, &settings.trainers, seed, progress)?;
        Ok(Box::new(learner.with_parts(models)?))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        Blend::decode(reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

/// Trains each part; those that `data` has nothing for are left out.
fn parts(
    data: &Interactions,
    trainers: &[&'static dyn Trainer],
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<Part>, ModelError> {
    let mut parts = Vec::new();
    for trainer in trainers {
        match trainer.fit(data, &Params::new(), seed, progress) {
            Ok(model) => parts.push(Part {
                model,
                learnt: Learnt::nothing(0),
            }),
            Err(ModelError::UnusableData { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(parts)
}

/// Examples between two looks at the progress.
const CHUNK: usize = 256;

/// Gives the parts of `blend` the weights under which what was held out is likely.
fn learn(
    blend: &mut Blend,
    held: &HeldOut,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<(), ModelError> {
    learn_heights(blend, &held.last);
    let of_all = choices(blend, &held.last, settings, progress)?;
    let weights = logit::fit(&of_all, &blend.weights(), settings.ridge);
    blend.set_weights(&weights);
    for (slot, examples) in &held.slots {
        let of_slot = choices(blend, examples, settings, progress)?;
        let of_slot = logit::fit(&of_slot, &weights, settings.slot_ridge);
        blend.add_slot(slot, &of_slot);
    }
    Ok(())
}

/// Tells the parts of `blend` how far their best scores usually stand above nothing.
fn learn_heights(blend: &mut Blend, examples: &[Example]) {
    let heights: Vec<Vec<f32>> = (examples.par_iter())
        .map(|example| blend.heights(&blend.prepare(&ModelQuery::new(&example.history))))
        .collect();
    for (at, part) in blend.parts_mut().iter_mut().enumerate() {
        let of_part = heights.iter().filter_map(|heights| heights.get(at));
        let known: Vec<f64> = of_part.map(|height| f64::from(*height)).collect();
        let mean = (known.iter().sum::<f64>() / known.len().max(1) as f64) as f32;
        part.learnt.typical = if mean > 0.0 && mean.is_finite() {
            mean
        } else {
            1.0
        };
    }
}

/// The candidates of each example whose item is among them.
fn choices(
    blend: &Blend,
    examples: &[Example],
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Vec<Choice>, ModelError> {
    let with_repeats = settings.repeats(examples);
    let choice = |example: &Example| -> Option<Choice> {
        let prepared = blend.prepare(&ModelQuery::new(&example.history));
        let is_new = |item: u32| example.history.iter().all(|entry| entry.item != item);
        let admit = |item: u32| with_repeats || is_new(item);
        let items = blend.gather(&prepared, 0, &admit);
        let chosen = items.binary_search(&example.target).ok()?;
        let rows = blend.rows(&prepared, &items);
        Some(Choice { rows, chosen })
    };
    let mut choices: Vec<Choice> = Vec::new();
    for (number, chunk) in examples.chunks(CHUNK).enumerate() {
        progress.report((number * CHUNK) as u64, examples.len() as u64, "examples");
        if progress.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        let of_chunk: Vec<Option<Choice>> = chunk.par_iter().map(choice).collect();
        choices.extend(of_chunk.into_iter().flatten());
    }
    progress.report(examples.len() as u64, examples.len() as u64, "examples");
    Ok(choices)
}
