//! What all handlers share.

use crate::config::ServerConfig;
use crate::keys::{Caller, KeyIndex, KeyRing};
use axum::http::StatusCode;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use nowcast_engine::Engine;
use nowcast_intake::DeadLetters;
use nowcast_schemas::Decoder;
use nowcast_sessions::SessionStore;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The server as its handlers see it; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    engine: Arc<Engine>,
    config: ServerConfig,
    dead_letters: Arc<DeadLetters>,
    sessions: Option<Arc<SessionStore>>,
    keys: KeyRing,
    rate: Option<DefaultKeyedRateLimiter<KeyIndex>>,
    ingest: Gate,
    serve: Gate,
    is_draining: AtomicBool,
    request_ids: RequestIds,
    meters: HttpMeters,
}

/// Requests of one kind that may be in progress at once.
struct Gate {
    permits: Arc<Semaphore>,
    in_progress: Gauge,
    shed: Counter,
}

/// What a request uses up; each kind has a bound of its own, so that one cannot starve the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Writes: events, items, users.
    Ingest,
    /// Reads: recommendations, profiles.
    Serve,
    /// Health, metrics and documents: never shed, so that overload can be seen.
    Control,
}

/// The key of callers without one, for the rate limit.
const NOBODY: KeyIndex = KeyIndex::MAX;

impl App {
    /// Prepares keys, limits and meters.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        config: ServerConfig,
        dead_letters: Option<Arc<DeadLetters>>,
        sessions: Option<Arc<SessionStore>>,
    ) -> Self {
        let dead_letters = dead_letters.unwrap_or_else(|| {
            let (engine, decoder) = (Arc::clone(&engine), Arc::new(Decoder::new(None)));
            Arc::new(DeadLetters::new(engine, decoder, BTreeMap::new()))
        });
        let rate = NonZeroU32::new(config.requests_per_second_max)
            .map(|per_second| RateLimiter::keyed(Quota::per_second(per_second)));
        let (ingest, serve, meters) = engine.metrics().within(|| {
            (
                Gate::new("ingest", config.ingest_concurrency_max),
                Gate::new("serve", config.serve_concurrency_max),
                HttpMeters::new(),
            )
        });
        Self(Arc::new(Shared {
            keys: KeyRing::new(&config.api_keys),
            dead_letters,
            sessions,
            engine,
            config,
            rate,
            ingest,
            serve,
            is_draining: AtomicBool::new(false),
            request_ids: RequestIds::new(),
            meters,
        }))
    }

    /// The engine behind the API.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    /// What was refused.
    #[must_use]
    pub fn dead_letters(&self) -> &Arc<DeadLetters> {
        &self.0.dead_letters
    }

    /// Attributes of sessions, if they are kept.
    #[must_use]
    pub fn sessions(&self) -> Option<&SessionStore> {
        self.0.sessions.as_deref()
    }

    /// The server's settings.
    #[must_use]
    pub fn config(&self) -> &ServerConfig {
        &self.0.config
    }

    /// The API keys.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    /// The meters of the HTTP layer.
    #[must_use]
    pub fn meters(&self) -> &HttpMeters {
        &self.0.meters
    }

    /// A fresh request id.
    #[must_use]
    pub fn next_request_id(&self) -> String {
        self.0.request_ids.next()
    }

    /// Takes a place in a lane; `Err` if the lane is full, `Ok(None)` if it has no bound.
    ///
    /// # Errors
    /// The lane is full.
    pub fn enter(&self, lane: Lane) -> Result<Option<OwnedSemaphorePermit>, LaneFull> {
        let gate = match lane {
            Lane::Ingest => &self.0.ingest,
            Lane::Serve => &self.0.serve,
            Lane::Control => return Ok(None),
        };
        gate.enter().map(Some)
    }

    /// Counts a request of `caller` against its rate.
    ///
    /// # Errors
    /// Whole seconds until the next request may come.
    pub fn check_rate(&self, caller: Caller) -> Result<(), u64> {
        let Some(rate) = &self.0.rate else {
            return Ok(());
        };
        let key = match caller {
            Caller::Anybody => NOBODY,
            Caller::Key(index) => index,
        };
        rate.check_key(&key).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            wait.as_secs() + 1
        })
    }

    /// From now on the server is not ready, because it is about to stop.
    pub fn start_draining(&self) {
        self.0.is_draining.store(true, Ordering::Release);
    }

    /// Whether the server is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }
}

/// A lane has no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneFull;

impl Gate {
    fn new(lane: &'static str, places: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            in_progress: gauge!("nowcast_http_free_places", "lane" => lane),
            shed: counter!("nowcast_http_shed_total", "lane" => lane),
        }
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, LaneFull> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        self.in_progress
            .set(self.permits.available_permits() as f64);
        permit.map_err(|_| {
            self.shed.increment(1);
            LaneFull
        })
    }
}

/// Meters of the HTTP layer.
pub struct HttpMeters {
    by_class: [Counter; 5],
    seconds: [Histogram; 3],
    panics: Counter,
}

impl HttpMeters {
    fn new() -> Self {
        Self {
            by_class: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|class| counter!("nowcast_http_responses_total", "class" => class)),
            seconds: ["ingest", "serve", "control"]
                .map(|lane| histogram!("nowcast_http_request_seconds", "lane" => lane)),
            panics: counter!("nowcast_http_panics_total"),
        }
    }

    /// Notes an answer.
    pub fn response(&self, lane: Lane, status: StatusCode, seconds: f64) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_class[class].increment(1);
        let lane = match lane {
            Lane::Ingest => 0,
            Lane::Serve => 1,
            Lane::Control => 2,
        };
        self.seconds[lane].record(seconds);
    }

    /// Notes a handler that panicked.
    pub fn panic(&self) {
        self.panics.increment(1);
    }
}

/// Request ids: a random start and a counter, so that they are unique and cost nothing.
struct RequestIds {
    start: u64,
    count: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let mut bytes = [0_u8; 8];
        // Without randomness ids may repeat after a restart, which only blurs the logs.
        let _ = getrandom::fill(&mut bytes);
        Self {
            start: u64::from_le_bytes(bytes),
            count: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{count:x}", self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_sheds_and_an_ended_request_makes_room() {
        let gate = Gate::new("test", 1);
        let place = gate.enter().unwrap();
        assert_eq!(gate.enter().err(), Some(LaneFull));
        drop(place);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn request_ids_differ() {
        let ids = RequestIds::new();
        assert_ne!(ids.next(), ids.next());
    }
}
