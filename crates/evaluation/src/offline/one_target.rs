//! Protocols that guess one item at a time: the position of that item in the list, nothing else.
//!
//! Lists come from the retrieval that serves, which orders equal scores by the item's first place
//! in the files and never returns items without evidence. Because that choice is arbitrary, every
//! result also holds the metrics with the guessed item behind and before all of its score.

use super::exposure::Exposure;
use super::fitting::{Fitted, history, trainers};
use super::one_target_files::read;
use super::similarity::{Similarity, mean_of_some};
use crate::error::EvaluationError;
use crate::report::{EvaluationRow, Ties};
use nowcast_models::{Interactions, Metric, Model, ModelQuery, Params, Progress, Scored, Trainer};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Which files, and so which protocol.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// A line is `user item item …` in order; the last is guessed, the last but one is neither
    /// trained on nor guessed, the whole catalogue is ranked.
    Sequences {
        /// The file.
        input: PathBuf,
    },
    /// A line of `train` is a session; a line of `test` is `target TAB prefix items`; the whole
    /// catalogue is ranked.
    Sessions {
        /// Known sessions.
        train: PathBuf,
        /// What is to be guessed.
        test: PathBuf,
    },
    /// One positive item ranked among given negatives (He et al. 2017).
    Ncf {
        /// `user TAB item TAB …` a line.
        train: PathBuf,
        /// The same, one line for each guess.
        test: PathBuf,
        /// `(user,item) TAB negative TAB …`, line by line as in `test`.
        negatives: PathBuf,
    },
}

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct OneTargetOptions {
    /// The files.
    pub protocol: Protocol,
    /// Names of models, in the order of the results.
    pub models: Vec<String>,
    /// Parameters; each goes to the models that have it, and one must.
    pub params: Params,
    /// What to measure.
    pub metrics: Vec<Metric>,
    /// Seed of the training.
    pub seed: u64,
    /// Whether the items of a history are left out of its list.
    pub mask_seen: bool,
    /// Whether to measure evenness, surprise and diversity too.
    pub beyond_accuracy: bool,
    /// `Some(n)`: choose parameters without the test part: guess a part of the train part.
    pub hold_out_nth: Option<u64>,
}

/// What is trained on and what is guessed.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) data: Interactions,
    pub(super) guesses: Vec<Guess>,
}

/// One item to guess.
#[derive(Debug)]
pub(super) struct Guess {
    /// Oldest first.
    pub(super) history: Vec<u32>,
    pub(super) target: u32,
    /// The items to rank, ascending, the target among them; the whole catalogue if absent.
    pub(super) candidates: Option<Vec<u32>>,
}

/// Trains and measures each model.
///
/// # Errors
/// Unreadable files, unknown models, parameters that no chosen model has, failed trainings.
pub fn evaluate_one_target(
    options: &OneTargetOptions,
    progress: &dyn Progress,
) -> Result<Vec<EvaluationRow>, EvaluationError> {
    let trainers = trainers(&options.models, &options.params)?;
    let task = read(options)?;
    let evaluate = |trainer: &&dyn Trainer| evaluate_one(*trainer, &task, options, progress);
    trainers.iter().map(evaluate).collect()
}

fn evaluate_one(
    trainer: &dyn Trainer,
    task: &Task,
    options: &OneTargetOptions,
    progress: &dyn Progress,
) -> Result<EvaluationRow, EvaluationError> {
    let fitted = Fitted::new(trainer, &task.data, &options.params, options.seed, progress)?;
    let measured = measure(&*fitted.model, task, options, progress);
    Ok(EvaluationRow {
        metrics: measured.metrics,
        ties: measured.ties,
        mask_seen: Some(options.mask_seen),
        coverage: measured.coverage,
        gini: measured.gini,
        novelty: measured.novelty,
        diversity: measured.diversity,
        answer_ms_p50: measured.answer_ms_p50,
        answer_ms_p99: measured.answer_ms_p99,
        users: measured.users,
        ..fitted.into_row()
    })
}

/// Where the guessed item stands, by the order of equal scores.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Positions {
    served: Option<usize>,
    pessimistic: Option<usize>,
    optimistic: Option<usize>,
}

struct Answer {
    list: Vec<u32>,
    positions: Positions,
    seconds: f64,
}

fn measure(
    model: &dyn Model,
    task: &Task,
    options: &OneTargetOptions,
    progress: &dyn Progress,
) -> EvaluationRow {
    let depth = options.metrics.iter().map(|m| m.k).max().unwrap_or(0);
    let (done, total) = (AtomicU64::new(0), task.guesses.len() as u64);
    let answers: Vec<Answer> = (task.guesses.par_iter())
        .map(|guess| {
            let answer = answer(model, guess, depth, options.mask_seen);
            let before = done.fetch_add(1, Ordering::Relaxed);
            if before.is_multiple_of(1000) {
                progress.report(before, total, "guesses");
            }
            answer
        })
        .collect();
    progress.report(total, total, "guesses");
    let means = |position: &dyn Fn(&Positions) -> Option<usize>| -> BTreeMap<String, f64> {
        let mean = |metric: &Metric| {
            let values = answers
                .iter()
                .map(|a| metric.of_position(position(&a.positions)));
            values.sum::<f64>() / answers.len().max(1) as f64
        };
        let named = options.metrics.iter().map(|m| (m.to_string(), mean(m)));
        named.collect()
    };
    let mut exposure = Exposure::new(task.data.items_len());
    answers.iter().for_each(|answer| exposure.add(&answer.list));
    let mut seconds: Vec<f64> = answers.iter().map(|answer| answer.seconds).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    let quantile_ms = |share: f64| {
        let at = (share * seconds.len() as f64) as usize;
        seconds.get(at).map(|seconds| seconds * 1e3)
    };
    let is_asked = options.beyond_accuracy;
    let diversity = || {
        let similarity = Similarity::of(&task.data);
        let of_lists: Vec<Option<f64>> = (answers.par_iter())
            .map(|answer| similarity.diversity(&answer.list))
            .collect();
        mean_of_some(of_lists.into_iter())
    };
    EvaluationRow {
        metrics: means(&|p| p.served),
        ties: Some(Ties {
            order: "ascending item, by first place in the files".to_owned(),
            pessimistic: means(&|p| p.pessimistic),
            optimistic: means(&|p| p.optimistic),
        }),
        coverage: Some(exposure.coverage()),
        gini: is_asked.then(|| exposure.gini()),
        novelty: is_asked
            .then(|| exposure.novelty(&task.data.item_counts(), task.data.users_len())),
        diversity: is_asked.then(diversity).flatten(),
        answer_ms_p50: quantile_ms(0.5),
        answer_ms_p99: quantile_ms(0.99),
        users: total,
        ..EvaluationRow::default()
    }
}

fn answer(model: &dyn Model, guess: &Guess, depth: usize, mask_seen: bool) -> Answer {
    let history = history(&guess.history);
    let mut seen: Vec<u32> = if mask_seen {
        guess.history.clone()
    } else {
        Vec::new()
    };
    seen.sort_unstable();
    seen.dedup();
    let started = Instant::now();
    let prepared = model.prepare(&ModelQuery::new(&history));
    let is_new = |item: u32| seen.binary_search(&item).is_err();
    let mut list: Vec<Scored> = Vec::new();
    if let Some(candidates) = &guess.candidates {
        let mut scores = vec![0.0; candidates.len()];
        model.score(&prepared, candidates, &mut scores);
        let scored = candidates.iter().zip(scores);
        list.extend(scored.map(|(&item, score)| Scored { item, score }));
        list.sort_unstable_by(nowcast_models::top_k::best_first);
    } else {
        // One more than is measured: a tie across the end of the list must be seen.
        model.retrieve(&prepared, depth + 1, &is_new, &mut list);
    }
    let seconds = started.elapsed().as_secs_f64();
    let is_whole = guess.candidates.is_some() || list.len() <= depth;
    let admitted = model.items().len() - seen.len();
    let positions = if guess.candidates.is_none() && !is_new(guess.target) {
        Positions::default()
    } else {
        positions(&list, guess.target, is_whole, admitted)
    };
    let items = list.iter().take(depth).map(|scored| scored.item);
    Answer {
        list: items.collect(),
        positions,
        seconds,
    }
}

/// Finds `target` in `list`. Items that a whole list lacks all stand behind it, equal; `admitted`
/// bounds how many there may be.
fn positions(list: &[Scored], target: u32, is_whole: bool, admitted: usize) -> Positions {
    let Some(served) = list.iter().position(|scored| scored.item == target) else {
        return Positions {
            served: None,
            pessimistic: is_whole.then(|| admitted.saturating_sub(1)),
            optimistic: is_whole.then_some(list.len()),
        };
    };
    let score = list[served].score;
    let above = list.iter().filter(|other| other.score > score).count();
    let equal = list.iter().filter(|other| other.score == score).count();
    Positions {
        served: Some(served),
        pessimistic: Some(above + equal - 1),
        optimistic: Some(above),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(scores: &[f32]) -> Vec<Scored> {
        let scored = |(item, &score)| Scored { item, score };
        (0_u32..).zip(scores).map(scored).collect()
    }

    #[test]
    fn equal_scores_give_a_first_and_a_last_position() {
        let found = |target| {
            let p = positions(&list(&[3.0, 2.0, 2.0, 2.0, 1.0]), target, true, 9);
            (p.served, p.pessimistic, p.optimistic)
        };
        assert_eq!(found(0), (Some(0), Some(0), Some(0)));
        assert_eq!(found(2), (Some(2), Some(3), Some(1)));
        assert_eq!(found(7), (None, Some(8), Some(5)), "without evidence");
        let cut = positions(&list(&[3.0, 2.0]), 7, false, 9);
        assert_eq!(cut, Positions::default(), "worse than a full list");
    }
}
