//! What an engine measures of itself: handles taken once, so that a hot path never looks a name up.
//!
//! The recorder is a value of the engine, not a global: two engines in one process keep apart.
//! Labels are bounded: never a user, item or session.

use crate::ingest::FateCounts;
use metrics::{Counter, Histogram, counter, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of all latency histograms, in seconds.
const LATENCY_BUCKETS_SECS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 10.0,
];

/// The recorder of one engine and the way to read it.
pub struct MetricsRegistry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Default for MetricsRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl MetricsRegistry {
    /// An empty registry whose histograms have explicit buckets.
    #[must_use]
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&LATENCY_BUCKETS_SECS)
            .expect("the bucket list is not empty")
            .build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// Runs `build`, whose metrics handles then belong to this registry.
    pub fn within<T>(&self, build: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, build)
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves recorded samples into their buckets; call it every few seconds, or they pile up.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// The engine's own meters. Build it within a [`MetricsRegistry`].
pub struct Meters {
    events: [Counter; 4],
    batches: Counter,
    append_seconds: Histogram,
    impressions: Counter,
    impressions_shed: Counter,
    slates_shed: Counter,
    totals: Totals,
    visible_recent: Mutex<VecDeque<u32>>,
}

/// Running sums that `/v1/status` reads back (a metrics handle can only be written).
#[derive(Default)]
struct Totals {
    accepted: AtomicU64,
    answers: AtomicU64,
    impressions_shed: AtomicU64,
}

/// How many of the latest event-to-visible latencies the quantiles of the status are over.
const VISIBLE_SAMPLES_MAX: usize = 2_048;

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl Meters {
    /// Takes the handles from the recorder in force.
    #[must_use]
    pub fn new() -> Self {
        let events = ["accepted", "refused", "dead_lettered", "failed"]
            .map(|result| counter!("nowcast_ingest_events_total", "result" => result));
        Self {
            events,
            batches: counter!("nowcast_ingest_batches_total"),
            append_seconds: histogram!("nowcast_ingest_append_seconds"),
            impressions: counter!("nowcast_impressions_total"),
            impressions_shed: counter!("nowcast_impressions_shed_total"),
            slates_shed: counter!("nowcast_slates_shed_total"),
            totals: Totals::default(),
            visible_recent: Mutex::new(VecDeque::with_capacity(VISIBLE_SAMPLES_MAX)),
        }
    }

    /// Notes a slate that the log did not take; nothing is learnt of its answer.
    pub fn slate_shed(&self) {
        self.slates_shed.increment(1);
    }

    /// Notes a batch and the time from its encoding to its durability.
    pub fn batch(&self, counts: FateCounts, append: Duration) {
        let by_result = [
            counts.accepted,
            counts.refused,
            counts.dead_lettered,
            counts.failed,
        ];
        for (counter, count) in self.events.iter().zip(by_result) {
            counter.increment(count);
        }
        self.batches.increment(1);
        self.append_seconds.record(append.as_secs_f64());
        self.totals
            .accepted
            .fetch_add(counts.accepted, Ordering::Relaxed);
    }

    /// Notes the time from a batch's receipt to its being visible to recommendations. (The
    /// histogram of all events is the processor's; these samples are for the status.)
    pub fn visible(&self, latency: Duration) {
        let mut recent = self.visible_recent.lock();
        if recent.len() == VISIBLE_SAMPLES_MAX {
            recent.pop_front();
        }
        recent.push_back(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Notes an answer.
    pub fn answer(&self) {
        self.totals.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes impressions recorded.
    pub fn impressions(&self, count: u64) {
        self.impressions.increment(count);
    }

    /// Notes impressions dropped because their queue was full.
    pub fn impressions_shed(&self, count: u64) {
        self.impressions_shed.increment(count);
        self.totals
            .impressions_shed
            .fetch_add(count, Ordering::Relaxed);
    }

    /// Events accepted since the start.
    #[must_use]
    pub fn accepted_total(&self) -> u64 {
        self.totals.accepted.load(Ordering::Relaxed)
    }

    /// Answers given since the start.
    #[must_use]
    pub fn answers_total(&self) -> u64 {
        self.totals.answers.load(Ordering::Relaxed)
    }

    /// Impressions dropped since the start.
    #[must_use]
    pub fn impressions_shed_total(&self) -> u64 {
        self.totals.impressions_shed.load(Ordering::Relaxed)
    }

    /// The `q`-quantiles (each 0 to 1) of the latest event-to-visible latencies, in milliseconds;
    /// `None` before the first.
    #[must_use]
    pub fn visible_quantiles_ms<const N: usize>(&self, q: [f64; N]) -> Option<[f64; N]> {
        let mut sorted: Vec<u32> = self.visible_recent.lock().iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        // Nearest rank.
        Some(q.map(|q| f64::from(sorted[(q * last as f64).round() as usize]) / 1000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_buckets_and_engines_keep_apart() {
        let (one, other) = (MetricsRegistry::new(), MetricsRegistry::new());
        let meters = one.within(Meters::new);
        meters.batch(
            FateCounts {
                accepted: 3,
                refused: 1,
                ..FateCounts::default()
            },
            Duration::from_millis(2),
        );
        let text = one.render();
        assert!(
            text.contains(r#"nowcast_ingest_events_total{result="accepted"} 3"#),
            "{text}"
        );
        assert!(
            text.contains(r#"nowcast_ingest_append_seconds_bucket{le="0.0025"} 1"#),
            "{text}"
        );
        assert!(!other.render().contains("nowcast_ingest"));
    }

    #[test]
    fn quantiles_are_of_the_latest_samples() {
        let meters = Meters::new();
        assert_eq!(meters.visible_quantiles_ms([0.5]), None);
        for ms in 1..=101 {
            meters.visible(Duration::from_millis(ms));
        }
        assert_eq!(
            meters.visible_quantiles_ms([0.0, 0.5, 1.0]),
            Some([1.0, 51.0, 101.0])
        );
    }
}
