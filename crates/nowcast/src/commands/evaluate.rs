//! `nowcast evaluate`: models on published splits, and prequentially on event streams.

use crate::cli::Shared;
use crate::import::{Format, items};
use crate::output::Output;
use crate::progress::ModelProgress;
use crate::settings;
use anyhow::Context;
use clap::{Args, ValueEnum};
use nowcast_evaluation::input::Column;
use nowcast_evaluation::{
    ColdItemsOptions, EvaluationRow, LightgcnOptions, OneTargetOptions, PrequentialOptions,
    Protocol, Refresh, SeenChoice, StreamColumns, evaluate_cold_items, evaluate_lightgcn,
    evaluate_one_target, evaluate_prequential, over_seeds,
};
use nowcast_models::{Metric, Params};
use std::path::PathBuf;

/// Measures models on published splits or event streams.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast evaluate --format lightgcn --train train.txt.zst --test test.txt.zst \\
      --model ials --metrics recall@20,ndcg@20 --seed 1 --json
  nowcast evaluate --format sequences --input beauty.txt.zst --model transitions \\
      --mask-seen true --metrics hr@10,ndcg@10 --json
  nowcast evaluate --format sessions --train sessions.txt --test pairs.txt \\
      --model session_knn --metrics recall@20,mrr@20 --json
  nowcast evaluate --format ncf --train train.rating --test test.rating \\
      --negatives test.negative --model ials --metrics hr@10,ndcg@10 --seeds 1,2,3 --json
  nowcast evaluate --format cold-items --input sequences.txt.zst --items movies.dat \\
      --items-format movielens --model ials,content,popular --metrics recall@20 --seeds 1,2,3 --json
  nowcast evaluate --format events --events plays.csv.zst --header --user user_id --item song_id \\
      --time ts --prequential --models popular,personalized --metrics recall@10,mrr@10 --json")]
pub struct EvaluateArgs {
    /// Shape of the input.
    #[arg(long, value_enum)]
    format: EvaluationFormat,
    /// sequences, cold-items: a line is `user item item …` in order.
    #[arg(long, value_name = "FILE", required_if_eq_any([("format", "sequences"), ("format", "cold-items")]))]
    input: Option<PathBuf>,
    /// cold-items: the catalogue, whose content is all that is known of the new items.
    #[arg(long, value_name = "FILE", required_if_eq("format", "cold-items"))]
    items: Option<PathBuf>,
    /// cold-items: shape of the catalogue, as `nowcast import` reads it: jsonl or movielens.
    #[arg(long, value_enum, default_value = "jsonl")]
    items_format: Format,
    /// cold-items: every so many-th item, by chance of the seed, loses all its interactions.
    #[arg(long, value_name = "N", default_value_t = 10)]
    cold: u64,
    /// What is known. lightgcn: a line is `user item item …`; sessions: a session in order;
    /// ncf: `user TAB item TAB …`.
    #[arg(long, value_name = "FILE", required_if_eq_any([("format", "lightgcn"), ("format", "sessions"), ("format", "ncf")]))]
    train: Option<PathBuf>,
    /// What is to be guessed. lightgcn and ncf: as the train file; sessions: `target TAB prefix
    /// items`.
    #[arg(long, value_name = "FILE", required_if_eq_any([("format", "lightgcn"), ("format", "sessions"), ("format", "ncf")]))]
    test: Option<PathBuf>,
    /// ncf: a line is `(user,item) TAB negative TAB …`, as the same line of the test file.
    #[arg(long, value_name = "FILE", required_if_eq("format", "ncf"))]
    negatives: Option<PathBuf>,
    /// sequences, sessions: whether the items of a history are left out of its list. If not
    /// given, yes for sequences, as the full rankings of S3-Rec, BSARec, gSASRec and LRURec have
    /// it, and no for sessions, as SR-GNN and its successors have it.
    #[arg(long, value_name = "BOOL")]
    mask_seen: Option<bool>,
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
    /// events: leaves how every model did, hour by hour, in this CSV file. `docs/compare/curve.py`
    /// draws it.
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    curve: Option<PathBuf>,
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
    /// File of parameters: a line is `name = value`, `#` begins a comment; `--param` goes before.
    #[arg(long, value_name = "FILE")]
    params_file: Option<PathBuf>,
    /// Metrics, separated by commas; those of the format's published tables if not given.
    #[arg(long, value_delimiter = ',')]
    metrics: Vec<String>,
    /// Seed of the training.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Several seeds, separated by commas: the result is their mean, with its spread.
    #[arg(
        long,
        value_name = "N[,N]",
        value_delimiter = ',',
        conflicts_with = "seed"
    )]
    seeds: Vec<u64>,
    /// Not for events: also the lists' evenness (Gini), surprise (novelty) and diversity.
    #[arg(long)]
    beyond_accuracy: bool,
    /// events: how often what is known advances, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "live,hourly,daily,never")]
    refresh: Vec<String>,
    /// events: whether items that a user has seen may be recommended again.
    #[arg(long, value_enum, default_value = "auto")]
    seen: Seen,
    /// To choose parameters, guess a part of the train part instead. lightgcn: every N-th
    /// interaction; sessions: the last N-th of the sessions; sequences: the last but one of each;
    /// ncf: one item of each user, by chance; cold-items: every N-th of the items that are not new.
    #[arg(long, value_name = "N")]
    hold_out: Option<u64>,
}

/// What `evaluate` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvaluationFormat {
    /// A fixed split, one user a line.
    Lightgcn,
    /// Ordered rows: the last item is guessed among all.
    Sequences,
    /// Sessions to learn from, and prefixes whose next item is guessed among all.
    Sessions,
    /// One item guessed among given negatives.
    Ncf,
    /// Items without any interaction are guessed by their content.
    ColdItems,
    /// A stream of interactions with times.
    Events,
}

impl EvaluationFormat {
    /// The metrics of the published tables of this format, the one that decides last.
    #[must_use]
    pub const fn usual_metrics(self) -> [&'static str; 2] {
        match self {
            Self::Lightgcn | Self::Events | Self::ColdItems => ["recall@20", "ndcg@20"],
            Self::Sequences | Self::Ncf => ["hr@10", "ndcg@10"],
            Self::Sessions => ["recall@20", "mrr@20"],
        }
    }

    /// Whether the items of a history are left out of its list, if nobody says so.
    #[must_use]
    pub fn masks_by_default(self) -> bool {
        self == Self::Sequences
    }
}

/// The files of a protocol with one item to guess, each with what it is needed for.
#[derive(Debug, Clone, Default)]
pub struct OneTargetFiles {
    /// sequences.
    pub input: Option<PathBuf>,
    /// sessions, ncf.
    pub train: Option<PathBuf>,
    /// sessions, ncf.
    pub test: Option<PathBuf>,
    /// ncf.
    pub negatives: Option<PathBuf>,
}

impl OneTargetFiles {
    /// The protocol of a format other than lightgcn and events.
    ///
    /// # Errors
    /// With the flag of a file that is missing.
    pub fn protocol(self, format: EvaluationFormat) -> anyhow::Result<Protocol> {
        let file =
            |path: Option<PathBuf>, flag: &str| path.with_context(|| format!("{flag} is missing"));
        Ok(match format {
            EvaluationFormat::Sequences => Protocol::Sequences {
                input: file(self.input, "--input")?,
            },
            EvaluationFormat::Ncf => Protocol::Ncf {
                train: file(self.train, "--train")?,
                test: file(self.test, "--test")?,
                negatives: file(self.negatives, "--negatives")?,
            },
            _ => Protocol::Sessions {
                train: file(self.train, "--train")?,
                test: file(self.test, "--test")?,
            },
        })
    }
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
    let metrics = parse_metrics(args)?;
    let params = read_params(args)?;
    let progress = ModelProgress::new(output);
    let seeds = match args.seeds.as_slice() {
        [] => std::slice::from_ref(&args.seed),
        seeds => seeds,
    };
    let rows = match args.format {
        EvaluationFormat::Lightgcn => {
            let mut options = LightgcnOptions {
                train: args.train.clone().context("--train is missing")?,
                test: args.test.clone().context("--test is missing")?,
                models: args.model.clone(),
                params,
                metrics,
                seed: args.seed,
                beyond_accuracy: args.beyond_accuracy,
                hold_out_nth: args.hold_out,
            };
            over_seeds(seeds, |seed| {
                options.seed = seed;
                evaluate_lightgcn(&options, &progress)
            })?
        }
        EvaluationFormat::Sequences | EvaluationFormat::Sessions | EvaluationFormat::Ncf => {
            let mut options = one_target_options(args, metrics, params)?;
            over_seeds(seeds, |seed| {
                options.seed = seed;
                evaluate_one_target(&options, &progress)
            })?
        }
        EvaluationFormat::ColdItems => {
            let mut options = cold_items_options(args, metrics, params)?;
            over_seeds(seeds, |seed| {
                options.seed = seed;
                evaluate_cold_items(&options, &progress)
            })?
        }
        EvaluationFormat::Events => {
            anyhow::ensure!(
                args.prequential,
                "streams are evaluated test-then-learn: say --prequential"
            );
            let mut options = prequential_options(shared, args, metrics, params)?;
            over_seeds(seeds, |seed| {
                options.seed = seed;
                evaluate_prequential(&options, &progress)
            })?
        }
    };
    progress.finish();
    rows.iter().try_for_each(|row| print_row(output, row))
}

fn one_target_options(
    args: &EvaluateArgs,
    metrics: Vec<Metric>,
    params: Params,
) -> anyhow::Result<OneTargetOptions> {
    let files = OneTargetFiles {
        input: args.input.clone(),
        train: args.train.clone(),
        test: args.test.clone(),
        negatives: args.negatives.clone(),
    };
    Ok(OneTargetOptions {
        protocol: files.protocol(args.format)?,
        models: args.model.clone(),
        params,
        metrics,
        seed: args.seed,
        mask_seen: args.mask_seen.unwrap_or(args.format.masks_by_default()),
        beyond_accuracy: args.beyond_accuracy,
        hold_out_nth: args.hold_out,
    })
}

fn cold_items_options(
    args: &EvaluateArgs,
    metrics: Vec<Metric>,
    params: Params,
) -> anyhow::Result<ColdItemsOptions> {
    let catalogue = args.items.as_ref().context("--items is missing")?;
    Ok(ColdItemsOptions {
        input: args.input.clone().context("--input is missing")?,
        contents: items::read_contents(catalogue, args.items_format)?,
        models: args.model.clone(),
        params,
        metrics,
        seed: args.seed,
        cold_nth: args.cold,
        hold_out_nth: args.hold_out,
    })
}

/// Those of the file, replaced by those of the command line.
fn read_params(args: &EvaluateArgs) -> anyhow::Result<Params> {
    let mut pairs: Vec<String> = Vec::new();
    if let Some(path) = &args.params_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""));
        let lines = lines.map(str::trim).filter(|line| !line.is_empty());
        pairs.extend(lines.map(str::to_owned));
    }
    pairs.extend(args.param.iter().cloned());
    Ok(Params::from_pairs(&pairs)?)
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
        curve: args.curve.clone(),
        params,
        seed: args.seed,
        fold: settings.engine.fold,
        recommend: settings.engine.recommend,
    })
}

fn parse_metrics(args: &EvaluateArgs) -> anyhow::Result<Vec<Metric>> {
    let given: Vec<&str> = args.metrics.iter().map(String::as_str).collect();
    let usual = args.format.usual_metrics();
    let names = if given.is_empty() { &usual[..] } else { &given };
    let parsed = names.iter().map(|name| name.parse());
    Ok(parsed.collect::<Result<_, _>>()?)
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
        let among_all = row.among_all.iter().flatten();
        let among_all = among_all.map(|(name, value)| format!("  {name} among all {value:.4}"));
        let among_all: String = among_all.collect();
        format!(
            "{:<14} {refresh:<7} {}{among_all}{coverage}  ({:.1} s training, {} users, {} items, peak {:.0} MiB)",
            row.model,
            metrics.join("  "),
            row.train_seconds,
            row.users,
            row.items,
            row.peak_rss_mb
        )
    })
}
