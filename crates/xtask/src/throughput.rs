//! The roles on three Kafka brokers and Redis, all on this machine, beside plain clients of the same
//! library that move the same bytes and do nothing else, and beside an embedded server.
//!
//! Taking events in and folding them are measured one after the other: the plain producer has no
//! fold beside it either, and the plain consumer no HTTP.

mod answers;
mod clicks;
mod load;
mod plain;
mod site;

use anyhow::Result;
use clap::Args;
use load::Bodies;
use plain::PlainTopic;
use serde::Serialize;
use site::Site;
use std::path::PathBuf;
use std::process::ExitCode;

/// Events that the answers' users have done before they ask.
const ANSWERS_AFTER_BODIES: usize = 100;

/// How long and from which seed.
#[derive(Debug, Args)]
pub(crate) struct ThroughputArgs {
    /// Events of each round.
    #[arg(long, default_value_t = 300_000)]
    events: usize,
    /// Rounds of taking in, plain producing, plain consuming; medians are told.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of clicking under load.
    #[arg(long, default_value_t = 30)]
    click_seconds: u64,
    /// Background events a second while clicking.
    #[arg(long, default_value_t = 1_000)]
    click_events_per_second: u32,
    /// Recommendations a second, open loop.
    #[arg(long, default_value_t = 200)]
    requests_per_second: u32,
    /// Seed of the stream.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The binary to measure; without it `cargo build --release` makes one.
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// Prints one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// What was measured. Rates are events a second.
#[derive(Debug, Serialize)]
struct ThroughputReport {
    events: usize,
    rounds: usize,
    /// Acknowledged over HTTP, in bodies of 500.
    ingest_events_per_second: f64,
    plain_producer_events_per_second: f64,
    ingest_ratio: f64,
    /// Folded and committed to Redis, from a backlog of all rounds.
    fold_events_per_second: f64,
    fold_events_per_cpu_second: f64,
    plain_consumer_events_per_second: f64,
    fold_ratio: f64,
    #[serde(flatten)]
    clicks: clicks::Clicks,
    #[serde(flatten)]
    answers: answers::Answers,
}

/// Measures everything in one run.
pub(crate) fn run(args: &ThroughputArgs) -> Result<ExitCode> {
    let mut site = Site::start(args.bin.as_deref())?;
    let ingest = site.ingest.address;
    site.put_items()?;
    let (mut taken_in, mut produced, mut consumed) = (Vec::new(), Vec::new(), Vec::new());
    let mut last_round = Vec::new();
    for round in 0..args.rounds {
        let bodies = Bodies::new(args.seed, round, args.events);
        taken_in.push(load::flood(ingest, &bodies)?);
        let topic = PlainTopic::of_events(site.kafka.bootstrap());
        let (messages, rate) = topic.consume((round + 1) * args.events)?;
        consumed.push(rate);
        let same = &messages[round * args.events..];
        let plain = PlainTopic::new(site.kafka.bootstrap(), &format!("plain-{round}"));
        site.kafka.create_topic(plain.name(), plain::PARTITIONS)?;
        produced.push(plain.produce(same)?);
        eprintln!(
            "throughput: round {round}: {:.0}/s taken in, {:.0}/s produced, {:.0}/s consumed",
            taken_in[round], produced[round], consumed[round]
        );
        last_round = bodies.into_first(ANSWERS_AFTER_BODIES);
    }
    let folding = site.fold_backlog(args.events * args.rounds)?;
    eprintln!("throughput: {:.0}/s folded", folding.events_per_second);
    let clicks = clicks::measure(&site, args)?;
    let answers = answers::measure(&mut site, args, &last_round)?;
    let (taken_in, produced) = (median(taken_in), median(produced));
    let consumed = median(consumed);
    let report = ThroughputReport {
        events: args.events,
        rounds: args.rounds,
        ingest_events_per_second: taken_in,
        plain_producer_events_per_second: produced,
        ingest_ratio: taken_in / produced,
        fold_events_per_second: folding.events_per_second,
        fold_events_per_cpu_second: folding.events_per_cpu_second,
        plain_consumer_events_per_second: consumed,
        fold_ratio: folding.events_per_second / consumed,
        clicks,
        answers,
    };
    let text = if args.json {
        serde_json::to_string(&report)?
    } else {
        serde_json::to_string_pretty(&report)?
    };
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// The middle value; zero for none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
