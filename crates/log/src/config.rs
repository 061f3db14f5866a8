//! Settings of the embedded log. Every key is in `config/default.toml`.

use crate::batch::BATCH_BYTES_MAX;
use crate::error::LogError;
use nowcast_types::{ByteSize, Span};
use serde::Deserialize;

/// How the embedded log uses its disk and memory. Sizes are per partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Size of a segment file; retention works in whole segments.
    pub segment_bytes: ByteSize,
    /// How many retired segments are kept for reuse, over all partitions. Overwriting a file that
    /// is already there commits two to three times faster than growing one.
    pub segments_spare_max: usize,
    /// A group commit takes at most this many bytes (at most 8MiB), unless one batch is larger.
    pub group_bytes_max: ByteSize,
    /// How long a commit waits for company. 0 waits only for the commit before it.
    pub commit_delay_max: Span,
    /// Appends beyond this many uncommitted bytes are refused as overload.
    pub queue_bytes_max: ByteSize,
    /// Segments whose newest event is older than this, as seen from the newest event of the
    /// partition, are retired once a checkpoint covers them.
    pub retention_age: Span,
    /// The oldest segments beyond this total are retired once a checkpoint covers them.
    pub retention_bytes: ByteSize,
    /// Recent groups kept in memory for readers.
    pub tail_cache_bytes: ByteSize,
    /// A position is indexed every so many bytes.
    pub index_interval_bytes: ByteSize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: ByteSize(64 << 20),
            segments_spare_max: 2,
            group_bytes_max: ByteSize(1 << 20),
            commit_delay_max: Span(0),
            queue_bytes_max: ByteSize(16 << 20),
            retention_age: Span(400 * 86_400_000),
            retention_bytes: ByteSize(16 << 30),
            tail_cache_bytes: ByteSize(8 << 20),
            index_interval_bytes: ByteSize(64 << 10),
        }
    }
}

/// Smallest segment that makes sense: a header, a mark and some groups.
const SEGMENT_BYTES_MIN: u64 = 4 << 10;

impl LogConfig {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`LogError::BadConfig`] naming the key.
    pub fn check(&self) -> Result<(), LogError> {
        let bad = |key: &str, rule: String| Err(LogError::BadConfig(format!("{key} {rule}")));
        if self.segment_bytes.bytes() < SEGMENT_BYTES_MIN {
            return bad("segment_bytes", format!("is below {SEGMENT_BYTES_MIN}B"));
        }
        if self.group_bytes_max.bytes() > BATCH_BYTES_MAX as u64 {
            return bad("group_bytes_max", format!("is above {BATCH_BYTES_MAX}B"));
        }
        for (key, value) in [
            ("group_bytes_max", self.group_bytes_max),
            ("queue_bytes_max", self.queue_bytes_max),
            ("index_interval_bytes", self.index_interval_bytes),
        ] {
            if value.bytes() == 0 {
                return bad(key, "is 0".to_owned());
            }
        }
        Ok(())
    }
}
