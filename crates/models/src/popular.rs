//! The same list for everyone: items by how many people wanted them. The floor that every other
//! model must pass, and the static rung's order.

use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::item_ids::ItemIds;
use crate::model::{Admit, Model, ModelQuery, Prepared, Scored};
use crate::params::{ParamDef, Params};
use crate::top_k::best_first;
use crate::trainer::{Progress, Trainer};

const NAME: &str = "popular";

/// Counts users per item, optionally forgetting the past.
pub struct PopularTrainer;

const PARAMS: &[ParamDef] = &[ParamDef {
    name: "half_life_days",
    default: "0",
    doc: "days after which an interaction counts half, from 0 to 3650; 0 never forgets",
}];

impl Trainer for PopularTrainer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn params(&self) -> &'static [ParamDef] {
        PARAMS
    }

    fn fit(
        &self,
        data: &Interactions,
        params: &Params,
        _seed: u64,
        _progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError> {
        let params = params.resolve(NAME, PARAMS)?;
        let half_life_s = params.number("half_life_days", 0.0..=3650.0)? * 86_400.0;
        let newest_s = data.newest_s();
        let mut totals = vec![0.0_f64; data.items_len()];
        for row in data.rows() {
            for ((&item, &weight), &time_s) in row.items.iter().zip(row.weights).zip(row.times_s) {
                if weight > 0.0 {
                    let age_s = f64::from(newest_s - time_s);
                    let share = if half_life_s > 0.0 {
                        (-age_s / half_life_s).exp2()
                    } else {
                        1.0
                    };
                    totals[item as usize] += share;
                }
            }
        }
        let scores = totals.into_iter().map(|total| total as f32).collect();
        Ok(Box::new(Popular::new(data.item_ids().clone(), scores)))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        let items = reader.item_ids()?;
        let scores = reader.f32s()?;
        reader.require(scores.len() == items.len(), "one score per item")?;
        Ok(Box::new(Popular::new(items, scores)))
    }
}

/// Items in one fixed order.
struct Popular {
    items: ItemIds,
    /// Decayed number of users, by item.
    scores: Vec<f32>,
    /// Items with a positive score, best first.
    ranked: Vec<Scored>,
}

impl Popular {
    fn new(items: ItemIds, scores: Vec<f32>) -> Self {
        let mut ranked: Vec<Scored> = (0_u32..)
            .zip(&scores)
            .map(|(item, &score)| Scored { item, score })
            .filter(|scored| scored.score > 0.0)
            .collect();
        ranked.sort_unstable_by(best_first);
        Self {
            items,
            scores,
            ranked,
        }
    }
}

impl Model for Popular {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, _query: &ModelQuery<'_>) -> Prepared {
        Prepared::Unpersonalized
    }

    fn score(&self, _prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        for (&item, out) in items.iter().zip(out) {
            *out = self.scores.get(item as usize).copied().unwrap_or(0.0);
        }
    }

    fn retrieve(&self, _prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>) {
        out.clear();
        let admitted = self.ranked.iter().filter(|scored| admit(scored.item));
        out.extend(admitted.take(k));
    }

    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        let others = self.ranked.iter().filter(|scored| scored.item != item);
        others.take(k).copied().collect()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, NAME, &self.items);
        writer.f32s(&self.scores);
        writer.finish();
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + self.scores.len() * 4 + self.ranked.len() * 8
    }
}
