//! Bodies made beforehand, and those who send them.

use crate::product::client::Client;
use anyhow::{Context, Result, ensure};
use nowcast_sim::{Traffic, TrafficOptions};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Distinct users and items of the stream.
pub(super) const USERS: u32 = 20_000;
pub(super) const ITEMS: u32 = 2_000;
/// Events of one body.
const BODY_EVENTS: usize = 500;
/// Connections that post bodies: each waits for the brokers, so it takes some to keep them busy.
const SENDERS: usize = 16;

/// Request bodies of events that have just happened.
pub(super) struct Bodies(Vec<String>);

impl Bodies {
    /// `events` events in large bodies; ids differ between rounds.
    pub(super) fn new(seed: u64, round: usize, events: usize) -> Self {
        Self::of(seed, round, events, BODY_EVENTS)
    }

    /// `events` events, so many in a body.
    pub(super) fn of(seed: u64, round: usize, events: usize, body_events: usize) -> Self {
        let options = TrafficOptions {
            users: USERS,
            items: ITEMS,
            start_ms: now_ms() - (events as i64) / 10,
            ..TrafficOptions::default()
        };
        let raw: Vec<_> = Traffic::new(seed + round as u64, options)
            .take(events)
            .collect();
        let body = |part: &[nowcast_sim::RawEvent]| {
            let mut body = vec![b'['];
            for (number, event) in part.iter().enumerate() {
                if number > 0 {
                    body.push(b',');
                }
                event.write_json(round as u32, &mut body);
            }
            body.push(b']');
            String::from_utf8_lossy(&body).into_owned()
        };
        Self(raw.chunks(body_events).map(body).collect())
    }

    /// All of them.
    pub(super) fn into_all(self) -> Vec<String> {
        self.0
    }

    /// The first so many.
    pub(super) fn into_first(mut self, count: usize) -> Vec<String> {
        self.0.truncate(count);
        self.0
    }
}

/// Sends every body as fast as they are acknowledged; answers with events a second.
pub(super) fn flood(address: SocketAddr, bodies: &Bodies) -> Result<f64> {
    let started = Instant::now();
    post_all(address, &bodies.0)?;
    let events = bodies.0.len() * BODY_EVENTS;
    Ok(events as f64 / started.elapsed().as_secs_f64())
}

/// Posts bodies of events over a few connections.
pub(super) fn post_all(address: SocketAddr, bodies: &[String]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let send = || -> Result<()> {
        let mut client = Client::connect(address)?;
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = client.send("POST", "/v1/events", body)?;
            ensure!(answer.is_success(), "events were refused: {answer:?}");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        senders
            .into_iter()
            .try_for_each(|sender| sender.join().expect("a sender does not panic"))
    })
}

/// Sends requests when they are due, over so many connections; latencies count from then on.
pub(super) fn open_loop(
    address: SocketAddr,
    path: &str,
    connections: usize,
    rate: f64,
    duration: Duration,
    body: &(dyn Fn(usize) -> String + Sync),
) -> Result<Vec<Duration>> {
    let (next, latencies) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let started = Instant::now() + Duration::from_millis(5);
    let send = || -> Result<()> {
        let mut client = Client::connect(address)?;
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = started + Duration::from_secs_f64(number as f64 / rate);
            if due >= started + duration {
                break;
            }
            let body = body(number);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let answer = client.send("POST", path, &body)?;
            ensure!(answer.is_success(), "{path} was refused: {answer:?}");
            own.push(due.elapsed());
        }
        let mut all = latencies.lock().expect("no sender panics");
        all.append(&mut own);
        Ok(())
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..connections).map(|_| scope.spawn(send)).collect();
        senders
            .into_iter()
            .try_for_each(|sender| sender.join().expect("a sender does not panic"))
    })?;
    let mut latencies = latencies.into_inner().expect("no sender panics");
    ensure!(!latencies.is_empty(), "nothing was sent to {path}");
    latencies.sort_unstable();
    Ok(latencies)
}

/// A quantile of sorted times, in milliseconds.
pub(super) fn quantile_ms(sorted: &[Duration], share: f64) -> Result<f64> {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    let value = sorted.get(at).context("nothing was measured")?;
    Ok(value.as_secs_f64() * 1e3)
}

/// The present in milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
