//! What the simulated crowd has seen so far: rates, latencies, and clicks by arm with an honest
//! interval.

use super::arms::Arm;
use crate::output::words;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Length of a step of the clicks-over-time series.
const STEP: Duration = Duration::from_secs(5);
/// Steps kept: one hour.
const STEPS_MAX: usize = 720;
/// Seconds of the events-per-second series.
const RATE_SECONDS: usize = 120;
/// Measured freshness values kept for quantiles.
const FRESHNESS_MAX: usize = 600;

/// Shared counts; cheap to add to, copied out for reports.
pub struct Tally {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    arms: [ArmTally; 2],
    steps: VecDeque<[StepTally; 2]>,
    first_step: u64,
    per_second: VecDeque<(u64, u64)>,
    events: u64,
    errors: u64,
    last_error: Option<String>,
    freshness_ms: VecDeque<f64>,
    answer_us: Option<Histogram<u64>>,
    acknowledge_us: Option<Histogram<u64>>,
    rungs: BTreeMap<String, u64>,
}

#[derive(Default, Clone, Copy)]
struct ArmTally {
    answers: u64,
    impressions: u64,
    clicks: u64,
    /// Sum over answers of (clicks in the answer)^2, for the variance between answers.
    clicks_squared: u64,
}

#[derive(Default, Clone, Copy)]
struct StepTally {
    impressions: u64,
    clicks: u64,
}

/// One answer as the reader took it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The reader's arm.
    pub arm: Arm,
    /// Items shown.
    pub shown: u64,
    /// Items clicked.
    pub clicks: u64,
    /// The ladder's rung.
    pub rung: String,
    /// Time until the answer was there.
    pub answer: Duration,
    /// Time until the events were acknowledged, if any were sent.
    pub acknowledge: Option<Duration>,
    /// Events sent, the impressions that the server records included.
    pub events: u64,
}

/// Click-through of one arm.
#[derive(Debug, Clone, Serialize)]
pub struct ArmReport {
    /// `personalized` or `popular`.
    pub arm: &'static str,
    /// Lists shown.
    pub answers: u64,
    /// Items shown.
    pub impressions: u64,
    /// Items clicked.
    pub clicks: u64,
    /// Clicks per item shown.
    pub ctr: f64,
    /// Lower end of the 95 % interval.
    pub ctr_low: f64,
    /// Upper end of the 95 % interval.
    pub ctr_high: f64,
}

/// A copy of the counts.
#[derive(Debug, Clone, Serialize)]
pub struct TallyReport {
    /// Seconds since the crowd came.
    pub elapsed_seconds: f64,
    /// Events so far.
    pub events: u64,
    /// Events in each of the last whole seconds, oldest first.
    pub events_per_second: Vec<u64>,
    /// Both arms.
    pub arms: Vec<ArmReport>,
    /// Relative advantage of personalized over popular; absent until popular has clicks.
    pub lift: Option<f64>,
    /// Seconds per step of `series`.
    pub step_seconds: u64,
    /// Seconds since the start of the first step of `series`.
    pub series_start_seconds: u64,
    /// Per step: impressions and clicks, personalized then popular.
    pub series: Vec<[u64; 4]>,
    /// Milliseconds from acknowledged click to changed answer, newest last.
    pub freshness_ms: Vec<f64>,
    /// Its median.
    pub freshness_p50_ms: Option<f64>,
    /// Its 99th percentile.
    pub freshness_p99_ms: Option<f64>,
    /// Median time of an answer.
    pub answer_p50_ms: f64,
    /// 99th percentile of the time of an answer.
    pub answer_p99_ms: f64,
    /// 99th percentile of the time of an acknowledgement.
    pub acknowledge_p99_ms: f64,
    /// Answers by rung.
    pub rungs: BTreeMap<String, u64>,
    /// Requests that failed.
    pub errors: u64,
    /// What the last of them said.
    pub last_error: Option<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            inner: Mutex::new(Inner {
                answer_us: latencies(),
                acknowledge_us: latencies(),
                ..Inner::default()
            }),
        }
    }
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counts are valid after any panic: each is added on its own.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one answer and what came of it.
    pub fn visit(&self, visit: &Visit) {
        let elapsed = self.started.elapsed();
        let mut inner = self.lock();
        let arm = visit.arm.index();
        let total = &mut inner.arms[arm];
        total.answers += 1;
        total.impressions += visit.shown;
        total.clicks += visit.clicks;
        total.clicks_squared += visit.clicks * visit.clicks;
        let step = inner.step_at(elapsed);
        step[arm].impressions += visit.shown;
        step[arm].clicks += visit.clicks;
        inner.count_events(elapsed.as_secs(), visit.events);
        *inner.rungs.entry(visit.rung.clone()).or_default() += 1;
        record(&mut inner.answer_us, Some(visit.answer));
        record(&mut inner.acknowledge_us, visit.acknowledge);
    }

    /// Counts events that belong to no answer.
    pub fn events(&self, count: u64) {
        let second = self.started.elapsed().as_secs();
        self.lock().count_events(second, count);
    }

    /// Notes one measured freshness.
    pub fn freshness(&self, took: Duration) {
        let mut inner = self.lock();
        if inner.freshness_ms.len() == FRESHNESS_MAX {
            inner.freshness_ms.pop_front();
        }
        inner.freshness_ms.push_back(took.as_secs_f64() * 1000.0);
    }

    /// Notes a failed request.
    pub fn error(&self, error: &anyhow::Error) {
        let mut inner = self.lock();
        inner.errors += 1;
        inner.last_error = Some(words(error));
    }

    /// A copy of everything.
    #[must_use]
    pub fn report(&self) -> TallyReport {
        let elapsed = self.started.elapsed();
        let inner = self.lock();
        let arms: Vec<ArmReport> = Arm::ALL
            .iter()
            .map(|arm| inner.arms[arm.index()].report(arm.name()))
            .collect();
        let lift = (arms[1].clicks > 0).then(|| arms[0].ctr / arms[1].ctr - 1.0);
        let mut sorted: Vec<f64> = inner.freshness_ms.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let last = sorted.len().checked_sub(1)?;
            sorted.get((last as f64 * share).round() as usize).copied()
        };
        TallyReport {
            elapsed_seconds: elapsed.as_secs_f64(),
            events: inner.events,
            events_per_second: inner.rates(elapsed.as_secs()),
            lift,
            arms,
            step_seconds: STEP.as_secs(),
            series_start_seconds: inner.first_step * STEP.as_secs(),
            series: inner
                .steps
                .iter()
                .map(|[a, b]| [a.impressions, a.clicks, b.impressions, b.clicks])
                .collect(),
            freshness_p50_ms: quantile(0.5),
            freshness_p99_ms: quantile(0.99),
            freshness_ms: inner.freshness_ms.iter().copied().collect(),
            answer_p50_ms: quantile_ms(&inner.answer_us, 0.5),
            answer_p99_ms: quantile_ms(&inner.answer_us, 0.99),
            acknowledge_p99_ms: quantile_ms(&inner.acknowledge_us, 0.99),
            rungs: inner.rungs.clone(),
            errors: inner.errors,
            last_error: inner.last_error.clone(),
        }
    }
}

/// Up to a minute in microseconds: longer ones count as that.
fn latencies() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).ok()
}

fn record(histogram: &mut Option<Histogram<u64>>, took: Option<Duration>) {
    if let (Some(histogram), Some(took)) = (histogram, took) {
        histogram.saturating_record(took.as_micros() as u64);
    }
}

fn quantile_ms(histogram: &Option<Histogram<u64>>, share: f64) -> f64 {
    histogram
        .as_ref()
        .map_or(0.0, |h| h.value_at_quantile(share) as f64 / 1000.0)
}

impl Inner {
    fn step_at(&mut self, elapsed: Duration) -> &mut [StepTally; 2] {
        let step = elapsed.as_secs() / STEP.as_secs();
        while self.first_step + (self.steps.len() as u64) <= step {
            self.steps.push_back(Default::default());
            if self.steps.len() > STEPS_MAX {
                self.steps.pop_front();
                self.first_step += 1;
            }
        }
        let index = step.saturating_sub(self.first_step) as usize;
        &mut self.steps[index]
    }

    fn count_events(&mut self, second: u64, count: u64) {
        self.events += count;
        match self.per_second.back_mut() {
            Some((last, n)) if *last == second => *n += count,
            _ => self.per_second.push_back((second, count)),
        }
        while self.per_second.len() > RATE_SECONDS + 2 {
            self.per_second.pop_front();
        }
    }

    fn rates(&self, now_second: u64) -> Vec<u64> {
        let from = now_second.saturating_sub(RATE_SECONDS as u64);
        let mut rates = vec![0; (now_second - from) as usize];
        for &(second, count) in &self.per_second {
            if second >= from && second < now_second {
                rates[(second - from) as usize] = count;
            }
        }
        rates
    }
}

impl ArmTally {
    /// The interval is the normal one over answers, not over single items: clicks within one
    /// answer hang together, and pretending otherwise would make it too narrow.
    fn report(&self, arm: &'static str) -> ArmReport {
        let answers = self.answers.max(1) as f64;
        let shown = self.impressions.max(1) as f64;
        let mean = self.clicks as f64 / answers;
        let variance = (self.clicks_squared as f64 / answers - mean * mean).max(0.0);
        let half = 1.96 * (variance / answers).sqrt() * answers / shown;
        let ctr = self.clicks as f64 / shown;
        ArmReport {
            arm,
            answers: self.answers,
            impressions: self.impressions,
            clicks: self.clicks,
            ctr,
            ctr_low: (ctr - half).max(0.0),
            ctr_high: (ctr + half).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(arm: Arm, clicks: u64) -> Visit {
        Visit {
            arm,
            shown: 10,
            clicks,
            rung: "trending".to_owned(),
            answer: Duration::from_millis(2),
            acknowledge: None,
            events: 10 + clicks,
        }
    }

    #[test]
    fn the_interval_holds_the_rate_and_narrows_with_answers() {
        let width = |answers: u64| {
            let tally = Tally::default();
            for i in 0..answers {
                tally.visit(&visit(Arm::Personalized, i % 3));
            }
            let arm = tally.report().arms[0].clone();
            assert!(arm.ctr_low <= 0.1 && 0.1 <= arm.ctr_high, "{arm:?}");
            arm.ctr_high - arm.ctr_low
        };
        // Four times the answers, half the width.
        let ratio = width(300) / width(1200);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn counts_end_up_under_their_arm() {
        let tally = Tally::default();
        tally.visit(&visit(Arm::Popular, 2));
        tally.events(5);
        let report = tally.report();
        assert_eq!((report.arms[0].clicks, report.arms[1].clicks), (0, 2));
        assert_eq!(report.events, 17);
        assert_eq!(report.series.iter().map(|s| s[3]).sum::<u64>(), 2);
    }
}
