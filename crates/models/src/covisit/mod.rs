//! Item-to-item co-visitation: what people had to do with shortly after, or before, this item.
//!
//! For items i and j of one row, `c(i → j)` grows by `decay · direction / distance`: recent rows
//! count more, what came after counts more than what came before, and near more than far. Strength
//! is `c / √(n_i n_j)`, a cosine, with `n` the decayed number of occurrences. Where times are
//! unknown the order says nothing, so all pairs of a row count alike. Each item keeps a bounded
//! number of neighbours.

mod counting;
mod model;

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::model::{Model, Scored};
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::trainer::{Progress, Trainer};
use counting::Counting;
use model::Covisit;
use rayon::prelude::*;

const NAME: &str = "covisit";

/// Trains the co-visitation model from whole histories.
pub struct CovisitTrainer;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "neighbours",
        default: "100",
        doc: "neighbours kept of each item, from 1 to 2000",
    },
    ParamDef {
        name: "window",
        default: "10",
        doc: "positions before and after that count, from 1 to 1000; all where times are unknown",
    },
    ParamDef {
        name: "backward",
        default: "0.5",
        doc: "weight of what came before, relative to what came after, from 0 to 1",
    },
    ParamDef {
        name: "half_life_days",
        default: "60",
        doc: "days after which a visit counts half, from 0 to 3650; 0 never forgets",
    },
    ParamDef {
        name: "history_decay",
        default: "0.9",
        doc: "factor per position back in the history, where its times are known, from 0.01 to 1",
    },
];

const SEARCH: &[SearchRange] = &[
    SearchRange::whole("window", 1.0, 50.0),
    SearchRange::linear("backward", 0.0, 1.0),
    SearchRange::linear("history_decay", 0.3, 1.0),
];

/// Entries of one row that are looked at, the newest; bounds the pairs of a robot's row.
const ROW_MAX: usize = 1000;

#[derive(Debug, Clone, Copy)]
struct Settings {
    neighbours: usize,
    window: usize,
    backward: f32,
    half_life_s: f32,
    history_decay: f32,
}

impl Settings {
    fn read(params: &ResolvedParams) -> Result<Self, ModelError> {
        Ok(Self {
            neighbours: params.count("neighbours", 1..=2000)?,
            window: params.count("window", 1..=1000)?,
            backward: params.number("backward", 0.0..=1.0)? as f32,
            half_life_s: params.number("half_life_days", 0.0..=3650.0)? as f32 * 86_400.0,
            history_decay: params.number("history_decay", 0.01..=1.0)? as f32,
        })
    }
}

impl Trainer for CovisitTrainer {
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
        let settings = Settings::read(&params.resolve(NAME, PARAMS)?)?;
        if data.is_empty() {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "there is no interaction".to_owned(),
            });
        }
        let counting = Counting::new(data, settings);
        let items: Vec<usize> = (0..data.items_len()).collect();
        let mut lists: Vec<Vec<Scored>> = Vec::with_capacity(items.len());
        // A list depends on its item alone, so the number of threads changes nothing.
        for chunk in items.chunks(4096) {
            progress.report(lists.len() as u64, items.len() as u64, "items");
            if progress.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            let start = || vec![0.0_f32; data.items_len()];
            lists.par_extend(
                chunk
                    .par_iter()
                    .map_init(start, |sums, &item| counting.neighbours(item as u32, sums)),
            );
        }
        progress.report(items.len() as u64, items.len() as u64, "items");
        Ok(Box::new(Covisit::new(
            data.item_ids().clone(),
            settings.history_decay,
            &lists,
        )))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        Covisit::decode(reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interactions::InteractionsBuilder;
    use crate::model::{HistoryItem, ModelQuery};

    /// Many users visit a, then b, then c, an hour apart; d alone.
    fn sequences() -> Box<dyn Model> {
        let ids = ["a", "b", "c", "d"].into_iter().collect();
        let mut builder = InteractionsBuilder::new(ids);
        for user in 0..20 {
            for (step, item) in [0, 1, 2].into_iter().enumerate() {
                builder.push(user, item, 1.0, 1_000_000 + 3600 * step as u32);
            }
        }
        builder.push(20, 3, 1.0, 1_000_000);
        CovisitTrainer
            .fit(&builder.build(), &Params::new(), 0, &())
            .unwrap()
    }

    #[test]
    fn what_comes_next_is_stronger_than_what_came_before_or_later() {
        let model = sequences();
        let of_b: Vec<u32> = model.similar(1, 9).iter().map(|s| s.item).collect();
        assert_eq!(of_b, [2, 0], "c follows b, a came before");
        let of_a: Vec<u32> = model.similar(0, 9).iter().map(|s| s.item).collect();
        assert_eq!(of_a, [1, 2], "b is nearer than c");
        assert!(model.similar(3, 9).is_empty(), "d was alone");
    }

    #[test]
    fn the_newest_entry_of_a_history_counts_most() {
        let model = sequences();
        let entry = |item, age_s| HistoryItem {
            item,
            weight: 1.0,
            age_s,
        };
        let score_of_c = |history: &[HistoryItem]| {
            let prepared = model.prepare(&ModelQuery::new(history));
            let mut out = [0.0];
            model.score(&prepared, &[2], &mut out);
            out[0]
        };
        let b_newest = score_of_c(&[entry(0, 60), entry(1, 1)]);
        let a_newest = score_of_c(&[entry(1, 60), entry(0, 1)]);
        assert!(b_newest > a_newest, "{b_newest} {a_newest}");
    }
}
