//! Engines on a simulated disk, with a clock that only the test moves.

use nowcast_disk::{Fs, SimFs};
use nowcast_engine::ingest::rules::ArrivalClock;
use nowcast_engine::pseudonym::PseudonymKey;
use nowcast_engine::{
    Arrival, Engine, EngineConfig, EngineError, EventDraft, EventFate, Surroundings,
};
use nowcast_types::{ByteSize, Clock, DeviceClass, Span, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub(crate) const START_MS: i64 = 1_795_000_000_000;

pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(START_MS))
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A disk and a clock that outlive the engines on them.
pub(crate) struct World {
    pub(crate) fs: Arc<SimFs>,
    pub(crate) clock: Arc<HandClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            fs: Arc::new(SimFs::new(3)),
            clock: Arc::new(HandClock::new()),
        }
    }

    pub(crate) fn open(&self) -> Arc<Engine> {
        self.try_open(config()).unwrap()
    }

    pub(crate) fn try_open(&self, config: EngineConfig) -> Result<Arc<Engine>, EngineError> {
        Engine::open_in(
            config,
            Surroundings {
                data_dir: PathBuf::from("data"),
                shared_dir: None,
                fs: Arc::clone(&self.fs) as Arc<dyn Fs>,
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                key: Some(PseudonymKey::new(1, [5; 32])),
                backends: Arc::new(nowcast_engine::Embedded),
            },
        )
    }
}

pub(crate) fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.events.partitions = 3;
    config.log.segment_bytes = ByteSize(1 << 20);
    config.serving.trending_refresh = Span(10);
    config.serving.wait_applied_max = Span(20_000);
    config.serving.deadline = Span(20_000);
    config.training.enabled = false;
    config
}

pub(crate) fn live(engine: &Engine) -> Arrival {
    engine.arrival(DeviceClass::Desktop)
}

pub(crate) fn historic(engine: &Engine) -> Arrival {
    Arrival {
        clock: ArrivalClock::EventTime,
        ..live(engine)
    }
}

/// An event that happens now.
pub(crate) fn draft<'a>(
    id: &'a str,
    kind: &'a str,
    user: &'a str,
    item: &'a str,
) -> EventDraft<'a> {
    EventDraft {
        event_id: Some(id.into()),
        event_type: Some(kind.into()),
        user_id: Some(user.into()),
        item_id: Some(item.into()),
        ..EventDraft::default()
    }
}

/// Takes events in and waits until they are visible.
pub(crate) async fn take(engine: &Engine, drafts: &[EventDraft<'_>]) {
    let outcome = engine.ingest(drafts, &live(engine)).await;
    for fate in &outcome.fates {
        assert!(matches!(fate, EventFate::Accepted { .. }), "{fate:?}");
    }
    assert!(engine.wait_applied(&outcome.ends).await);
}

pub(crate) fn history(engine: &Engine, user: &str) -> Vec<String> {
    let profile = engine.profile(user, false, 1_000).unwrap();
    let entries = profile.into_iter().flat_map(|profile| profile.history);
    entries.map(|entry| entry.item_id).collect()
}
