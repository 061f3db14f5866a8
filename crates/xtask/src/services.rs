//! `cargo xtask services`: the real servers beside Nowcast, brought up and taken down by hand.
//!
//! A thin command line over `nowcast-services`. Progress goes to stderr; stdout carries
//! `NAME=value` lines that a shell can take over, or JSON.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use nowcast_services::{Offer, Record, people};
use serde_json::{Value, json};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  cargo xtask services list
  cargo xtask services up kafka redis-cluster s3 postgres
  export $(cargo xtask services up redis)      # NOWCAST_REDIS=redis://127.0.0.1:...
  cargo xtask services status --json
  cargo xtask services down                    # all of them, with their data
  cargo xtask services fetch                   # download everything, start nothing

Software is cached in $XDG_CACHE_HOME/nowcast/services (~/.cache by default). Debian packages
are installed by apt-get, which takes root; without root the error says what to type.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServicesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Lists what there is.
    List,
    /// Fetches what is missing, starts services and says where they are; running ones stay.
    Up {
        /// The services, as `list` names them.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Stops services and removes their data.
    Down {
        /// The services; all that are up when none is named.
        names: Vec<String>,
    },
    /// Says what is up and where.
    Status {
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Fetches software and starts nothing, for instance to fill a cache.
    Fetch {
        /// The services; all there are when none is named.
        names: Vec<String>,
    },
}

pub(crate) fn run(args: &ServicesArgs) -> Result<ExitCode> {
    match &args.action {
        Action::List => list(),
        Action::Up { names } => {
            for name in names {
                print(&people::up(name)?);
            }
        }
        Action::Down { names } => down(names)?,
        Action::Status { json } => return status(*json),
        Action::Fetch { names } => fetch(names)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() {
    for offer in Offer::all() {
        println!("{:16} {}", offer.name, offer.about);
    }
}

fn print(record: &Record) {
    for endpoint in &record.endpoints {
        println!("{}={}", endpoint.name, endpoint.value);
    }
}

fn down(names: &[String]) -> Result<()> {
    if names.is_empty() {
        // What needs others goes first.
        for record in people::status()?.iter().rev() {
            people::down(&record.service)?;
            eprintln!("services: {} is down", record.service);
        }
        return Ok(());
    }
    for name in names {
        if !people::down(name)? {
            bail!("{name} is not up");
        }
        eprintln!("services: {name} is down");
    }
    Ok(())
}

/// Fails when something that was brought up has died.
fn status(as_json: bool) -> Result<ExitCode> {
    let records = people::status()?;
    if as_json {
        let services: Vec<Value> = records.iter().map(to_json).collect();
        println!("{:#}", json!({ "services": services }));
    } else if records.is_empty() {
        println!("nothing is up");
    } else {
        for record in &records {
            let state = if record.is_alive() { "up" } else { "DEAD" };
            println!("{} is {state}", record.service);
            print(record);
            for process in record.processes.iter().filter(|one| !one.is_alive()) {
                println!(
                    "  {} has ended; see {}",
                    process.name,
                    process.log.display()
                );
            }
        }
    }
    Ok(if records.iter().all(Record::is_alive) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn to_json(record: &Record) -> Value {
    let endpoints: serde_json::Map<String, Value> = record
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.name.clone(), json!(endpoint.value)))
        .collect();
    let processes: Vec<Value> = record
        .processes
        .iter()
        .map(|process| {
            json!({
                "name": process.name,
                "pid": process.pid,
                "alive": process.is_alive(),
                "log": process.log,
            })
        })
        .collect();
    json!({
        "service": record.service,
        "alive": record.is_alive(),
        "endpoints": endpoints,
        "processes": processes,
    })
}

fn fetch(names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(Offer::all().iter().try_for_each(Offer::fetch)?);
    }
    for name in names {
        Offer::named(name)?.fetch()?;
    }
    Ok(())
}
