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
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{DeviceClass, Refusal, RefusalCode, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
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
        let folded_here = engine.processor().folds_here();
        let counters = engine.processor().counters();
        for counters in counters.iter().filter(|_| folded_here) {
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
        if !fold.is_empty() {
            lines.push(format!("state now reflects {}", fold.join(", ")));
        }
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
    ids: RowIds,
}

/// Ids for rows that have none: a hash of the content and how often it came before at its time.
///
/// Files with times in seconds hold equal rows that are different events. Counting them keeps both
/// apart, and the same file imported again gets the same ids.
#[derive(Default)]
struct RowIds {
    at: Timestamp,
    seen: HashMap<u64, u32>,
}

impl RowIds {
    fn next(&mut self, event: &ImportedEvent) -> String {
        if event.timestamp != self.at {
            self.at = event.timestamp;
            self.seen.clear();
        }
        let value = event.value.map_or(0, f64::to_bits);
        let content = format!(
            "{}\u{1f}{}\u{1f}{}\u{1f}{}\u{1f}{}\u{1f}{value}",
            event.event_type,
            event.user_id,
            event.session_id.as_deref().unwrap_or_default(),
            event.item_id,
            event.timestamp
        );
        let [low, high] = [0, 1].map(|seed| stable_hash(content.as_bytes(), seed));
        let times = self.seen.entry(low).or_default();
        *times += 1;
        format!("row-{high:016x}{low:016x}-{times}")
    }
}

impl<'a> EventFeeder<'a> {
    /// Events for `engine`, counted on `bar`.
    pub fn new(engine: &'a Arc<Engine>, bar: &'a ProgressBar) -> Self {
        Self {
            engine,
            bar,
            ids: RowIds::default(),
        }
    }

    /// Sends rows in their order.
    ///
    /// # Errors
    /// When the log cannot store them.
    pub async fn send(
        &mut self,
        events: &[ImportedEvent],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let ids: Vec<String> = events
            .iter()
            .map(|event| match &event.event_id {
                Some(id) => id.clone(),
                None => self.ids.next(event),
            })
            .collect();
        let drafts: Vec<EventDraft<'_>> = events
            .iter()
            .zip(&ids)
            .map(|(event, id)| draft(event, id))
            .collect();
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
            keeps_letters: true,
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

fn draft<'e>(event: &'e ImportedEvent, event_id: &'e str) -> EventDraft<'e> {
    EventDraft {
        event_id: Some(Text::from(event_id)),
        event_type: Some(Text::from(event.event_type.as_str())),
        user_id: non_empty(&event.user_id),
        session_id: event.session_id.as_deref().map(Text::from),
        item_id: non_empty(&event.item_id),
        timestamp: Some(When::Ms(event.timestamp.0)),
        value: event.value,
        properties: event.properties.as_deref(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_get_ids_of_their_own_and_the_same_ones_each_time() {
        let row = ImportedEvent {
            user_id: "u".to_owned(),
            timestamp: Timestamp(5),
            ..ImportedEvent::default()
        };
        let other = ImportedEvent {
            item_id: "i".to_owned(),
            ..row.clone()
        };
        let ids_of_a_run = || {
            let mut ids = RowIds::default();
            [&row, &other, &row].map(|event| ids.next(event))
        };
        let ids = ids_of_a_run();
        assert_eq!(ids, ids_of_a_run());
        assert!(
            ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2],
            "{ids:?}"
        );
    }
}
