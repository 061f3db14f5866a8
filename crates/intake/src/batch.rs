//! One batch of messages, from the topics into the log: whatever cannot be used becomes a dead
//! letter with its reason, its bytes under seal and its place in the topic.
//!
//! The batch is done when every message is durable as one or the other. Until then the parts that
//! the log or a registry could not do are tried again, and nothing new is read: a slow log slows
//! reading, and memory holds one batch.

use crate::edge::{self, Fate, ReadEntity, ReadEvent, Reason};
use crate::reading::{Reading, Said};
use nowcast_engine::dead_letter::Base64;
use nowcast_engine::{Engine, Letter, LetterBody, LetterSource, Original};
use nowcast_log::{BATCH_BYTES_MAX, LogError, RecordBatch};
use nowcast_log_kafka::ForeignMessage;
use nowcast_schemas::fields::EVENT_FIELDS;
use nowcast_schemas::{Decoder, Message, SchemaError};
use nowcast_types::{PartitionId, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Messages whose content is in the log.
    pub taken: u64,
    /// Messages among the dead letters.
    pub dead_lettered: u64,
    /// Messages that say nothing.
    pub passed_over: u64,
}

/// The program is stopping; the batch is not done and will be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Takes batches in.
pub struct BatchTaker {
    engine: Arc<Engine>,
    decoder: Arc<Decoder>,
    readings: BTreeMap<String, Reading>,
    retry_after: Duration,
    is_stopping: Arc<AtomicBool>,
}

/// Where one message stands.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all messages are events, and a box would cost each an allocation"
)]
enum Step<'m> {
    Event(ReadEvent<'m>),
    Entity(ReadEntity),
    Refused(Reason),
    Nothing,
}

/// A message's id: the place it was read at, and its time, since a topic that is made anew counts
/// from 0 again.
#[must_use]
pub fn message_id(message: &ForeignMessage, bytes_max: usize) -> String {
    let ForeignMessage {
        topic,
        partition,
        offset,
        ..
    } = message;
    let time = message.timestamp.unwrap_or(0);
    let id = format!("{topic}/{partition}/{offset}@{time}");
    if id.len() <= bytes_max {
        return id;
    }
    let hash = nowcast_types::stable_hash::stable_hash(topic.as_bytes(), 0);
    format!("{hash:016x}/{partition}/{offset}@{time}")
}

impl BatchTaker {
    /// Prepares the taking in from topics.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        decoder: Arc<Decoder>,
        readings: BTreeMap<String, Reading>,
        retry_after: Duration,
        is_stopping: Arc<AtomicBool>,
    ) -> Self {
        Self {
            engine,
            decoder,
            readings,
            retry_after,
            is_stopping,
        }
    }

    /// Takes a batch in; returns when all of it is durable.
    ///
    /// # Errors
    /// [`Stopped`], if the program is told to stop before that.
    pub async fn take(&self, messages: &[ForeignMessage]) -> Result<BatchCounts, Stopped> {
        let headers: Vec<Vec<(&str, &[u8])>> = messages.iter().map(borrowed_headers).collect();
        let mut steps = Vec::with_capacity(messages.len());
        for (message, headers) in messages.iter().zip(&headers) {
            let borrowed = Message {
                value: message.value.as_deref(),
                key: message.key.as_deref(),
                headers,
            };
            steps.push(self.read(message, &borrowed).await?);
        }
        let mut refused: Vec<(usize, Reason)> = Vec::new();
        let mut counts = BatchCounts::default();
        let (mut events, mut event_places) = (Vec::new(), Vec::new());
        let (mut entities, mut entity_places) = (Vec::new(), Vec::new());
        for (place, step) in steps.into_iter().enumerate() {
            match step {
                Step::Event(event) => {
                    events.push(event);
                    event_places.push(place);
                }
                Step::Entity(entity) => {
                    entities.push(entity);
                    entity_places.push(place);
                }
                Step::Refused(reason) => refused.push((place, reason)),
                Step::Nothing => counts.passed_over += 1,
            }
        }
        // Items first: events carry the categories of their items.
        self.entities(entities, entity_places, &mut refused).await?;
        self.events(events, event_places, &mut refused).await?;
        refused.sort_by_key(|(place, _)| *place);
        counts.dead_lettered = refused.len() as u64;
        counts.taken = messages.len() as u64 - counts.dead_lettered - counts.passed_over;
        self.dead_letters(messages, &refused).await?;
        Ok(counts)
    }

    async fn read<'m>(
        &self,
        message: &ForeignMessage,
        borrowed: &Message<'m>,
    ) -> Result<Step<'m>, Stopped> {
        let Some(reading) = self.readings.get(&*message.topic) else {
            return Ok(Step::Nothing);
        };
        loop {
            let said = match reading.read(&self.decoder, borrowed).await {
                Ok(said) => said,
                Err(SchemaError::Fault(fault)) => return Ok(Step::Refused((&fault).into())),
                Err(error) => {
                    self.rest(&error.to_string()).await?;
                    continue;
                }
            };
            return Ok(match said {
                Said::Event(fields) => Step::Event(ReadEvent {
                    fields,
                    id: message_id(message, self.engine.limits().id_bytes_max),
                    timestamp: message.timestamp,
                }),
                Said::Item(id, change) => Step::Entity(ReadEntity {
                    id,
                    is_user: false,
                    change,
                }),
                Said::User(id, change) => Step::Entity(ReadEntity {
                    id,
                    is_user: true,
                    change,
                }),
                Said::Nothing => Step::Nothing,
            });
        }
    }

    async fn events(
        &self,
        mut events: Vec<ReadEvent<'_>>,
        mut places: Vec<usize>,
        refused: &mut Vec<(usize, Reason)>,
    ) -> Result<(), Stopped> {
        while !events.is_empty() {
            let fates = edge::events(&self.engine, &events).await;
            let failed = sort_out(fates, &places, refused);
            retain(&mut events, &failed.are_left);
            retain(&mut places, &failed.are_left);
            if let Some(reason) = failed.reason {
                self.rest(&reason).await?;
            }
        }
        Ok(())
    }

    async fn entities(
        &self,
        mut entities: Vec<ReadEntity>,
        mut places: Vec<usize>,
        refused: &mut Vec<(usize, Reason)>,
    ) -> Result<(), Stopped> {
        while !entities.is_empty() {
            let fates = edge::entities(&self.engine, &entities).await;
            let mut failed = sort_out(fates, &places, refused);
            // Whoever comes behind a change that failed comes again, or the order would be lost.
            if let Some(first) = failed.are_left.iter().position(|is_left| *is_left) {
                let behind: Vec<usize> = places[first..].to_vec();
                refused.retain(|(place, _)| !behind.contains(place));
                failed.are_left[first..].fill(true);
            }
            retain(&mut entities, &failed.are_left);
            retain(&mut places, &failed.are_left);
            if let Some(reason) = failed.reason {
                self.rest(&reason).await?;
            }
        }
        Ok(())
    }

    async fn dead_letters(
        &self,
        messages: &[ForeignMessage],
        refused: &[(usize, Reason)],
    ) -> Result<(), Stopped> {
        let mut batch = RecordBatch::new();
        for (place, reason) in refused {
            let message = &messages[*place];
            let letter = loop {
                match self.letter(message, reason) {
                    Ok(letter) => break letter,
                    Err(error) => self.rest(&error).await?,
                }
            };
            batch.push(&letter.record());
            if batch.byte_len() > BATCH_BYTES_MAX / 4 {
                self.append(std::mem::take(&mut batch)).await?;
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.append(batch).await
    }

    async fn append(&self, batch: RecordBatch) -> Result<(), Stopped> {
        let log = self.engine.log();
        loop {
            match log
                .append(Stream::DeadLetters, PartitionId(0), batch.clone())
                .await
            {
                Ok(_) => return Ok(()),
                Err(error @ LogError::BadBatch(_)) => {
                    // A single letter beyond what the log takes cannot come from a bounded message.
                    tracing::error!(%error, "a dead letter was not stored");
                    return Ok(());
                }
                Err(error) => self.rest(&error.to_string()).await?,
            }
        }
    }

    fn letter(&self, message: &ForeignMessage, reason: &Reason) -> Result<Letter, String> {
        let base64 = |bytes: &Vec<u8>| Base64(bytes.clone());
        let bytes = size(message);
        let is_kept = bytes <= LETTER_BYTES_MAX;
        let headers = message.headers.iter().filter(|_| is_kept);
        let original = Original {
            field: reason.field.clone(),
            expected: reason.expected.clone(),
            found: reason.found.clone(),
            value: message.value.as_ref().filter(|_| is_kept).map(base64),
            key: message.key.as_ref().filter(|_| is_kept).map(base64),
            bytes_left_out: (!is_kept).then_some(bytes as u64),
            headers: headers
                .map(|(name, value)| (name.clone(), base64(value)))
                .collect(),
        };
        let source = LetterSource::Topic {
            topic: message.topic.to_string(),
            partition: message.partition,
            offset: message.offset,
            timestamp: message.timestamp,
        };
        let id = message_id(message, self.engine.limits().id_bytes_max);
        let kind = self.readings[&*message.topic].kind();
        let sealer = self.engine.pseudonymizer().sealer();
        let body = LetterBody::sealed(sealer, &original, id, source, kind)?;
        Ok(Letter {
            at: self.engine.now(),
            code: reason.code.clone(),
            field: known_field(&reason.field).to_owned(),
            body: body.to_json(),
        })
    }

    /// Waits before another attempt.
    async fn rest(&self, reason: &str) -> Result<(), Stopped> {
        tracing::warn!(reason, "the intake waits");
        if self.is_stopping.load(Ordering::Acquire) {
            return Err(Stopped);
        }
        tokio::time::sleep(self.retry_after).await;
        if self.is_stopping.load(Ordering::Acquire) {
            return Err(Stopped);
        }
        Ok(())
    }
}

fn borrowed_headers(message: &ForeignMessage) -> Vec<(&str, &[u8])> {
    let headers = message.headers.iter();
    headers
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect()
}

/// A larger message is not copied into its letter; its place in the topic is.
const LETTER_BYTES_MAX: usize = 2 << 20;

fn size(message: &ForeignMessage) -> usize {
    let headers = message.headers.iter();
    message.value.as_ref().map_or(0, Vec::len)
        + message.key.as_ref().map_or(0, Vec::len)
        + headers
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
}

/// What is left to do of a batch.
struct Failed {
    are_left: Vec<bool>,
    reason: Option<String>,
}

fn sort_out(fates: Vec<Fate>, places: &[usize], refused: &mut Vec<(usize, Reason)>) -> Failed {
    let mut failed = Failed {
        are_left: Vec::with_capacity(fates.len()),
        reason: None,
    };
    for (fate, place) in fates.into_iter().zip(places) {
        failed.are_left.push(matches!(fate, Fate::Failed(_)));
        match fate {
            Fate::Taken => {}
            Fate::Refused(reason) => refused.push((*place, reason)),
            Fate::Failed(reason) => failed.reason = Some(reason),
        }
    }
    failed
}

fn retain<T>(things: &mut Vec<T>, are_left: &[bool]) {
    let mut are_left = are_left.iter();
    things.retain(|_| are_left.next().copied().unwrap_or(false));
}

/// The field as far as its name is one of ours: a sender's own name could be anybody's id.
fn known_field(field: &str) -> &str {
    const OF_ENTITIES: [&str; 11] = [
        "categories",
        "tags",
        "attributes",
        "available",
        "segment",
        "deleted",
        "published_at",
        "expires_at",
        "before",
        "after",
        "op",
    ];
    let first = field.split('.').next().unwrap_or_default();
    if EVENT_FIELDS.contains(&first) || OF_ENTITIES.contains(&first) {
        first
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_shows_only_field_names_that_are_ours() {
        assert_eq!(known_field("attributes.ann@x.org"), "attributes");
        assert_eq!(known_field("user_id"), "user_id");
        assert_eq!(known_field("ann@x.org"), "");
    }

    #[test]
    fn ids_tell_places_and_times_apart_and_keep_within_the_limit() {
        let message = |topic: &str, offset| ForeignMessage {
            topic: topic.into(),
            partition: 2,
            offset,
            timestamp: Some(9),
            key: None,
            value: None,
            headers: Vec::new(),
        };
        assert_eq!(message_id(&message("clicks", 7), 256), "clicks/2/7@9");
        let long = message(&"t".repeat(249), 7);
        assert!(message_id(&long, 64).len() <= 64);
        assert_ne!(
            message_id(&long, 64),
            message_id(&message(&"u".repeat(249), 7), 64)
        );
    }
}
