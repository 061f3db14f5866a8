//! `nowcast bench freshness`: a click is acknowledged, and the clock runs until an answer shows
//! that it counted, while background events come in.

use super::BenchOptions;
use super::bodies::EventBodies;
use crate::cli::Shared;
use crate::measure::load::{self, LoadPlan};
use crate::measure::scratch::Scratch;
use crate::measure::wire::Wire;
use crate::progress;
use crate::running::{self, Running};
use crate::settings;
use anyhow::{Context, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Events of one background request.
const BACKGROUND_BATCH: u64 = 25;
/// Items of the catalogue.
const ITEMS: u32 = 2_000;
/// Clicks of one probing user, before the next user takes over.
const CLICKS_PER_USER: u64 = 50;
/// Length of the probed list.
const LIST_LEN: usize = 10;

/// Flags of `bench freshness`.
#[derive(Debug, Args)]
pub struct FreshnessArgs {
    /// Background events a second.
    #[arg(long, default_value_t = 5_000)]
    events_per_second: u32,
}

#[derive(Debug, Serialize)]
struct FreshnessResult {
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    events_per_second: f64,
    clicks: u64,
    click_to_answer_p50_ms: f64,
    click_to_answer_p99_ms: f64,
}

/// Runs it.
///
/// # Errors
/// When the server cannot start, refuses an event, or an answer never changes.
pub fn run(shared: &Shared, options: &BenchOptions, args: &FreshnessArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let scratch = Scratch::new(&options.scratch, "freshness")?;
    let loaded = settings::load_with(shared, running::scratch_flags(scratch.path()))?;
    let server = Running::start(loaded.settings)?;
    put_items(&server)?;
    let seconds = if options.quick { 12 } else { 40 };
    let bodies = EventBodies::new(options.seed, 0, 50_000, ITEMS);
    let rate = f64::from(args.events_per_second) / BACKGROUND_BATCH as f64;
    let plan = LoadPlan {
        address: server.address(),
        path: "/v1/events",
        connections: 8,
        rate: Some(rate),
        duration: Duration::from_secs(seconds),
        warm_up: Duration::from_secs(2),
    };
    let spinner = progress::spinner(output, "clicking under load");
    let is_over = AtomicBool::new(false);
    let (background, probes) = std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe(&server, &is_over));
        let background = load::run(plan, &|number, out| {
            bodies.batch(number, BACKGROUND_BATCH, out);
        });
        is_over.store(true, Ordering::Relaxed);
        (background, prober.join())
    });
    spinner.finish_and_clear();
    let background = background?.checked()?;
    let probes = probes.map_err(|_| anyhow::anyhow!("the probe panicked"))??;
    server.stop()?;
    ensure!(!probes.after_ack_us.is_empty(), "no click was probed");
    let ms = |histogram: &Histogram<u64>, share| histogram.value_at_quantile(share) as f64 / 1000.0;
    let result = FreshnessResult {
        p50_ms: ms(&probes.after_ack_us, 0.5),
        p99_ms: ms(&probes.after_ack_us, 0.99),
        max_ms: probes.after_ack_us.max() as f64 / 1000.0,
        events_per_second: background.rate() * BACKGROUND_BATCH as f64,
        clicks: probes.after_ack_us.len(),
        click_to_answer_p50_ms: ms(&probes.from_click_us, 0.5),
        click_to_answer_p99_ms: ms(&probes.from_click_us, 0.99),
    };
    output.result(&result, |r| {
        format!(
            "acknowledged click to changed answer: p50 {:.2} ms, p99 {:.2} ms, over {} clicks at \
             {:.0} events/s (from the click itself: p50 {:.2} ms, p99 {:.2} ms)",
            r.p50_ms,
            r.p99_ms,
            r.clicks,
            r.events_per_second,
            r.click_to_answer_p50_ms,
            r.click_to_answer_p99_ms
        )
    })
}

/// Puts the items that the background stream speaks of, in one request.
fn put_items(server: &Running) -> anyhow::Result<()> {
    let items: Vec<Value> = (0..ITEMS)
        .map(|number| {
            json!({ "item_id": format!("i{number}"), "categories": [format!("c{}", number % 12)] })
        })
        .collect();
    let mut wire = Wire::connect(server.address())?;
    let body = Value::Array(items).to_string();
    let (status, words) = wire.post("/v1/items?wait=applied", body.as_bytes())?;
    ensure!(
        status == 200,
        "items were refused: {}",
        String::from_utf8_lossy(words)
    );
    Ok(())
}

struct Probes {
    after_ack_us: Histogram<u64>,
    from_click_us: Histogram<u64>,
}

/// Clicks the first item of a list and asks until a list comes without it, over and over.
fn probe(server: &Running, is_over: &AtomicBool) -> anyhow::Result<Probes> {
    let mut wire = Wire::connect(server.address())?;
    let histogram =
        || Histogram::new_with_bounds(1, 60_000_000, 3).context("cannot make a histogram");
    let mut probes = Probes {
        after_ack_us: histogram()?,
        from_click_us: histogram()?,
    };
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let user = format!("probe-{}", number / CLICKS_PER_USER);
        number += 1;
        let question = json!({ "user_id": user, "k": LIST_LEN, "impressions": false }).to_string();
        let Some(first) = first_item(&mut wire, &question)? else {
            // Nothing is popular yet: the background has only just begun.
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let click = json!({ "event_type": "click", "user_id": user, "item_id": first }).to_string();
        let clicked = Instant::now();
        let (status, words) = wire.post("/v1/events", click.as_bytes())?;
        ensure!(
            (200..300).contains(&status),
            "a click was refused: {}",
            String::from_utf8_lossy(words)
        );
        let acknowledged = Instant::now();
        loop {
            let (_, answer) = wire.post("/v1/recommendations", question.as_bytes())?;
            let answered = Instant::now();
            if !contains_item(answer, &first) {
                let us = |since: Instant| (answered - since).as_micros() as u64;
                probes.after_ack_us.saturating_record(us(acknowledged));
                probes.from_click_us.saturating_record(us(clicked));
                break;
            }
            ensure!(
                acknowledged.elapsed() < Duration::from_secs(10),
                "the list of {user} did not change within 10 s"
            );
        }
    }
    Ok(probes)
}

fn first_item(wire: &mut Wire, question: &str) -> anyhow::Result<Option<String>> {
    let (status, answer) = wire.post("/v1/recommendations", question.as_bytes())?;
    ensure!(
        status == 200,
        "a request was refused: {}",
        String::from_utf8_lossy(answer)
    );
    let answer: Value = serde_json::from_slice(answer).context("the answer is not JSON")?;
    Ok(answer["items"][0]["item_id"].as_str().map(str::to_owned))
}

/// Looks for the quoted id: cheaper than parsing, and ids of this catalogue contain no escapes.
fn contains_item(answer: &[u8], item_id: &str) -> bool {
    let quoted = format!("\"{item_id}\"");
    answer
        .windows(quoted.len())
        .any(|window| window == quoted.as_bytes())
}
