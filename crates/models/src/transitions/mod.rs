//! Item-to-item transitions over sequences: what comes next, a few steps later, or just before.
//!
//! For items i before j of one sequence, `c(i → j)` grows by `decay^(steps - 1)`, by
//! `backward` times that the other way round, more for pairs near the sequence's end and less in
//! long sequences. Strength is `c / (n_i^source_power · n_j^target_power)` with `n` the number of
//! occurrences, so the popular are not always the answer. A second step through the strongest
//! neighbours of the neighbours reaches what never stood side by side, which sparse data need.
//! Only the order counts, never the clock; [`crate::covisit`] is the model of clocks.

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
use model::Transitions;
use rayon::prelude::*;

const NAME: &str = "transitions";

/// Trains the transitions model from whole sequences.
pub struct TransitionsTrainer;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "window",
        default: "20",
        doc: "steps between two items that still count as a transition, from 1 to 200",
    },
    ParamDef {
        name: "decay",
        default: "0.65",
        doc: "factor per further step between the two items, from 0.01 to 1",
    },
    ParamDef {
        name: "backward",
        default: "0.05",
        doc: "weight of what came before, relative to what came after, from 0 to 1",
    },
    ParamDef {
        name: "row_decay",
        default: "0.95",
        doc: "factor per position between the later item and its sequence's end, from 0.1 to 1",
    },
    ParamDef {
        name: "length_power",
        default: "0.25",
        doc: "a sequence of n items counts n to the minus this, from 0 to 2",
    },
    ParamDef {
        name: "source_power",
        default: "0.3",
        doc: "how far the popularity of the earlier item is divided out, from 0 to 1",
    },
    ParamDef {
        name: "target_power",
        default: "0.2",
        doc: "how far the popularity of the later item is divided out, from 0 to 1",
    },
    ParamDef {
        name: "two_step",
        default: "0.6",
        doc: "weight of transitions over one item between, from 0 to 10",
    },
    ParamDef {
        name: "bridges",
        default: "100",
        doc: "neighbours of each item that a second step goes through, from 1 to 1000",
    },
    ParamDef {
        name: "neighbours",
        default: "400",
        doc: "neighbours kept of each item, from 1 to 5000",
    },
    ParamDef {
        name: "history_decay",
        default: "0.65",
        doc: "factor per position back in the history, from 0.01 to 1",
    },
];

const SEARCH: &[SearchRange] = &[
    SearchRange::whole("window", 2.0, 50.0),
    SearchRange::linear("decay", 0.3, 0.95),
    SearchRange::linear("backward", 0.0, 0.6),
    SearchRange::linear("row_decay", 0.7, 1.0),
    SearchRange::linear("length_power", 0.0, 1.0),
    SearchRange::linear("source_power", 0.0, 1.0),
    SearchRange::linear("target_power", 0.0, 0.8),
    SearchRange::linear("two_step", 0.0, 2.0),
    SearchRange::linear("history_decay", 0.3, 0.98),
];

#[derive(Debug, Clone, Copy)]
struct Settings {
    window: usize,
    decay: f32,
    backward: f32,
    row_decay: f32,
    length_power: f32,
    source_power: f32,
    target_power: f32,
    two_step: f32,
    bridges: usize,
    neighbours: usize,
    history_decay: f32,
}

impl Settings {
    fn read(params: &ResolvedParams) -> Result<Self, ModelError> {
        Ok(Self {
            window: params.count("window", 1..=200)?,
            decay: params.number("decay", 0.01..=1.0)? as f32,
            backward: params.number("backward", 0.0..=1.0)? as f32,
            row_decay: params.number("row_decay", 0.1..=1.0)? as f32,
            length_power: params.number("length_power", 0.0..=2.0)? as f32,
            source_power: params.number("source_power", 0.0..=1.0)? as f32,
            target_power: params.number("target_power", 0.0..=1.0)? as f32,
            two_step: params.number("two_step", 0.0..=10.0)? as f32,
            bridges: params.count("bridges", 1..=1000)?,
            neighbours: params.count("neighbours", 1..=5000)?,
            history_decay: params.number("history_decay", 0.01..=1.0)? as f32,
        })
    }
}

/// Items whose lists are made between two looks at the progress.
const CHUNK_ITEMS: usize = 1024;

/// The lists of all items by `list`, which gets an item and a scratch of zeros. A list depends on
/// its item alone, so the number of threads changes nothing.
fn lists_of(
    items_len: usize,
    progress: &dyn Progress,
    what: &str,
    list: &(dyn Fn(u32, &mut [f32]) -> Vec<Scored> + Sync),
) -> Result<Vec<Vec<Scored>>, ModelError> {
    let items: Vec<u32> = (0..items_len as u32).collect();
    let mut lists: Vec<Vec<Scored>> = Vec::with_capacity(items_len);
    for chunk in items.chunks(CHUNK_ITEMS) {
        progress.report(lists.len() as u64, items_len as u64, what);
        if progress.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        let start = || vec![0.0_f32; items_len];
        lists.par_extend(
            chunk
                .par_iter()
                .map_init(start, |sums, &item| list(item, sums)),
        );
    }
    progress.report(items_len as u64, items_len as u64, what);
    Ok(lists)
}

impl Trainer for TransitionsTrainer {
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
        let one_step = |item: u32, sums: &mut [f32]| counting.neighbours(item, sums);
        let mut lists = lists_of(data.items_len(), progress, "items", &one_step)?;
        if settings.two_step > 0.0 {
            let far = |item: u32, sums: &mut [f32]| {
                counting::with_second_step(&lists, item, &settings, sums)
            };
            lists = lists_of(data.items_len(), progress, "items, second step", &far)?;
        }
        let ids = data.item_ids().clone();
        Ok(Box::new(Transitions::new(
            ids,
            settings.history_decay,
            &lists,
        )))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        Transitions::decode(reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interactions::InteractionsBuilder;
    use crate::model::{HistoryItem, ModelQuery};

    fn fit(rows: &[&[u32]], params: &[&str]) -> Box<dyn Model> {
        let ids = ["a", "b", "c", "d"].into_iter().collect();
        let mut builder = InteractionsBuilder::new(ids);
        for (user, row) in (0_u32..).zip(rows) {
            for &item in *row {
                builder.push(user, item, 1.0, 0);
            }
        }
        let params = Params::from_pairs(params).unwrap();
        TransitionsTrainer
            .fit(&builder.build(), &params, 0, &())
            .unwrap()
    }

    const PLAIN: [&str; 7] = [
        "decay=0.5",
        "backward=0.25",
        "row_decay=1",
        "length_power=0",
        "source_power=1",
        "target_power=0",
        "two_step=0",
    ];

    fn listed(model: &dyn Model, item: u32) -> Vec<(u32, f32)> {
        let list = model.similar(item, 9);
        list.iter().map(|s| (s.item, s.score)).collect()
    }

    #[test]
    fn strengths_equal_those_computed_by_hand() {
        let model = fit(&[&[0, 1, 2], &[0, 1]], &PLAIN);
        // a → b twice at one step, a → c once at two; a occurs twice.
        assert_eq!(listed(&*model, 0), [(1, 1.0), (2, 0.25)]);
        // b → c once; b came after a twice.
        assert_eq!(listed(&*model, 1), [(2, 0.5), (0, 0.25)]);
        assert_eq!(listed(&*model, 2), [(1, 0.25), (0, 0.125)]);
        assert!(listed(&*model, 3).is_empty());
    }

    #[test]
    fn a_second_step_reaches_what_never_stood_in_one_sequence() {
        let mut params = PLAIN;
        params[1] = "backward=0";
        params[6] = "two_step=0.5";
        let model = fit(&[&[0, 1], &[1, 2]], &params);
        // a → b is 1 of 1, b → c is 1 of 2, so a → c is half of their product.
        assert_eq!(listed(&*model, 0), [(1, 1.0), (2, 0.25)]);
    }

    #[test]
    fn the_newest_entry_of_a_history_counts_most() {
        let mut params = PLAIN.to_vec();
        params.push("history_decay=0.5");
        let model = fit(&[&[0, 2], &[1, 3]], &params);
        let entry = |item| HistoryItem {
            item,
            weight: 1.0,
            age_s: 0,
        };
        let prepared = model.prepare(&ModelQuery::new(&[entry(0), entry(1)]));
        let mut out = [0.0; 2];
        model.score(&prepared, &[2, 3], &mut out);
        assert_eq!(out, [0.5, 1.0]);
    }
}
