//! Implicit alternating least squares with exact solves.
//!
//! The objective is that of Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback
//! Datasets" (2008), in the form of Rendle et al., "Revisiting the Performance of iALS on Item
//! Recommendation Benchmarks" (2021): `Σ c (p - u·v)² + α₀ Σ_all (u·v)² + Σ λ_u |u|² + Σ λ_v |v|²`
//! with frequency-scaled `λ_u = λ₀ + λ (Σ c + α₀ items)^ν`, and likewise for items; the constant
//! `λ₀` is ours, so that the same parameters hold on data of a few hundred items. A disliked item
//! enters with preference `p = 0`. Only item vectors are kept; the model solves for the user
//! at request time, exactly as training does.

mod basis;
mod half_step;
mod model;
mod solver;
#[cfg(test)]
mod tests;

use crate::artifact::Reader;
use crate::content::{ContentMap, MapTargets};
use crate::error::ModelError;
use crate::interactions::{Interactions, Transposed};
use crate::kernels::Isa;
use crate::kernels::dense::padded;
use crate::kernels::table::Table;
use crate::model::Model;
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::seeded::Seeded;
use crate::trainer::{Progress, Trainer};
use crate::vector_index::{ITEMS_MIN, VectorIndex, example_users};
use crate::weight_scale::WeightScale;
use basis::Basis;
use half_step::{Rows, Shared};
use model::{Ials, Parts, Placing};
use solver::{Observed, Ridge, scaled_gram};

pub(crate) const NAME: &str = "ials";

/// Trains the model.
pub struct IalsTrainer;

/// Alternations of a refresh.
const REFRESH_SWEEPS: usize = 1;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "factors",
        default: "256",
        doc: "length of the vectors, from 1 to 1024, but at most a quarter of the items; multiples of 16 waste nothing, fewer serve and train faster",
    },
    ParamDef {
        name: "sweeps",
        default: "8",
        doc: "alternations over users and items, from 1 to 200",
    },
    ParamDef {
        name: "unobserved_weight",
        default: "auto",
        doc: "weight of a pair that never met, relative to an average interaction, from 0 to 10; auto is 300 / items, at most 1",
    },
    ParamDef {
        name: "regularisation",
        default: "0.006",
        doc: "ridge per unit of frequency, from 0 to 1000",
    },
    ParamDef {
        name: "ridge",
        default: "0.3",
        doc: "ridge of every row whatever its frequency, from 1e-6 to 1000; matters on small data",
    },
    ParamDef {
        name: "frequency_exponent",
        default: "1",
        doc: "how the ridge grows with the frequency: 0 not at all, 1 in proportion; from 0 to 2",
    },
    ParamDef {
        name: "weight_exponent",
        default: "0.5",
        doc: "power of an interaction's strength that becomes its weight, from 0 to 2",
    },
    ParamDef {
        name: "content_ridge",
        default: "1",
        doc: "ridge of the map that places items without interactions by their content, from 0.001 to 10000",
    },
    ParamDef {
        name: "recency_half_life_days",
        default: "0",
        doc: "days after which a history entry counts half at request time, 0 to 3650; 0 never",
    },
    ITEMS_MIN,
];

const SEARCH: &[SearchRange] = &[
    SearchRange::whole("factors", 64.0, 512.0),
    SearchRange::log("unobserved_weight", 0.003, 1.0),
    SearchRange::log("regularisation", 0.0005, 0.05),
    SearchRange::log("ridge", 0.003, 10.0),
    SearchRange::linear("frequency_exponent", 0.5, 1.0),
];

/// What the parameters mean, checked.
#[derive(Debug, Clone, Copy)]
struct Settings {
    factors: usize,
    sweeps: usize,
    ridge: Ridge,
    weight_exponent: f32,
    content_ridge: f32,
    recency_half_life_s: f32,
    index_items_min: usize,
}

/// What all the items that a user never met weigh together, in average interactions, when
/// `unobserved_weight` is `auto`. Chosen on held-out parts of the train data of four sets with
/// 1,700 to 41,000 items, where a fixed weight per pair was too small for few items.
const UNOBSERVED_TOTAL: f64 = 300.0;

impl Settings {
    fn read(params: &ResolvedParams, items_len: usize) -> Result<Self, ModelError> {
        let unobserved_weight = if params.text("unobserved_weight") == "auto" {
            (UNOBSERVED_TOTAL / items_len.max(1) as f64).min(1.0)
        } else {
            params.number("unobserved_weight", 0.0..=10.0)?
        };
        Ok(Self {
            factors: params
                .count("factors", 1..=1024)?
                .min(factors_max(items_len)),
            sweeps: params.count("sweeps", 1..=200)?,
            ridge: Ridge {
                unobserved_weight: unobserved_weight as f32,
                regularisation: params.number("regularisation", 0.0..=1000.0)? as f32,
                constant: params.number("ridge", 1e-6..=1000.0)? as f32,
                frequency_exponent: params.number("frequency_exponent", 0.0..=2.0)? as f32,
            },
            weight_exponent: params.number("weight_exponent", 0.0..=2.0)? as f32,
            content_ridge: params.number("content_ridge", 0.001..=10_000.0)? as f32,
            recency_half_life_s: params.number("recency_half_life_days", 0.0..=3650.0)? as f32
                * 86_400.0,
            index_items_min: params.count(ITEMS_MIN.name, 1..=usize::MAX)?,
        })
    }
}

impl Trainer for IalsTrainer {
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
        let first = start(data.items_len(), settings.factors, seed);
        Ok(Box::new(train(data, &settings, first, progress)?))
    }

    /// One alternation from the earlier vectors. A new item begins at the origin, where it has no
    /// part in the users' solves, and gets its vector from the users who met it.
    fn refresh(
        &self,
        earlier: &[u8],
        data: &Interactions,
        params: &Params,
        progress: &dyn Progress,
    ) -> Result<Option<Box<dyn Model>>, ModelError> {
        let mut settings = Settings::read(&params.resolve(NAME, PARAMS)?, data.items_len())?;
        let earlier = Ials::open(earlier)?;
        // A catalogue that was too small for all factors may have grown since.
        if earlier.factors() != settings.factors {
            return Ok(None);
        }
        settings.sweeps = REFRESH_SWEEPS;
        let first = Table::copy_of(&earlier.vectors_of(data.item_ids()));
        Ok(Some(Box::new(train(data, &settings, first, progress)?)))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        Ials::decode(reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

/// With a dimension for every few items, vectors would learn the items by heart and not what they
/// have in common.
fn factors_max(items_len: usize) -> usize {
    padded(items_len / 4).max(16)
}

/// Alternates from the given item vectors on.
fn train(
    data: &Interactions,
    settings: &Settings,
    first: Table,
    progress: &dyn Progress,
) -> Result<Ials, ModelError> {
    if data.is_empty() {
        return Err(ModelError::UnusableData {
            model: NAME,
            reason: "there is no interaction".to_owned(),
        });
    }
    let weights = WeightScale::of(data, settings.weight_exponent);
    let side = padded(settings.factors);
    let Alternated {
        items,
        users,
        basis,
    } = alternate(data, settings, &weights, first, progress)?;
    let mut vectors = items.to_vec();
    let unobserved_weight = settings.ridge.unobserved_weight;
    let base = scaled_gram(Isa::detect(), &vectors, side, unobserved_weight);
    let map = map_contents(data, settings, &vectors, progress)?;
    let placing = map.map(|map| Placing::place(map, data.contents(), &mut vectors, side));
    let examples = || {
        let rows = example_users(data.users_len()).map(|user| &users[user * side..][..side]);
        let mut examples = rows.flatten().copied().collect::<Vec<_>>();
        basis.undo(&mut examples);
        examples
    };
    let parts = Parts {
        factors: settings.factors,
        ridge: settings.ridge,
        weights,
        recency_half_life_s: settings.recency_half_life_s,
        base,
        index: VectorIndex::for_catalogue(vectors, side, settings.index_items_min, examples),
        placing,
    };
    Ok(Ials::new(data.item_ids().clone(), parts))
}

/// What the last sweep left.
#[derive(Debug, PartialEq)]
struct Alternated {
    /// Item vectors, in the basis that they began in.
    items: Table,
    /// User vectors, in `basis`.
    users: Table,
    basis: Basis,
}

fn alternate(
    data: &Interactions,
    settings: &Settings,
    weights: &WeightScale,
    mut items: Table,
    progress: &dyn Progress,
) -> Result<Alternated, ModelError> {
    let side = padded(settings.factors);
    let users_of = ByItem(data.transposed(), weights);
    let items_of = ByUser(data, weights);
    let mut users = Table::zeros(data.users_len() * side);
    let mut basis = Basis::new(side);
    for sweep in 0..settings.sweeps {
        progress.report(sweep as u64, settings.sweeps as u64, "sweeps");
        half_step(
            &items_of,
            settings.ridge,
            &mut basis,
            &mut items,
            &mut users,
        )?;
        if progress.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        half_step(
            &users_of,
            settings.ridge,
            &mut basis,
            &mut users,
            &mut items,
        )?;
        if progress.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
    }
    basis.undo(&mut items);
    let total = settings.sweeps as u64;
    progress.report(total, total, "sweeps");
    Ok(Alternated {
        items,
        users,
        basis,
    })
}

/// Solves `rows` into `out` against `others`, which may be turned.
fn half_step(
    rows: &dyn Rows,
    ridge: Ridge,
    basis: &mut Basis,
    others: &mut [f32],
    out: &mut [f32],
) -> Result<(), ModelError> {
    let side = basis.side();
    let shared = Shared::new(rows, out.len() / side, others, ridge, basis);
    if shared.step(others, side, ridge).solve_all(rows, out) {
        Ok(())
    } else {
        Err(ModelError::Numeric {
            model: NAME,
            what: "a system was singular; raise `ridge`".to_owned(),
        })
    }
}

/// The map from contents to vectors; `None` without contents.
fn map_contents(
    data: &Interactions,
    settings: &Settings,
    vectors: &[f32],
    progress: &dyn Progress,
) -> Result<Option<ContentMap>, ModelError> {
    if data.contents().is_empty() {
        return Ok(None);
    }
    let is_met: Vec<bool> = data.item_counts().iter().map(|count| *count > 0).collect();
    let targets = MapTargets {
        contents: data.contents(),
        vectors,
        side: padded(settings.factors),
        is_known: &is_met,
        ridge: settings.content_ridge,
    };
    let map = ContentMap::fit(&targets, &|| progress.is_cancelled());
    if progress.is_cancelled() {
        return Err(ModelError::Cancelled);
    }
    Ok(map)
}

/// Random item vectors of expected length 0.1.
fn start(items_len: usize, factors: usize, seed: u64) -> Table {
    let side = padded(factors);
    let scale = 0.1 / (factors as f32).sqrt();
    let mut items = Table::zeros(items_len * side);
    for (item, vector) in items.chunks_exact_mut(side).enumerate() {
        let mut random = Seeded::new(seed, item as u64);
        for value in &mut vector[..factors] {
            *value = scale * random.normal();
        }
    }
    items
}

/// What each user observed.
struct ByUser<'a>(&'a Interactions, &'a WeightScale);

impl Rows for ByUser<'_> {
    fn len_of(&self, row: usize) -> usize {
        self.0.row(row).items.len()
    }

    fn observe(&self, row: usize, to: &mut Observed) {
        let row = self.0.row(row);
        append(to, row.items, row.weights, self.1);
    }
}

/// What each item was observed by.
struct ByItem<'a>(Transposed, &'a WeightScale);

impl Rows for ByItem<'_> {
    fn len_of(&self, row: usize) -> usize {
        self.0.row(row).0.len()
    }

    fn observe(&self, row: usize, to: &mut Observed) {
        let (users, strengths) = self.0.row(row);
        append(to, users, strengths, self.1);
    }
}

fn append(to: &mut Observed, rows: &[u32], strengths: &[f32], weights: &WeightScale) {
    let confidence = |strength: &f32| weights.signed_confidence(*strength);
    to.append(rows, strengths.iter().map(confidence));
}
