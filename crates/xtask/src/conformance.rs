//! The same input into every combination of log and store: the same state, the same answers.
//!
//! Every combination is a whole engine over real servers: three Kafka brokers, a Redis, a Redis
//! Cluster of six. What it knows at the end is written out as canonical text and compared byte for
//! byte with what the embedded engine wrote; so are its answers, those of an engine that opens the
//! same state anew, and those of one that serves what others have folded.

mod combination;
mod input;
mod outcome;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use clap::Args;
use combination::{Combination, Place};
use input::Input;
use nowcast_services::{Kafka, Redis, RedisCluster};
use outcome::Outcome;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;

/// What is compared, and over how much.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArgs {
    /// Simulated events.
    #[arg(long, default_value_t = 20_000)]
    events: usize,
    /// Prints one JSON object per combination.
    #[arg(long)]
    json: bool,
}

/// What one combination came to.
#[derive(Debug, Serialize)]
struct Line {
    log: &'static str,
    store: &'static str,
    input: &'static str,
    events: u64,
    /// Hash of the dump of all profiles, counters and tiles.
    state_hash: String,
    /// Hash of all answers.
    answers_hash: String,
    /// Whether dump and answers equal those of the embedded engine, byte for byte, before and after
    /// the state was opened anew, and from an engine that only serves.
    equal: bool,
    seconds: f64,
}

/// The servers that combinations share.
struct Servers {
    kafka: Kafka,
    redis: Redis,
    cluster: RedisCluster,
}

impl Servers {
    fn start() -> Result<Self> {
        Ok(Self {
            kafka: Kafka::start()?,
            redis: Redis::start()?,
            cluster: RedisCluster::start()?,
        })
    }

    /// All combinations, the embedded one first.
    fn combinations(&self) -> Vec<Combination> {
        let brokers = self.kafka.bootstrap();
        let nodes: Vec<String> = self
            .cluster
            .addresses()
            .iter()
            .map(|a| a.to_string())
            .collect();
        let logs = [Place::embedded(), Place::new("kafka", brokers)];
        let stores = [
            Place::embedded(),
            Place::new("redis", self.redis.url()),
            Place::new(
                "redis-cluster",
                format!("redis+cluster://{}", nodes.join(",")),
            ),
        ];
        let mut all = Vec::new();
        for log in &logs {
            for store in &stores {
                all.push(Combination::new(log.clone(), store.clone()));
            }
        }
        all
    }
}

/// Runs every combination over every input.
pub(crate) fn run(args: &ConformanceArgs) -> Result<ExitCode> {
    let mut inputs = Vec::new();
    match input::real()? {
        Some(real) => inputs.push(real),
        None => eprintln!(
            "skipped: the real event file, because NOWCAST_DATA names no folder with {}",
            input::REAL_FILE
        ),
    }
    inputs.push(input::simulated(args.events));
    let servers = Servers::start()?;
    let mut is_good = true;
    for input in &inputs {
        for line in compare(&servers, input, |line| show(line, args.json)) {
            is_good &= line?.equal;
        }
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(line: &Line, is_json: bool) -> Result<()> {
    if is_json {
        println!("{}", serde_json::to_string(line)?);
        return Ok(());
    }
    let verdict = if line.equal { "equal" } else { "DIFFERENT" };
    println!(
        "{:<9} {:<14} {:<10} {:>9} events  state {}  answers {}  {verdict}, {:.1} s",
        line.log,
        line.store,
        line.input,
        line.events,
        line.state_hash,
        line.answers_hash,
        line.seconds
    );
    Ok(())
}

/// Runs an input through every combination; each line is shown as soon as it is there.
fn compare(
    servers: &Servers,
    input: &Input,
    show: impl Fn(&Line) -> Result<()>,
) -> Vec<Result<Line>> {
    let mut expected: Option<Outcome> = None;
    let mut lines = Vec::new();
    for combination in servers.combinations() {
        let started = Instant::now();
        let outcome = combination
            .run(input)
            .with_context(|| format!("{} with {}", combination.log.name, combination.store.name));
        let line = outcome.and_then(|(outcome, is_stable)| {
            let expected = expected.get_or_insert_with(|| outcome.clone());
            let line = Line {
                log: combination.log.name,
                store: combination.store.name,
                input: input.name,
                events: input.events.len() as u64,
                state_hash: outcome.state_hash(),
                answers_hash: outcome.answers_hash(),
                equal: is_stable && outcome == *expected,
                seconds: started.elapsed().as_secs_f64(),
            };
            show(&line)?;
            Ok(line)
        });
        lines.push(line);
    }
    lines
}
