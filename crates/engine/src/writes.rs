//! What changes an engine: events, items, users, erasures. Each is a record in the log first, and
//! the call returns when that record is durable.

use crate::background::Background;
use crate::calls::{ErasureReceipt, Stored};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::ingest::rules::check_id;
use crate::ingest::{Arrival, EventDraft, EventFate, IngestOutcome};
use crate::records::{item_from_json, merge_patch, user_from_json};
use nowcast_log::{BATCH_BYTES_MAX, LogError, RecordBatch};
use nowcast_types::{
    EventTypeCode, Item, ItemChange, Offset, PartitionId, Record, Refusal, Stream, UserChange,
    UserKey,
};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::RwLock;

/// Order among changes of items. Whole items may come side by side; a patch, which reads before
/// it writes, comes alone and after all earlier changes have been applied.
#[derive(Default)]
pub(crate) struct CatalogEdits {
    order: RwLock<()>,
    /// One past the offset of the newest change.
    end: AtomicU64,
}

/// Which batches are timed until they are visible: a few per second are enough.
#[derive(Default)]
pub(crate) struct FreshnessSampling {
    start: std::sync::OnceLock<Instant>,
    next_ms: AtomicU64,
}

/// Time between two timed batches.
const SAMPLE_EVERY_MS: u64 = 20;
/// A batch that is not visible by then is not a sample but a failure that shows as lag.
const SAMPLE_WAIT_MAX: Duration = Duration::from_secs(10);

impl FreshnessSampling {
    fn is_due(&self) -> bool {
        let start = self.start.get_or_init(Instant::now);
        let now_ms = start.elapsed().as_millis() as u64;
        let due_ms = self.next_ms.load(Ordering::Relaxed);
        now_ms >= due_ms
            && self
                .next_ms
                .compare_exchange(
                    due_ms,
                    now_ms + SAMPLE_EVERY_MS,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

/// What became of many items.
#[derive(Debug, Default)]
pub struct ItemsOutcome {
    /// Items that are durable now.
    pub accepted: usize,
    /// Place, as given, and reason of each refused item.
    pub refused: Vec<(usize, Refusal)>,
    /// The last change of them.
    pub last: Option<Stored>,
}

impl Engine {
    /// Takes events in; returns when all that can be are durable.
    pub async fn ingest<'d>(
        &self,
        drafts: &'d [EventDraft<'_>],
        arrival: &Arrival,
    ) -> IngestOutcome<'d> {
        let start = Instant::now();
        let outcome = match self.catalog_restored(start).await {
            Ok(()) => {
                let encoded = self.ingestor.encode(drafts, arrival);
                self.ingestor.append(encoded).await
            }
            Err(error) => IngestOutcome {
                fates: vec![EventFate::Failed(error); drafts.len()],
                ends: Vec::new(),
            },
        };
        self.meters.batch(outcome.counts(), start.elapsed());
        self.tally(drafts, &outcome);
        if let Some(end) = outcome.ends.first()
            && self.sampling.is_due()
        {
            self.sample_freshness(*end, start);
        }
        outcome
    }

    /// Events carry their item's categories, so they wait until the catalogue is again what it was
    /// before the start: the log is for ever, and an event without them would stay without.
    async fn catalog_restored(&self, start: Instant) -> Result<(), LogError> {
        let end = self.catalog_end_at_open;
        if self.processor.catalog_applied() >= end {
            return Ok(());
        }
        let deadline = start + self.config.serving.wait_applied_max.duration();
        if self.processor.wait_catalog_applied(end - 1, deadline).await {
            return Ok(());
        }
        Err(LogError::Unavailable {
            stream: Stream::Catalog,
            partition: PartitionId(0),
            reason: "the catalogue is not restored yet".to_owned(),
        })
    }

    fn tally(&self, drafts: &[EventDraft<'_>], outcome: &IngestOutcome<'_>) {
        // A batch is mostly about one slot, so a run of events of one slot is counted together.
        let (mut slot, mut clicks, mut impressions) = (None, 0, 0);
        for (draft, fate) in drafts.iter().zip(&outcome.fates) {
            let is_click = match draft.event_type.as_deref() {
                Some("click") => true,
                Some("impression") => false,
                _ => continue,
            };
            if !matches!(fate, EventFate::Accepted { .. }) {
                continue;
            }
            if draft.slot.as_deref() != slot {
                self.slots.add(slot, EventTypeCode::CLICK, clicks);
                self.slots.add(slot, EventTypeCode::IMPRESSION, impressions);
                (slot, clicks, impressions) = (draft.slot.as_deref(), 0, 0);
            }
            clicks += u64::from(is_click);
            impressions += u64::from(!is_click);
        }
        self.slots.add(slot, EventTypeCode::CLICK, clicks);
        self.slots.add(slot, EventTypeCode::IMPRESSION, impressions);
    }

    /// Times one batch until it is visible, without holding its answer up.
    fn sample_freshness(&self, (partition, end): (PartitionId, Offset), start: Instant) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (processor, meters) = (Arc::clone(&self.processor), Arc::clone(&self.meters));
        runtime.spawn(async move {
            let deadline = start + SAMPLE_WAIT_MAX;
            if processor.wait_applied(partition, end - 1, deadline).await {
                meters.visible(start.elapsed());
            }
        });
    }

    /// Waits, at most the configured time, until recommendations see everything before the given
    /// offsets of the event log.
    pub async fn wait_applied(&self, ends: &[(PartitionId, Offset)]) -> bool {
        let deadline = self.wait_deadline();
        for (partition, end) in ends {
            let last = end.saturating_sub(1);
            if !self
                .processor
                .wait_applied(*partition, last, deadline)
                .await
            {
                return false;
            }
        }
        true
    }

    /// Whether recommendations see a change of the event log.
    #[must_use]
    pub fn is_applied(&self, stored: Stored) -> bool {
        self.processor.applied(stored.partition) > stored.offset
    }

    /// Waits, at most the configured time, until recommendations see a change of the catalogue: the
    /// next request may recommend an item that nobody has met.
    pub async fn wait_catalog(&self, stored: Stored) -> bool {
        let deadline = self.wait_deadline();
        let processor = &self.processor;
        if !processor
            .wait_catalog_applied(stored.offset, deadline)
            .await
        {
            return false;
        }
        let parts = Arc::clone(self.background.parts());
        let catching_up = tokio::task::spawn_blocking(move || Background::catch_up(&parts));
        let done = tokio::time::timeout_at(deadline.into(), catching_up).await;
        matches!(done, Ok(Ok(())))
    }

    /// Whether recommendations see a change of the catalogue.
    #[must_use]
    pub fn is_catalog_applied(&self, stored: Stored) -> bool {
        self.processor.catalog_applied() > stored.offset
    }

    fn wait_deadline(&self) -> Instant {
        Instant::now() + self.config.serving.wait_applied_max.duration()
    }

    /// The item as it stands; `None` if nobody has described it.
    #[must_use]
    pub fn item(&self, item_id: &str) -> Option<Item> {
        self.catalog.item(self.catalog.find(item_id)?)
    }

    /// Creates or replaces an item.
    ///
    /// # Errors
    /// [`EngineError::Refused`]; the log's.
    pub async fn put_item(&self, item_id: &str, item: &Value) -> Result<Stored, EngineError> {
        let json = self
            .item_json(item_id, item)
            .map_err(EngineError::Refused)?;
        let _order = self.edits.order.read().await;
        self.append_item(item_id, Some(&json)).await
    }

    /// Changes some fields of an item by a JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for an item that nobody has described;
    /// [`EngineError::Refused`] if the result breaks a rule; the log's.
    pub async fn patch_item(&self, item_id: &str, patch: &Value) -> Result<Stored, EngineError> {
        let _order = self.edits.order.write().await;
        self.catch_up_with_catalog().await?;
        let item = self
            .item(item_id)
            .ok_or_else(|| EngineError::no_item(item_id))?;
        let mut merged = serde_json::to_value(item)
            .map_err(|error| EngineError::Bug(format!("an item is not JSON: {error}")))?;
        merge_patch(&mut merged, patch);
        let json = self
            .item_json(item_id, &merged)
            .map_err(EngineError::Refused)?;
        self.append_item(item_id, Some(&json)).await
    }

    /// Removes an item; doing it twice is the same as once.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a bad id; the log's.
    pub async fn delete_item(&self, item_id: &str) -> Result<Stored, EngineError> {
        self.check_item_id(item_id).map_err(EngineError::Refused)?;
        let _order = self.edits.order.read().await;
        self.append_item(item_id, None).await
    }

    /// Creates or replaces many items, given as (place for the report, id, fields).
    ///
    /// # Errors
    /// The log's. Items before the failure may be stored; sending all again is safe.
    pub async fn put_items(
        &self,
        items: &[(usize, String, Value)],
    ) -> Result<ItemsOutcome, EngineError> {
        let mut outcome = ItemsOutcome::default();
        let _order = self.edits.order.read().await;
        let mut batch = RecordBatch::new();
        for (place, item_id, item) in items {
            match self.item_json(item_id, item) {
                Ok(json) => {
                    batch.push(&self.item_record(item_id, Some(&json)));
                    outcome.accepted += 1;
                }
                Err(refusal) => outcome.refused.push((*place, refusal)),
            }
            if batch.byte_len() > BATCH_BYTES_MAX / 2 {
                let full = std::mem::take(&mut batch);
                outcome.last = Some(self.append_catalog(full).await?);
            }
        }
        if !batch.is_empty() {
            outcome.last = Some(self.append_catalog(batch).await?);
        }
        Ok(outcome)
    }

    fn check_item_id(&self, item_id: &str) -> Result<(), Refusal> {
        check_id("item_id", item_id, self.config.limits.id_bytes_max)
    }

    fn item_json(&self, item_id: &str, item: &Value) -> Result<String, Refusal> {
        self.check_item_id(item_id)?;
        let item = item_from_json(item, &self.config.limits)?;
        Ok(serde_json::to_string(&item).expect("text keys and finite numbers are JSON"))
    }

    fn item_record<'r>(&self, item_id: &'r str, json: Option<&'r str>) -> Record<'r> {
        Record::Item(ItemChange {
            item_id,
            at: self.now(),
            item: json,
        })
    }

    async fn append_item(&self, item_id: &str, json: Option<&str>) -> Result<Stored, EngineError> {
        let mut batch = RecordBatch::new();
        batch.push(&self.item_record(item_id, json));
        self.append_catalog(batch).await
    }

    async fn append_catalog(&self, batch: RecordBatch) -> Result<Stored, EngineError> {
        let partition = PartitionId(0);
        let offsets = self.log.append(Stream::Catalog, partition, batch).await?;
        self.edits.end.fetch_max(offsets.end, Ordering::AcqRel);
        Ok(Stored {
            partition,
            offset: offsets.end - 1,
        })
    }

    /// Waits until the catalogue shows every change made through this engine.
    async fn catch_up_with_catalog(&self) -> Result<(), EngineError> {
        // What an earlier process wrote counts too: while it is replayed, nothing can be patched.
        let logged = self.log.bounds(Stream::Catalog, PartitionId(0))?.end;
        let end = self.edits.end.load(Ordering::Acquire).max(logged);
        let Some(last) = end.checked_sub(1) else {
            return Ok(());
        };
        let deadline = self.wait_deadline();
        if self.processor.wait_catalog_applied(last, deadline).await {
            return Ok(());
        }
        Err(EngineError::Unavailable(
            "the catalogue is still catching up; a patch needs its present state".to_owned(),
        ))
    }

    /// Creates, replaces or (with `is_patch`) changes a user's record.
    ///
    /// # Errors
    /// [`EngineError::Refused`]; the log's.
    pub async fn change_user(
        &self,
        user_id: &str,
        record: &Value,
        is_patch: bool,
    ) -> Result<(UserKey, Stored), EngineError> {
        let limits = &self.config.limits;
        check_id("user_id", user_id, limits.id_bytes_max).map_err(EngineError::Refused)?;
        let draft = user_from_json(record, limits).map_err(EngineError::Refused)?;
        let user = self.pseudonymizer.user(user_id);
        let change = Record::User(UserChange {
            user,
            at: self.now(),
            is_patch,
            segment: draft.segment.as_deref(),
            attributes: draft.attributes.as_deref(),
        });
        Ok((user, self.append_for(user, &change).await?))
    }

    /// Forgets a user (or, with `is_visitor`, the visitor of a session id): the erasure is durable
    /// when this returns, and every view is empty when the receipt says so.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a bad id; the log's.
    pub async fn erase(&self, id: &str, is_visitor: bool) -> Result<ErasureReceipt, EngineError> {
        let field = if is_visitor { "session_id" } else { "user_id" };
        check_id(field, id, self.config.limits.id_bytes_max).map_err(EngineError::Refused)?;
        let user = self.subject_key(id, is_visitor);
        let at = self.now();
        let stored = self.append_for(user, &Record::Erase { user, at }).await?;
        let ends = [(stored.partition, stored.offset + 1)];
        Ok(ErasureReceipt {
            user,
            at,
            stored,
            applied: self.wait_applied(&ends).await,
        })
    }

    pub(crate) fn subject_key(&self, id: &str, is_visitor: bool) -> UserKey {
        if is_visitor {
            self.pseudonymizer.visitor(id)
        } else {
            self.pseudonymizer.user(id)
        }
    }

    async fn append_for(&self, user: UserKey, record: &Record<'_>) -> Result<Stored, EngineError> {
        let partition = user.partition(self.config.events.partitions);
        let mut batch = RecordBatch::new();
        batch.push(record);
        let offsets = self.log.append(Stream::Events, partition, batch).await?;
        Ok(Stored {
            partition,
            offset: offsets.end - 1,
        })
    }
}
