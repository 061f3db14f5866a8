//! Items that nobody has met: a share of the items loses all its interactions, and is to be
//! recommended by content alone to the users who had to do with them.
//!
//! Models see these items as a server does, with content and without events. Each user is their
//! other items folded in. Positions among equal scores are by chance, and the metrics are the exact
//! mean over all such orders: what knows nothing of the new items, such as the popular list, is
//! worth exactly what a random order is worth.

use super::fitting::{Fitted, history, trainers};
use super::one_target_files::{each_line, non_empty, ordered};
use super::split::Names;
use crate::error::EvaluationError;
use crate::report::EvaluationRow;
use nowcast_models::metrics::MetricKind;
use nowcast_models::{
    Interactions, ItemContent, Metric, Model, ModelQuery, Params, Progress, Trainer,
};
use nowcast_types::stable_hash::stable_hash;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct ColdItemsOptions {
    /// Interactions: a line is `user item item …` in order.
    pub input: PathBuf,
    /// What is known of each item, by id; an item that is absent has no content.
    pub contents: HashMap<String, ItemContent>,
    /// Names of models, in the order of the results.
    pub models: Vec<String>,
    /// Parameters; each goes to the models that have it, and one must.
    pub params: Params,
    /// What to measure; only recall, precision and ndcg have an exact mean over orders here.
    pub metrics: Vec<Metric>,
    /// Seed of the training, and of the choice of the new items.
    pub seed: u64,
    /// Every so many-th item, by chance, is new.
    pub cold_nth: u64,
    /// `Some(n)`: choose parameters without the new items, which are left out altogether; every
    /// n-th of the others is new instead.
    pub hold_out_nth: Option<u64>,
}

/// What is trained on, who is asked for, and which items are new.
struct Task {
    data: Interactions,
    askers: Vec<Asker>,
    /// Ascending.
    cold: Vec<u32>,
}

/// A user with items of both kinds.
struct Asker {
    /// Known items, oldest first.
    history: Vec<u32>,
    /// New items that the user had to do with, ascending.
    wanted: Vec<u32>,
}

/// Trains and measures each model.
///
/// # Errors
/// Unreadable files, unknown models, parameters that no chosen model has, metrics without an exact
/// mean, failed trainings.
pub fn evaluate_cold_items(
    options: &ColdItemsOptions,
    progress: &dyn Progress,
) -> Result<Vec<EvaluationRow>, EvaluationError> {
    let trainers = trainers(&options.models, &options.params)?;
    check_metrics(&options.metrics)?;
    let task = read(options)?;
    let evaluate = |trainer: &&dyn Trainer| evaluate_one(*trainer, &task, options, progress);
    trainers.iter().map(evaluate).collect()
}

fn check_metrics(metrics: &[Metric]) -> Result<(), EvaluationError> {
    let is_linear = |metric: &&Metric| !matches!(metric.kind, MetricKind::Hr | MetricKind::Mrr);
    match metrics.iter().find(|metric| !is_linear(metric)) {
        None => Ok(()),
        Some(metric) => Err(EvaluationError::Options(format!(
            "{metric}: cold items are measured by recall, precision and ndcg"
        ))),
    }
}

/// Whether chance makes an item new; by its id, so that the order of the file has no part in it.
fn is_drawn(id: &str, nth: u64, seed: u64) -> bool {
    stable_hash(id.as_bytes(), seed).is_multiple_of(nth.max(2))
}

/// Keeps the draw within a train part apart from the one that makes the test part.
const HOLD_OUT_SEED: u64 = 0x686f_6c64;

fn read(options: &ColdItemsOptions) -> Result<Task, EvaluationError> {
    let is_left_out =
        |id: &str| options.hold_out_nth.is_some() && is_drawn(id, options.cold_nth, options.seed);
    let is_cold = |id: &str| match options.hold_out_nth {
        None => is_drawn(id, options.cold_nth, options.seed),
        Some(nth) => is_drawn(id, nth, options.seed ^ HOLD_OUT_SEED),
    };
    let mut names = Names::default();
    let (mut known, mut wanted): (Vec<Vec<u32>>, Vec<Vec<u32>>) = (Vec::new(), Vec::new());
    each_line(&options.input, |_, line| {
        let mut words = line.split_ascii_whitespace();
        let Some(user) = words.next().map(|user| names.user(user)) else {
            return Ok(());
        };
        let users = known.len().max(user + 1);
        known.resize(users, Vec::new());
        wanted.resize(users, Vec::new());
        for id in words.filter(|id| !is_left_out(id)) {
            let rows = if is_cold(id) { &mut wanted } else { &mut known };
            rows[user].push(names.item(id));
        }
        Ok(())
    })?;
    let ids = names.item_ids.clone();
    let numbered = (0_u32..).zip(ids.iter());
    let cold = numbered.filter(|(_, id)| is_cold(id)).map(|(item, _)| item);
    let cold: Vec<u32> = cold.collect();
    let data = non_empty(ordered(names, &known), &options.input)?;
    let content = |id: &str| options.contents.get(id).cloned().unwrap_or_default();
    let contents: Vec<ItemContent> = ids.iter().map(content).collect();
    let askers = known.into_iter().zip(wanted);
    let askers = askers.map(|(history, mut wanted)| {
        wanted.sort_unstable();
        wanted.dedup();
        Asker { history, wanted }
    });
    let is_asking = |asker: &Asker| !asker.history.is_empty() && !asker.wanted.is_empty();
    Ok(Task {
        data: data.with_contents(contents),
        askers: askers.filter(is_asking).collect(),
        cold,
    })
}

fn evaluate_one(
    trainer: &dyn Trainer,
    task: &Task,
    options: &ColdItemsOptions,
    progress: &dyn Progress,
) -> Result<EvaluationRow, EvaluationError> {
    let fitted = Fitted::new(trainer, &task.data, &options.params, options.seed, progress)?;
    let (alone, among_all) = measure(&*fitted.model, task, &options.metrics, progress);
    Ok(EvaluationRow {
        metrics: alone,
        among_all: Some(among_all),
        cold_items: Some(task.cold.len() as u64),
        users: task.askers.len() as u64,
        ..fitted.into_row()
    })
}

type Means = BTreeMap<String, f64>;

/// One user's value of each metric: among the new items alone, and among all.
type Values = (Vec<f64>, Vec<f64>);

/// The means over the users: the new items ranked alone, and among all that the user does not know.
fn measure(
    model: &dyn Model,
    task: &Task,
    metrics: &[Metric],
    progress: &dyn Progress,
) -> (Means, Means) {
    let items: Vec<u32> = (0..task.data.items_len() as u32).collect();
    let (done, total) = (AtomicU64::new(0), task.askers.len() as u64);
    let values: Vec<Values> = (task.askers.par_iter())
        .map(|asker| {
            let values = ask(model, asker, (&items, &task.cold), metrics);
            let before = done.fetch_add(1, Ordering::Relaxed);
            if before.is_multiple_of(1000) {
                progress.report(before, total, "users");
            }
            values
        })
        .collect();
    progress.report(total, total, "users");
    // In the order of the users, so the number of threads changes no digit.
    let mean = |of: &dyn Fn(&Values) -> f64| {
        values.iter().map(of).sum::<f64>() / values.len().max(1) as f64
    };
    let named = |(at, metric): (usize, &Metric)| {
        let name = metric.to_string();
        let alone = (name.clone(), mean(&|(alone, _)| alone[at]));
        (alone, (name, mean(&|(_, among_all)| among_all[at])))
    };
    metrics.iter().enumerate().map(named).unzip()
}

fn ask(
    model: &dyn Model,
    asker: &Asker,
    (items, cold): (&[u32], &[u32]),
    metrics: &[Metric],
) -> Values {
    let prepared = model.prepare(&ModelQuery::new(&history(&asker.history)));
    let mut scores = vec![0.0; items.len()];
    model.score(&prepared, items, &mut scores);
    let score_of = |item: &u32| scores[*item as usize];
    let wanted: Vec<f32> = asker.wanted.iter().map(score_of).collect();
    let alone: Vec<f32> = cold.iter().map(score_of).collect();
    let of_alone = metrics.iter().map(|m| expected(*m, &wanted, &alone));
    let of_alone = of_alone.collect();
    for item in &asker.history {
        scores[*item as usize] = f32::NEG_INFINITY;
    }
    let of_all = metrics.iter().map(|m| expected(*m, &wanted, &scores));
    (of_alone, of_all.collect())
}

/// The mean of a metric over all orders of equal scores: of `wanted` scores among `all`, which
/// hold the wanted ones too. Each wanted item stands with equal chance at every place that its
/// score allows, and the metrics are sums over the wanted items.
fn expected(metric: Metric, wanted: &[f32], all: &[f32]) -> f64 {
    let gain_at = |position: usize| metric.of_position(Some(position));
    let of_one = |score: &f32| {
        let above = all.iter().filter(|other| *other > score).count();
        if above >= metric.k {
            return 0.0;
        }
        let equal = all.iter().filter(|other| *other == score).count();
        let places = above..(above + equal).min(metric.k);
        places.map(gain_at).sum::<f64>() / equal as f64
    };
    let gain: f64 = wanted.iter().map(of_one).sum();
    let best = match metric.kind {
        MetricKind::Ndcg => (0..wanted.len().min(metric.k)).map(gain_at).sum(),
        MetricKind::Precision => 1.0,
        _ => wanted.len() as f64,
    };
    gain / best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_worth_the_mean_over_their_orders() {
        let metric = |name: &str| name.parse::<Metric>().unwrap();
        // All ten equal: two of ten places of the list hold each of the three wanted.
        let equal = expected(metric("recall@2"), &[0.0; 3], &[0.0; 10]);
        assert!((equal - 0.2).abs() < 1e-12);
        // One above, the wanted one of two equal: at the second or the third place.
        let scores = [3.0, 1.0, 1.0, -1.0];
        let ndcg = expected(metric("ndcg@3"), &[1.0], &scores);
        let by_hand = f64::midpoint(1.0 / 3_f64.log2(), 0.5);
        assert!((ndcg - by_hand).abs() < 1e-12, "{ndcg}");
        assert_eq!(expected(metric("recall@2"), &[1.0], &scores), 0.5);
        assert_eq!(expected(metric("recall@3"), &[-1.0], &scores), 0.0);
        assert_eq!(expected(metric("precision@2"), &[3.0, 1.0], &scores), 0.75);
    }

    fn options(dir: &std::path::Path) -> ColdItemsOptions {
        let input = dir.join("rows");
        let mut lines = String::new();
        for user in 0..60 {
            let row = (0..12).map(|n| format!(" i{}", (user % 2) * 100 + (user * 5 + n * 7) % 60));
            lines += &format!("u{user}{}\n", row.collect::<String>());
        }
        std::fs::write(&input, lines).unwrap();
        let content = |item: u32| ItemContent {
            tags: vec![format!("half {}", item / 100)],
            ..ItemContent::default()
        };
        ColdItemsOptions {
            input,
            contents: (0..200).map(|n| (format!("i{n}"), content(n))).collect(),
            models: vec!["content".to_owned(), "popular".to_owned()],
            params: Params::new(),
            metrics: vec!["recall@5".parse().unwrap()],
            seed: 1,
            cold_nth: 4,
            hold_out_nth: None,
        }
    }

    #[test]
    fn content_tells_new_items_apart_and_popularity_is_chance() {
        let dir = tempfile::tempdir().unwrap();
        let rows = evaluate_cold_items(&options(dir.path()), &()).unwrap();
        let cold = rows[0].cold_items.unwrap() as f64;
        let (content, popular) = (rows[0].metrics["recall@5"], rows[1].metrics["recall@5"]);
        assert!((popular - 5.0 / cold).abs() < 1e-9, "{popular} of {cold}");
        assert!(content > 1.5 * popular, "{content} {popular}");
        assert_eq!(rows[1].among_all.as_ref().unwrap()["recall@5"], 0.0);
    }

    #[test]
    fn what_is_new_in_the_test_plays_no_part_in_the_choice_of_parameters() {
        let dir = tempfile::tempdir().unwrap();
        let test = options(dir.path());
        let choice = ColdItemsOptions {
            hold_out_nth: Some(4),
            ..test.clone()
        };
        let (test, choice) = (read(&test).unwrap(), read(&choice).unwrap());
        let ids = |task: &Task| -> Vec<String> {
            let id = |item: &u32| task.data.item_ids().get(*item).unwrap().to_owned();
            task.cold.iter().map(id).collect()
        };
        assert!(!ids(&test).is_empty() && !ids(&choice).is_empty());
        let known: Vec<&str> = choice.data.item_ids().iter().collect();
        assert!(ids(&test).iter().all(|id| !known.contains(&id.as_str())));
        let counts = choice.data.item_counts();
        assert!(choice.cold.iter().all(|item| counts[*item as usize] == 0));
    }

    #[test]
    fn metrics_without_an_exact_mean_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path());
        options.metrics = vec!["mrr@5".parse().unwrap()];
        let error = evaluate_cold_items(&options, &()).unwrap_err().to_string();
        assert!(error.contains("mrr@5") && error.contains("ndcg"), "{error}");
    }
}
