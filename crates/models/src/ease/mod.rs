//! EASE^R: the best linear map from a history to itself that may not use the diagonal.
//!
//! Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): with `G = AᵀA` and
//! `C = (G + λI)⁻¹` the map is `B[j, i] = -C[j, i] / C[i, i]` off the diagonal. The columns of
//! `C` are solved a block at a time, and each item keeps the largest weights of its column. Small
//! catalogues are inverted whole (`inverse`); for others the items x items matrix is never held and the
//! columns come from the sparse interactions (`solver`), so memory grows with the items and not
//! with their square. What is served, and measured, is the truncated map.
//!
//! Between rare items a negative weight is left out: nobody would have both by chance, so that nobody
//! has is no sign. Kept, such weights take the places of weights that say something.

mod inverse;
mod solver;
#[cfg(test)]
mod tests;

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::item_item::{Bipartite, COLUMNS, ItemLists, top_of_columns};
use crate::model::{Model, Scored};
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::top_k::best_first;
use crate::trainer::{Progress, Trainer};
use crate::weight_scale::WeightScale;
use inverse::Inverse;
use solver::Solver;

const NAME: &str = "ease";

/// Solves for the map.
pub struct EaseTrainer;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "regularisation",
        default: "auto",
        doc: "ridge λ, in interactions, from 0.01 to 1e6; auto is 4 times the interactions of the average item, at most 1000",
    },
    ParamDef {
        name: "tolerance",
        default: "0.0003",
        doc: "residual at which a column counts as solved, relative to its start, from 1e-6 to 0.1",
    },
    ParamDef {
        name: "neighbours",
        default: "1000",
        doc: "weights kept for each item, the largest, from 1 to 20000",
    },
    ParamDef {
        name: "negative_support",
        default: "5",
        doc: "a negative weight between two items is kept if by chance at least so many users would have both, from 0 (keep all) to 1e9 (keep none)",
    },
    ParamDef {
        name: "weight_exponent",
        default: "0.5",
        doc: "power of an interaction's strength that becomes its weight, from 0 to 2",
    },
];

const SEARCH: &[SearchRange] = &[
    SearchRange::log("regularisation", 10.0, 5_000.0),
    SearchRange::log("negative_support", 0.5, 50.0),
    SearchRange::whole("neighbours", 200.0, 4_000.0),
];

/// The ridge of `auto`, for each interaction of the average item. Chosen on held-out parts of the
/// train data of four sets whose items have 13, 16, 18 and 268 interactions on average: of those
/// tried the best were 35 to 50, 50 to 100, 45 to 70, and 1000.
const RIDGE_PER_INTERACTION: f64 = 4.0;

/// No more than what the densest of those sets wanted; published ones are not higher for denser data.
const RIDGE_MAX: f64 = 1000.0;

/// What the parameters mean, checked.
#[derive(Debug, Clone, Copy)]
struct Settings {
    ridge: f32,
    tolerance: f64,
    neighbours: usize,
    negative_support: f64,
    weight_exponent: f32,
}

impl Settings {
    fn read(params: &ResolvedParams, data: &Interactions) -> Result<Self, ModelError> {
        let ridge = if params.text("regularisation") == "auto" {
            let of_average_item = data.len() as f64 / data.items_len().max(1) as f64;
            (RIDGE_PER_INTERACTION * of_average_item).clamp(1.0, RIDGE_MAX)
        } else {
            params.number("regularisation", 0.01..=1e6)?
        };
        Ok(Self {
            ridge: ridge as f32,
            tolerance: params.number("tolerance", 1e-6..=0.1)?,
            neighbours: params.count("neighbours", 1..=20_000)?,
            negative_support: params.number("negative_support", 0.0..=1e9)?,
            weight_exponent: params.number("weight_exponent", 0.0..=2.0)? as f32,
        })
    }
}

impl Trainer for EaseTrainer {
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
        _seed: u64,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError> {
        let settings = Settings::read(&params.resolve(NAME, PARAMS)?, data)?;
        if data.is_empty() {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "there is no interaction".to_owned(),
            });
        }
        let weights = WeightScale::of(data, settings.weight_exponent);
        let matrix = Bipartite::new(data, &weights);
        let columns = columns(&matrix, &settings, progress)?;
        let lists = transposed(&columns);
        let items = data.item_ids().clone();
        Ok(Box::new(ItemLists::new(NAME, items, weights, &lists)?))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        ItemLists::decode(NAME, reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

/// The largest weights of each column of `B`.
fn columns(
    matrix: &Bipartite,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Scored>>, ModelError> {
    let (items, keep) = (matrix.by_item.len(), settings.neighbours);
    let support = Support::new(matrix, settings.negative_support);
    let finish = |first: usize, block: &mut [f32]| {
        divide_by_diagonal(first, block);
        support.drop_negatives_of_chance(first, block);
    };
    if Inverse::is_cheaper(items, matrix.by_user.entries_len()) {
        let inverse = Inverse::new(matrix, settings.ridge, progress)?;
        let fill = |_: &mut (), first: usize, block: &mut [f32]| {
            inverse.columns(first, block);
            finish(first, block);
        };
        return top_of_columns(items, keep, progress, || (), fill);
    }
    let solver = Solver::new(matrix, settings.ridge, settings.tolerance);
    top_of_columns(
        items,
        keep,
        progress,
        || solver.scratch(),
        |scratch, first, block| {
            solver.columns(scratch, first, block);
            finish(first, block);
        },
    )
}

/// Turns columns of `C` into columns of `B`.
fn divide_by_diagonal(first: usize, block: &mut [f32]) {
    let mut factors = [0.0_f32; COLUMNS];
    let diagonal = block.chunks_exact(COLUMNS).skip(first);
    for (column, (factor, row)) in factors.iter_mut().zip(diagonal).enumerate() {
        *factor = if row[column] > 0.0 {
            -1.0 / row[column]
        } else {
            0.0
        };
    }
    for row in block.chunks_exact_mut(COLUMNS) {
        for (value, factor) in row.iter_mut().zip(&factors) {
            *value *= factor;
        }
    }
}

/// Which negative weights say something.
///
/// Two items of `a` and `b` users among `n` are met together by `ab / n` of them by chance. Where
/// that is next to nobody, that nobody has both is no sign of dislike.
struct Support {
    /// The users of each item.
    users_of: Vec<f32>,
    /// What the product of two items' users must reach.
    product_min: f32,
}

impl Support {
    fn new(matrix: &Bipartite, users_by_chance: f64) -> Self {
        let users_of = |item| matrix.by_item.row(item).0.len() as f32;
        Self {
            users_of: (0..matrix.by_item.len()).map(users_of).collect(),
            product_min: (users_by_chance * matrix.by_user.len() as f64) as f32,
        }
    }

    /// Replaces them by 0 in columns of `B`.
    fn drop_negatives_of_chance(&self, first: usize, block: &mut [f32]) {
        let mut of_columns = [0.0_f32; COLUMNS];
        let known = self.users_of[first..].iter();
        (of_columns.iter_mut().zip(known)).for_each(|(to, from)| *to = *from);
        for (row, users) in block.chunks_exact_mut(COLUMNS).zip(&self.users_of) {
            for (weight, others) in row.iter_mut().zip(&of_columns) {
                let is_chance = (*weight < 0.0) & (users * others < self.product_min);
                *weight = if is_chance { 0.0 } else { *weight };
            }
        }
    }
}

/// From the weights that make up each item's score to the weights of each history item.
fn transposed(columns: &[Vec<Scored>]) -> Vec<Vec<Scored>> {
    let mut counts = vec![0_usize; columns.len()];
    for entry in columns.iter().flatten() {
        counts[entry.item as usize] += 1;
    }
    let mut lists: Vec<Vec<Scored>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (item, column) in (0_u32..).zip(columns) {
        for entry in column {
            lists[entry.item as usize].push(Scored {
                item,
                score: entry.score,
            });
        }
    }
    for list in &mut lists {
        list.sort_unstable_by(best_first);
    }
    lists
}
