//! How an engine is doing, at a glance: rates, freshness, lag, positions, models, click-through.

use crate::engine::Engine;
use crate::learning::{Learner, LearningStatus};
use nowcast_stream::{Phase, Readiness};
use nowcast_types::PartitionId;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How an engine is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// `restoring`, `replaying`, `live`, `stalled` (the log is away; answers go on) or `failed`.
    pub state: &'static str,
    /// Events accepted per second, over the last seconds.
    pub events_per_second: f64,
    /// Records folded per second, over the last seconds.
    pub applied_per_second: f64,
    /// Events accepted since the start.
    pub events_total: u64,
    /// Answers given since the start.
    pub answers_total: u64,
    /// Impressions dropped since the start, because their queue was full.
    pub impressions_shed_total: u64,
    /// Median time from receipt to being visible, over the latest samples, in milliseconds.
    pub freshness_p50_ms: Option<f64>,
    /// 99th percentile of it.
    pub freshness_p99_ms: Option<f64>,
    /// Records stored and not yet folded.
    pub lag_events: u64,
    /// Every partition of the event log.
    pub partitions: Vec<PartitionStatus>,
    /// Every slot that was seen.
    pub slots: Vec<SlotStatus>,
    /// The models in use.
    pub models: Vec<ModelStatus>,
    /// Items known.
    pub items: u64,
    /// Items that somebody has described.
    pub items_described: u64,
    /// Users known.
    pub users: u64,
    /// Bytes of state as the budget counts them.
    pub state_bytes: u64,
    /// Where the online ranker stands; absent where it does not learn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<LearningStatus>,
    /// What became of all records, by outcome.
    pub outcomes: Vec<(&'static str, u64)>,
}

/// How a partition is doing.
#[derive(Debug, Clone, Serialize)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: u16,
    /// What it is doing.
    pub phase: String,
    /// The first offset the log still has.
    pub log_earliest: u64,
    /// One past the last acknowledged record.
    pub log_end: u64,
    /// The next offset to be folded.
    pub applied: u64,
    /// The position of the newest durable checkpoint.
    pub durable: u64,
}

/// Impressions and clicks of a slot, as they arrived.
#[derive(Debug, Clone, Serialize)]
pub struct SlotStatus {
    /// The slot.
    pub slot: String,
    /// Impressions.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// Clicks per impression; null before the first impression.
    pub ctr: Option<f64>,
}

/// A model in use.
#[derive(Debug, Clone, Serialize)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Rates over the last seconds, from totals sampled at a beat.
#[derive(Debug, Default)]
pub struct Rates(Mutex<VecDeque<Sample>>);

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    accepted: u64,
    applied: u64,
}

/// Time that rates are taken over.
const RATE_WINDOW: Duration = Duration::from_secs(5);

impl Rates {
    /// Notes the totals of a moment.
    pub(crate) fn sample(&self, at: Instant, accepted: u64, applied: u64) {
        let mut samples = self.0.lock();
        samples.push_back(Sample {
            at,
            accepted,
            applied,
        });
        while samples.len() > 2 && at.duration_since(samples[0].at) > RATE_WINDOW {
            samples.pop_front();
        }
    }

    /// Accepted and applied records per second.
    fn per_second(&self) -> (f64, f64) {
        let samples = self.0.lock();
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else {
            return (0.0, 0.0);
        };
        let secs = last.at.duration_since(first.at).as_secs_f64();
        if secs <= 0.0 {
            return (0.0, 0.0);
        }
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / secs;
        (
            rate(first.accepted, last.accepted),
            rate(first.applied, last.applied),
        )
    }
}

impl Engine {
    /// How the engine is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let (events_per_second, applied_per_second) = self.rates.per_second();
        let freshness = self.meters.visible_quantiles_ms([0.5, 0.99]);
        let catalog = self.catalog.stats();
        let slots = self.slots.counts().into_iter().map(|counts| SlotStatus {
            ctr: (counts.impressions > 0).then(|| counts.clicks as f64 / counts.impressions as f64),
            slot: counts.slot,
            impressions: counts.impressions,
            clicks: counts.clicks,
        });
        let models = self.models.load();
        let models = models.versions().iter().map(|model| ModelStatus {
            name: model.name.clone(),
            version: model.version.clone(),
        });
        Status {
            state: match self.readiness() {
                Readiness::Restoring => "restoring",
                Readiness::Replaying { .. } => "replaying",
                Readiness::Live => "live",
                Readiness::Stalled(_) => "stalled",
                Readiness::Failed(_) => "failed",
            },
            events_per_second,
            applied_per_second,
            events_total: self.meters.accepted_total(),
            answers_total: self.meters.answers_total(),
            impressions_shed_total: self.meters.impressions_shed_total(),
            freshness_p50_ms: freshness.map(|[p50, _]| p50),
            freshness_p99_ms: freshness.map(|[_, p99]| p99),
            lag_events: self.processor.lag().iter().sum(),
            partitions: self.partition_statuses(),
            slots: slots.collect(),
            models: models.collect(),
            items: catalog.items as u64,
            items_described: catalog.listed as u64,
            users: self.users_len(),
            state_bytes: self.processor.state_bytes(),
            online: self.learner.as_ref().map(Learner::status),
            outcomes: self.outcomes(),
        }
    }

    /// Users known.
    #[must_use]
    pub fn users_len(&self) -> u64 {
        let users = |partition: u16| {
            self.processor
                .with_partition(PartitionId(partition), |view| {
                    view.state().users_len() as u64
                })
        };
        (0..self.processor.partitions()).filter_map(users).sum()
    }

    fn outcomes(&self) -> Vec<(&'static str, u64)> {
        let mut sums: Vec<(&'static str, u64)> = Vec::new();
        for counters in self.processor.counters() {
            for (at, (name, count)) in counters.named().into_iter().enumerate() {
                match sums.get_mut(at) {
                    Some((_, sum)) => *sum += count,
                    None => sums.push((name, count)),
                }
            }
        }
        sums
    }

    fn partition_statuses(&self) -> Vec<PartitionStatus> {
        let (applied, durable) = (self.processor.applied_all(), self.processor.durable_all());
        let (phases, stalls) = (self.processor.phases(), self.processor.stalls());
        let statuses = applied.iter().zip(&durable).zip(&phases).enumerate();
        let status = |(at, ((applied, durable), phase)): (usize, ((&u64, &u64), &Phase))| {
            let partition = PartitionId(at as u16);
            let bounds = self.processor.bounds(partition);
            let stall = stalls[at].as_ref();
            PartitionStatus {
                partition: partition.0,
                phase: match (phase, stall) {
                    (Phase::Elsewhere, _) => "elsewhere".to_owned(),
                    (Phase::Stopped, _) => "stopped".to_owned(),
                    (Phase::Failed(reason), _) => format!("failed: {reason}"),
                    (_, Some(reason)) => format!("stalled: {reason}"),
                    (Phase::Restoring, None) => "restoring".to_owned(),
                    (Phase::Replaying, None) => "replaying".to_owned(),
                    (Phase::Live, None) => "live".to_owned(),
                },
                log_earliest: bounds.earliest,
                log_end: bounds.end,
                applied: *applied,
                durable: *durable,
            }
        };
        statuses.map(status).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_over_the_window() {
        let rates = Rates::default();
        assert_eq!(rates.per_second(), (0.0, 0.0));
        let start = Instant::now();
        for second in 0..20 {
            let at = start + Duration::from_secs(second);
            rates.sample(at, second * 100, second * 50);
        }
        assert_eq!(rates.per_second(), (100.0, 50.0));
        assert!(rates.0.lock().len() < 10, "old samples are dropped");
    }
}
