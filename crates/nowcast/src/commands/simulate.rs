//! `nowcast simulate`: the simulated readers of the demo, against any running server.

use crate::cli::Shared;
use crate::client::{Client, ServerAddress};
use crate::progress;
use crate::simulation::crowd::{self, CrowdOptions};
use crate::simulation::tally::{Tally, TallyReport};
use crate::simulation::{catalogue, probe};
use anyhow::Context;
use clap::Args;
use nowcast_sim::{World, WorldOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Sends simulated readers' traffic to a running server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast up &
  nowcast simulate --seconds 120 --visits-per-second 50 --json

Half of the readers (by a hash of their id) ask slot `default`, half slot `popular`; without a slot of
that name in the configuration, give --one-arm.")]
pub struct SimulateArgs {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    url: String,
    /// API key of the server, if it asks for one.
    #[arg(long, env = "NOWCAST_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Visits a second, all readers together.
    #[arg(long, default_value_t = 40.0)]
    visits_per_second: f64,
    /// Distinct readers.
    #[arg(long, default_value_t = 400)]
    readers: u64,
    /// Items in the world's catalogue.
    #[arg(long, default_value_t = 600)]
    items: usize,
    /// Seed of the world and of every click.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Everybody gets personalized lists.
    #[arg(long)]
    one_arm: bool,
}

/// Runs it.
///
/// # Errors
/// When the server cannot be reached or refuses the catalogue.
pub fn run(shared: &Shared, args: &SimulateArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let address = ServerAddress::parse(&args.url, args.key.clone())?;
    let report = runtime.block_on(async {
        let world = Arc::new(World::new(
            args.seed,
            &WorldOptions {
                items: args.items,
                ..WorldOptions::default()
            },
        ));
        let mut client = Client::new(address.clone());
        catalogue::send(&world, &mut client).await?;
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Tally::default());
        let options = CrowdOptions {
            seed: args.seed,
            readers: args.readers,
            visits_per_second: args.visits_per_second,
            slate_len: 10,
            connections: 8,
            one_arm: args.one_arm,
        };
        let crowd = tokio::spawn(crowd::run(
            world,
            address.clone(),
            options,
            Arc::clone(&tally),
            stopped.clone(),
        ));
        let prober = tokio::spawn(probe::run(
            Client::new(address),
            Arc::clone(&tally),
            stopped,
        ));
        let bar = progress::bar(output, args.seconds, "seconds");
        bar.set_message("simulating");
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.tick().await;
        for _ in 0..args.seconds {
            second.tick().await;
            bar.inc(1);
        }
        bar.finish_and_clear();
        stop.send(true).context("the crowd has gone")?;
        crowd.await.context("the crowd panicked")?;
        prober.await.context("the probe panicked")?;
        anyhow::Ok(tally.report())
    })?;
    output.result(&report, describe)
}

/// The report in a few lines.
pub fn describe(report: &TallyReport) -> String {
    let mut lines = vec![format!(
        "{} events in {:.0} s; answers p50 {:.1} ms, p99 {:.1} ms; acknowledged p99 {:.1} ms",
        report.events,
        report.elapsed_seconds,
        report.answer_p50_ms,
        report.answer_p99_ms,
        report.acknowledge_p99_ms
    )];
    if let (Some(p50), Some(p99)) = (report.freshness_p50_ms, report.freshness_p99_ms) {
        lines.push(format!(
            "click to changed answer p50 {p50:.1} ms, p99 {p99:.1} ms"
        ));
    }
    for arm in report.arms.iter().filter(|arm| arm.answers > 0) {
        lines.push(format!(
            "{:<13} CTR {:.2} % ({:.2} to {:.2}), {} clicks on {} shown",
            arm.arm,
            100.0 * arm.ctr,
            100.0 * arm.ctr_low,
            100.0 * arm.ctr_high,
            arm.clicks,
            arm.impressions
        ));
    }
    if report.errors > 0 {
        let last = report.last_error.as_deref().unwrap_or_default();
        lines.push(format!(
            "{} requests failed, the last with: {last}",
            report.errors
        ));
    }
    lines.join("\n")
}
