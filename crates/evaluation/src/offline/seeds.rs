//! Several trainings of one model as one result: mean and spread over the seeds.

use crate::error::EvaluationError;
use crate::report::EvaluationRow;
use std::collections::BTreeMap;

/// Evaluates once per seed; rows of the same place in the results become one row of means. Costs
/// are means too; the peak of memory is the largest.
///
/// # Errors
/// Those of `evaluate`; no seed at all.
pub fn over_seeds(
    seeds: &[u64],
    mut evaluate: impl FnMut(u64) -> Result<Vec<EvaluationRow>, EvaluationError>,
) -> Result<Vec<EvaluationRow>, EvaluationError> {
    let mut runs: Vec<Vec<EvaluationRow>> = Vec::new();
    for &seed in seeds {
        runs.push(evaluate(seed)?);
    }
    let Some(first) = runs.first() else {
        return Err(EvaluationError::Options("no seed is given".to_owned()));
    };
    if seeds.len() == 1 {
        return Ok(first.clone());
    }
    let merged = (0..first.len()).map(|at| {
        let rows: Vec<&EvaluationRow> = runs.iter().filter_map(|run| run.get(at)).collect();
        merge(&rows, seeds)
    });
    Ok(merged.collect())
}

fn merge(rows: &[&EvaluationRow], seeds: &[u64]) -> EvaluationRow {
    let mut merged = rows[0].clone();
    let mean = |of: &dyn Fn(&EvaluationRow) -> f64| {
        rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64
    };
    let mean_some = |of: &dyn Fn(&EvaluationRow) -> Option<f64>| {
        of(rows[0]).map(|_| mean(&|row| of(row).unwrap_or(0.0)))
    };
    let means = |of: &dyn Fn(&EvaluationRow) -> BTreeMap<String, f64>| {
        let maps: Vec<BTreeMap<String, f64>> = rows.iter().map(|row| of(row)).collect();
        let names = maps[0].keys();
        let mean_of = |name: &String| maps.iter().map(|m| m[name]).sum::<f64>() / maps.len() as f64;
        names.map(|name| (name.clone(), mean_of(name))).collect()
    };
    merged.seeds = Some(seeds.to_vec());
    merged.metrics = means(&|row| row.metrics.clone());
    let spread = merged.metrics.iter().map(|(name, centre)| {
        let squares = rows.iter().map(|row| (row.metrics[name] - centre).powi(2));
        let variance = squares.sum::<f64>() / (rows.len() - 1) as f64;
        (name.clone(), variance.sqrt())
    });
    merged.spread = Some(spread.collect());
    if let Some(ties) = &mut merged.ties {
        ties.pessimistic = means(&|row| row.ties.clone().unwrap_or_default().pessimistic);
        ties.optimistic = means(&|row| row.ties.clone().unwrap_or_default().optimistic);
    }
    if merged.among_all.is_some() {
        merged.among_all = Some(means(&|row| row.among_all.clone().unwrap_or_default()));
    }
    merged.coverage = mean_some(&|row| row.coverage);
    merged.gini = mean_some(&|row| row.gini);
    merged.novelty = mean_some(&|row| row.novelty);
    merged.diversity = mean_some(&|row| row.diversity);
    merged.answer_ms_p50 = mean_some(&|row| row.answer_ms_p50);
    merged.answer_ms_p99 = mean_some(&|row| row.answer_ms_p99);
    merged.train_seconds = mean(&|row| row.train_seconds);
    merged.cpu_seconds = mean(&|row| row.cpu_seconds);
    merged.evaluate_seconds = mean(&|row| row.evaluate_seconds);
    merged.peak_rss_mb = rows.iter().map(|row| row.peak_rss_mb).fold(0.0, f64::max);
    merged
}
