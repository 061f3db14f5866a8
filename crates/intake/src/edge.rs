//! What was read, through the engine's own edge: the same rules, pseudonyms and enrichment as for
//! requests, in one append for all events of a batch.

use nowcast_engine::ingest::{ConsentDraft, Text};
use nowcast_engine::{Engine, EngineError, EventDraft, EventFate, When};
use nowcast_schemas::fields::{self, EntityChange};
use nowcast_schemas::{EventFields, Fault};
use nowcast_types::{DeviceClass, Refusal};
use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::task::Poll;

/// Why a message was refused, whoever refused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For machines.
    pub code: String,
    /// The field, as a path; empty for the whole message.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was found, cut short.
    pub found: Option<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self.field.as_str() {
            "" => "message",
            field => field,
        };
        write!(f, "{field}: {} ({})", self.expected, self.code)?;
        match &self.found {
            Some(found) => write!(f, ", found `{found}`"),
            None => Ok(()),
        }
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code.as_str().to_owned(),
            field: refusal.field.clone(),
            expected: refusal.expected.clone(),
            found: refusal.value.clone(),
        }
    }
}

impl From<&Fault> for Reason {
    fn from(fault: &Fault) -> Self {
        Self {
            code: fault.code.as_str().to_owned(),
            field: fault.field.clone(),
            expected: fault.expected.clone(),
            found: fault.found.clone(),
        }
    }
}

/// An event with what its message says beside the payload.
#[derive(Debug)]
pub struct ReadEvent<'m> {
    /// The fields.
    pub fields: EventFields<'m>,
    /// The id that it gets if its sender gave none: the same each time it is read.
    pub id: String,
    /// The message's time, for events that have none.
    pub timestamp: Option<i64>,
}

impl ReadEvent<'_> {
    fn draft(&self) -> EventDraft<'_> {
        let fields = &self.fields;
        let timestamp = match &fields.timestamp {
            Some(fields::When::Ms(ms)) => Some(When::Ms(*ms)),
            Some(fields::When::Text(text)) => Some(When::Text(borrowed(text))),
            None => self.timestamp.map(When::Ms),
        };
        EventDraft {
            event_id: Some(match &fields.event_id {
                Some(id) => borrowed(id),
                None => Text(Cow::Borrowed(&self.id)),
            }),
            event_type: fields.event_type.as_deref().map(borrowed),
            user_id: fields.user_id.as_deref().map(borrowed),
            session_id: fields.session_id.as_deref().map(borrowed),
            item_id: fields.item_id.as_deref().map(borrowed),
            timestamp,
            value: fields.value,
            slot: fields.slot.as_deref().map(borrowed),
            request_id: fields.request_id.as_deref().map(borrowed),
            device_type: fields.device_type.as_deref().map(borrowed),
            location: fields.location.as_deref().map(borrowed),
            utc_offset_minutes: fields.utc_offset_minutes,
            properties: fields.properties.as_deref(),
            consent: fields.consent.map(|consent| ConsentDraft {
                personalize: consent.personalize,
                train: consent.train,
            }),
            schema_version: fields.schema_version,
        }
    }
}

fn borrowed(text: &str) -> Text<'_> {
    Text(Cow::Borrowed(text))
}

/// What became of one piece of a batch.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It is durable.
    Taken,
    /// It broke a rule.
    Refused(Reason),
    /// It can be tried again, and should be.
    Failed(String),
}

/// Takes events in; a fate for each.
pub async fn events(engine: &Engine, events: &[ReadEvent<'_>]) -> Vec<Fate> {
    let drafts: Vec<EventDraft<'_>> = events.iter().map(ReadEvent::draft).collect();
    let arrival = nowcast_engine::Arrival {
        keeps_letters: false,
        ..engine.arrival(DeviceClass::Unknown)
    };
    let outcome = engine.ingest(&drafts, &arrival).await;
    let fates = outcome.fates.iter().map(|fate| match fate {
        EventFate::Accepted { .. } => Fate::Taken,
        EventFate::Refused(refusal) | EventFate::DeadLettered(refusal) => {
            Fate::Refused(refusal.into())
        }
        EventFate::Failed(error) => Fate::Failed(error.to_string()),
    });
    fates.collect()
}

/// A change of an item or a user, by raw id.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadEntity {
    /// The raw id.
    pub id: String,
    /// Whether it is a user.
    pub is_user: bool,
    /// What becomes of it.
    pub change: EntityChange,
}

/// Changes on their way into the log at once.
const TOGETHER_MAX: usize = 128;

/// Takes changes in, in their order; a fate for each. A deleted user is erased.
pub async fn entities(engine: &Engine, entities: &[ReadEntity]) -> Vec<Fate> {
    let mut fates = Vec::with_capacity(entities.len());
    for some in entities.chunks(TOGETHER_MAX) {
        fates.extend(all_of(some.iter().map(|entity| change(engine, entity))).await);
    }
    fates
}

async fn change(engine: &Engine, entity: &ReadEntity) -> Fate {
    let id = entity.id.as_str();
    let stored = match (&entity.change, entity.is_user) {
        (EntityChange::Put(item), false) => engine.put_item(id, item).await.map(drop),
        (EntityChange::Delete, false) => engine.delete_item(id).await.map(drop),
        (EntityChange::Put(user), true) => engine.change_user(id, user, false).await.map(drop),
        (EntityChange::Delete, true) => engine.erase(id, false).await.map(drop),
    };
    match stored {
        Ok(()) => Fate::Taken,
        Err(EngineError::Refused(refusal)) => Fate::Refused((&refusal).into()),
        Err(error) => Fate::Failed(error.to_string()),
    }
}

/// Runs futures side by side. They are begun in their order, which is the order of their appends.
async fn all_of<T: Unpin>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (future, answer) in &mut running {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *answer = Some(value),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    running
        .into_iter()
        .filter_map(|(_, answer)| answer)
        .collect()
}
