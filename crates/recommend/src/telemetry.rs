//! Metric handles of the pipeline, taken once: recording on the hot path is an atomic or two.
//!
//! Labels are names of components, reasons and rungs, so their number is bounded by the registries.

use crate::answer::{Answer, Rung};
use crate::{filters, hydrators, scorers, selectors, sources};
use metrics::{Counter, Histogram, counter, histogram};
use std::time::Instant;

/// Metrics of one component.
pub(crate) struct ComponentMetrics {
    seconds: Histogram,
    late: Counter,
    broken: Counter,
}

impl ComponentMetrics {
    fn new(stage: &'static str, component: &'static str) -> Self {
        let labels = [("stage", stage), ("component", component)];
        Self {
            seconds: histogram!("nowcast_stage_seconds", &labels),
            late: counter!("nowcast_stage_late_total", &labels),
            broken: counter!("nowcast_stage_contract_broken_total", &labels),
        }
    }

    /// Times one call.
    pub(crate) fn time<R>(&self, call: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = call();
        self.seconds.record(start.elapsed());
        result
    }

    /// Counts a call that the deadline forbade.
    pub(crate) fn count_late(&self) {
        self.late.increment(1);
    }

    /// Counts a result that broke the contract of its trait and was repaired.
    pub(crate) fn count_broken(&self) {
        self.broken.increment(1);
    }
}

/// Metrics of all components, in the order of their registries.
pub(crate) struct Telemetry {
    pub(crate) sources: Vec<ComponentMetrics>,
    pub(crate) hydrators: Vec<ComponentMetrics>,
    pub(crate) scorers: Vec<ComponentMetrics>,
    pub(crate) selectors: Vec<ComponentMetrics>,
    candidates: Vec<Counter>,
    removed: Vec<Vec<Counter>>,
    rungs: Vec<Counter>,
    prepare_seconds: Histogram,
    answer_seconds: Histogram,
    answer_items: Histogram,
}

impl Telemetry {
    /// Takes every handle from the recorder installed at this moment.
    pub(crate) fn new() -> Self {
        let of = |stage, names: &mut dyn Iterator<Item = &'static str>| {
            let metrics = names.map(|name| ComponentMetrics::new(stage, name));
            metrics.collect::<Vec<_>>()
        };
        let removed = |filter: &&'static dyn filters::Filter| {
            let reasons = filter.reasons().iter();
            let counters = reasons.map(|reason| {
                let labels = [("filter", filter.name()), ("reason", *reason)];
                counter!("nowcast_filter_removed_items_total", &labels)
            });
            counters.collect()
        };
        Self {
            sources: of("source", &mut sources::registry().iter().map(|c| c.name())),
            hydrators: of(
                "hydrator",
                &mut hydrators::registry().iter().map(|c| c.name()),
            ),
            scorers: of("scorer", &mut scorers::registry().iter().map(|c| c.name())),
            selectors: of(
                "selector",
                &mut selectors::registry().iter().map(|c| c.name()),
            ),
            candidates: sources::registry()
                .iter()
                .map(|c| counter!("nowcast_source_candidates_total", "source" => c.name()))
                .collect(),
            removed: filters::registry().iter().map(removed).collect(),
            rungs: Rung::ALL
                .iter()
                .map(|rung| counter!("nowcast_answers_total", "rung" => rung.name()))
                .collect(),
            prepare_seconds: histogram!("nowcast_prepare_seconds"),
            answer_seconds: histogram!("nowcast_answer_seconds"),
            answer_items: histogram!("nowcast_answer_items"),
        }
    }

    pub(crate) fn source_returned(&self, source: usize, candidates: usize) {
        self.candidates[source].increment(candidates as u64);
    }

    pub(crate) fn removed(&self, filter: usize, reason: usize, count: u32) {
        if let Some(counter) = self.removed[filter].get(reason) {
            counter.increment(u64::from(count));
        }
    }

    pub(crate) fn prepared(&self, since: Instant) {
        self.prepare_seconds.record(since.elapsed());
    }

    pub(crate) fn finished(&self, since: Instant) {
        self.answer_seconds.record(since.elapsed());
    }

    pub(crate) fn answered(&self, answer: &Answer) {
        if let Some(at) = Rung::ALL.iter().position(|rung| *rung == answer.rung) {
            self.rungs[at].increment(1);
        }
        self.answer_items.record(answer.items.len() as f64);
    }
}
