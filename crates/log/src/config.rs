//! Settings of the embedded log. Every key is in `config/default.toml`.

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
    /// A group commit takes at most this many bytes, unless a single batch is larger.
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
