//! Item-to-item co-visitation: what people had to do with shortly after, or before, this item.
//!
//! For items i and j of one row, `c(i → j)` grows by `decay · direction / distance`: recent rows
//! count more, what came after counts more than what came before, and near more than far. Strength
//! is `c / √(n_i n_j)`, a cosine, with `n` the decayed number of occurrences. Where times are
//! unknown the order says nothing, so all pairs of a row count alike. Each item keeps a bounded
//! number of neighbours.

use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::interactions::{Interactions, Row};
use crate::item_ids::ItemIds;
use crate::model::{HistoryItem, Model, ModelQuery, Prepared, Scored};
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::top_k::TopK;
use crate::trainer::{Progress, Trainer};
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
        let items = reader.item_ids()?;
        let history_decay = reader.f32()?;
        let ends = reader.u32s()?;
        let neighbours = reader.u32s()?;
        let strengths = reader.f32s()?;
        reader.require(ends.len() == items.len(), "one list per item")?;
        reader.require(neighbours.len() == strengths.len(), "a strength each")?;
        let total = ends.last().map_or(0, |end| *end as usize);
        reader.require(total == neighbours.len(), "lists cover all neighbours")?;
        reader.require(ends.is_sorted(), "lists are in order")?;
        let is_known = |item: &u32| (*item as usize) < items.len();
        reader.require(neighbours.iter().all(is_known), "neighbours are known")?;
        let pair = |(&item, &score): (&u32, &f32)| Scored { item, score };
        Ok(Box::new(Covisit {
            history_decay,
            ends,
            neighbours: neighbours.iter().zip(&strengths).map(pair).collect(),
            items,
        }))
    }
}

/// Where each item occurs, and how much each row's entries count.
struct Counting<'a> {
    data: &'a Interactions,
    settings: Settings,
    newest_s: u32,
    /// Occurrences of item `i` are `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    /// User and position in the user's row.
    places: Vec<(u32, u32)>,
    /// 1 over the root of the decayed number of occurrences; 0 for items that never occur.
    inverse_roots: Vec<f32>,
}

impl<'a> Counting<'a> {
    fn new(data: &'a Interactions, settings: Settings) -> Self {
        let mut counting = Self {
            data,
            settings,
            newest_s: data.newest_s(),
            starts: vec![0; data.items_len() + 1],
            places: Vec::new(),
            inverse_roots: Vec::new(),
        };
        let mut totals = vec![0.0_f32; data.items_len()];
        let mut places: Vec<(u32, u32, u32)> = Vec::with_capacity(data.len());
        for (user, row) in data.rows().enumerate() {
            for position in row.items.len().saturating_sub(ROW_MAX)..row.items.len() {
                if row.weights[position] > 0.0 {
                    let item = row.items[position];
                    totals[item as usize] += counting.decay(row.times_s[position]);
                    counting.starts[item as usize + 1] += 1;
                    places.push((item, user as u32, position as u32));
                }
            }
        }
        for i in 1..counting.starts.len() {
            counting.starts[i] += counting.starts[i - 1];
        }
        places.sort_unstable();
        counting.places = places.into_iter().map(|(_, user, at)| (user, at)).collect();
        let inverse_root = |total: f32| if total > 0.0 { 1.0 / total.sqrt() } else { 0.0 };
        counting.inverse_roots = totals.into_iter().map(inverse_root).collect();
        counting
    }

    fn decay(&self, time_s: u32) -> f32 {
        if self.settings.half_life_s > 0.0 {
            (-((self.newest_s - time_s) as f32) / self.settings.half_life_s).exp2()
        } else {
            1.0
        }
    }

    /// The strongest neighbours of an item, best first. `sums` is all zeros before and after.
    fn neighbours(&self, item: u32, sums: &mut [f32]) -> Vec<Scored> {
        let mut touched: Vec<u32> = Vec::new();
        let range = self.starts[item as usize]..self.starts[item as usize + 1];
        for &(user, position) in &self.places[range] {
            self.count_row(
                self.data.row(user as usize),
                position as usize,
                |other, gain| {
                    let sum = &mut sums[other as usize];
                    if *sum == 0.0 {
                        touched.push(other);
                    }
                    *sum += gain;
                },
            );
        }
        let own = self.inverse_roots[item as usize];
        let mut best = TopK::new(self.settings.neighbours);
        for other in touched {
            let sum = std::mem::take(&mut sums[other as usize]);
            best.push(other, sum * own * self.inverse_roots[other as usize]);
        }
        let mut out = Vec::new();
        best.finish_into(&mut out);
        out.retain(|scored| scored.score > 0.0);
        out
    }

    /// Calls `add` with each partner of the entry at `position` and what the pair counts.
    fn count_row(&self, row: Row<'_>, position: usize, mut add: impl FnMut(u32, f32)) {
        let oldest = row.items.len().saturating_sub(ROW_MAX);
        let has_times = row.times_s[position] > 0;
        let window = if has_times {
            self.settings.window
        } else {
            ROW_MAX
        };
        let from = position.saturating_sub(window).max(oldest);
        let to = (position + window + 1).min(row.items.len());
        for other in (from..to).filter(|other| *other != position) {
            if row.weights[other] <= 0.0 {
                continue;
            }
            let shape = if !has_times {
                1.0
            } else if row.times_s[other] == row.times_s[position] {
                (1.0 + self.settings.backward) / 2.0
            } else if other > position {
                1.0 / (other - position) as f32
            } else {
                self.settings.backward / (position - other) as f32
            };
            if shape > 0.0 {
                add(row.items[other], shape * self.decay(row.times_s[other]));
            }
        }
    }
}

/// Neighbour lists.
struct Covisit {
    items: ItemIds,
    history_decay: f32,
    /// End of each item's list within `neighbours`.
    ends: Vec<u32>,
    /// Best first within each list.
    neighbours: Vec<Scored>,
}

impl Covisit {
    fn new(items: ItemIds, history_decay: f32, lists: &[Vec<Scored>]) -> Self {
        let mut end = 0_u32;
        let ends = lists.iter().map(|list| {
            end += list.len() as u32;
            end
        });
        Self {
            ends: ends.collect(),
            neighbours: lists.concat(),
            items,
            history_decay,
        }
    }

    fn list(&self, item: u32) -> &[Scored] {
        let at = item as usize;
        let Some(&end) = self.ends.get(at) else {
            return &[];
        };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.neighbours[start as usize..end as usize]
    }

    /// Weight of each history entry by its place, newest last.
    fn weights<'h>(
        &self,
        history: &'h [HistoryItem],
    ) -> impl Iterator<Item = (&'h HistoryItem, f32)> {
        let has_times = history.iter().any(|entry| entry.age_s > 0);
        let decay = if has_times { self.history_decay } else { 1.0 };
        let mut share = 1.0_f32;
        history.iter().rev().map(move |entry| {
            let weight = share * entry.weight.clamp(-1e6, 1e6);
            share *= decay;
            (entry, weight)
        })
    }
}

impl Model for Covisit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let mut sums = vec![0.0_f32; self.items.len()];
        let mut touched: Vec<u32> = Vec::new();
        for (entry, weight) in self.weights(query.history) {
            if !weight.is_finite() || weight == 0.0 {
                continue;
            }
            for neighbour in self.list(entry.item) {
                touched.push(neighbour.item);
                sums[neighbour.item as usize] += weight * neighbour.score;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let scored = touched.into_iter().map(|item| Scored {
            item,
            score: sums[item as usize],
        });
        let scored: Vec<Scored> = scored.filter(|one| one.score != 0.0).collect();
        if scored.is_empty() {
            Prepared::Unpersonalized
        } else {
            Prepared::Sparse(scored)
        }
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        let scores: &[Scored] = match prepared {
            Prepared::Sparse(scores) => scores,
            _ => &[],
        };
        for (item, out) in items.iter().zip(out) {
            let found = scores.binary_search_by_key(item, |scored| scored.item);
            *out = found.map_or(0.0, |at| scores[at].score);
        }
    }

    fn retrieve(
        &self,
        prepared: &Prepared,
        k: usize,
        admit: &dyn Fn(u32) -> bool,
        out: &mut Vec<Scored>,
    ) {
        let mut best = TopK::new(k);
        if let Prepared::Sparse(scores) = prepared {
            for scored in scores {
                let enters = scored.score > 0.0 && scored.score >= best.threshold();
                if enters && admit(scored.item) {
                    best.push(scored.item, scored.score);
                }
            }
        }
        best.finish_into(out);
    }

    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        self.list(item).iter().take(k).copied().collect()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, NAME, &self.items);
        writer.f32(self.history_decay);
        writer.u32s(&self.ends);
        let items: Vec<u32> = self.neighbours.iter().map(|n| n.item).collect();
        let strengths: Vec<f32> = self.neighbours.iter().map(|n| n.score).collect();
        writer.u32s(&items);
        writer.f32s(&strengths);
        writer.finish();
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + self.ends.len() * 4 + self.neighbours.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interactions::InteractionsBuilder;

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
