//! Recommendations over Redis beside those of an embedded server that has the same users.

use super::ThroughputArgs;
use super::load::{self, USERS, quantile_ms};
use super::median;
use super::site::Site;
use anyhow::{Context, Result};
use nowcast_services::redis::{Reply, command};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// Rounds of each server in turn.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 16;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Answers {
    requests_per_second: u32,
    redis_answer_p50_ms: f64,
    redis_answer_p99_ms: f64,
    embedded_answer_p50_ms: f64,
    embedded_answer_p99_ms: f64,
    /// Commands that Redis was sent for one recommendation.
    redis_commands_per_answer: f64,
}

/// Asks both servers in turn. The processor is stopped first: nothing else then talks to Redis.
pub(super) fn measure(
    site: &mut Site,
    args: &ThroughputArgs,
    bodies: &[String],
) -> Result<Answers> {
    load::post_all(site.embedded.address, bodies)?;
    site.process = None;
    let question = |number: usize| {
        let user = (number * 7_919) % USERS as usize;
        format!(r#"{{"user_id":"u{user}","k":20,"impressions":false}}"#)
    };
    let rate = f64::from(args.requests_per_second);
    let ask = |address: SocketAddr| {
        load::open_loop(
            address,
            "/v1/recommendations",
            CONNECTIONS,
            rate,
            ROUND,
            &question,
        )
    };
    let (mut redis, mut embedded) = (Quantiles::default(), Quantiles::default());
    let (mut commands, mut answers) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        embedded.add(&ask(site.embedded.address)?)?;
        let before = commands_processed(site.redis.address())?;
        let latencies = ask(site.serve.address)?;
        // The question itself is a command as well.
        commands += commands_processed(site.redis.address())? - before - 1.0;
        answers += latencies.len() as f64;
        redis.add(&latencies)?;
    }
    Ok(Answers {
        requests_per_second: args.requests_per_second,
        redis_answer_p50_ms: median(redis.p50_ms),
        redis_answer_p99_ms: median(redis.p99_ms),
        embedded_answer_p50_ms: median(embedded.p50_ms),
        embedded_answer_p99_ms: median(embedded.p99_ms),
        redis_commands_per_answer: commands / answers,
    })
}

#[derive(Default)]
struct Quantiles {
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

impl Quantiles {
    fn add(&mut self, sorted: &[Duration]) -> Result<()> {
        self.p50_ms.push(quantile_ms(sorted, 0.5)?);
        self.p99_ms.push(quantile_ms(sorted, 0.99)?);
        Ok(())
    }
}

fn commands_processed(address: SocketAddr) -> Result<f64> {
    let text = command(address, &["INFO", "stats"]).and_then(Reply::into_text)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("total_commands_processed:"));
    Ok(line
        .context("Redis does not count its commands")?
        .trim()
        .parse()?)
}
