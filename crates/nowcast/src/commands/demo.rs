//! `nowcast demo`: everything at once, to look at. A simulated catalogue and readers, live traffic
//! over HTTP to this very process, and a page that shows whether it works.

use crate::cli::Shared;
use crate::client::{Client, ServerAddress};
use crate::commands::simulate::describe;
use crate::running::{Running, StopSignal};
use crate::settings::layers::{Leaf, from_flag, from_text};
use crate::settings::{self, Settings};
use crate::simulation::crowd::{self, CrowdOptions};
use crate::simulation::tally::Tally;
use crate::simulation::{catalogue, probe};
use anyhow::Context;
use axum::routing::get;
use axum::{Json, Router};
use clap::Args;
use nowcast_sim::{World, WorldOptions};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use toml::Value;

/// Settings of the demonstration: a slot for the readers who get what is popular, with the same
/// rules about what was seen, and models that learn within a minute instead of within an hour.
const DEMO_TOML: &str = include_str!("demo.toml");

/// Shows it all live: a simulated catalogue and readers, and a page to watch.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast demo
  nowcast demo --seconds 120 --json     the figures after two minutes

The demonstration starts from nothing in a folder of its own, which the next one clears.")]
pub struct DemoArgs {
    /// Folder of the demonstration's data.
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    dir: PathBuf,
    /// Goes on with what the last demonstration left.
    #[arg(long)]
    keep: bool,
    /// Address to listen on; the default moves to a free port if it is taken.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Visits a second, all readers together.
    #[arg(long, default_value_t = 40.0)]
    visits_per_second: f64,
    /// Distinct readers.
    #[arg(long, default_value_t = 400)]
    readers: u64,
    /// Seed of the world and of every click.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stops by itself after so many seconds and prints the figures.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

/// Runs it.
///
/// # Errors
/// When the folder or the port cannot be used.
pub fn run(shared: &Shared, args: &DemoArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let dir = shared.data.clone().unwrap_or_else(|| args.dir.clone());
    if !args.keep {
        clear(&dir)?;
    }
    let settings = demo_settings(shared, args, &dir)?;
    let world = Arc::new(World::new(args.seed, &WorldOptions::default()));
    let tally = Arc::new(Tally::default());
    let (routes_tally, listing) = (Arc::clone(&tally), catalogue::listing(&world));
    let server = Running::start_with(settings, |_| {
        Router::new()
            .route(
                "/demo/stats",
                get(async move || Json(routes_tally.report())),
            )
            .route("/demo/catalogue", get(async move || Json(listing.clone())))
    })?;
    let url = format!("http://{}", server.address());
    let address = ServerAddress::parse(&url, None)?;
    let ready = async {
        crowd::wait_ready(&address, Duration::from_secs(60)).await?;
        catalogue::send(&world, &mut Client::new(address.clone())).await
    };
    server.runtime().block_on(ready)?;
    let (stop, stopped) = watch::channel(false);
    let options = CrowdOptions {
        seed: args.seed,
        readers: args.readers,
        visits_per_second: args.visits_per_second,
        slate_len: 10,
        connections: 4,
        one_arm: false,
    };
    let visits = crowd::run(
        world,
        address.clone(),
        options,
        Arc::clone(&tally),
        stopped.clone(),
    );
    let crowd = server.runtime().spawn(visits);
    let probes = probe::run(Client::new(address), Arc::clone(&tally), stopped);
    let prober = server.runtime().spawn(probes);
    let signal = server.stop_signal()?;
    announce(shared, &url, args)?;

    let limit = args.seconds.map(Duration::from_secs);
    server.runtime().block_on(wait_for_end(limit, signal));
    stop.send(true).context("the crowd has gone")?;
    server.runtime().block_on(async {
        crowd.await.context("the crowd panicked")?;
        prober.await.context("the probe panicked")
    })?;
    let report = tally.report();
    server.stop()?;
    output.result(&report, describe)
}

fn announce(shared: &Shared, url: &str, args: &DemoArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let started = json!({ "url": url, "readers": args.readers, "seed": args.seed });
    output.result(&started, |_| {
        format!(
            "\n  Nowcast is live:  {url}\n\n  {} simulated readers, half with lists of their own, \
             half with what is popular.\n  Open the page, click a few items, and watch your list \
             follow. Stop with Ctrl-C.\n",
            args.readers
        )
    })
}

async fn wait_for_end(limit: Option<Duration>, mut signal: StopSignal) {
    match limit {
        Some(limit) => {
            tokio::select! {
                () = tokio::time::sleep(limit) => {}
                () = signal.received() => {}
            }
        }
        None => signal.received().await,
    }
}

fn demo_settings(shared: &Shared, args: &DemoArgs, dir: &Path) -> anyhow::Result<Settings> {
    let mut flags: Vec<Leaf> = from_text(DEMO_TOML, Path::new("demo.toml"))
        .map_err(|problems| anyhow::anyhow!("the demonstration's settings: {problems:?}"))?;
    let data = Value::String(dir.display().to_string());
    flags.push(from_flag("--dir", "data_dir", data));
    if let Some(listen) = &args.listen {
        let listen = Value::String(listen.clone());
        flags.push(from_flag("--listen", "server.listen", listen));
    }
    let mut settings = settings::load_with(shared, flags)?.settings;
    if args.listen.is_none() && !is_free(settings.server.listen) {
        settings.server.listen.set_port(0);
    }
    Ok(settings)
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

/// Mark of a folder that a demonstration made and may therefore clear.
const MARK: &str = ".nowcast-demo";

/// Empties the folder of the last demonstration; refuses any other folder that is not empty.
fn clear(dir: &Path) -> anyhow::Result<()> {
    let is_empty = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty {
        anyhow::ensure!(
            dir.join(MARK).exists(),
            "{} holds something else; give another --dir, or --keep to go on with it",
            dir.display()
        );
        std::fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(dir.join(MARK), "made by nowcast demo\n"))
        .with_context(|| format!("cannot use {}", dir.display()))
}
