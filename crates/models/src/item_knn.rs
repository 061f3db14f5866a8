//! Item neighbourhoods: how alike two items are is how much the people they share weigh.
//!
//! Cosine with shrinkage, `Σ_u a_ui a_uj / (|a_i| |a_j| + shrinkage)`, or the product of BM25
//! weights, where a user with a long history says less and an item everybody has is damped by
//! its length (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009). Order and
//! time have no part in it; `covisit` is the model that has them.

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::item_item::{Bipartite, ItemLists, Sparse};
use crate::model::{Model, Scored};
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::top_k::TopK;
use crate::trainer::{Progress, Trainer};
use crate::weight_scale::WeightScale;
use rayon::prelude::*;

const NAME: &str = "item_knn";

/// Computes the neighbourhoods.
pub struct ItemKnnTrainer;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "similarity",
        default: "cosine",
        doc: "how items are compared: cosine or bm25",
    },
    ParamDef {
        name: "shrinkage",
        default: "0",
        doc: "added to the denominator of the cosine, in interactions, from 0 to 10000",
    },
    ParamDef {
        name: "user_exponent",
        default: "0.5",
        doc: "power of a user's total weight that divides their interactions under cosine, from 0 to 1",
    },
    ParamDef {
        name: "bm25_k1",
        default: "1.2",
        doc: "saturation of BM25, from 0 to 1000",
    },
    ParamDef {
        name: "bm25_b",
        default: "0.75",
        doc: "how much of an item's length BM25 divides out, from 0 to 1",
    },
    ParamDef {
        name: "neighbours",
        default: "200",
        doc: "neighbours kept of each item, from 1 to 20000",
    },
    ParamDef {
        name: "weight_exponent",
        default: "0.5",
        doc: "power of an interaction's strength that becomes its weight, from 0 to 2",
    },
];

const SEARCH: &[SearchRange] = &[
    SearchRange::log("shrinkage", 0.1, 1_000.0),
    SearchRange::linear("user_exponent", 0.0, 1.0),
    SearchRange::whole("neighbours", 20.0, 1_000.0),
];

/// How items are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Similarity {
    Cosine { shrinkage: f64, user_exponent: f64 },
    Bm25 { k1: f64, b: f64 },
}

impl Similarity {
    fn read(params: &ResolvedParams) -> Result<Self, ModelError> {
        let cosine = Self::Cosine {
            shrinkage: params.number("shrinkage", 0.0..=10_000.0)?,
            user_exponent: params.number("user_exponent", 0.0..=1.0)?,
        };
        let bm25 = Self::Bm25 {
            k1: params.number("bm25_k1", 0.0..=1000.0)?,
            b: params.number("bm25_b", 0.0..=1.0)?,
        };
        match params.text("similarity") {
            "cosine" => Ok(cosine),
            "bm25" => Ok(bm25),
            other => Err(ModelError::BadParam {
                name: "similarity".to_owned(),
                value: other.to_owned(),
                expected: "cosine or bm25".to_owned(),
            }),
        }
    }
}

impl Trainer for ItemKnnTrainer {
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
        let params = params.resolve(NAME, PARAMS)?;
        let similarity = Similarity::read(&params)?;
        let neighbours = params.count("neighbours", 1..=20_000)?;
        let exponent = params.number("weight_exponent", 0.0..=2.0)? as f32;
        if data.is_empty() {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "there is no interaction".to_owned(),
            });
        }
        let weights = WeightScale::of(data, exponent);
        let space = Space::new(Bipartite::new(data, &weights), similarity);
        let items: Vec<u32> = (0..data.items_len() as u32).collect();
        let mut lists: Vec<Vec<Scored>> = Vec::with_capacity(items.len());
        // A list depends on its item alone, so the number of threads changes nothing.
        for chunk in items.chunks(4096) {
            progress.report(lists.len() as u64, items.len() as u64, "items");
            if progress.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            let start = || vec![0.0_f32; data.items_len()];
            lists.par_extend((chunk.par_iter()).map_init(start, |sums, &item| {
                space.neighbours(item, neighbours, sums)
            }));
        }
        progress.report(items.len() as u64, items.len() as u64, "items");
        let items = data.item_ids().clone();
        Ok(Box::new(ItemLists::new(NAME, items, weights, &lists)?))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        ItemLists::decode(NAME, reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

/// Items as weighted vectors over users.
struct Space {
    matrix: Bipartite,
    /// Length of each item's vector under cosine; empty under BM25.
    lengths: Vec<f64>,
    shrinkage: f64,
}

impl Space {
    fn new(mut matrix: Bipartite, similarity: Similarity) -> Self {
        match similarity {
            Similarity::Cosine {
                shrinkage,
                user_exponent,
            } => {
                matrix.normalise([user_exponent, 0.0]);
                let square = |weight: &f32| f64::from(*weight).powi(2);
                let length = |item| {
                    let sum: f64 = matrix.by_item.row(item).1.iter().map(square).sum();
                    sum.sqrt()
                };
                let lengths = (0..matrix.by_item.len()).map(length).collect();
                Self {
                    matrix,
                    lengths,
                    shrinkage,
                }
            }
            Similarity::Bm25 { k1, b } => {
                weigh_by_bm25(&mut matrix, k1, b);
                Self {
                    matrix,
                    lengths: Vec::new(),
                    shrinkage: 0.0,
                }
            }
        }
    }

    /// The items most like `item`, best first. `sums` is all zeros before and after.
    fn neighbours(&self, item: u32, keep: usize, sums: &mut [f32]) -> Vec<Scored> {
        let mut touched: Vec<u32> = Vec::new();
        let (users, weights) = self.matrix.by_item.row(item as usize);
        for (&user, &weight) in users.iter().zip(weights) {
            let (others, of_others) = self.matrix.by_user.row(user as usize);
            for (&other, &of_other) in others.iter().zip(of_others) {
                let sum = &mut sums[other as usize];
                if *sum == 0.0 {
                    touched.push(other);
                }
                *sum += weight * of_other;
            }
        }
        let mut best = TopK::new(keep);
        for other in touched {
            let sum = std::mem::take(&mut sums[other as usize]);
            if other != item && sum > 0.0 {
                best.push(other, self.similarity(sum, item, other));
            }
        }
        let mut out = Vec::new();
        best.finish_into(&mut out);
        out.retain(|scored| scored.score > 0.0 && scored.score.is_finite());
        out.shrink_to_fit();
        out
    }

    fn similarity(&self, product: f32, a: u32, b: u32) -> f32 {
        if self.lengths.is_empty() {
            return product;
        }
        let lengths = self.lengths[a as usize] * self.lengths[b as usize];
        (f64::from(product) / (lengths + self.shrinkage)) as f32
    }
}

/// Replaces each weight by its BM25 weight: items are the documents, users the terms.
fn weigh_by_bm25(matrix: &mut Bipartite, k1: f64, b: f64) {
    let totals = |rows: &Sparse| -> Vec<f64> { (0..rows.len()).map(|r| rows.row_sum(r)).collect() };
    let item_totals = totals(&matrix.by_item);
    let items = item_totals.len() as f64;
    let mean = (item_totals.iter().sum::<f64>() / items).max(f64::MIN_POSITIVE);
    let rarity: Vec<f64> = (0..matrix.by_user.len())
        .map(|user| (items / (1.0 + matrix.by_user.row(user).0.len() as f64)).ln_1p())
        .collect();
    matrix.map_weights(|user, item, weight| {
        let weight = f64::from(weight);
        let length = 1.0 - b + b * item_totals[item] / mean;
        (weight * (k1 + 1.0) / (weight + k1 * length) * rarity[user]) as f32
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interactions::InteractionsBuilder;

    fn small() -> Interactions {
        let mut builder = InteractionsBuilder::new(["a", "b", "c", "d"].into_iter().collect());
        for (user, item) in [
            (0, 0),
            (0, 1),
            (1, 0),
            (1, 1),
            (2, 0),
            (2, 2),
            (3, 2),
            (4, 3),
        ] {
            builder.push(user, item, 1.0, 0);
        }
        builder.push(4, 0, -1.0, 0);
        builder.build()
    }

    fn similar(params: &Params, item: u32) -> Vec<(u32, f32)> {
        let model = ItemKnnTrainer.fit(&small(), params, 0, &()).unwrap();
        let pairs = model.similar(item, 9).into_iter();
        pairs.map(|scored| (scored.item, scored.score)).collect()
    }

    #[test]
    fn the_cosine_is_that_of_the_vectors_of_users() {
        let plain = Params::new().with("user_exponent", 0);
        let near = similar(&plain, 0);
        // a = {0, 1, 2}, b = {0, 1}, c = {2, 3}; the dislike of user 4 has no part.
        assert_eq!(near.len(), 2);
        assert_eq!((near[0].0, near[1].0), (1, 2));
        assert!((near[0].1 - 2.0 / 6.0_f32.sqrt()).abs() < 1e-6);
        assert!((near[1].1 - 1.0 / 6.0_f32.sqrt()).abs() < 1e-6);
        let shrunk = similar(&plain.with("shrinkage", 10), 0);
        assert!((shrunk[0].1 - 2.0 / (6.0_f32.sqrt() + 10.0)).abs() < 1e-6);
        assert!(similar(&Params::new(), 3).is_empty(), "d was alone");
    }

    #[test]
    fn bm25_counts_users_with_short_histories_more() {
        let near = similar(&Params::new().with("similarity", "bm25"), 2);
        let weight = |item_total: f64, user_items: f64| {
            let length = 1.0 - 0.75 + 0.75 * item_total / 2.0;
            2.2 / (1.0 + 1.2 * length) * (4.0 / (1.0 + user_items)).ln_1p()
        };
        let expected = weight(3.0, 2.0) * weight(2.0, 2.0);
        assert_eq!(near.len(), 1);
        assert!(
            (f64::from(near[0].1) - expected).abs() < 1e-5,
            "{near:?} {expected}"
        );
    }
}
