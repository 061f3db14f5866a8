//! A log or store that is away: the partition pauses, longer each time, and says so.
//!
//! Being away is no reason to give a partition up: what it knows still answers, and it goes on from
//! where it stands. What is wrong for good (damage, a gap, another owner) is not a stall.

use crate::error::StreamError;
use crate::progress::Progress;
use metrics::{Counter, Gauge};
use nowcast_log::LogError;
use nowcast_store::{ChainId, StoreError};
use std::time::Duration;

const PAUSE_MIN: Duration = Duration::from_millis(50);
/// After so many failures in a row the pause no longer doubles.
const DOUBLINGS_MAX: u32 = 5;

/// The pauses of one partition.
pub(crate) struct Stall {
    chain: ChainId,
    pauses: Counter,
    stalled: Gauge,
    /// In a row.
    failures: u32,
}

impl Stall {
    pub(crate) fn new(chain: ChainId) -> Self {
        let stream = chain.stream.name();
        let partition = chain.partition.0.to_string();
        let stalled =
            metrics::gauge!("nowcast_fold_stalled", "stream" => stream, "partition" => partition);
        stalled.set(0.0);
        Self {
            chain,
            pauses: metrics::counter!("nowcast_fold_pauses_total"),
            stalled,
            failures: 0,
        }
    }

    /// Whether the same call may succeed later although nothing changes here.
    pub(crate) fn is_away(error: &StreamError) -> bool {
        matches!(
            error,
            StreamError::Log(LogError::Unavailable { .. } | LogError::Broker { .. })
                | StreamError::Store(StoreError::Unavailable { .. })
        )
    }

    /// Notes that something is away; how long to pause before the next try.
    pub(crate) fn begin(&mut self, error: &StreamError, progress: &Progress) -> Duration {
        let pause = PAUSE_MIN * (1 << self.failures.min(DOUBLINGS_MAX));
        if self.failures == 0 {
            let (stream, partition) = (self.chain.stream.name(), self.chain.partition.0);
            tracing::warn!(stream, partition, %error, "a partition pauses");
            self.stalled.set(1.0);
        }
        self.failures += 1;
        self.pauses.increment(1);
        progress.set_stall(Some(error.to_string()));
        pause
    }

    /// Notes that all is well again.
    pub(crate) fn end(&mut self, progress: &Progress) {
        if self.failures == 0 {
            return;
        }
        let (stream, partition) = (self.chain.stream.name(), self.chain.partition.0);
        tracing::info!(
            stream,
            partition,
            pauses = self.failures,
            "a partition goes on"
        );
        self.failures = 0;
        self.stalled.set(0.0);
        progress.set_stall(None);
    }
}
