//! `nowcast up`: all roles in one process, until stopped.

use crate::cli::Shared;
use crate::running::Running;
use crate::settings::{self, layers};
use clap::Args;
use serde_json::json;
use toml::Value;

/// Starts all roles and serves until stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast up
  nowcast up --data /var/lib/nowcast --listen 127.0.0.1:9000
  nowcast up --config site.toml --log info

Stop it with Ctrl-C or SIGTERM: requests in progress end, a last checkpoint is written.")]
pub struct UpArgs {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When the data folder cannot be opened or the address cannot be bound.
pub fn run(shared: &Shared, args: &UpArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let flags = args
        .listen
        .iter()
        .map(|listen| layers::from_flag("--listen", "server.listen", Value::String(listen.clone())))
        .collect();
    let settings = settings::load_with(shared, flags)?.settings;
    let data_dir = settings.data_dir.clone();
    let server = Running::start(settings)?;
    let stop = server.stop_signal()?;
    let url = format!("http://{}", server.address());
    let started = json!({ "url": url, "data": data_dir });
    output.result(&started, |_| {
        format!(
            "serving on {url}, data in {}\nstop with Ctrl-C",
            data_dir.display()
        )
    })?;
    server.wait_for(stop);
    output.note("stopping");
    server.stop()
}
