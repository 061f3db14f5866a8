//! `nowcast evaluate`: models on published splits, and prequentially on event streams.

use crate::cli::Shared;
use crate::output::Output;
use crate::progress::ModelProgress;
use crate::settings;
use anyhow::Context;
use clap::{Args, ValueEnum};
use nowcast_evaluation::input::Column;
use nowcast_evaluation::{
    EvaluationRow, LightgcnOptions, PrequentialOptions, Refresh, SeenChoice, StreamColumns,
    evaluate_lightgcn, evaluate_prequential,
};
use nowcast_models::{Metric, Params};
use std::path::PathBuf;

/// Measures models on published splits or event streams.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast evaluate --format lightgcn --train train.txt.zst --test test.txt.zst \\
      --model ials --metrics recall@20,ndcg@20 --seed 1 --json
  nowcast evaluate --format events --events plays.csv.zst --header --user user_id --item song_id \\
      --time ts --prequential --models popular,personalized --metrics recall@10,mrr@10 --json")]
pub struct EvaluateArgs {
    /// Shape of the input.
    #[arg(long, value_enum)]
    format: EvaluationFormat,
    /// lightgcn: known interactions, a line is `user item item …`.
    #[arg(long, value_name = "FILE", required_if_eq("format", "lightgcn"))]
    train: Option<PathBuf>,
    /// lightgcn: what is to be guessed.
    #[arg(long, value_name = "FILE", required_if_eq("format", "lightgcn"))]
    test: Option<PathBuf>,
    /// events: the stream.
    #[arg(long, value_name = "FILE", required_if_eq("format", "events"))]
    events: Option<PathBuf>,
    /// events: column of users.
    #[arg(long, value_name = "COL", required_if_eq("format", "events"))]
    user: Option<String>,
    /// events: column of items.
    #[arg(long, value_name = "COL", required_if_eq("format", "events"))]
    item: Option<String>,
    /// events: column of times (seconds, milliseconds or RFC 3339).
    #[arg(long, value_name = "COL", required_if_eq("format", "events"))]
    time: Option<String>,
    /// events: column of event types.
    #[arg(long = "type", value_name = "COL")]
    event_type: Option<String>,
    /// events: column of sessions.
    #[arg(long, value_name = "COL")]
    session: Option<String>,
    /// events: column of shown items, separated by `|`, which are re-ranked.
    #[arg(long, value_name = "COL")]
    impressions: Option<String>,
    /// events: columns that tell of the moment a list was shown, such as the device; known to the
    /// online ranker.
    #[arg(long, value_name = "COL[,COL]", value_delimiter = ',')]
    context: Vec<String>,
    /// events: column of the prices of the shown items, separated by `|`.
    #[arg(long, value_name = "COL")]
    prices: Option<String>,
    /// events: share of the stream, at its beginning, that is learnt and never scored.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    warm_up: f64,
    /// events: leaves what the online ranker was told in this file, in Vowpal Wabbit's format.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// events: the first line names the columns.
    #[arg(long)]
    header: bool,
    /// events: strict test-then-learn in time order.
    #[arg(long)]
    prequential: bool,
    /// Models, separated by commas.
    #[arg(
        long,
        visible_alias = "models",
        value_name = "M[,M]",
        value_delimiter = ',',
        required = true
    )]
    model: Vec<String>,
    /// A model's parameter; may be repeated.
    #[arg(long, value_name = "K=V")]
    param: Vec<String>,
    /// Metrics, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "recall@20,ndcg@20")]
    metrics: Vec<String>,
    /// Seed of the training.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// events: how often what is known advances, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "live,hourly,daily,never")]
    refresh: Vec<String>,
    /// events: whether items that a user has seen may be recommended again.
    #[arg(long, value_enum, default_value = "auto")]
    seen: Seen,
    /// lightgcn: guess every N-th train interaction instead of the test file, to choose parameters.
    #[arg(long, value_name = "N")]
    hold_out: Option<u64>,
}

/// What `evaluate` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvaluationFormat {
    /// A fixed split, one user a line.
    Lightgcn,
    /// A stream of interactions with times.
    Events,
}

/// What becomes of items that a user has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Seen {
    /// As the stream's first part suggests.
    Auto,
    /// They may come again.
    Keep,
    /// They are left out.
    Remove,
}

/// Runs it.
///
/// # Errors
/// Unreadable files, unknown models, parameters or metrics, failed trainings.
pub fn run(shared: &Shared, args: &EvaluateArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let metrics = parse_metrics(&args.metrics)?;
    let params = Params::from_pairs(&args.param)?;
    match args.format {
        EvaluationFormat::Lightgcn => {
            let options = LightgcnOptions {
                train: args.train.clone().context("--train is missing")?,
                test: args.test.clone().context("--test is missing")?,
                models: args.model.clone(),
                params,
                metrics,
                seed: args.seed,
                hold_out_nth: args.hold_out,
            };
            let progress = ModelProgress::new(output);
            let rows = evaluate_lightgcn(&options, &progress)?;
            progress.finish();
            rows.iter().try_for_each(|row| print_row(output, row))
        }
        EvaluationFormat::Events => {
            anyhow::ensure!(
                args.prequential,
                "streams are evaluated test-then-learn: say --prequential"
            );
            let options = prequential_options(shared, args, metrics, params)?;
            let progress = ModelProgress::new(output);
            let rows = evaluate_prequential(&options, &progress)?;
            progress.finish();
            rows.iter().try_for_each(|row| print_row(output, row))
        }
    }
}

fn prequential_options(
    shared: &Shared,
    args: &EvaluateArgs,
    metrics: Vec<Metric>,
    params: Params,
) -> anyhow::Result<PrequentialOptions> {
    let settings = settings::load(shared)?.settings;
    let column = |name: &Option<String>| name.clone().map(Column);
    let required = |name: &Option<String>, flag: &str| {
        column(name).with_context(|| format!("{flag} is missing"))
    };
    let refreshes = args
        .refresh
        .iter()
        .map(|name| {
            let known = Refresh::ALL.into_iter().find(|mode| mode.name() == name);
            known.with_context(|| {
                format!("--refresh {name}: expected some of live, hourly, daily, never")
            })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(PrequentialOptions {
        columns: StreamColumns {
            path: args.events.clone().context("--events is missing")?,
            user: required(&args.user, "--user")?,
            item: required(&args.item, "--item")?,
            time: required(&args.time, "--time")?,
            event_type: column(&args.event_type),
            session: column(&args.session),
            impressions: column(&args.impressions),
            context: args.context.iter().cloned().map(Column).collect(),
            prices: column(&args.prices),
            has_header: args.header,
        },
        models: args.model.clone(),
        metrics,
        refreshes,
        seen: match args.seen {
            Seen::Auto => SeenChoice::Auto,
            Seen::Keep => SeenChoice::Keep,
            Seen::Remove => SeenChoice::Remove,
        },
        warm_up_share: args.warm_up,
        export: args.export.clone(),
        params,
        seed: args.seed,
        fold: settings.engine.fold,
        recommend: settings.engine.recommend,
    })
}

fn parse_metrics(names: &[String]) -> anyhow::Result<Vec<Metric>> {
    Ok(names
        .iter()
        .map(|name| name.parse())
        .collect::<Result<_, _>>()?)
}

fn print_row(output: Output, row: &EvaluationRow) -> anyhow::Result<()> {
    output.result(row, |row| {
        let metrics: Vec<String> = row
            .metrics
            .iter()
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        let refresh = row.refresh.as_deref().unwrap_or("");
        let coverage = row
            .coverage
            .map_or_else(String::new, |share| format!("  coverage {share:.3}"));
        format!(
            "{:<14} {refresh:<7} {}{coverage}  ({:.1} s training, {} users, {} items, peak {:.0} MiB)",
            row.model,
            metrics.join("  "),
            row.train_seconds,
            row.users,
            row.items,
            row.peak_rss_mb
        )
    })
}
