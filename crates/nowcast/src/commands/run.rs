//! `nowcast run`: some roles in a process of their own, beside others on the same log and state.

use crate::cli::Shared;
use crate::roles::{Part, Role};
use crate::running::Running;
use crate::settings::{self, layers};
use clap::Args;
use serde_json::json;
use toml::Value;

/// Runs some roles, beside other processes on the same log and state.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast run process --listen 127.0.0.1:7880
  nowcast run serve
  nowcast run ingest serve --listen 127.0.0.1:7881

Needs log.url on Kafka and store.url on Redis. Several processes may have the same role: those that
process share the partitions. All of them need the same configuration and the same shared_dir, which
holds the key of the pseudonyms and the models.

SIGTERM drains: not ready any more, requests in progress end, partitions are committed and given back.")]
pub struct RunArgs {
    /// What this process does.
    #[arg(value_enum, required = true)]
    roles: Vec<Role>,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Runs it.
///
/// # Errors
/// Roles that do not go together; log and state that are not shared; a server that does not start.
pub fn run(shared: &Shared, args: &RunArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let part = Part::of(&args.roles).map_err(anyhow::Error::msg)?;
    let flags = args
        .listen
        .iter()
        .map(|listen| layers::from_flag("--listen", "server.listen", Value::String(listen.clone())))
        .collect();
    let settings = settings::load_with(shared, flags)?.settings;
    anyhow::ensure!(
        settings.backends.is_shared(),
        "roles need a log and a state that processes can share: set log.url to kafka://... and \
         store.url to redis://..., or run everything in one process with `nowcast up`"
    );
    let server = Running::start_part(settings, &part)?;
    let stop = server.stop_signal()?;
    let url = format!("http://{}", server.address());
    let roles = part.names();
    let started = json!({ "url": url, "roles": roles });
    output.result(&started, |_| {
        format!("{} on {url}\nstop with Ctrl-C", roles.join(", "))
    })?;
    server.wait_for(stop);
    output.note("draining");
    server.stop()
}
