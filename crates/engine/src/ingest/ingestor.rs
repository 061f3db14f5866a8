//! The path of a batch: every draft is checked, given its pseudonym, enriched and encoded straight
//! into the record batch of its partition; then the batches are appended together and awaited.
//!
//! The first half is synchronous and pure but for the catalogue it looks categories up in. There
//! is no queue in front: an append that finds the log full fails at once and the client hears it.

use super::category_cache::{CategoryCache, Peeked};
use super::draft::EventDraft;
use super::event_id::EventIdSource;
use super::redact;
use super::rules::{Admitted, Arrival, EventRules};
use crate::dead_letter::Letter;
use crate::impressions::Shown;
use nowcast_log::{AppendAck, BATCH_BYTES_MAX, EventLog, LogError, RecordBatch};
use nowcast_store::{Catalog, CatalogReader};
use nowcast_types::event::SCHEMA_VERSION;
use nowcast_types::{
    Categories, Consent, Event, EventTypeCode, Offset, PartitionId, Record, Refusal, RefusalCode,
    Slate, Stream,
};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Encoded size of a usual event, in bytes: room made ahead.
const EVENT_BYTES_USUAL: usize = 128;

/// A batch is cut here, well below what the log takes, because one more event may follow.
const CHUNK_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;

/// What became of one event.
#[derive(Debug, Clone)]
pub enum EventFate<'d> {
    /// It is durable.
    Accepted {
        /// The client's id, or the derived one.
        event_id: Cow<'d, str>,
        /// Where it was stored.
        partition: PartitionId,
        /// Its position there; where other producers write to the same log and their records lie
        /// between those of its batch, the position of the batch's last record.
        offset: Offset,
    },
    /// It broke a rule; nothing was stored.
    Refused(Refusal),
    /// It was understood but its time is out of bounds; it is durable among the dead letters.
    DeadLettered(Refusal),
    /// It could not be stored; sending it again, with the same id, is safe.
    Failed(LogError),
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub struct IngestOutcome<'d> {
    /// One entry per draft, in their order.
    pub fates: Vec<EventFate<'d>>,
    /// Per touched partition the offset after the last accepted event: what to wait for.
    pub ends: Vec<(PartitionId, Offset)>,
}

/// Counts of what became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FateCounts {
    /// Durable events.
    pub accepted: u64,
    /// Refused events.
    pub refused: u64,
    /// Events among the dead letters.
    pub dead_lettered: u64,
    /// Events that could not be stored.
    pub failed: u64,
}

impl IngestOutcome<'_> {
    /// How many events met each fate.
    #[must_use]
    pub fn counts(&self) -> FateCounts {
        let mut counts = FateCounts::default();
        for fate in &self.fates {
            match fate {
                EventFate::Accepted { .. } => counts.accepted += 1,
                EventFate::Refused(_) => counts.refused += 1,
                EventFate::DeadLettered(_) => counts.dead_lettered += 1,
                EventFate::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }
}

/// Records of one partition to append together.
struct Chunk {
    stream: Stream,
    partition: PartitionId,
    batch: RecordBatch,
}

/// Where the records of a chunk lie in the log.
struct Stretch {
    offsets: Range<Offset>,
    /// Records of ours; fewer than offsets if others' lie between them.
    count: u64,
}

impl Stretch {
    /// Where our record number `at` is, or the last of them if that cannot be known.
    fn offset_of(&self, at: usize) -> Offset {
        if self.offsets.end - self.offsets.start == self.count {
            self.offsets.start + at as u64
        } else {
            self.offsets.end - 1
        }
    }
}

/// A fate before the log has answered.
enum Pending<'d> {
    Accepted {
        event_id: Cow<'d, str>,
        chunk: usize,
        at: usize,
    },
    Refused(Refusal),
    Failed(LogError),
    DeadLettered {
        refusal: Refusal,
        chunk: usize,
    },
}

/// A batch after its synchronous half.
pub struct EncodedBatch<'d> {
    chunks: Vec<Chunk>,
    pending: Vec<Pending<'d>>,
}

/// Takes events in.
pub struct Ingestor {
    rules: EventRules,
    catalog: Arc<Catalog>,
    log: Arc<dyn EventLog>,
    partitions: u16,
    batches: AtomicU64,
    /// Tells the derived ids of this process from those of another.
    nonce: u64,
    categories: CategoryCache,
}

impl Ingestor {
    /// Builds the path into `log`. `nonce` is any number that another process would not draw.
    #[must_use]
    pub fn new(
        rules: EventRules,
        catalog: Arc<Catalog>,
        log: Arc<dyn EventLog>,
        nonce: u64,
    ) -> Self {
        Self {
            rules,
            catalog,
            partitions: log.partitions(Stream::Events),
            log,
            batches: AtomicU64::new(0),
            nonce,
            categories: CategoryCache::new(nonce),
        }
    }

    /// The rules events are checked by.
    #[must_use]
    pub const fn rules(&self) -> &EventRules {
        &self.rules
    }

    /// Checks and encodes a batch; the CPU half of the path.
    #[must_use]
    pub fn encode<'d>(&self, drafts: &'d [EventDraft<'_>], arrival: &Arrival) -> EncodedBatch<'d> {
        let batch_number = self.batches.fetch_add(1, Ordering::Relaxed);
        let ids = EventIdSource::with_nonce(self.nonce.wrapping_add(batch_number));
        let mut chunks = ChunkSet::new(self.partitions, drafts.len());
        let mut pending = Vec::with_capacity(drafts.len());
        let enrichment = self.enrichment();
        let peek = |draft: &EventDraft<'_>| enrichment.peek(draft.item_id.as_deref());
        let peeked: Vec<Peeked> = drafts.iter().map(peek).collect();
        for ((index, draft), peeked) in drafts.iter().enumerate().zip(peeked) {
            pending.push(match self.rules.admit(draft, arrival, &ids, index) {
                Ok(admitted) => accept(admitted, peeked, &enrichment, &mut chunks),
                Err(refusal) if arrival.keeps_letters && is_dead_letter(&refusal) => {
                    let pseudonyms = self.rules.pseudonymizer();
                    match redact::letter(draft, &refusal, arrival.received_at, pseudonyms) {
                        Ok(letter) => {
                            let chunk = chunks.push_dead_letter(&letter);
                            Pending::DeadLettered { refusal, chunk }
                        }
                        Err(reason) => Pending::Failed(no_seal(reason)),
                    }
                }
                Err(refusal) => Pending::Refused(refusal),
            });
        }
        EncodedBatch {
            chunks: chunks.chunks,
            pending,
        }
    }

    /// Records the items of answers as impressions and blocks until they are durable.
    ///
    /// # Errors
    /// The log's; some of the impressions may be recorded all the same.
    pub fn append_impressions(&self, answers: &[Shown]) -> Result<(), LogError> {
        let events = answers.iter().map(|shown| shown.items.len()).sum();
        let mut chunks = ChunkSet::new(self.partitions, events);
        {
            let enrichment = self.enrichment();
            let mut event_id = String::new();
            for shown in answers {
                let counted = shown.items.iter().take(shown.impressions() as usize);
                for (place, item) in counted.enumerate() {
                    event_id.clear();
                    event_id.push_str(&shown.request_id);
                    event_id.push('.');
                    event_id.push_str(&place.to_string());
                    let mut event = impression(shown, item);
                    event.event_id = &event_id;
                    enrichment.enrich(&mut event, enrichment.peek(Some(item)));
                    chunks.push_event(event);
                }
            }
        }
        let acks: Vec<_> = chunks
            .chunks
            .into_iter()
            .map(|chunk| self.log.append(chunk.stream, chunk.partition, chunk.batch))
            .collect();
        acks.into_iter().try_for_each(|ack| ack.wait().map(drop))
    }

    /// Hands a slate to the log at once: whatever is appended from here on comes behind it.
    pub fn append_slate(&self, slate: Slate<'_>) -> AppendAck {
        let partition = slate.user.partition(self.partitions);
        let mut batch = RecordBatch::new();
        batch.push(&Record::Slate(slate));
        self.log.append(Stream::Events, partition, batch)
    }

    fn enrichment(&self) -> Enrichment<'_> {
        // The counter first: what the lock shows is then at least as new.
        let changes = self.catalog.changes();
        Enrichment {
            cache: &self.categories,
            changes,
            catalog: self.catalog.read(),
        }
    }

    /// Appends an encoded batch and waits until all of it is durable.
    pub async fn append<'d>(&self, encoded: EncodedBatch<'d>) -> IngestOutcome<'d> {
        let EncodedBatch { chunks, pending } = encoded;
        let appends: Vec<_> = chunks
            .into_iter()
            .map(|chunk| {
                let count = chunk.batch.len() as u64;
                let ack = self.log.append(chunk.stream, chunk.partition, chunk.batch);
                (chunk.stream, chunk.partition, count, ack)
            })
            .collect();
        let mut ends: Vec<(PartitionId, Offset)> = Vec::new();
        let mut places = Vec::with_capacity(appends.len());
        for (stream, partition, count, ack) in appends {
            let answer = ack.await;
            if let (Stream::Events, Ok(offsets)) = (stream, &answer) {
                match ends.iter_mut().find(|(known, _)| *known == partition) {
                    Some((_, end)) => *end = (*end).max(offsets.end),
                    None => ends.push((partition, offsets.end)),
                }
            }
            places.push((partition, answer.map(|offsets| Stretch { offsets, count })));
        }
        let fates = pending.into_iter().map(|pending| settle(pending, &places));
        IngestOutcome {
            fates: fates.collect(),
            ends,
        }
    }
}

fn impression<'s>(shown: &'s Shown, item: &'s str) -> Event<'s> {
    Event {
        event_id: "",
        event_type: EventTypeCode::IMPRESSION,
        user: shown.user,
        session: shown.session,
        item_id: Some(item),
        timestamp: shown.at,
        received_at: shown.at,
        value: None,
        slot: Some(&shown.slot),
        request_id: Some(&shown.request_id),
        device: shown.device,
        location: None,
        utc_offset_minutes: 0,
        categories: Categories::new(),
        properties: None,
        consent: Consent::ALL,
        schema_version: SCHEMA_VERSION,
    }
}

fn settle<'d>(
    pending: Pending<'d>,
    places: &[(PartitionId, Result<Stretch, LogError>)],
) -> EventFate<'d> {
    match pending {
        Pending::Refused(refusal) => EventFate::Refused(refusal),
        Pending::Failed(error) => EventFate::Failed(error),
        Pending::DeadLettered { refusal, chunk } => match &places[chunk].1 {
            Ok(_) => EventFate::DeadLettered(refusal),
            Err(error) => EventFate::Failed(error.clone()),
        },
        Pending::Accepted {
            event_id,
            chunk,
            at,
        } => match &places[chunk] {
            (partition, Ok(stretch)) => EventFate::Accepted {
                event_id,
                partition: *partition,
                offset: stretch.offset_of(at),
            },
            (_, Err(error)) => EventFate::Failed(error.clone()),
        },
    }
}

/// A letter that cannot be sealed is not stored: the sender may try again.
fn no_seal(reason: String) -> LogError {
    LogError::Unavailable {
        stream: Stream::DeadLetters,
        partition: PartitionId(0),
        reason,
    }
}

fn is_dead_letter(refusal: &Refusal) -> bool {
    matches!(refusal.code, RefusalCode::TooOld | RefusalCode::TooFarAhead)
}

fn accept<'d>(
    admitted: Admitted<'d>,
    peeked: Peeked,
    enrichment: &Enrichment<'_>,
    chunks: &mut ChunkSet,
) -> Pending<'d> {
    let Admitted {
        mut event,
        event_id,
    } = admitted;
    let (chunk, at) = {
        enrichment.enrich(&mut event, peeked);
        let event = Event {
            event_id: &event_id,
            ..event
        };
        chunks.push_event(event)
    };
    Pending::Accepted {
        event_id,
        chunk,
        at,
    }
}

/// What a batch is enriched from: the catalogue at one moment.
struct Enrichment<'i> {
    cache: &'i CategoryCache,
    changes: u64,
    catalog: CatalogReader<'i>,
}

impl Enrichment<'_> {
    fn peek(&self, item_id: Option<&str>) -> Peeked {
        item_id.map_or_else(Peeked::default, |id| self.cache.peek(id, self.changes))
    }

    /// Copies the item's categories, as the catalogue has them now, into the event.
    fn enrich<'c>(&'c self, event: &mut Event<'c>, peeked: Peeked) {
        let Some(item_id) = event.item_id else { return };
        let labels = self.cache.categories(peeked, item_id, &self.catalog);
        for name in labels.filter_map(|label| self.catalog.category_name(label)) {
            if event.categories.try_push(name).is_err() {
                return;
            }
        }
    }
}

/// The growing record batches, at most one open per partition.
struct ChunkSet {
    chunks: Vec<Chunk>,
    /// Index of the open chunk by partition; the last entry is that of the dead letters.
    open: Vec<Option<usize>>,
    capacity: usize,
}

impl ChunkSet {
    fn new(partitions: u16, events: usize) -> Self {
        let partitions = usize::from(partitions);
        Self {
            chunks: Vec::with_capacity(partitions + 1),
            open: vec![None; partitions + 1],
            capacity: events / partitions.max(1) * EVENT_BYTES_USUAL + EVENT_BYTES_USUAL,
        }
    }

    fn push_event(&mut self, event: Event<'_>) -> (usize, usize) {
        let partition = event.user.partition(self.partitions());
        let slot = usize::from(partition.0);
        self.push(slot, Stream::Events, partition, &Record::Event(event))
    }

    fn push_dead_letter(&mut self, letter: &Letter) -> usize {
        let slot = self.open.len() - 1;
        let (chunk, _) = self.push(slot, Stream::DeadLetters, PartitionId(0), &letter.record());
        chunk
    }

    fn partitions(&self) -> u16 {
        (self.open.len() - 1) as u16
    }

    fn push(
        &mut self,
        slot: usize,
        stream: Stream,
        partition: PartitionId,
        record: &Record<'_>,
    ) -> (usize, usize) {
        let open = self.open[slot].filter(|at| self.chunks[*at].batch.byte_len() < CHUNK_BYTES_MAX);
        let at = open.unwrap_or_else(|| {
            self.chunks.push(Chunk {
                stream,
                partition,
                batch: RecordBatch::with_capacity(self.capacity),
            });
            self.open[slot] = Some(self.chunks.len() - 1);
            self.chunks.len() - 1
        });
        let batch = &mut self.chunks[at].batch;
        batch.push(record);
        (at, batch.len() - 1)
    }
}
