//! The durable half of the product in one thread and on any disk: log, fold, checkpoints,
//! artifacts, wired as the processor wires them but step by step, so that a drill can stop
//! anywhere and knows where.
//!
//! The rig is also where bugs are planted ([`Bug`]): in its own wiring, around the libraries,
//! never in them. The product binary cannot contain any.

use super::forgery;
use super::lessons::{self, Lessons};
use super::recovery::{Reports, fold_from_log, restore};
use super::site;
use super::workload::{self, Fate, Operation, Sent, Show};
use anyhow::{Result, anyhow, ensure};
use nowcast_disk::Fs;
use nowcast_engine::learning::TrainingFile;
use nowcast_features::{FoldPlan, Outcome, PartitionState, section_kind};
use nowcast_log::{EmbeddedLog, EventLog, LogConfig, RecordBatch};
use nowcast_recommend::ranking::{ITEM_FACTS_BYTES, ItemFacts, OnlineTraining, Situation, teach};
use nowcast_store::ArtifactStore;
use nowcast_store::artifact::LIVE;
use nowcast_store::checkpoint::{ChainId, CheckpointConfig, CheckpointStore};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    ByteSize, Consent, DeviceClass, Event, EventTypes, Offset, PartitionId, Record, Slate,
    SlateItem, SlateItems, Span, Stream, Timestamp, UserChange, UserKey,
};
use std::path::Path;
use std::sync::Arc;

/// Event partitions of the rig: two are enough to be in each other's way.
pub(super) const PARTITIONS: u16 = 2;
/// The artifact that the rig publishes.
const ARTIFACT: &str = "model";
const DAY_MS: i64 = 86_400_000;
/// Bytes of log read at a time.
const READ_BYTES: usize = 64 << 10;

/// A deliberate fault in the rig's wiring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// A checkpoint says it reaches further than the state it holds.
    PositionAheadOfState,
    /// A checkpoint leaves out a user that changed.
    DirtyUserForgotten,
    /// A retry counts again.
    DedupOff,
    /// An event behind the lateness counts.
    LateApplied,
    /// An event without consent counts.
    ConsentIgnored,
    /// An erasure is acknowledged and not logged.
    ErasureDropped,
    /// A failed append is taken for a good one.
    FailureAcknowledged,
    /// After a crash the state starts at the log's end instead of at its checkpoint.
    ReplaySkipped,
    /// A restart labels the last example once more, as if it were another.
    LabelledAgain,
    /// The learner does not look where examples stem from.
    RepeatsLearnt,
    /// A checkpoint leaves out pending slates.
    SlatesForgotten,
}

/// Log, fold, checkpoints and artifacts over one disk.
pub(super) struct Rig {
    pub(super) log: EmbeddedLog,
    pub(super) states: Vec<PartitionState>,
    store: CheckpointStore,
    artifacts: ArtifactStore,
    file: TrainingFile,
    training: OnlineTraining,
    bug: Option<Bug>,
    resent: u64,
}

impl Rig {
    /// Opens everything, restores the states and folds what the log has beyond them.
    pub(super) fn open(fs: &Arc<dyn Fs>, root: &Path, bug: Option<Bug>) -> Result<(Self, Reports)> {
        let log = EmbeddedLog::open(fs.clone(), &root.join("log"), log_config(), PARTITIONS)?;
        let folder = root.join("checkpoints");
        let store = CheckpointStore::open(fs.clone(), &folder, checkpoint_config())?;
        let artifacts = ArtifactStore::open(fs.clone(), &root.join("artifacts"), 2)?;
        let file = TrainingFile::in_folder(fs.clone(), root)?;
        let training = lessons::training(file.read()?.as_ref())?;
        let plan = plan(bug)?;
        let mut reports = Reports::new();
        let mut states = Vec::new();
        for partition in partitions() {
            states.push(restore(&store, &plan, partition, &mut reports)?);
        }
        let mut rig = Self {
            log,
            states,
            store,
            artifacts,
            file,
            training,
            bug,
            resent: 0,
        };
        if bug == Some(Bug::LabelledAgain) {
            rig.label_again()?;
        }
        if bug == Some(Bug::ReplaySkipped) && rig.states.iter().any(|s| s.position() > 0) {
            rig.skip_to_end()?;
        }
        rig.fold()?;
        Ok((rig, reports))
    }

    /// Carries out one operation: durable when it returns without an error.
    pub(super) fn perform(&mut self, operation: &Operation) -> Result<()> {
        let mut batches: Vec<RecordBatch> = partitions().map(|_| RecordBatch::new()).collect();
        match operation {
            Operation::Events(events) => {
                for sent in events {
                    self.push_event(&mut batches, sent);
                }
            }
            Operation::PutUser { user, segment } => {
                let user = user_key(user);
                let change = UserChange {
                    user,
                    at: Timestamp(0),
                    is_patch: false,
                    segment: Some(segment),
                    attributes: None,
                };
                batch_of(&mut batches, user).push(&Record::User(change));
            }
            Operation::Show(show) => {
                let user = user_key(&show.user);
                push_slate(batch_of(&mut batches, user), user, show);
            }
            Operation::Erase { user } => {
                let user = user_key(user);
                if self.bug != Some(Bug::ErasureDropped) {
                    let at = Timestamp(0);
                    batch_of(&mut batches, user).push(&Record::Erase { user, at });
                }
            }
        }
        for (partition, batch) in partitions().zip(batches) {
            if !batch.is_empty() {
                self.append(Stream::Events, partition, batch)?;
            }
        }
        Ok(())
    }

    fn push_event(&mut self, batches: &mut [RecordBatch], sent: &Sent) {
        let user = user_key(&sent.user);
        let item_id = workload::item_id(sent.item);
        let category = workload::category(sent.item);
        let event_id = if self.bug == Some(Bug::DedupOff) {
            self.resent += 1;
            format!("{}/{}", sent.event_id, self.resent)
        } else {
            sent.event_id.clone()
        };
        let is_denied = sent.fate == Fate::Denied && self.bug != Some(Bug::ConsentIgnored);
        let event = Event {
            event_id: &event_id,
            event_type: event_types()
                .code(sent.event_type)
                .expect("the workload uses built-in types"),
            user,
            session: None,
            item_id: sent.has_item().then_some(&item_id),
            timestamp: Timestamp(sent.timestamp_ms),
            received_at: Timestamp(sent.timestamp_ms),
            value: sent.value.map(|value| value as f32),
            slot: None,
            request_id: sent.request_id.as_deref(),
            device: DeviceClass::Unknown,
            location: None,
            utc_offset_minutes: 0,
            categories: [category.as_str()].into_iter().collect(),
            properties: None,
            consent: if is_denied {
                Consent::NONE
            } else {
                Consent::ALL
            },
            schema_version: nowcast_types::event::SCHEMA_VERSION,
        };
        batch_of(batches, user).push(&Record::Event(event));
    }

    fn append(&self, stream: Stream, partition: PartitionId, batch: RecordBatch) -> Result<()> {
        let outcome = self.log.append(stream, partition, batch).wait();
        if self.bug == Some(Bug::FailureAcknowledged) {
            return Ok(());
        }
        outcome?;
        Ok(())
    }

    /// Folds everything acknowledged, and copies late events to their stream.
    pub(super) fn fold(&mut self) -> Result<()> {
        for partition in partitions() {
            let late = self.fold_partition(partition)?;
            if !late.is_empty() {
                self.append(Stream::Late, PartitionId(0), late)?;
            }
            let state = &mut self.states[usize::from(partition.0)];
            let mut examples = RecordBatch::new();
            for example in state.take_examples() {
                examples.push(&Record::Example(example.record(partition)));
            }
            if !examples.is_empty() {
                self.append(lessons::EXAMPLES.0, lessons::EXAMPLES.1, examples)?;
            }
        }
        self.learn()
    }

    fn fold_partition(&mut self, partition: PartitionId) -> Result<RecordBatch> {
        let state = &mut self.states[usize::from(partition.0)];
        let mut late = RecordBatch::new();
        fold_from_log(&self.log, partition, state, |record, outcome| {
            if outcome == Outcome::Late {
                late.push(record);
            }
        })?;
        Ok(late)
    }

    /// Makes the state of every partition durable, compacting where that is due.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        for partition in partitions() {
            let chain = ChainId::events(partition);
            let state = &mut self.states[usize::from(partition.0)];
            let mut blob = Vec::new();
            if self.store.needs_full(chain) {
                // The deltas already taken are in it, so the next one begins here.
                state.encode_delta(&mut Vec::new());
                state.encode_full(&mut blob);
                self.store.append_full(chain, state.position(), &[&blob])?;
            } else {
                state.encode_delta(&mut blob);
                match self.bug {
                    Some(Bug::DirtyUserForgotten) => blob = forgery::without_users(&blob, 1)?,
                    Some(Bug::PositionAheadOfState) => {
                        blob = forgery::without_users(&blob, usize::MAX)?;
                    }
                    Some(Bug::SlatesForgotten) => {
                        blob = forgery::without_kind(&blob, section_kind::SLATE)?;
                    }
                    _ => {}
                }
                self.store.append_delta(chain, state.position(), &blob)?;
            }
            if self.store.wants_compaction(chain) {
                self.store.compact(chain)?;
            }
            self.log
                .protect(Stream::Events, partition, state.position())?;
        }
        self.file.write(&self.training)?;
        Ok(())
    }

    /// Publishes the next version of the artifact.
    pub(super) fn publish(&self) -> Result<()> {
        let version = self.artifacts.next_version(ARTIFACT)?;
        self.artifacts
            .put(ARTIFACT, version, &artifact_bytes(version))?;
        self.artifacts.promote(ARTIFACT, version)?;
        Ok(())
    }

    /// Retires what the late stream no longer needs, so that segments are used again.
    pub(super) fn retire_late(&self) -> Result<()> {
        let end = self.log.bounds(Stream::Late, PartitionId(0))?.end;
        self.log
            .truncate_before(Stream::Late, PartitionId(0), end)?;
        Ok(())
    }

    /// Reads the artifact that is live and checks it against what was put; empty if there is none.
    pub(super) fn live_artifact(&self) -> Result<Vec<u8>> {
        let Some(live) = self.artifacts.alias(ARTIFACT, LIVE)? else {
            return Ok(Vec::new());
        };
        let bytes = self.artifacts.get(ARTIFACT, live)?;
        ensure!(
            bytes == artifact_bytes(live),
            "the artifact holds other bytes than were put"
        );
        Ok(bytes)
    }

    /// Reads every record of every stream.
    pub(super) fn each_record(
        &self,
        mut each: impl FnMut(Stream, Offset, &Record<'_>),
    ) -> Result<()> {
        for stream in Stream::ALL {
            for partition in (0..self.log.partitions(stream)).map(PartitionId) {
                let bounds = self.log.bounds(stream, partition)?;
                let mut position = bounds.earliest;
                while position < bounds.end {
                    for batch in self.log.read(stream, partition, position, READ_BYTES)? {
                        for (offset, record) in batch.records() {
                            each(stream, offset, &record?);
                        }
                        position = batch.end_offset();
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the files of a partition's checkpoints and log as `doctor` does; says how many are
    /// damaged.
    pub(super) fn scrub_partition(&self, partition: PartitionId) -> Result<usize> {
        self.log.verify(Stream::Events, partition)?;
        Ok(self.store.scrub(ChainId::events(partition))?.len())
    }

    /// Examples and weights, held against the oracle's.
    pub(super) fn lessons(&self) -> Result<Lessons> {
        lessons::compare(&self.log, event_types(), &[], self.training.clone())
    }

    fn learn(&mut self) -> Result<()> {
        if self.bug != Some(Bug::RepeatsLearnt) {
            return lessons::learn(&self.log, &mut self.training);
        }
        let (training, from) = (&mut self.training, lessons::EXAMPLES);
        lessons::each_record(&self.log, from, training.position(), |offset, record| {
            if let Record::Example(example) = record {
                teach(training.ranker_mut(), example, 2.0, |_| {});
            }
            training.pass(offset);
        })
    }

    fn label_again(&self) -> Result<()> {
        let mut again = RecordBatch::new();
        lessons::each_record(&self.log, lessons::EXAMPLES, 0, |_, record| {
            if let Record::Example(example) = record {
                again.clear();
                let mut other = example.clone();
                other.origin.index += 1;
                again.push(&Record::Example(other));
            }
        })?;
        if again.is_empty() {
            return Ok(());
        }
        self.append(lessons::EXAMPLES.0, lessons::EXAMPLES.1, again)
    }

    /// Folds the whole log again into fresh states.
    pub(super) fn replay(&self) -> Result<Vec<PartitionState>> {
        let plan = plan(self.bug)?;
        partitions()
            .map(|partition| {
                let mut state = PartitionState::new(plan.clone());
                fold_from_log(&self.log, partition, &mut state, |_, _| {})?;
                Ok(state)
            })
            .collect()
    }

    fn skip_to_end(&mut self) -> Result<()> {
        for partition in partitions() {
            let end = self.log.bounds(Stream::Events, partition)?.end;
            let state = &mut self.states[usize::from(partition.0)];
            if state.position() < end {
                state.skip(end - 1, nowcast_features::SkipReason::AlreadyFolded);
            }
        }
        Ok(())
    }
}

/// The partitions of the rig's events.
pub(super) fn partitions() -> impl Iterator<Item = PartitionId> {
    (0..PARTITIONS).map(PartitionId)
}

/// The pseudonym that the rig gives a user; the real edge uses a keyed hash.
pub(super) fn user_key(user: &str) -> UserKey {
    let mut bytes = [1; 16];
    bytes[1..9].copy_from_slice(&stable_hash(user.as_bytes(), 1).to_le_bytes());
    bytes[9..].copy_from_slice(&stable_hash(user.as_bytes(), 2).to_le_bytes()[..7]);
    UserKey(bytes)
}

fn batch_of(batches: &mut [RecordBatch], user: UserKey) -> &mut RecordBatch {
    &mut batches[usize::from(user.partition(PARTITIONS).0)]
}

/// Shows a list as the product does: nothing is known of the items but their ids.
fn push_slate(batch: &mut RecordBatch, user: UserKey, show: &Show) {
    let mut situation = Vec::new();
    Situation::default().encode(&mut situation);
    let mut items = Vec::new();
    for number in &show.items {
        let item = stable_hash(workload::item_id(*number).as_bytes(), 0);
        let facts = ItemFacts {
            item: item as u32,
            ..ItemFacts::default()
        };
        let score = *number as f32;
        let facts = &facts.to_bytes();
        SlateItems::push(&mut items, &SlateItem { item, score, facts });
    }
    batch.push(&Record::Slate(Slate {
        user,
        at: Timestamp(show.at_ms),
        request_id: &show.request_id,
        slot: "default",
        situation: &situation,
        items: SlateItems::new(&items, ITEM_FACTS_BYTES).expect("whole items were pushed"),
    }));
}

fn artifact_bytes(version: u64) -> Vec<u8> {
    (0..2_000_u64)
        .flat_map(|i| stable_hash(&i.to_le_bytes(), version).to_le_bytes())
        .collect()
}

fn event_types() -> &'static EventTypes {
    use std::sync::OnceLock;
    static TYPES: OnceLock<EventTypes> = OnceLock::new();
    TYPES.get_or_init(|| site::event_types().expect("the types of the drill are sound"))
}

fn plan(bug: Option<Bug>) -> Result<Arc<FoldPlan>> {
    let mut config = site::fold_config()?;
    if bug == Some(Bug::LateApplied) {
        config.lateness = Span(9 * DAY_MS);
    }
    FoldPlan::compile(&config, Arc::new(event_types().clone())).map_err(|error| anyhow!(error))
}

/// Segments, groups and caches so small that a few hundred events fill several.
fn log_config() -> LogConfig {
    LogConfig {
        segment_bytes: ByteSize(64 << 10),
        group_bytes_max: ByteSize(16 << 10),
        tail_cache_bytes: ByteSize(0),
        index_interval_bytes: ByteSize(4 << 10),
        ..LogConfig::default()
    }
}

fn checkpoint_config() -> CheckpointConfig {
    CheckpointConfig {
        deltas_max: 3,
        ..CheckpointConfig::default()
    }
}
