//! A whole engine in memory whose time is the stream's: log, fold, live state, models, pipeline.

use super::stream_file::{EventStream, StreamEvent};
use crate::error::EvaluationError;
use arc_swap::ArcSwap;
use nowcast_disk::{Pacer, SimFs};
use nowcast_features::{FoldConfig, FoldPlan};
use nowcast_log::{EventLog, MemoryLog, RecordBatch};
use nowcast_models::online::{self, OnlineConfig};
use nowcast_models::{InteractionsBuilder, ItemIds, Params, trainer};
use nowcast_recommend::ranking::{Facts, LiveRanker};
use nowcast_recommend::{
    Answer, Deps, LiveContent, LoadedModel, ModelSet, ProcessorLive, RecommendConfig, Recommender,
    Request, SlotConfig, Subject,
};
use nowcast_store::{Catalog, CheckpointConfig, CheckpointStore};
use nowcast_stream::{Duty, Epochs, Processor, ProcessorDeps, StreamConfig};
use nowcast_types::{
    Categories, Clock, Consent, DeviceClass, Event, EventTypeCode, PartitionId, Record, Span,
    Stream, Timestamp,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const PARTITION: PartitionId = PartitionId(0);
const SLOT: &str = "default";
/// Folding a batch takes milliseconds; beyond this something is broken.
const FOLD_WAIT: Duration = Duration::from_secs(60);
/// Events per append, well below the largest batch.
const APPEND_EVENTS: usize = 4_096;

/// Time as the stream tells it.
#[derive(Default)]
struct StreamClock(AtomicI64);

impl Clock for StreamClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// An engine in memory.
pub(crate) struct World<'a> {
    stream: &'a EventStream,
    log: Arc<MemoryLog>,
    processor: Arc<Processor>,
    live: Arc<ProcessorLive>,
    models: Arc<ArcSwap<ModelSet>>,
    catalog: Arc<Catalog>,
    recommender: Recommender,
    ranker: Arc<LiveRanker>,
    /// Lists of which it is known by now what was chosen, not learnt yet.
    choices: Vec<(Box<Facts>, usize)>,
    runtime: tokio::runtime::Runtime,
    clock: Arc<StreamClock>,
    keeps_facts: bool,
    appended: u64,
}

impl<'a> World<'a> {
    /// An empty world that serves `slot` and folds as `fold` says.
    pub(crate) fn new(
        stream: &'a EventStream,
        fold: &FoldConfig,
        slot: SlotConfig,
        online_config: OnlineConfig,
    ) -> Result<Self, EvaluationError> {
        let failed = |error: &dyn std::fmt::Display| EvaluationError::Engine(error.to_string());
        let plan =
            FoldPlan::compile(fold, Arc::new(stream.types.clone())).map_err(|e| failed(&e))?;
        let (log, catalog) = (Arc::new(MemoryLog::new(1)), Arc::new(Catalog::new()));
        let clock = Arc::new(StreamClock::default());
        let store = CheckpointStore::open(
            Arc::new(SimFs::new(0)),
            Path::new("checkpoints"),
            CheckpointConfig::default(),
        );
        let deps = ProcessorDeps {
            log: log.clone(),
            checkpoints: Arc::new(store.map_err(|e| failed(&e))?),
            duty: Duty::All(Epochs::default()),
            plan,
            catalog: catalog.clone(),
            clock: clock.clone(),
        };
        // Nothing here outlives the process, so nothing is ever checkpointed.
        let config = StreamConfig {
            checkpoint_interval: Span(i64::from(u32::MAX)),
            checkpoint_bytes: nowcast_types::ByteSize(u64::MAX),
            ..StreamConfig::default()
        };
        let processor = Arc::new(Processor::start(deps, config).map_err(|e| failed(&e))?);
        let live = Arc::new(ProcessorLive::new(processor.clone(), Some("item_ctr_1h")));
        let models = Arc::new(ArcSwap::from_pointee(ModelSet::default()));
        let ranker = Arc::new(LiveRanker::new(online_config)?);
        let deps = Deps {
            live: live.clone(),
            catalog: catalog.clone(),
            models: models.clone(),
            content: Arc::new(LiveContent::new()),
            ranker: ranker.clone(),
        };
        let keeps_facts = slot.rerank.contains_key(online::NAME);
        let recommender = Self::recommender(deps, slot).map_err(|e| failed(&e))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        Ok(Self {
            runtime: runtime.map_err(|e| failed(&e))?,
            stream,
            log,
            processor,
            live,
            models,
            catalog,
            recommender,
            ranker,
            choices: Vec::new(),
            clock,
            keeps_facts,
            appended: 0,
        })
    }

    fn recommender(
        deps: Deps,
        slot: SlotConfig,
    ) -> Result<Recommender, nowcast_recommend::RecommendError> {
        let config = RecommendConfig {
            slots: BTreeMap::from([(SLOT.to_owned(), slot)]),
            ..RecommendConfig::default()
        };
        Recommender::new(deps, config)
    }

    /// Learns `events` in order: they are in every answer from here on.
    pub(crate) fn learn(&mut self, events: &[StreamEvent]) -> Result<(), EvaluationError> {
        for part in events.chunks(APPEND_EVENTS) {
            let mut batch = RecordBatch::new();
            for event in part {
                self.clock.0.fetch_max(event.time.0, Ordering::Relaxed);
                self.push(event, &mut batch);
            }
            let ack = self.log.append(Stream::Events, PARTITION, batch);
            let range = ack
                .wait()
                .map_err(|e| EvaluationError::Engine(e.to_string()))?;
            self.wait_applied(range.end.saturating_sub(1))?;
        }
        for (facts, chosen) in self.choices.drain(..) {
            self.ranker.learn_choice(&facts, chosen);
        }
        self.ranker.publish();
        Ok(())
    }

    fn wait_applied(&self, offset: u64) -> Result<(), EvaluationError> {
        let deadline = Instant::now() + FOLD_WAIT;
        let applied = self.processor.wait_applied(PARTITION, offset, deadline);
        if self.runtime.block_on(applied) {
            return Ok(());
        }
        let phase = format!("{:?}", self.processor.readiness());
        Err(EvaluationError::Engine(format!(
            "the fold did not reach {offset}: {phase}"
        )))
    }

    /// The event itself, after the impressions of what it was chosen from.
    fn push(&mut self, event: &StreamEvent, batch: &mut RecordBatch) {
        for shown in &event.shown {
            self.push_one(event, *shown, EventTypeCode::IMPRESSION, batch);
        }
        self.push_one(event, event.item, event.event_type, batch);
    }

    fn push_one(
        &mut self,
        event: &StreamEvent,
        item: u32,
        event_type: EventTypeCode,
        batch: &mut RecordBatch,
    ) {
        let event_id = self.appended.to_string();
        self.appended += 1;
        batch.push(&Record::Event(Event {
            event_id: &event_id,
            event_type,
            user: event.user,
            session: event.session,
            item_id: Some(&self.stream.items[item as usize]),
            timestamp: event.time,
            received_at: event.time,
            value: None,
            slot: None,
            request_id: None,
            device: DeviceClass::Unknown,
            location: None,
            utc_offset_minutes: 0,
            categories: Categories::new(),
            properties: None,
            consent: Consent::ALL,
            schema_version: nowcast_types::event::SCHEMA_VERSION,
        }));
    }

    /// Keeps what the online ranker went by until [`Self::learn`] is called: strictly after the
    /// answer was given.
    /// Returns them.
    pub(crate) fn keep_choice(
        &mut self,
        event: &StreamEvent,
        answer: &mut Answer,
    ) -> Option<&(Box<Facts>, usize)> {
        let chosen = self.stream.items[event.item as usize].as_str();
        let at = answer
            .items
            .iter()
            .position(|item| &*item.item_id == chosen);
        let choice = answer.facts.take().zip(at)?;
        self.choices.push(choice);
        self.choices.last()
    }

    /// Rebuilds the popularity tables, as the engine does every second.
    pub(crate) fn refresh_trending(&self, now: Timestamp) {
        self.live.refresh(now, &mut Pacer::new(1.0));
    }

    /// Trains `names` on the first `upto` events of the stream and serves them.
    pub(crate) fn train(
        &self,
        names: &[&str],
        upto: usize,
        params: &Params,
        seed: u64,
    ) -> Result<(), EvaluationError> {
        if names.is_empty() {
            return Ok(());
        }
        // Items join when they first occur, so that no model knows of any that are yet to come.
        let mut builder = InteractionsBuilder::new(ItemIds::default());
        let mut numbers: Vec<Option<u32>> = vec![None; self.stream.items.len()];
        for event in &self.stream.events[..upto] {
            let strength = self.stream.types.strength(event.event_type, None);
            if strength > 0.0 {
                let id = &self.stream.items[event.item as usize];
                let slot = &mut numbers[event.item as usize];
                let item = *slot.get_or_insert_with(|| builder.push_item(id));
                builder.push(event.user_index, item, strength, event.time.seconds_u32());
            }
        }
        let data = builder.build();
        let mut models = Vec::new();
        for name in names {
            let trainer = trainer(name)?;
            let model = trainer.fit(&data, &params.only(trainer.params()), seed, &())?;
            models.push(LoadedModel::new(
                Arc::from(model),
                upto.to_string(),
                &self.catalog,
            ));
        }
        self.models.store(Arc::new(ModelSet::new(models)));
        Ok(())
    }

    /// The best `k` items for the user of `event` just before it, or the shown ones re-ranked.
    pub(crate) fn recommend(
        &self,
        event: &StreamEvent,
        k: usize,
    ) -> Result<Answer, EvaluationError> {
        let shown: Vec<&str> = event
            .shown
            .iter()
            .map(|i| self.stream.items[*i as usize].as_str())
            .collect();
        let request = Request {
            candidates: (!shown.is_empty()).then_some(&shown),
            context: (!event.context.is_empty()).then_some(&event.context),
            keep_facts: self.keeps_facts && !shown.is_empty(),
            ..Request::new(Subject::User(event.user), SLOT, k, event.time)
        };
        self.recommender
            .recommend(&request)
            .map_err(|e| EvaluationError::Engine(e.to_string()))
    }
}

#[cfg(test)]
impl World<'_> {
    /// Whether the pipeline accepts a slot.
    pub(crate) fn check_slot(slot: SlotConfig) -> Result<(), EvaluationError> {
        let stream = EventStream {
            events: Vec::new(),
            items: Vec::new(),
            users: 0,
            has_impressions: false,
            types: nowcast_types::EventTypes::default(),
            skipped_rows: 0,
        };
        let online = OnlineConfig::default();
        World::new(&stream, &FoldConfig::default(), slot, online).map(|_| ())
    }
}
