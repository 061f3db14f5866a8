//! `nowcast train`: one training from the log, validated and published.

use crate::cli::Shared;
use crate::progress::ModelProgress;
use crate::roles::Role;
use crate::running;
use crate::settings;
use anyhow::Context;
use clap::Args;
use nowcast_training::{Effort, TrainingReport, train_once};
use std::time::Duration;

/// Trains models from the log and publishes them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast train
  nowcast train --model ials --param factors=128 --param sweeps=10 --json
  nowcast train --model ials --refresh

A running server trains by itself in the background (section [training]); this is for a data folder
that no server is using, or for a log that is shared.")]
pub struct TrainArgs {
    /// Models to train, separated by commas; the configured ones if absent.
    #[arg(
        long,
        visible_alias = "models",
        value_name = "M[,M]",
        value_delimiter = ','
    )]
    model: Vec<String>,
    /// A parameter of the one model that is trained; may be repeated.
    #[arg(long, value_name = "K=V")]
    param: Vec<String>,
    /// Seed of the training.
    #[arg(long)]
    seed: Option<u64>,
    /// Brings what is live up to date instead, where the model can: one sweep of ials.
    #[arg(long)]
    refresh: bool,
}

/// Runs it.
///
/// # Errors
/// When the data folder is in use, there is too little to learn from, or no model was published.
pub fn run(shared: &Shared, args: &TrainArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let mut settings =
        settings::load_with(shared, vec![running::no_background_training()])?.settings;
    let config = &mut settings.engine.training;
    if !args.model.is_empty() {
        config.models.clone_from(&args.model);
        config.params.retain(|model, _| args.model.contains(model));
    }
    if !args.param.is_empty() {
        let [model] = config.models.as_slice() else {
            anyhow::bail!("--param is for one model: name it with --model");
        };
        let params = nowcast_models::Params::from_pairs(&args.param)?;
        config.params.insert(model.clone(), params);
    }
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    let config = config.clone();
    let effort = if args.refresh {
        Effort::Refresh
    } else {
        Effort::Full
    };
    running::ensure_data(&settings)?;
    let (engine, _) = running::open_for(&settings, Role::Train)?;
    running::wait_live(&engine, Duration::from_secs(3600))?;
    let deps = running::trainer_deps(&engine);
    let progress = ModelProgress::new(output);
    let trained = train_once(&deps, &config, effort, &progress, &|_, _| {});
    progress.finish();
    engine.close();
    let report = trained.context("nothing was trained")?;
    output.result(&report, describe)?;
    anyhow::ensure!(
        effort == Effort::Full || !report.models.is_empty(),
        "there is nothing to refresh: no live version of a model that can be refreshed (ials)"
    );
    anyhow::ensure!(
        report.models.iter().any(|model| model.version.is_some()),
        "no model was good enough to be published"
    );
    Ok(())
}

fn describe(report: &TrainingReport) -> String {
    let mut lines = vec![format!(
        "{} interactions of {} users with {} items",
        report.interactions, report.users, report.items
    )];
    for model in &report.models {
        let verdict = match (&model.version, &model.error) {
            (Some(version), _) => format!("published as version {version}"),
            (None, Some(error)) => format!("failed: {error}"),
            (None, None) => "not published: it did not pass validation".to_owned(),
        };
        lines.push(format!(
            "{:<10} {verdict}, {:.1} s, {} KiB",
            model.model,
            model.train_seconds,
            model.artifact_bytes / 1024
        ));
    }
    lines.join("\n")
}
