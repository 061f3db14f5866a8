//! `nowcast tune`: searches a model's parameters on a held-out part of the train part.

use super::evaluate::{EvaluationFormat, OneTargetFiles};
use crate::cli::Shared;
use crate::progress;
use anyhow::{Context, ensure};
use clap::Args;
use indicatif::ProgressBar;
use nowcast_evaluation::{
    EvaluationRow, LightgcnOptions, OneTargetOptions, Search, evaluate_lightgcn,
    evaluate_one_target,
};
use nowcast_models::{Metric, Params, Trainer, trainer};
use nowcast_types::Span;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Searches parameters on a held-out part of the train part, within a time budget.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast tune --format lightgcn --train train.txt.zst --model ials --budget 30m \\
      --out ials.params
  nowcast tune --format sequences --input beauty.txt.zst --model transitions \\
      --metric ndcg@10 --budget 10m --json
  nowcast evaluate --format lightgcn --train train.txt.zst --test test.txt.zst --model ials \\
      --params-file ials.params

The first trial has the defaults, so the winner is never worse than they are on what was held out.
Test parts are not read.")]
pub struct TuneArgs {
    /// Shape of the input: lightgcn, sequences, sessions or ncf, as `evaluate` reads them.
    #[arg(long, value_enum)]
    format: EvaluationFormat,
    /// sequences: a line is `user item item …` in order.
    #[arg(long, value_name = "FILE", required_if_eq("format", "sequences"))]
    input: Option<PathBuf>,
    /// The other formats: what is known.
    #[arg(long, value_name = "FILE", required_if_eq_any([("format", "lightgcn"), ("format", "sessions"), ("format", "ncf")]))]
    train: Option<PathBuf>,
    /// sequences, sessions: whether the items of a history are left out of its list; as `evaluate`
    /// if not given.
    #[arg(long, value_name = "BOOL")]
    mask_seen: Option<bool>,
    /// The model.
    #[arg(long)]
    model: String,
    /// A parameter that stays as it is in every trial; may be repeated.
    #[arg(long, value_name = "K=V")]
    param: Vec<String>,
    /// Searches these parameters alone, separated by commas; all that the model offers if not given.
    #[arg(long, value_name = "NAME[,NAME]", value_delimiter = ',')]
    search: Vec<String>,
    /// What is to be as high as it can; that of the format's published tables if not given.
    #[arg(long)]
    metric: Option<Metric>,
    /// No trial is begun that is likely to end later than this.
    #[arg(long, value_name = "TIME", default_value = "10m")]
    budget: Span,
    /// Most trials.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    trials: usize,
    /// Which part is held out; as `--hold-out` of `evaluate`.
    #[arg(long, value_name = "N", default_value_t = 10)]
    hold_out: u64,
    /// Seed of the search and of every training.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leaves the winner in this file, for `evaluate --params-file`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct TuneResult {
    model: String,
    metric: String,
    /// Of the winner and of the defaults, on what was held out.
    score: f64,
    default_score: f64,
    trials: usize,
    seconds: f64,
    seed: u64,
    /// What the winner sets; all else is default.
    params: BTreeMap<String, String>,
    /// The winner as a section of the configuration.
    config: String,
}

/// Runs it.
///
/// # Errors
/// Unreadable files, unknown models, metrics or parameters; no trial that could be trained.
pub fn run(shared: &Shared, args: &TuneArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let started = Instant::now();
    let trainer = trainer(&args.model)?;
    let metric = metric(args)?;
    let mut search = search(args, trainer)?;
    let bar = progress::bar(output, args.budget.ms().max(1) as u64 / 1_000, "s");
    let (mut default_score, mut last_failure) = (None, None);
    let mut usual = Duration::ZERO;
    while search.trials() < args.trials && started.elapsed() + usual <= args.budget.duration() {
        let (params, shares) = search.propose();
        match trial(args, metric, params.clone()) {
            Ok(score) => {
                default_score.get_or_insert(score);
                if search.report(shares, score) {
                    output.note(&format!("{metric} {score:.5} with {}", words(&params)));
                }
            }
            // Some corner of the space that cannot be trained is no reason to stop.
            Err(error) if default_score.is_some() => {
                search.report(shares, f64::MIN);
                last_failure = Some(error);
            }
            Err(error) => return Err(error.context("the defaults cannot be measured")),
        }
        usual = started.elapsed() / search.trials().max(1) as u32;
        advance(&bar, started, search.trials(), search.best());
    }
    bar.finish_and_clear();
    if let Some(error) = last_failure {
        output.note(&format!("a trial failed: {error:#}"));
    }
    let (params, score) = search
        .best()
        .context("not a single trial fits the budget; give more with --budget")?;
    if let Some(path) = &args.out {
        write_params(path, args, metric, score, &params)?;
        output.note(&format!("the winner is in {}", path.display()));
    }
    let result = TuneResult {
        model: args.model.clone(),
        metric: metric.to_string(),
        score,
        default_score: default_score.unwrap_or(score),
        trials: search.trials(),
        seconds: started.elapsed().as_secs_f64(),
        seed: args.seed,
        config: section(&args.model, &params),
        params: owned(&params),
    };
    output.result(&result, |result| {
        format!(
            "{} {:.5} after {} trials in {:.0} s; the defaults have {:.5}\n{}",
            result.metric,
            result.score,
            result.trials,
            result.seconds,
            result.default_score,
            result.config
        )
    })
}

fn metric(args: &TuneArgs) -> anyhow::Result<Metric> {
    ensure!(
        args.format != EvaluationFormat::Events,
        "streams are not tuned: their past is their train part; see `evaluate --prequential`"
    );
    ensure!(
        args.format != EvaluationFormat::ColdItems,
        "for new items there is no search yet: try `evaluate --format cold-items --hold-out N`"
    );
    let [_, decisive] = args.format.usual_metrics();
    Ok(match args.metric {
        Some(metric) => metric,
        None => decisive.parse()?,
    })
}

fn search(args: &TuneArgs, trainer: &dyn Trainer) -> anyhow::Result<Search> {
    let fixed = Params::from_pairs(&args.param)?;
    fixed.resolve(trainer.name(), trainer.params())?;
    let offered = trainer.search();
    for name in &args.search {
        let is_offered = offered.iter().any(|range| range.name == name);
        let names: Vec<&str> = offered.iter().map(|range| range.name).collect();
        ensure!(
            is_offered,
            "--search {name}: {} offers {}",
            args.model,
            names.join(", ")
        );
    }
    let is_searched = |name: &str| {
        let is_named = args.search.is_empty() || args.search.iter().any(|known| known == name);
        is_named && fixed.iter().all(|(known, _)| known != name)
    };
    let ranges: Vec<_> = offered
        .iter()
        .copied()
        .filter(|range| is_searched(range.name))
        .collect();
    ensure!(
        !ranges.is_empty(),
        "{} has nothing to search that is not fixed",
        args.model
    );
    let default_of = |name: &str| {
        let def = trainer.params().iter().find(|def| def.name == name);
        def.map_or_else(String::new, |def| def.default.to_owned())
    };
    Ok(Search::new(ranges, fixed.clone(), default_of, args.seed))
}

/// What a model with `params` is worth on what is held out.
fn trial(args: &TuneArgs, metric: Metric, params: Params) -> anyhow::Result<f64> {
    let rows: Vec<EvaluationRow> = if args.format == EvaluationFormat::Lightgcn {
        let train = args.train.clone().context("--train is missing")?;
        let options = LightgcnOptions {
            // What is held out takes its place.
            test: train.clone(),
            train,
            models: vec![args.model.clone()],
            params,
            metrics: vec![metric],
            seed: args.seed,
            beyond_accuracy: false,
            hold_out_nth: Some(args.hold_out),
        };
        evaluate_lightgcn(&options, &())?
    } else {
        let files = OneTargetFiles {
            input: args.input.clone(),
            train: args.train.clone(),
            // Not read where a part of the train part is held out.
            test: Some(PathBuf::new()),
            negatives: Some(PathBuf::new()),
        };
        let options = OneTargetOptions {
            protocol: files.protocol(args.format)?,
            models: vec![args.model.clone()],
            params,
            metrics: vec![metric],
            seed: args.seed,
            mask_seen: args.mask_seen.unwrap_or(args.format.masks_by_default()),
            beyond_accuracy: false,
            hold_out_nth: Some(args.hold_out),
        };
        evaluate_one_target(&options, &())?
    };
    let score = rows.first().and_then(|row| row.metrics.values().next());
    score.copied().context("nothing was measured")
}

fn advance(bar: &ProgressBar, started: Instant, trials: usize, best: Option<(Params, f64)>) {
    let score = best.map_or(0.0, |(_, score)| score);
    bar.set_message(format!("{trials} trials, {score:.4}"));
    bar.set_position(started.elapsed().as_secs().min(bar.length().unwrap_or(0)));
}

fn owned(params: &Params) -> BTreeMap<String, String> {
    let pairs = params.iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn words(params: &Params) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if pairs.is_empty() {
        "the defaults".to_owned()
    } else {
        pairs.join(" ")
    }
}

fn section(model: &str, params: &Params) -> String {
    let mut text = format!("[training.params.{model}]\n");
    for (name, value) in params.iter() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = \"{value}\"");
    }
    text
}

fn write_params(
    path: &Path,
    args: &TuneArgs,
    metric: Metric,
    score: f64,
    params: &Params,
) -> anyhow::Result<()> {
    let mut text = format!(
        "# {} by `nowcast tune`: {metric} {score:.5} held out\n",
        args.model
    );
    for (name, value) in params.iter() {
        let _ = writeln!(text, "{name} = {value}");
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
