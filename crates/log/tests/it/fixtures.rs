//! Records that carry a number, small logs to put them in, and reading them all back.

use nowcast_disk::Fs;
pub(crate) use nowcast_log::conformance::{EVENTS, append, batch, read_numbers};
use nowcast_log::{EmbeddedLog, LogConfig, LogError};
use nowcast_types::{ByteSize, Span};
use std::path::Path;
use std::sync::Arc;

/// Small enough that a few batches fill a segment.
pub(crate) fn small_config() -> LogConfig {
    LogConfig {
        segment_bytes: ByteSize(4 << 10),
        segments_spare_max: 1,
        group_bytes_max: ByteSize(2 << 10),
        commit_delay_max: Span(0),
        queue_bytes_max: ByteSize(64 << 10),
        retention_age: Span(400 * 86_400_000),
        retention_bytes: ByteSize(1 << 30),
        tail_cache_bytes: ByteSize(1 << 10),
        index_interval_bytes: ByteSize(512),
    }
}

pub(crate) fn open(fs: Arc<dyn Fs>, config: LogConfig) -> Result<EmbeddedLog, LogError> {
    EmbeddedLog::open(fs, Path::new("log"), config, 1)
}

/// SplitMix64, so that each seed is one schedule.
#[derive(Debug, Clone)]
pub(crate) struct Coins(pub(crate) u64);

impl Coins {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
