//! Settings of the processor. Every key is in `config/default.toml`.

use nowcast_types::{ByteSize, Span};
use serde::Deserialize;

/// How the log is folded and the state made durable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Records folded under one write lock, at most 256: longer batches fold a little faster and
    /// let requests wait longer.
    pub fold_batch_records: u16,
    /// Bytes read from the log at once.
    pub read_bytes_max: ByteSize,
    /// Time between checkpoints of a partition in which something changed.
    pub checkpoint_interval: Span,
    /// Bytes of log folded since the last checkpoint at which the next one comes early.
    pub checkpoint_bytes: ByteSize,
    /// How long a checkpoint chain may go without compaction. Erased users are physically gone
    /// from disk after two compactions.
    pub compaction_age_max: Span,
    /// Length of each trending list.
    pub trending_len: u32,
}

/// More records than this under one lock would show in the latency of requests.
pub(crate) const FOLD_BATCH_RECORDS_MAX: u16 = 256;

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            fold_batch_records: 128,
            read_bytes_max: ByteSize(1 << 20),
            checkpoint_interval: Span(5_000),
            checkpoint_bytes: ByteSize(64 << 20),
            compaction_age_max: Span(24 * 3_600_000),
            trending_len: 2_000,
        }
    }
}

impl StreamConfig {
    /// What makes no sense, as one sentence; `Ok` if all does.
    ///
    /// # Errors
    /// The key and what it must be.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=FOLD_BATCH_RECORDS_MAX).contains(&self.fold_batch_records) {
            return Err(format!(
                "fold_batch_records must be 1 to {FOLD_BATCH_RECORDS_MAX}, not {}",
                self.fold_batch_records
            ));
        }
        if self.checkpoint_interval.ms() <= 0 {
            return Err("checkpoint_interval must be longer than 0ms".to_owned());
        }
        if self.read_bytes_max.bytes() == 0 || self.trending_len == 0 {
            return Err("read_bytes_max and trending_len must be above 0".to_owned());
        }
        Ok(())
    }
}
