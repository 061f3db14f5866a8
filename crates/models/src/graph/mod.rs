//! Collaborative filtering as a filter of a signal on the graph of items: closed form, no
//! gradient, no epoch.
//!
//! The history is a signal `x` on the items, and `P = RᵀR` of the interactions normalised to
//! `R = D_u^-½ A D_i^-½` says how it spreads. As in Choi et al., "Blurring-Sharpening Process
//! Models for Collaborative Filtering" (SIGIR 2023), the early merge: the blurred signal
//! `s = P x + β D^½ V Vᵀ D^-½ x`, with `V` the leading eigenvectors of `P` (the ideal low pass of
//! Shen et al., GF-CF, 2021), is sharpened by `exp(-t P)`, here its Taylor polynomial:
//! `y = Σ_n (-t P)^n / n! s`. All of that is one linear map from items to items, so training
//! computes its columns and the model keeps the largest weights of each: what is served, and
//! what is measured, is the truncated map.

mod low_pass;
#[cfg(test)]
mod tests;

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::item_item::{Bipartite, COLUMNS, ItemLists, top_of_columns};
use crate::kernels::Isa;
use crate::kernels::rows::weighted_rows;
use crate::model::Model;
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::trainer::{Progress, Trainer};
use crate::weight_scale::WeightScale;
use low_pass::LowPass;

const NAME: &str = "graph";

/// Computes the filter.
pub struct GraphTrainer;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "dimensions",
        default: "auto",
        doc: "dimensions of the ideal low pass, from 1 to 2048, but at most the items; auto is items / 30, from 16 to 448",
    },
    ParamDef {
        name: "low_pass",
        default: "0.2",
        doc: "weight of the ideal low pass beside the blur, from 0 to 100",
    },
    ParamDef {
        name: "sharpening",
        default: "2.5",
        doc: "time t of the sharpening exp(-t P), from 0 to 10",
    },
    ParamDef {
        name: "order",
        default: "4",
        doc: "terms of the sharpening's Taylor polynomial behind the first, from 0 to 16",
    },
    ParamDef {
        name: "user_exponent",
        default: "0.5",
        doc: "power of a user's total weight that divides their interactions, from 0 to 1",
    },
    ParamDef {
        name: "popularity",
        default: "0",
        doc: "power of an item's total weight that multiplies its score, from -1 to 1",
    },
    ParamDef {
        name: "rarity",
        default: "0",
        doc: "power of an item's total weight that divides its say in a history, from -1 to 1",
    },
    ParamDef {
        name: "neighbours",
        default: "1000",
        doc: "weights kept of each item, the largest, from 1 to 20000",
    },
    ParamDef {
        name: "weight_exponent",
        default: "0.5",
        doc: "power of an interaction's strength that becomes its weight, from 0 to 2",
    },
];

const SEARCH: &[SearchRange] = &[
    SearchRange::whole("dimensions", 32.0, 512.0),
    SearchRange::log("low_pass", 0.05, 2.0),
    SearchRange::linear("sharpening", 0.5, 4.0),
    SearchRange::linear("user_exponent", 0.2, 0.8),
    SearchRange::linear("popularity", -0.3, 0.3),
    SearchRange::linear("rarity", -0.3, 0.3),
];

/// What the parameters mean, checked.
#[derive(Debug, Clone, Copy)]
struct Settings {
    dimensions: usize,
    low_pass: f32,
    sharpening: f32,
    order: usize,
    user_exponent: f64,
    popularity: f64,
    rarity: f64,
    neighbours: usize,
    weight_exponent: f32,
}

impl Settings {
    fn read(params: &ResolvedParams, items: usize) -> Result<Self, ModelError> {
        let dimensions = if params.text("dimensions") == "auto" {
            (items / 30).clamp(16, 448)
        } else {
            params.count("dimensions", 1..=2048)?
        };
        Ok(Self {
            dimensions: dimensions.min(items),
            low_pass: params.number("low_pass", 0.0..=100.0)? as f32,
            sharpening: params.number("sharpening", 0.0..=10.0)? as f32,
            order: params.count("order", 0..=16)?,
            user_exponent: params.number("user_exponent", 0.0..=1.0)?,
            popularity: params.number("popularity", -1.0..=1.0)?,
            rarity: params.number("rarity", -1.0..=1.0)?,
            neighbours: params.count("neighbours", 1..=20_000)?,
            weight_exponent: params.number("weight_exponent", 0.0..=2.0)? as f32,
        })
    }
}

impl Trainer for GraphTrainer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn params(&self) -> &'static [ParamDef] {
        PARAMS
    }

    fn search(&self) -> &'static [SearchRange] {
        SEARCH
    }

    fn fit(
        &self,
        data: &Interactions,
        params: &Params,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError> {
        let settings = Settings::read(&params.resolve(NAME, PARAMS)?, data.items_len())?;
        if data.is_empty() {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "there is no interaction".to_owned(),
            });
        }
        let weights = WeightScale::of(data, settings.weight_exponent);
        let filter = Filter::new(data, &weights, settings, (seed, progress))?;
        let lists = top_of_columns(
            data.items_len(),
            settings.neighbours,
            progress,
            || filter.scratch(),
            |scratch, first, block| filter.columns(scratch, first, block),
        )?;
        let items = data.item_ids().clone();
        Ok(Box::new(ItemLists::new(NAME, items, weights, &lists)?))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        ItemLists::decode(NAME, reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

/// The linear map, ready to be asked for columns.
struct Filter {
    settings: Settings,
    matrix: Bipartite,
    low_pass: LowPass,
    /// Root of each item's total weight.
    roots: Vec<f32>,
    /// What each item's score is multiplied by.
    of_score: Vec<f32>,
    /// What each item's entry in a history is multiplied by.
    of_history: Vec<f32>,
}

/// Memory of one thread.
struct Scratch {
    users: Vec<f32>,
    term: Vec<f32>,
    next: Vec<f32>,
    spectrum: Vec<f32>,
    all: Vec<u32>,
}

impl Filter {
    fn new(
        data: &Interactions,
        weights: &WeightScale,
        settings: Settings,
        (seed, progress): (u64, &dyn Progress),
    ) -> Result<Self, ModelError> {
        let mut matrix = Bipartite::new(data, weights);
        let totals: Vec<f64> = (0..data.items_len())
            .map(|item| matrix.by_item.row_sum(item))
            .collect();
        let power = |exponent: f64| -> Vec<f32> {
            let of = |total: &f64| {
                if *total > 0.0 {
                    total.powf(exponent) as f32
                } else {
                    0.0
                }
            };
            totals.iter().map(of).collect()
        };
        matrix.normalise([settings.user_exponent, 0.5]);
        let low_pass = LowPass::of(&matrix, settings.dimensions, seed, progress)?;
        Ok(Self {
            settings,
            matrix,
            low_pass,
            roots: power(0.5),
            of_score: power(settings.popularity),
            of_history: power(-settings.rarity),
        })
    }

    fn scratch(&self) -> Scratch {
        let items = self.roots.len();
        Scratch {
            users: vec![0.0; self.matrix.by_user.len() * COLUMNS],
            term: vec![0.0; items * COLUMNS],
            next: vec![0.0; items * COLUMNS],
            spectrum: vec![0.0; self.low_pass.width * COLUMNS],
            all: (0..self.low_pass.width as u32).collect(),
        }
    }

    /// Writes the columns `first..first + 64` of the map to `out`.
    fn columns(&self, scratch: &mut Scratch, first: usize, out: &mut [f32]) {
        self.blurred(scratch, first, out);
        scratch.term.copy_from_slice(out);
        let mut factor = 1.0_f32;
        for n in 1..=self.settings.order {
            factor *= -self.settings.sharpening / n as f32;
            let Scratch {
                users, term, next, ..
            } = scratch;
            self.matrix.gram(term, COLUMNS, users, next);
            for (out, next) in out.iter_mut().zip(&*next) {
                *out = factor.mul_add(*next, *out);
            }
            std::mem::swap(term, next);
        }
        for (row, of_score) in out.chunks_exact_mut(COLUMNS).zip(&self.of_score) {
            for (value, of_history) in row.iter_mut().zip(&self.of_history[first..]) {
                *value *= of_score * of_history;
            }
        }
    }

    /// Writes the columns of the blur and the low pass.
    fn blurred(&self, scratch: &mut Scratch, first: usize, out: &mut [f32]) {
        let columns = COLUMNS.min(self.roots.len() - first);
        scratch.term.fill(0.0);
        for column in 0..columns {
            scratch.term[(first + column) * COLUMNS + column] = 1.0;
        }
        let Scratch { users, term, .. } = scratch;
        self.matrix.gram(term, COLUMNS, users, out);

        let width = self.low_pass.width;
        let vectors = || self.low_pass.vectors.chunks_exact(width);
        scratch.spectrum.fill(0.0);
        for (column, vector) in vectors().skip(first).take(columns).enumerate() {
            let root = self.roots[first + column];
            let scale = if root > 0.0 {
                self.settings.low_pass / root
            } else {
                0.0
            };
            for (dimension, value) in vector.iter().enumerate() {
                scratch.spectrum[dimension * COLUMNS + column] = scale * value;
            }
        }
        let isa = Isa::detect();
        let mut passed = [0.0_f32; COLUMNS];
        let rows = out
            .chunks_exact_mut(COLUMNS)
            .zip(vectors())
            .zip(&self.roots);
        for ((row, vector), root) in rows {
            weighted_rows(isa, &mut passed, &scratch.all, vector, &scratch.spectrum);
            for (value, passed) in row.iter_mut().zip(passed) {
                *value = root.mul_add(passed, *value);
            }
        }
    }
}
