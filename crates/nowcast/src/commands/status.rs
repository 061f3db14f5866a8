//! `nowcast status`: how the processes are doing: of a cluster, or of one server.

use crate::cli::Shared;
use crate::client::{Client, ServerAddress};
use crate::settings;
use anyhow::Context;
use clap::Args;
use serde_json::Value;

/// Says how the processes are doing: members, partitions, lag, versions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast status
  nowcast status --url http://127.0.0.1:7878 --json

With the log on Kafka and the state on Redis it asks these for everybody; else, or with --url, it asks one
server.")]
pub struct StatusArgs {
    /// Asks this server.
    #[arg(long)]
    url: Option<String>,
    /// API key of the server, if it asks for one.
    #[arg(long, env = "NOWCAST_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Runs it.
///
/// # Errors
/// Nobody answers.
pub fn run(shared: &Shared, args: &StatusArgs) -> anyhow::Result<()> {
    let settings = settings::load(shared)?.settings;
    if args.url.is_none() && settings.backends.is_shared() {
        let cluster = crate::backends::connect(&settings)?;
        let survey = crate::sharing::survey::Survey::take(&cluster)?;
        return shared
            .output()
            .result(&survey, crate::sharing::survey::Survey::describe);
    }
    let listen = settings.server.listen.to_string();
    let url = args.url.as_deref().unwrap_or(&listen);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mut client = Client::new(ServerAddress::parse(url, args.key.clone())?);
    let status = runtime
        .block_on(client.get("/v1/status"))
        .with_context(|| format!("no server answers at {url}"))?
        .json()?;
    shared.output().result(&status, describe)
}

fn describe(status: &Value) -> String {
    let number = |key: &str| status[key].as_f64().unwrap_or_default();
    let mut lines = vec![
        format!("state      {}", status["state"].as_str().unwrap_or("?")),
        format!(
            "events     {:.0} accepted, {:.0} a second, {:.0} not folded",
            number("events_total"),
            number("events_per_second"),
            number("lag_events")
        ),
        format!("answers    {:.0}", number("answers_total")),
        format!(
            "known      {:.0} users, {:.0} items",
            number("users"),
            number("items")
        ),
    ];
    if let Some(p50) = status["freshness_p50_ms"].as_f64() {
        let p99 = number("freshness_p99_ms");
        lines.push(format!("freshness  p50 {p50:.1} ms, p99 {p99:.1} ms"));
    }
    if let Some(online) = status["online"].as_object() {
        lines.push(format!(
            "learnt     {} examples of {}, {} kept",
            online["position"], online["end"], online["durable"]
        ));
    }
    for partition in status["partitions"].as_array().into_iter().flatten() {
        lines.push(format!(
            "partition {:<4} {:<10} applied {:>12} of {:>12}",
            partition["partition"],
            partition["phase"].as_str().unwrap_or("?"),
            partition["applied"],
            partition["log_end"]
        ));
    }
    lines.join("\n")
}
