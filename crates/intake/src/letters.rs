//! The dead letters of an engine: to look at, and to be taken in after all.
//!
//! The stream of dead letters is read from its beginning each time: it is short where things go
//! well, and nothing about it is worth a second copy. Input that was stored twice, because its
//! sender tried again or a topic was read again, is shown once.

use crate::edge::{self, Fate, ReadEntity, ReadEvent, Reason};
use crate::error::IntakeError;
use crate::reading::{Reading, Said};
use crate::repair::{Repair, Repaired};
use crate::view::{LetterView, Wanted};
use nowcast_engine::dead_letter::{REPLAYED_CODE, ReplayedBody};
use nowcast_engine::{Engine, LetterBody, LetterSource, Original};
use nowcast_log::RecordBatch;
use nowcast_schemas::{Decoder, Message, SchemaError};
use nowcast_types::{DeadLetter, Offset, PartitionId, Record, Stream};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Bytes of one read of the stream.
const READ_BYTES: usize = 4 << 20;
const PARTITION: PartitionId = PartitionId(0);

/// Reads and replays dead letters.
pub struct DeadLetters {
    engine: Arc<Engine>,
    decoder: Arc<Decoder>,
    readings: BTreeMap<String, Reading>,
}

/// What became of a letter that was to be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// The letter.
    pub offset: Offset,
    /// Whether its input is in the log now.
    pub applied: bool,
    /// Why not, for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Replayed {
    fn of(offset: Offset, fate: &Fate) -> Self {
        let (code, message) = match fate {
            Fate::Taken => (None, None),
            Fate::Refused(reason) => (Some(reason.code.clone()), Some(reason.to_string())),
            Fate::Failed(reason) => (Some("unavailable".to_owned()), Some(reason.clone())),
        };
        Self {
            offset,
            applied: code.is_none(),
            code,
            message,
        }
    }
}

/// Letters to be replayed, sorted by what they turned out to be.
#[derive(Default)]
struct Sorted<'m> {
    events: Vec<(usize, ReadEvent<'m>)>,
    entities: Vec<(usize, ReadEntity)>,
}

impl DeadLetters {
    /// The letters of an engine. `readings` says how the messages of topics are read; a topic that
    /// it lacks is read as its messages tell.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        decoder: Arc<Decoder>,
        readings: BTreeMap<String, Reading>,
    ) -> Self {
        Self {
            engine,
            decoder,
            readings,
        }
    }

    /// The letters that are wanted, the oldest first.
    ///
    /// # Errors
    /// The log's.
    pub fn list(&self, wanted: &Wanted) -> Result<Vec<LetterView>, IntakeError> {
        let replayed = self.replayed()?;
        let mut seen = HashSet::new();
        let mut views = Vec::new();
        let sealer = self.engine.pseudonymizer().sealer();
        self.scan(0, &mut |offset, letter| {
            if letter.code == REPLAYED_CODE {
                return Ok(true);
            }
            let Ok(body) = LetterBody::from_json(letter.body) else {
                return Ok(true);
            };
            let is_replayed = replayed.contains(&body.id);
            let is_first = seen.insert(body.id.clone());
            let fits = wanted.fits(letter.code, &body, is_replayed);
            if is_first && fits && wanted.after.is_none_or(|after| offset > after) {
                let view = LetterView::new(offset, letter, &body, sealer, is_replayed);
                views.push(if wanted.bytes {
                    view
                } else {
                    view.without_bytes()
                });
            }
            Ok(views.len() < wanted.limit)
        })?;
        Ok(views)
    }

    /// One letter, with its bytes.
    ///
    /// # Errors
    /// [`IntakeError::NoLetter`]; the log's.
    pub fn show(&self, offset: Offset) -> Result<LetterView, IntakeError> {
        let replayed = self.replayed()?;
        let sealer = self.engine.pseudonymizer().sealer();
        let mut found = None;
        self.letter(offset, &mut |letter, body| {
            let is_replayed = replayed.contains(&body.id);
            found = Some(LetterView::new(offset, letter, body, sealer, is_replayed));
        })?;
        found.ok_or(IntakeError::NoLetter(offset))
    }

    /// Takes letters in after all, as they were or repaired. Doing it twice is the same as once for
    /// events: each has the id that it would have had.
    ///
    /// # Errors
    /// The log's. What single letters lack is in their answers.
    pub async fn replay(&self, repairs: &[Repair]) -> Result<Vec<Replayed>, IntakeError> {
        let mut answers: Vec<Option<Replayed>> = vec![None; repairs.len()];
        let mut ids = Vec::with_capacity(repairs.len());
        let mut messages = Vec::with_capacity(repairs.len());
        for (place, repair) in repairs.iter().enumerate() {
            let loaded = self.load(repair);
            ids.push(match loaded {
                Ok((body, repaired)) => {
                    let id = body.id.clone();
                    messages.push((place, body, repaired));
                    id
                }
                Err(IntakeError::Sealed(reason)) => {
                    answers[place] = Some(unusable(repair.offset, "sealed", reason));
                    String::new()
                }
                Err(error @ IntakeError::NoLetter(_)) => {
                    answers[place] = Some(unusable(repair.offset, "not_found", error.to_string()));
                    String::new()
                }
                Err(error) => return Err(error),
            });
        }
        let headers: Vec<Vec<(&str, &[u8])>> = messages
            .iter()
            .map(|(.., repaired)| repaired.headers())
            .collect();
        let mut sorted = Sorted::default();
        for ((place, body, repaired), headers) in messages.iter().zip(&headers) {
            let message = repaired.message(headers);
            match self.read(body, repaired, &message).await {
                Ok(said) => sort(&mut sorted, *place, body, said),
                Err(fate) => answers[*place] = Some(Replayed::of(repairs[*place].offset, &fate)),
            }
        }
        for (place, fate) in self.take(sorted).await {
            answers[place] = Some(Replayed::of(repairs[place].offset, &fate));
        }
        let answers: Vec<Replayed> = answers.into_iter().flatten().collect();
        self.note_replayed(&answers, &ids).await?;
        Ok(answers)
    }

    /// The letter and its input as it is to be read now.
    fn load(&self, repair: &Repair) -> Result<(LetterBody, Repaired), IntakeError> {
        let mut found = None;
        self.letter(repair.offset, &mut |_, body| found = Some(body.clone()))?;
        let body = found.ok_or(IntakeError::NoLetter(repair.offset))?;
        let sealer = self.engine.pseudonymizer().sealer();
        let original: Option<Original> = body.original(sealer);
        let original =
            original.ok_or_else(|| IntakeError::Sealed("another key has sealed it".to_owned()))?;
        let repaired = Repaired::new(repair, original).map_err(IntakeError::Sealed)?;
        Ok((body, repaired))
    }

    async fn read<'m>(
        &self,
        body: &LetterBody,
        repaired: &Repaired,
        message: &Message<'m>,
    ) -> Result<Said<'m>, Fate> {
        let configured = match &body.source {
            LetterSource::Topic { topic, .. } => self.readings.get(topic),
            LetterSource::Http => None,
        };
        let plain;
        let reading = match configured {
            Some(reading) if !(repaired.is_json && reading.is_binary()) => reading,
            _ => {
                plain = Reading::plain(body.kind, repaired.is_json);
                &plain
            }
        };
        reading
            .read(&self.decoder, message)
            .await
            .map_err(|error| match error {
                SchemaError::Fault(fault) => Fate::Refused(Reason::from(&fault)),
                error => Fate::Failed(error.to_string()),
            })
    }

    async fn take(&self, sorted: Sorted<'_>) -> Vec<(usize, Fate)> {
        let Sorted { events, entities } = sorted;
        let (places, entities): (Vec<_>, Vec<_>) = entities.into_iter().unzip();
        let mut fates: Vec<(usize, Fate)> = Vec::new();
        if !entities.is_empty() {
            fates.extend(
                places
                    .into_iter()
                    .zip(edge::entities(&self.engine, &entities).await),
            );
        }
        let (places, events): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        if !events.is_empty() {
            fates.extend(
                places
                    .into_iter()
                    .zip(edge::events(&self.engine, &events).await),
            );
        }
        fates
    }

    async fn note_replayed(&self, answers: &[Replayed], ids: &[String]) -> Result<(), IntakeError> {
        let applied = answers.iter().zip(ids).filter(|(answer, _)| answer.applied);
        let ids: Vec<String> = applied.map(|(_, id)| id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let letter = ReplayedBody::new(ids).letter(self.engine.now());
        let mut batch = RecordBatch::new();
        batch.push(&letter.record());
        self.engine
            .log()
            .append(Stream::DeadLetters, PARTITION, batch)
            .await?;
        Ok(())
    }

    /// The ids of everything that was replayed.
    fn replayed(&self) -> Result<HashSet<String>, IntakeError> {
        let mut ids = HashSet::new();
        self.scan(0, &mut |_, letter| {
            if letter.code == REPLAYED_CODE
                && let Ok(body) = serde_json::from_str::<ReplayedBody>(letter.body)
            {
                ids.extend(body.ids);
            }
            Ok(true)
        })?;
        Ok(ids)
    }

    /// Calls `each` with the letter at an offset, if there is one.
    fn letter(
        &self,
        wanted: Offset,
        each: &mut dyn FnMut(&DeadLetter<'_>, &LetterBody),
    ) -> Result<(), IntakeError> {
        let bounds = self.engine.log().bounds(Stream::DeadLetters, PARTITION)?;
        if wanted < bounds.earliest || wanted >= bounds.end {
            return Ok(());
        }
        self.scan(wanted, &mut |offset, letter| {
            if offset == wanted
                && letter.code != REPLAYED_CODE
                && let Ok(body) = LetterBody::from_json(letter.body)
            {
                each(letter, &body);
            }
            Ok(false)
        })
    }

    /// Calls `each` with every record from `from` on until it says that it has enough.
    fn scan(
        &self,
        from: Offset,
        each: &mut dyn FnMut(Offset, &DeadLetter<'_>) -> Result<bool, IntakeError>,
    ) -> Result<(), IntakeError> {
        let log = self.engine.log();
        let bounds = log.bounds(Stream::DeadLetters, PARTITION)?;
        let mut next = from.max(bounds.earliest);
        while next < bounds.end {
            // One letter needs no more than its own batch.
            let bytes = if from == 0 { READ_BYTES } else { 1 };
            let batches = log.read(Stream::DeadLetters, PARTITION, next, bytes)?;
            if batches.is_empty() {
                return Ok(());
            }
            for (offset, record) in batches.iter().flat_map(|batch| batch.records()) {
                if offset < next {
                    continue;
                }
                if let Record::DeadLetter(letter) = record?
                    && !each(offset, &letter)?
                {
                    return Ok(());
                }
                next = offset + 1;
            }
        }
        Ok(())
    }
}

fn unusable(offset: Offset, code: &str, message: String) -> Replayed {
    Replayed {
        offset,
        applied: false,
        code: Some(code.to_owned()),
        message: Some(message),
    }
}

fn sort<'m>(sorted: &mut Sorted<'m>, place: usize, body: &LetterBody, said: Said<'m>) {
    let entity = |id, is_user, change| {
        (
            place,
            ReadEntity {
                id,
                is_user,
                change,
            },
        )
    };
    match said {
        Said::Event(fields) => {
            let timestamp = match &body.source {
                LetterSource::Topic { timestamp, .. } => *timestamp,
                LetterSource::Http => None,
            };
            let event = ReadEvent {
                fields,
                id: body.id.clone(),
                timestamp,
            };
            sorted.events.push((place, event));
        }
        Said::Item(id, change) => sorted.entities.push(entity(id, false, change)),
        Said::User(id, change) => sorted.entities.push(entity(id, true, change)),
        Said::Nothing => {}
    }
}
