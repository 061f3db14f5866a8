//! What runs beside requests: popularity tables, the content index, rates, metrics upkeep.
//!
//! One thread with a beat. Each beat does what is due and measures nothing itself; a beat that
//! takes long only makes the next one later.

use crate::error::EngineError;
use crate::meters::{Meters, MetricsRegistry};
use crate::status::Rates;
use arc_swap::ArcSwap;
use nowcast_disk::Pacer;
use nowcast_recommend::{LiveContent, ModelSet, ProcessorLive};
use nowcast_store::Catalog;
use nowcast_stream::Processor;
use nowcast_types::Clock;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the beat works with.
pub struct Parts {
    /// Where positions are read.
    pub processor: Arc<Processor>,
    /// Whose tables are rebuilt.
    pub live: Arc<ProcessorLive>,
    /// The index that follows the catalogue.
    pub content: Arc<LiveContent>,
    /// The models, some of which follow the catalogue too.
    pub models: Arc<ArcSwap<ModelSet>>,
    /// The catalogue they follow.
    pub catalog: Arc<Catalog>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The registry that needs upkeep.
    pub metrics: Arc<MetricsRegistry>,
    /// Where totals are read.
    pub meters: Arc<Meters>,
    /// Where rates are kept.
    pub rates: Arc<Rates>,
    /// Time between rebuilds of the tables.
    pub refresh: Duration,
}

/// The thread and the way to stop it.
pub struct Background {
    parts: Arc<Parts>,
    stop: Arc<StopSignal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A flag that wakes whoever sleeps on it.
#[derive(Default)]
pub(crate) struct StopSignal {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    /// Raises the flag.
    pub(crate) fn set(&self) {
        *self.is_set.lock() = true;
        self.changed.notify_all();
    }

    /// Sleeps until `until` or until the flag is raised; says whether it is.
    pub(crate) fn sleep_until(&self, until: Instant) -> bool {
        let mut is_set = self.is_set.lock();
        while !*is_set {
            if self.changed.wait_until(&mut is_set, until).timed_out() {
                break;
            }
        }
        *is_set
    }
}

/// Catalogue changes are followed, and rates taken, this often.
const BEAT: Duration = Duration::from_millis(250);
/// Samples of histograms are moved into their buckets this often.
const UPKEEP: Duration = Duration::from_secs(5);

/// How the tables are rebuilt: a fifth of a core at most, whatever the size of the catalogue.
fn pacer() -> Pacer {
    Pacer::new(0.2)
}

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(parts: Parts) -> Result<Self, EngineError> {
        let parts = Arc::new(parts);
        let stop = Arc::new(StopSignal::default());
        let (worker_parts, stopped) = (Arc::clone(&parts), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("background".to_owned())
            .spawn(move || run(&worker_parts, &stopped))
            .map_err(|error| EngineError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            parts,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Does at once what the next beat would do for requests.
    pub fn refresh(&self) {
        // The second time there is nothing to follow, and norms become final.
        while self.parts.content.follow(&self.parts.catalog) > 0 {}
        self.parts.models.load().follow(&self.parts.catalog);
        self.parts
            .live
            .refresh(self.parts.clock.now(), &mut Pacer::new(1.0));
    }

    /// Shows requests the catalogue as it is now. May take long after bulk changes.
    pub fn catch_up(parts: &Parts) {
        parts.content.catch_up(&parts.catalog);
        parts.models.load().follow(&parts.catalog);
    }

    /// What the beat works with.
    pub const fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// Ends the thread after its present beat.
    pub fn stop(&self) {
        self.stop.set();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the background thread has panicked");
        }
    }
}

fn run(parts: &Parts, stop: &StopSignal) {
    let start = Instant::now();
    let (mut refresh_at, mut upkeep_at) = (start, start + UPKEEP);
    let beat = BEAT.min(parts.refresh);
    loop {
        let now = Instant::now();
        parts.content.follow(&parts.catalog);
        parts.models.load().follow(&parts.catalog);
        let applied = parts.processor.applied_all().iter().sum();
        parts
            .rates
            .sample(now, parts.meters.accepted_total(), applied);
        if now >= refresh_at {
            parts.live.refresh(parts.clock.now(), &mut pacer());
            refresh_at = now + parts.refresh;
        }
        if now >= upkeep_at {
            parts.metrics.upkeep();
            upkeep_at = now + UPKEEP;
        }
        if stop.sleep_until(Instant::now() + beat) {
            return;
        }
    }
}
