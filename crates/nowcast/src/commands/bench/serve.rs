//! `nowcast bench serve`: personalized answers over HTTP, first at a fixed rate with the latency
//! counted from when each request was due, then as many as the machine gives. Measured is a server
//! at rest but for the requests: the checkpoints of the set-up are waited for first.

use super::bodies::now_ms;
use super::{BenchOptions, median};
use crate::cli::Shared;
use crate::measure::cpu::ThreadTimes;
use crate::measure::load::{self, LoadPlan};
use crate::measure::scratch::Scratch;
use crate::measure::wire::Wire;
use crate::progress;
use crate::running::{self, Running, SERVER_THREAD_NAME};
use crate::settings;
use anyhow::{Context, ensure};
use clap::Args;
use indicatif::ProgressBar;
use nowcast_sim::{SimRng, Zipf};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// Connections of the open loop.
const OPEN_CONNECTIONS: usize = 32;
/// Events or items of one set-up request.
const SETUP_BATCH: u64 = 1_000;
/// Topics that the synthetic users keep to, so that there is something to factorise.
const TOPICS: u64 = 64;

/// Flags of `bench serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Items of the catalogue.
    #[arg(long, default_value_t = 40_000)]
    items: u64,
    /// Factors of the model.
    #[arg(long, default_value_t = 64)]
    factors: u32,
    /// Interactions of each user.
    #[arg(long, default_value_t = 200)]
    history: u64,
    /// Users.
    #[arg(long, default_value_t = 2_000)]
    users: u64,
    /// Length of an answer.
    #[arg(long, default_value_t = 100)]
    k: usize,
    /// Requests a second of the open loop.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Connections at saturation.
    #[arg(long, default_value_t = 8)]
    connections: usize,
}

#[derive(Debug, Serialize)]
struct ServeResult {
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    requests_per_second: f64,
    saturation_per_second: f64,
    saturation_p99_ms: f64,
    server_cpu_ms_per_request: f64,
    items: u64,
    factors: u32,
    k: usize,
    history: u64,
    rung: String,
    models: Value,
}

/// Runs it.
///
/// # Errors
/// When the server cannot start or an answer is not personalized by a model.
pub fn run(shared: &Shared, options: &BenchOptions, args: &ServeArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let scratch = Scratch::new(&options.scratch, "serve")?;
    let mut flags = running::scratch_flags(scratch.path());
    flags.extend(running::training_flags(
        "ials",
        &[("factors", args.factors)],
    ));
    let loaded = settings::load_with(shared, flags)?;
    let server = Running::start(loaded.settings)?;
    let setup = Setup {
        args,
        seed: options.seed,
    };
    let total = args.items + args.users * args.history;
    let bar = progress::bar(output, total, "rows");
    setup.items(&server, &bar)?;
    setup.events(&server, &bar)?;
    bar.set_message("training");
    server.train()?;
    bar.set_message("settling");
    server.settle()?;
    bar.finish_and_clear();

    let probe = setup.probe(&server)?;
    ensure!(
        probe["rung"] == "personalized" && probe["items"].as_array().map(Vec::len) == Some(args.k),
        "the answers are not what is to be measured: {probe}"
    );
    let (rounds, seconds) = if options.quick { (2, 5) } else { (3, 15) };
    let bar = progress::bar(output, 2 * rounds, "runs");
    let mut open = Vec::new();
    let mut closed = Vec::new();
    let mut cpu_ms = Vec::new();
    for _ in 0..rounds {
        bar.set_message("open loop");
        open.push(setup.load(
            &server,
            Some(f64::from(args.rate)),
            OPEN_CONNECTIONS,
            seconds,
        )?);
        bar.inc(1);
        bar.set_message("saturation");
        let before = ThreadTimes::now()?;
        closed.push(setup.load(&server, None, args.connections, seconds)?);
        let used = ThreadTimes::now()?.since(&before, |name| name == SERVER_THREAD_NAME);
        // The warm-up's second is served too, at the same rate.
        let answered = closed.last().map_or(1.0, load::LoadResult::rate) * seconds as f64;
        cpu_ms.push(used.as_secs_f64() * 1000.0 / answered);
        bar.inc(1);
    }
    bar.finish_and_clear();
    server.stop()?;
    let over = |runs: &[load::LoadResult], value: &dyn Fn(&load::LoadResult) -> f64| {
        median(&mut runs.iter().map(value).collect::<Vec<f64>>())
    };
    let result = ServeResult {
        p50_ms: over(&open, &|r| r.quantile_ms(0.5)),
        p99_ms: over(&open, &|r| r.quantile_ms(0.99)),
        p999_ms: over(&open, &|r| r.quantile_ms(0.999)),
        requests_per_second: over(&open, &load::LoadResult::rate),
        saturation_per_second: over(&closed, &load::LoadResult::rate),
        saturation_p99_ms: over(&closed, &|r| r.quantile_ms(0.99)),
        server_cpu_ms_per_request: median(&mut cpu_ms),
        items: args.items,
        factors: args.factors,
        k: args.k,
        history: args.history,
        rung: probe["rung"].as_str().unwrap_or_default().to_owned(),
        models: probe["models"].clone(),
    };
    output.result(&result, |r| {
        format!(
            "at {:.0} requests/s, open loop: p50 {:.2} ms, p99 {:.2} ms\nat saturation: {:.0} \
             requests/s, p99 {:.2} ms, {:.2} ms CPU a request\n{} items, {} factors, {} results, histories of {}",
            r.requests_per_second,
            r.p50_ms,
            r.p99_ms,
            r.saturation_per_second,
            r.saturation_p99_ms,
            r.server_cpu_ms_per_request,
            r.items,
            r.factors,
            r.k,
            r.history
        )
    })
}

struct Setup<'a> {
    args: &'a ServeArgs,
    seed: u64,
}

impl Setup<'_> {
    fn items(&self, server: &Running, bar: &ProgressBar) -> anyhow::Result<()> {
        bar.set_message("items");
        let mut wire = Wire::connect(server.address())?;
        let numbers: Vec<u64> = (0..self.args.items).collect();
        for part in numbers.chunks(SETUP_BATCH as usize) {
            let items: Vec<Value> = part
                .iter()
                .map(|number| {
                    json!({
                        "item_id": format!("i{number}"),
                        "categories": [format!("topic-{}", number % TOPICS)],
                        "tags": [format!("tag-{}", number % 997)],
                    })
                })
                .collect();
            let body = Value::Array(items).to_string();
            accepted(wire.post("/v1/items", body.as_bytes())?)?;
            bar.inc(part.len() as u64);
        }
        Ok(())
    }

    /// Every user's history: mostly popular items of three topics, some of any.
    fn events(&self, server: &Running, bar: &ProgressBar) -> anyhow::Result<()> {
        bar.set_message("histories");
        let mut wire = Wire::connect(server.address())?;
        let per_topic = (self.args.items / TOPICS).max(1);
        let zipf = Zipf::new(per_topic as usize, 0.9);
        let mut rng = SimRng::new(self.seed);
        let events = self.args.users * self.args.history;
        let now = now_ms();
        let mut body = Vec::new();
        for number in 0..events {
            let (user, step) = (number % self.args.users, number / self.args.users);
            let topic = if rng.chance(0.85) {
                (user * 7 + rng.next_u64() % 3 * 13) % TOPICS
            } else {
                rng.next_u64() % TOPICS
            };
            let item = (zipf.draw(&mut rng) as u64 * TOPICS + topic) % self.args.items;
            let timestamp = now - ((self.args.history - step) * 1000) as i64;
            body.push(if body.is_empty() { b'[' } else { b',' });
            write!(
                body,
                r#"{{"event_id":"h{number}","event_type":"click","user_id":"u{user}","item_id":"i{item}","timestamp":{timestamp}}}"#
            )
            .context("cannot write a body")?;
            if (number + 1) % SETUP_BATCH == 0 || number + 1 == events {
                body.push(b']');
                accepted(wire.post("/v1/events?wait=applied", &body)?)?;
                body.clear();
                bar.inc(SETUP_BATCH);
            }
        }
        Ok(())
    }

    fn probe(&self, server: &Running) -> anyhow::Result<Value> {
        let mut wire = Wire::connect(server.address())?;
        let mut body = Vec::new();
        self.question(0, &mut body);
        let (_, answer) = wire.post("/v1/recommendations", &body)?;
        serde_json::from_slice(answer).context("the answer is not JSON")
    }

    fn question(&self, number: u64, out: &mut Vec<u8>) {
        // A fixed odd stride visits all users, far apart in memory.
        let user = number.wrapping_mul(2_654_435_761) % self.args.users.max(1);
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            r#"{{"user_id":"u{user}","k":{},"impressions":false}}"#,
            self.args.k
        );
    }

    fn load(
        &self,
        server: &Running,
        rate: Option<f64>,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<load::LoadResult> {
        let plan = LoadPlan {
            address: server.address(),
            path: "/v1/recommendations",
            connections,
            rate,
            duration: Duration::from_secs(seconds),
            warm_up: Duration::from_secs(1),
        };
        load::run(plan, &|number, out| self.question(number, out))?.checked()
    }
}

fn accepted((status, words): (u16, &[u8])) -> anyhow::Result<()> {
    ensure!(
        (200..300).contains(&status) && status != 207,
        "set-up was refused: {status} {}",
        String::from_utf8_lossy(&words[..words.len().min(500)])
    );
    Ok(())
}
