//! The way from rows into the engine: large batches, strictly one after the other.
//!
//! One at a time keeps the stream in event-time order in every partition: a batch that overtook
//! another could push it behind the lateness. The size of a batch pays for the wait on its sync.

use super::ImportedEvent;
use anyhow::Context;
use indicatif::ProgressBar;
use nowcast_engine::{
    Arrival, ArrivalClock, Engine, EventDraft, EventFate, IngestOutcome, Text, When,
};
use nowcast_types::{DeviceClass, Refusal, RefusalCode};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Events of one batch.
pub const BATCH_EVENTS: usize = 8_192;
/// Items of one batch.
const BATCH_ITEMS: usize = 2_048;
/// Reasons reported with an example each.
const REASONS_MAX: usize = 20;

/// What came of an import.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Events read.
    pub events: u64,
    /// Events that are durable in the log now.
    pub accepted: u64,
    /// Events refused or among the dead letters.
    pub dead_letters: u64,
    /// Items read.
    pub items: u64,
    /// Items refused.
    pub items_refused: u64,
    /// Why, with counts and one example each.
    pub reasons: BTreeMap<String, u64>,
    /// What the fold made of everything in the log, this import included.
    pub fold: BTreeMap<&'static str, u64>,
    /// Wall-clock time.
    pub seconds: f64,
    /// Accepted events a second.
    pub events_per_second: f64,
}

impl Report {
    fn refuse(&mut self, refusal: &Refusal) {
        let general = format!(
            "{} ({}): {}",
            refusal.field,
            refusal.code.as_str(),
            refusal.expected
        );
        let known = self
            .reasons
            .keys()
            .find(|key| key.starts_with(&general))
            .cloned();
        let key = known.unwrap_or_else(|| match &refusal.value {
            _ if self.reasons.len() >= REASONS_MAX => "other reasons".to_owned(),
            Some(value) => format!("{general}, such as `{value}`"),
            None => general,
        });
        *self.reasons.entry(key).or_default() += 1;
    }

    /// Adds what only the end knows.
    pub fn finish(&mut self, engine: &Engine, took: Duration) {
        for counters in engine.processor().counters() {
            for (name, count) in counters.named() {
                *self.fold.entry(name).or_default() += count;
            }
        }
        self.seconds = took.as_secs_f64();
        self.events_per_second = self.accepted as f64 / self.seconds.max(1e-9);
    }

    /// The report in a few lines.
    pub fn describe(&self) -> String {
        let mut lines = Vec::new();
        if self.items > 0 {
            lines.push(format!(
                "{} items, {} refused",
                self.items, self.items_refused
            ));
        }
        lines.push(format!(
            "{} of {} events accepted, {} dead letters, in {:.1} s ({:.0} events/s)",
            self.accepted, self.events, self.dead_letters, self.seconds, self.events_per_second
        ));
        let fold: Vec<String> = ["applied", "duplicate", "late", "suppressed", "skipped"]
            .iter()
            .filter_map(|name| self.fold.get(name).map(|count| format!("{count} {name}")))
            .collect();
        lines.push(format!("state now reflects {}", fold.join(", ")));
        for (reason, count) in &self.reasons {
            lines.push(format!("{count:>8} x {reason}"));
        }
        lines.join("\n")
    }
}

/// Sends events.
pub struct EventFeeder<'a> {
    engine: &'a Arc<Engine>,
    bar: &'a ProgressBar,
}

impl<'a> EventFeeder<'a> {
    /// Events for `engine`, counted on `bar`.
    pub fn new(engine: &'a Arc<Engine>, bar: &'a ProgressBar) -> Self {
        Self { engine, bar }
    }

    /// Sends rows in their order.
    ///
    /// # Errors
    /// When the log cannot store them.
    pub async fn send(&self, events: &[ImportedEvent], report: &mut Report) -> anyhow::Result<()> {
        let drafts: Vec<EventDraft<'_>> = events.iter().map(draft).collect();
        self.ingest(&drafts, report).await
    }

    /// Sends lines of JSON in their order; a line that is no event is a dead letter.
    ///
    /// # Errors
    /// When the log cannot store them.
    pub async fn send_lines(
        &self,
        lines: &[(i64, String)],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let mut drafts = Vec::with_capacity(lines.len());
        for (_, line) in lines {
            match serde_json::from_str::<EventDraft<'_>>(line) {
                Ok(draft) => drafts.push(draft),
                Err(error) => {
                    report.events += 1;
                    report.dead_letters += 1;
                    let expected = format!("an event as JSON: {error}");
                    report.refuse(&Refusal::new(RefusalCode::Malformed, "line", expected));
                }
            }
        }
        self.ingest(&drafts, report).await
    }

    async fn ingest(&self, drafts: &[EventDraft<'_>], report: &mut Report) -> anyhow::Result<()> {
        let arrival = Arrival {
            received_at: self.engine.now(),
            clock: ArrivalClock::EventTime,
            device: DeviceClass::Unknown,
        };
        let outcome = self.engine.ingest(drafts, &arrival).await;
        report.events += drafts.len() as u64;
        count(&outcome, report)?;
        self.bar.inc(drafts.len() as u64);
        Ok(())
    }
}

fn count(outcome: &IngestOutcome<'_>, report: &mut Report) -> anyhow::Result<()> {
    for fate in &outcome.fates {
        match fate {
            EventFate::Accepted { .. } => report.accepted += 1,
            EventFate::Refused(refusal) | EventFate::DeadLettered(refusal) => {
                report.dead_letters += 1;
                report.refuse(refusal);
            }
            EventFate::Failed(error) => {
                return Err(error.clone()).context("the log could not store an event");
            }
        }
    }
    Ok(())
}

fn draft(event: &ImportedEvent) -> EventDraft<'_> {
    EventDraft {
        event_id: event.event_id.as_deref().map(Text::from),
        event_type: Some(Text::from(event.event_type.as_str())),
        user_id: non_empty(&event.user_id),
        session_id: event.session_id.as_deref().map(Text::from),
        item_id: non_empty(&event.item_id),
        timestamp: Some(When::Ms(event.timestamp.0)),
        value: event.value,
        ..EventDraft::default()
    }
}

fn non_empty(text: &str) -> Option<Text<'_>> {
    (!text.is_empty()).then(|| Text::from(text))
}

/// Sends items.
pub struct ItemFeeder<'a> {
    engine: &'a Arc<Engine>,
    bar: &'a ProgressBar,
    waiting: Vec<(usize, String, Value)>,
}

impl<'a> ItemFeeder<'a> {
    /// Items for `engine`, counted on `bar`.
    pub fn new(engine: &'a Arc<Engine>, bar: &'a ProgressBar) -> Self {
        Self {
            engine,
            bar,
            waiting: Vec::new(),
        }
    }

    /// Adds an item, sending a full batch.
    ///
    /// # Errors
    /// When the log cannot store it.
    pub async fn push(
        &mut self,
        id: String,
        item: Value,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        self.waiting.push((self.waiting.len(), id, item));
        if self.waiting.len() >= BATCH_ITEMS {
            self.flush(report).await?;
        }
        Ok(())
    }

    /// Sends what is waiting, and waits until events can be enriched with it.
    ///
    /// # Errors
    /// When the log cannot store it.
    pub async fn flush(&mut self, report: &mut Report) -> anyhow::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let outcome = self
            .engine
            .put_items(&self.waiting)
            .await
            .context("the log could not store items")?;
        report.items += self.waiting.len() as u64;
        report.items_refused += outcome.refused.len() as u64;
        for (_, refusal) in &outcome.refused {
            report.refuse(refusal);
        }
        if let Some(last) = outcome.last {
            self.engine.wait_catalog(last).await;
        }
        self.bar.inc(self.waiting.len() as u64);
        self.waiting.clear();
        Ok(())
    }
}
