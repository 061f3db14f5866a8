//! From a click to the changed answer, across ingest, Kafka, the fold, Redis and serving.

use super::ThroughputArgs;
use super::load::{self, Bodies, quantile_ms};
use super::site::Site;
use crate::product::client::Client;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Events of one background request.
const BACKGROUND_BATCH: usize = 25;
/// Clicks of one user before the next takes over.
const CLICKS_PER_USER: usize = 50;
/// Longest time for an answer to change.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Clicks {
    clicks: usize,
    /// From the click's acknowledgement.
    click_to_answer_p50_ms: f64,
    click_to_answer_p99_ms: f64,
    /// From the click itself.
    whole_click_p50_ms: f64,
    whole_click_p99_ms: f64,
    click_events_per_second: u32,
}

/// Clicks and asks, over and over, while other events come in.
pub(super) fn measure(site: &Site, args: &ThroughputArgs) -> Result<Clicks> {
    let (ingest, serve) = (site.ingest.address, site.serve.address);
    let rate = f64::from(args.click_events_per_second) / BACKGROUND_BATCH as f64;
    let duration = Duration::from_secs(args.click_seconds);
    let events = (args.click_events_per_second as usize) * (args.click_seconds as usize + 1);
    // Rounds of their own, so that no id has been there before.
    let bodies = Bodies::of(args.seed, args.rounds, events, BACKGROUND_BATCH).into_all();
    let is_over = AtomicBool::new(false);
    let (background, probes) = std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe(ingest, serve, &is_over));
        let body = |number: usize| bodies[number % bodies.len()].clone();
        let background = load::open_loop(ingest, "/v1/events", 8, rate, duration, &body);
        is_over.store(true, Ordering::Relaxed);
        (background, prober.join().expect("the probe does not panic"))
    });
    background?;
    let (mut after_ack, mut whole): (Vec<Duration>, Vec<Duration>) = probes?.into_iter().unzip();
    after_ack.sort_unstable();
    whole.sort_unstable();
    Ok(Clicks {
        clicks: whole.len(),
        click_to_answer_p50_ms: quantile_ms(&after_ack, 0.5)?,
        click_to_answer_p99_ms: quantile_ms(&after_ack, 0.99)?,
        whole_click_p50_ms: quantile_ms(&whole, 0.5)?,
        whole_click_p99_ms: quantile_ms(&whole, 0.99)?,
        click_events_per_second: args.click_events_per_second,
    })
}

/// Clicks the first item of a list and asks until a list comes without it.
fn probe(
    ingest: SocketAddr,
    serve: SocketAddr,
    is_over: &AtomicBool,
) -> Result<Vec<(Duration, Duration)>> {
    let (mut ingest, mut serve) = (Client::connect(ingest)?, Client::connect(serve)?);
    let mut probes = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let user = format!("probe-{}", probes.len() / CLICKS_PER_USER);
        let question = json!({ "user_id": user, "k": 10, "impressions": false }).to_string();
        let first = items(&mut serve, &question)?.into_iter().next();
        let first = first.context("nothing is recommended")?;
        let click = json!({ "event_type": "click", "user_id": user, "item_id": first });
        let clicked = Instant::now();
        let answer = ingest.send("POST", "/v1/events", &click.to_string())?;
        ensure!(answer.is_success(), "a click was refused: {answer:?}");
        let acknowledged = Instant::now();
        while items(&mut serve, &question)?.contains(&first) {
            ensure!(
                acknowledged.elapsed() < PATIENCE,
                "the list of {user} does not change"
            );
        }
        probes.push((acknowledged.elapsed(), clicked.elapsed()));
    }
    Ok(probes)
}

fn items(client: &mut Client, question: &str) -> Result<Vec<String>> {
    let answer = client.send("POST", "/v1/recommendations", question)?;
    ensure!(answer.status == 200, "a request was refused: {answer:?}");
    let answer: Value = serde_json::from_str(&answer.body)?;
    let items = answer["items"].as_array().context("no items")?;
    let id = |item: &Value| item["item_id"].as_str().map(str::to_owned);
    Ok(items.iter().filter_map(id).collect())
}
