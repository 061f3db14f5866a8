//! Full-catalogue top-k evaluation as in the papers that use LightGCN's splits: rank every item
//! that is not in the user's train line, mean over the users with test items.
//!
//! The user is their train items folded in, as a request would do it; no trained user vector
//! exists. A user without any train item gets an empty list.

use super::exposure::Exposure;
use super::fitting::{Fitted, history, trainers};
use super::similarity::{Similarity, mean_of_some};
use super::split::{Split, read_lightgcn};
use crate::error::EvaluationError;
use crate::report::EvaluationRow;
use nowcast_models::{
    Interactions, Metric, Model, ModelQuery, Params, Prepared, Progress, Scored, Trainer,
};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Users that share one pass over the items.
const USERS_PER_BATCH: usize = 16;

/// Users, evenly spread, whose answers are timed.
const USERS_TIMED: usize = 500;

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct LightgcnOptions {
    /// Known interactions; `.zst` and `.gz` are unpacked.
    pub train: PathBuf,
    /// What is to be guessed.
    pub test: PathBuf,
    /// Names of models, in the order of the results.
    pub models: Vec<String>,
    /// Parameters; each goes to the models that have it, and one must.
    pub params: Params,
    /// What to measure.
    pub metrics: Vec<Metric>,
    /// Seed of the training.
    pub seed: u64,
    /// Whether to measure evenness, surprise and diversity too.
    pub beyond_accuracy: bool,
    /// `Some(n)`: choose parameters without the test file. Every n-th train interaction is held
    /// out and guessed instead.
    pub hold_out_nth: Option<u64>,
}

/// Trains and measures each model.
///
/// # Errors
/// Unreadable files, unknown models, parameters that no chosen model has, failed trainings.
pub fn evaluate_lightgcn(
    options: &LightgcnOptions,
    progress: &dyn Progress,
) -> Result<Vec<EvaluationRow>, EvaluationError> {
    let trainers = trainers(&options.models, &options.params)?;
    let mut split = read_lightgcn(&options.train, &options.test)?;
    if let Some(nth) = options.hold_out_nth {
        split = split.hold_out(nth.max(2), 0);
    }
    let evaluate = |trainer: &&dyn Trainer| evaluate_one(*trainer, &split, options, progress);
    trainers.iter().map(evaluate).collect()
}

fn evaluate_one(
    trainer: &dyn Trainer,
    split: &Split,
    options: &LightgcnOptions,
    progress: &dyn Progress,
) -> Result<EvaluationRow, EvaluationError> {
    let data = split.interactions();
    let fitted = Fitted::new(trainer, &data, &options.params, options.seed, progress)?;
    let model = &*fitted.model;
    let measured = measure(model, split, &options.metrics, progress);
    let lists = measured.lists.iter().flatten();
    let beyond = beyond_accuracy(&lists.collect::<Vec<_>>(), &data, options.beyond_accuracy);
    let times = answer_times(model, split, &options.metrics);
    Ok(EvaluationRow {
        metrics: measured.means,
        coverage: beyond.coverage,
        gini: beyond.gini,
        novelty: beyond.novelty,
        diversity: beyond.diversity,
        answer_ms_p50: times.map(|(half, _)| half),
        answer_ms_p99: times.map(|(_, most)| most),
        users: measured.users,
        ..fitted.into_row()
    })
}

/// What the lists are like besides right or wrong; coverage alone unless `is_asked`.
fn beyond_accuracy(lists: &[&Vec<u32>], data: &Interactions, is_asked: bool) -> EvaluationRow {
    let mut exposure = Exposure::new(data.items_len());
    lists.iter().for_each(|list| exposure.add(list));
    let diversity = || {
        let similarity = Similarity::of(data);
        let of_lists: Vec<Option<f64>> = (lists.par_iter())
            .map(|list| similarity.diversity(list))
            .collect();
        mean_of_some(of_lists.into_iter())
    };
    let novelty = || exposure.novelty(&data.item_counts(), data.users_len());
    EvaluationRow {
        coverage: Some(exposure.coverage()),
        gini: is_asked.then(|| exposure.gini()),
        novelty: is_asked.then(novelty),
        diversity: is_asked.then(diversity).flatten(),
        ..EvaluationRow::default()
    }
}

/// Milliseconds to answer one user at a time, half and 99 of 100 of them; `None` without users.
fn answer_times(model: &dyn Model, split: &Split, metrics: &[Metric]) -> Option<(f64, f64)> {
    let users: Vec<usize> = (0..split.test.len())
        .filter(|user| !split.test[*user].is_empty())
        .collect();
    let depth = metrics.iter().map(|metric| metric.k).max().unwrap_or(0);
    let every = users.len().div_ceil(USERS_TIMED).max(1);
    let timed = users.iter().step_by(every).map(|user| {
        let started = Instant::now();
        let lists = recommend(model, split, &[*user], depth);
        std::hint::black_box(lists);
        started.elapsed().as_secs_f64() * 1e3
    });
    let mut times: Vec<f64> = timed.collect();
    times.sort_unstable_by(f64::total_cmp);
    let half = times.get(times.len() / 2)?;
    let most = times.get(times.len() * 99 / 100)?;
    Some((*half, *most))
}

struct Measured {
    means: BTreeMap<String, f64>,
    lists: Vec<Vec<Vec<u32>>>,
    users: u64,
}

fn measure(
    model: &dyn Model,
    split: &Split,
    metrics: &[Metric],
    progress: &dyn Progress,
) -> Measured {
    let users: Vec<usize> = (0..split.test.len())
        .filter(|user| !split.test[*user].is_empty())
        .collect();
    let depth = metrics.iter().map(|metric| metric.k).max().unwrap_or(0);
    let done = std::sync::atomic::AtomicU64::new(0);
    let lists: Vec<Vec<Vec<u32>>> = users
        .par_chunks(USERS_PER_BATCH)
        .map(|batch| {
            let lists = recommend(model, split, batch, depth);
            let before = done.fetch_add(batch.len() as u64, std::sync::atomic::Ordering::Relaxed);
            progress.report(before + batch.len() as u64, users.len() as u64, "users");
            lists
        })
        .collect();
    // Sums run in the order of the users, so the number of threads changes no digit.
    let mut sums = vec![0.0_f64; metrics.len()];
    for (user, list) in users.iter().zip(lists.iter().flatten()) {
        let relevant = &split.test[*user];
        for (sum, metric) in sums.iter_mut().zip(metrics) {
            let is_relevant = |item: u32| relevant.binary_search(&item).is_ok();
            *sum += metric.value(list, relevant.len(), is_relevant);
        }
    }
    let mean = |sum: f64| sum / users.len().max(1) as f64;
    let named = |(metric, sum): (&Metric, &f64)| (metric.to_string(), mean(*sum));
    Measured {
        means: metrics.iter().zip(&sums).map(named).collect(),
        lists,
        users: users.len() as u64,
    }
}

/// The best `depth` items of each user that are not in their train line.
fn recommend(model: &dyn Model, split: &Split, users: &[usize], depth: usize) -> Vec<Vec<u32>> {
    let fold_in = |user: &usize| -> Prepared {
        model.prepare(&ModelQuery::new(&history(&split.known(*user))))
    };
    let prepared: Vec<Prepared> = users.iter().map(fold_in).collect();
    let is_new = |at: usize, item: u32| split.train[users[at]].binary_search(&item).is_err();
    let mut lists: Vec<Vec<Scored>> = Vec::new();
    model.retrieve_batch(&prepared, depth, &is_new, &mut lists);
    let items = |list: Vec<Scored>| list.into_iter().map(|scored| scored.item).collect();
    lists.into_iter().map(items).collect()
}
