//! The executor: runs the components of each stage in order and holds them to their contracts.
//!
//! A component that is late is an empty one and a counter; one that returns too much or a number
//! that is none is corrected and counted. A request never fails because of a component.

use crate::answer::{Rung, SourceOutcome, SourceReport};
use crate::candidate::Candidate;
use crate::query::Query;
use crate::scorers::ONLINE;
use crate::selectors::Ranked;
use crate::{hydrators, scorers, selectors, sources};
use nowcast_store::ItemIdx;
use std::cmp::Ordering;
use std::collections::HashSet;

/// Memory that requests use again.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    items: Vec<ItemIdx>,
    column: Vec<f32>,
}

/// One scorer's column: raw values, and what they are multiplied with to become shares.
#[derive(Debug)]
pub(crate) struct ScoreColumn {
    pub(crate) scorer: usize,
    pub(crate) weight: f32,
    pub(crate) scale: f32,
    /// Kept only for explanations and, of the online ranker, for those who learn from the answer.
    pub(crate) raw: Vec<f32>,
}

/// What the stages made of a query.
#[derive(Debug, Default)]
pub(crate) struct Slate {
    pub(crate) candidates: Vec<Candidate>,
    /// Candidates of the caller that the catalogue does not know, by their position.
    pub(crate) ranking: Vec<Ranked>,
    pub(crate) sources: Vec<SourceReport>,
    pub(crate) columns: Vec<ScoreColumn>,
    pub(crate) late: Vec<&'static str>,
    /// Repetitions in the caller's list.
    pub(crate) repeated: usize,
    /// Bit set of rungs whose scorers had something to say, by their place in [`Rung::ALL`].
    spoke: u8,
}

/// Runs all stages.
pub(crate) fn run(query: &Query<'_>, buffers: &mut Buffers) -> Slate {
    let mut slate = Slate::default();
    match query.request.candidates {
        Some(given) => take_given(query, given, &mut slate),
        None => run_sources(query, buffers, &mut slate),
    }
    hydrate(query, &mut slate);
    let scores = score(query, buffers, &mut slate);
    select(query, scores, &mut slate);
    slate
}

/// Takes the caller's candidates in their order, each once, without those that must go.
fn take_given(query: &Query<'_>, given: &[&str], slate: &mut Slate) {
    let known: Vec<Option<ItemIdx>> = {
        let table = query.catalog.read();
        given.iter().map(|id| table.find(id)).collect()
    };
    // An item that the catalogue learned of after this request began counts as unknown.
    let known = known
        .into_iter()
        .map(|item| item.filter(|item| query.marks.covers(*item)));
    let mut unknown: HashSet<&str> = HashSet::new();
    for (position, (item, id)) in known.zip(given).enumerate() {
        let is_repeated = match item {
            Some(item) => query.candidate(item).is_some(),
            None => !unknown.insert(id),
        };
        if is_repeated {
            slate.repeated += 1;
            continue;
        }
        let is_admitted = match item {
            Some(item) => query.admits(item),
            None => query.admits_unknown(id),
        };
        if is_admitted {
            if let Some(item) = item {
                query.marks.set_candidate(item, slate.candidates.len());
            }
            let candidate = Candidate::new(item, position as u32, 0);
            slate.candidates.push(candidate);
        }
    }
}

fn run_sources(query: &Query<'_>, buffers: &mut Buffers, slate: &mut Slate) {
    let k = query.request.k;
    for (at, source) in sources::registry().iter().enumerate() {
        let Some((_, limit)) = query.slot.sources.iter().find(|(of, _)| *of == at) else {
            continue;
        };
        let mut report = SourceReport {
            source: source.name(),
            rung: source.rung(),
            outcome: SourceOutcome::Disabled,
            returned: 0,
            new: 0,
        };
        // The last rung is there for what the others leave open, and is never too late.
        let is_last_resort = source.rung() == Rung::Static;
        let is_wanted = !is_last_resort || slate.candidates.len() < k;
        if is_wanted && source.is_enabled(query) {
            if !is_last_resort && query.is_late() {
                report.outcome = SourceOutcome::Late;
                query.telemetry.sources[at].count_late();
                slate.late.push(source.name());
            } else {
                let limit = if is_last_resort {
                    k.min(*limit)
                } else {
                    *limit
                };
                report.outcome = SourceOutcome::Ran;
                run_source(query, (at, limit), buffers, &mut report, slate);
            }
        }
        slate.sources.push(report);
    }
}

fn run_source(
    query: &Query<'_>,
    (at, limit): (usize, usize),
    buffers: &mut Buffers,
    report: &mut SourceReport,
    slate: &mut Slate,
) {
    let metrics = &query.telemetry.sources[at];
    let items = &mut buffers.items;
    items.clear();
    metrics.time(|| sources::registry()[at].fetch(query, limit, items));
    if items.len() > limit {
        metrics.count_broken();
        items.truncate(limit);
    }
    report.returned = items.len();
    query.telemetry.source_returned(at, items.len());
    for item in items.iter() {
        match query.candidate(*item) {
            Some(known) => slate.candidates[known].sources |= 1 << at,
            None if query.admits(*item) => {
                query.marks.set_candidate(*item, slate.candidates.len());
                let position = slate.candidates.len() as u32;
                let candidate = Candidate::new(Some(*item), position, 1 << at);
                slate.candidates.push(candidate);
                report.new += 1;
            }
            None => metrics.count_broken(),
        }
    }
}

fn hydrate(query: &Query<'_>, slate: &mut Slate) {
    for (hydrator, metrics) in hydrators::registry().iter().zip(&query.telemetry.hydrators) {
        if !hydrator.is_enabled(query) {
            continue;
        }
        if query.is_late() {
            metrics.count_late();
            slate.late.push(hydrator.name());
            continue;
        }
        metrics.time(|| hydrator.hydrate(query, &mut slate.candidates));
    }
}

/// The blended score of each candidate.
fn score(query: &Query<'_>, buffers: &mut Buffers, slate: &mut Slate) -> Vec<f32> {
    let mut blended = vec![0.0_f32; slate.candidates.len()];
    for (at, weight) in query.slot.weights(query.is_rerank()) {
        let scorer = scorers::registry()[*at];
        let metrics = &query.telemetry.scorers[*at];
        if !scorer.is_enabled(query) {
            continue;
        }
        // The order of a list that the caller brought is all that is left when time is up.
        if query.is_late() && scorer.rung() != Rung::Static {
            metrics.count_late();
            slate.late.push(scorer.name());
            continue;
        }
        let column = &mut buffers.column;
        column.clear();
        column.resize(slate.candidates.len(), 0.0);
        metrics.time(|| scorer.score(query, &slate.candidates, column));
        let largest = largest_magnitude(column, || metrics.count_broken());
        if largest > 0.0 {
            let scale = 1.0 / largest;
            slate.spoke |= 1 << (scorer.rung() as u8);
            for (blended, raw) in blended.iter_mut().zip(column.iter()) {
                *blended += weight * raw * scale;
            }
            let is_kept = query.request.keep_facts && scorer.name() == ONLINE;
            if query.request.explain || is_kept {
                slate.columns.push(ScoreColumn {
                    scorer: *at,
                    weight: *weight,
                    scale,
                    raw: column.clone(),
                });
            }
        }
    }
    blended
}

/// The largest magnitude of a column, after turning what is not a number into 0.
fn largest_magnitude(column: &mut [f32], broken: impl FnOnce()) -> f32 {
    let mut largest = 0.0_f32;
    let mut is_broken = false;
    for raw in column {
        if !raw.is_finite() {
            *raw = 0.0;
            is_broken = true;
        }
        largest = largest.max(raw.abs());
    }
    if is_broken {
        broken();
    }
    // A magnitude so small that its reciprocal overflows says nothing.
    if (1.0 / largest).is_finite() {
        largest
    } else {
        0.0
    }
}

fn select(query: &Query<'_>, scores: Vec<f32>, slate: &mut Slate) {
    let len = slate.candidates.len();
    let k = if query.is_rerank() {
        len
    } else {
        query.request.k.min(len)
    };
    let mut ranking: Vec<Ranked> = scores
        .into_iter()
        .enumerate()
        .map(|(candidate, score)| Ranked {
            candidate,
            score: if score.is_finite() { score } else { f32::MIN },
            propensity: 1.0,
            is_exploration: false,
        })
        .collect();
    let active: Vec<usize> = (0..selectors::registry().len())
        .filter(|at| selectors::registry()[*at].is_enabled(query))
        .collect();
    // Selectors choose from everything; without any, only the answer itself needs an order.
    let depth = if active.is_empty() { k } else { len };
    best_first(query, &slate.candidates, depth, &mut ranking);
    for at in active {
        let metrics = &query.telemetry.selectors[at];
        let before = ranking.len();
        let selector = selectors::registry()[at];
        metrics.time(|| selector.select(query, &slate.candidates, k, &mut ranking));
        if ranking.len() != before {
            metrics.count_broken();
        }
    }
    ranking.truncate(k);
    slate.ranking = ranking;
}

/// Keeps the best `depth`, best first. Equal scores are in ascending item id, which unlike item
/// numbers is the same in every process. What only the static source brought comes after all
/// others, in the order of its list: it fills up, it does not compete.
fn best_first(
    query: &Query<'_>,
    candidates: &[Candidate],
    depth: usize,
    ranking: &mut Vec<Ranked>,
) {
    let table = query.catalog.read();
    let id = |ranked: &Ranked| {
        let candidate = &candidates[ranked.candidate];
        match (candidate.item, query.request.candidates) {
            (Some(item), _) => table.id(item).unwrap_or(""),
            (None, Some(given)) => given[candidate.position as usize],
            (None, None) => "",
        }
    };
    let static_bits = static_sources();
    let static_place = |ranked: &Ranked| {
        let Candidate {
            sources, position, ..
        } = candidates[ranked.candidate];
        (sources != 0 && sources & !static_bits == 0).then_some(position)
    };
    let order = |a: &Ranked, b: &Ranked| -> Ordering {
        let by_place = static_place(a).cmp(&static_place(b));
        let by_score = || b.score.total_cmp(&a.score);
        by_place.then_with(by_score).then_with(|| id(a).cmp(id(b)))
    };
    if depth < ranking.len() {
        if depth > 0 {
            ranking.select_nth_unstable_by(depth - 1, order);
        }
        ranking.truncate(depth);
    }
    ranking.sort_unstable_by(order);
}

/// Bit set of the sources of the last rung.
fn static_sources() -> u32 {
    let registry = sources::registry().iter().enumerate();
    let is_static = registry.filter(|(_, source)| source.rung() == Rung::Static);
    is_static.fold(0, |bits, (at, _)| bits | 1 << at)
}

impl Slate {
    /// The highest rung that contributed: of the sources behind the items returned, or of the
    /// scorers that had something to say about the caller's candidates.
    pub(crate) fn rung(&self, is_rerank: bool) -> Rung {
        let rungs = Rung::ALL.into_iter();
        let mut contributed = rungs.filter(|rung| {
            if is_rerank {
                return self.spoke & (1 << (*rung as u8)) != 0;
            }
            let mut returned = self
                .ranking
                .iter()
                .map(|ranked| self.candidates[ranked.candidate]);
            returned.any(|candidate| {
                let mut registry = sources::registry().iter().enumerate();
                registry.any(|(at, s)| s.rung() == *rung && candidate.sources & (1 << at) != 0)
            })
        });
        contributed.next().unwrap_or(Rung::Static)
    }
}
