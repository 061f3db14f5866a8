//! Examples and what is learnt from them, held against what must be.
//!
//! The stream may hold an example more often than once, where a crash made the fold emit it again;
//! readers know it by its origin. So the drill reads it as a reader must, and wants each example of
//! the oracle once, in the order of its partition; and the weights of a learner that was interrupted
//! equal to those of one that was told each example once.

use super::labels::{Labeller, Times, Told};
use super::site;
use anyhow::{Result, anyhow};
use nowcast_engine::OnlineRankingConfig;
use nowcast_engine::learning::{StoredTraining, objectives};
use nowcast_log::EventLog;
use nowcast_recommend::ranking::{OnlineTraining, teach};
use nowcast_types::{EventTypes, Offset, PartitionId, Record, Stream};
use std::collections::{BTreeMap, HashSet};

/// The only partition of the examples.
pub(super) const EXAMPLES: (Stream, PartitionId) = (Stream::Examples, PartitionId(0));
/// Bytes of log read at a time.
const READ_BYTES: usize = 64 << 10;

/// What the comparison found.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    /// Examples that must be there.
    pub(super) examples: u64,
    /// Examples in the stream beyond the first of each origin.
    pub(super) repeated: u64,
    pub(super) examples_equal: bool,
    pub(super) weights_equal: bool,
    pub(super) differences: Vec<String>,
}

/// The parameters that the drill learns with.
pub(super) fn ranking_config() -> Result<OnlineRankingConfig> {
    let settings: toml::Table = toml::from_str(&site::settings())?;
    let mut config = OnlineRankingConfig::default();
    let online = settings.get("online").and_then(toml::Value::as_table);
    let number = |key: &str| online?.get(key)?.as_integer();
    let read = |key: &str| number(key).ok_or_else(|| anyhow!("online.{key} is not set"));
    config.bits = read("bits")? as u32;
    config.factors = read("factors")? as usize;
    Ok(config)
}

/// A training that begins, or goes on from what was stored.
pub(super) fn training(stored: Option<&StoredTraining>) -> Result<OnlineTraining> {
    let config = ranking_config()?;
    let learnt = objectives(&site::fold_config()?.attribution);
    let correction = config.correction_importance;
    if let Some(stored) = stored {
        return stored
            .training(config.ranker(), &learnt, correction)
            .ok_or_else(|| anyhow!("what was learnt is not usable"));
    }
    Ok(OnlineTraining::new(config.ranker(), learnt, correction, 0)?)
}

/// Teaches what the stream has beyond the training's position.
pub(super) fn learn(log: &dyn EventLog, training: &mut OnlineTraining) -> Result<()> {
    each_record(log, EXAMPLES, training.position(), |offset, record| {
        if let Record::Example(example) = record {
            training.take(offset, example, |_| {});
        }
    })
}

/// Every record of a partition from an offset on.
pub(super) fn each_record(
    log: &dyn EventLog,
    (stream, partition): (Stream, PartitionId),
    from: Offset,
    mut each: impl FnMut(Offset, &Record<'_>),
) -> Result<()> {
    let bounds = log.bounds(stream, partition)?;
    let mut position = from.max(bounds.earliest);
    while position < bounds.end {
        for batch in log.read(stream, partition, position, READ_BYTES)? {
            for (offset, record) in batch.records() {
                if offset >= position {
                    each(offset, &record?);
                }
            }
            position = position.max(batch.end_offset());
        }
    }
    Ok(())
}

/// Compares the stream, with `tail` at its end, and what was learnt from it with the oracle.
pub(super) fn compare(
    log: &dyn EventLog,
    types: &EventTypes,
    tail: &[Told],
    mut training: OnlineTraining,
) -> Result<Lessons> {
    let mut stream = Vec::new();
    each_record(log, EXAMPLES, 0, |_, record| {
        if let Record::Example(example) = record {
            stream.push(Told::of(example));
        }
    })?;
    let end = log.bounds(EXAMPLES.0, EXAMPLES.1)?.end;
    learn(log, &mut training)?;
    for (at, told) in (end..).zip(tail) {
        training.take(at, &told.example(), |_| {});
    }
    stream.extend_from_slice(tail);
    let expected = expected(log, types)?;
    let mut lessons = Lessons {
        examples: expected.len() as u64,
        ..Lessons::default()
    };
    let mut seen = HashSet::new();
    let mut last: BTreeMap<u16, (u64, u32)> = BTreeMap::new();
    let mut once = OnlineOnce::new()?;
    for told in &stream {
        let origin = told.origin;
        let tell = match expected.get(&(origin.partition, origin.offset, origin.index)) {
            None => Some("must not be there"),
            Some(right) if right != told => Some("differs from the oracle's"),
            Some(right) => {
                if seen.insert(origin) {
                    let before = last.insert(origin.partition, (origin.offset, origin.index));
                    once.teach(right);
                    let is_behind = before >= Some((origin.offset, origin.index));
                    is_behind.then_some("is out of order")
                } else {
                    lessons.repeated += 1;
                    None
                }
            }
        };
        if let Some(problem) = tell {
            lessons.tell(format!("example {origin:?} {problem}: {told:?}"));
        }
    }
    if seen.len() < expected.len() {
        let missing = expected.values().find(|told| !seen.contains(&told.origin));
        let count = expected.len() - seen.len();
        lessons.tell(format!("{count} examples are missing, such as {missing:?}"));
    }
    lessons.examples_equal = lessons.differences.is_empty();
    lessons.weights_equal = once.has_weights_of(&training);
    if !lessons.weights_equal {
        lessons.tell("weights differ from those of each example learnt once".to_owned());
    }
    Ok(lessons)
}

impl Lessons {
    fn tell(&mut self, difference: String) {
        if self.differences.len() < 5 {
            self.differences.push(difference);
        }
    }
}

/// What must have been labelled, by origin.
fn expected(log: &dyn EventLog, types: &EventTypes) -> Result<BTreeMap<(u16, u64, u32), Told>> {
    let config = site::fold_config()?;
    let times = Times {
        window_ms: config.attribution.window.ms(),
        lateness_ms: config.lateness.ms(),
        clock_ahead_ms: config.clock_ahead.ms(),
    };
    let mut all = BTreeMap::new();
    for partition in 0..log.partitions(Stream::Events) {
        let mut labeller = Labeller::new(partition, times, types);
        let from = (Stream::Events, PartitionId(partition));
        each_record(log, from, 0, |offset, record| labeller.take(offset, record))?;
        all.extend(labeller.told.into_iter().map(|told| {
            let origin = told.origin;
            ((origin.partition, origin.offset, origin.index), told)
        }));
    }
    Ok(all)
}

/// A ranker that is told each example once, by nothing but the order of the telling.
struct OnlineOnce {
    training: OnlineTraining,
    correction_importance: f32,
}

impl OnlineOnce {
    fn new() -> Result<Self> {
        Ok(Self {
            training: training(None)?,
            correction_importance: ranking_config()?.correction_importance,
        })
    }

    fn teach(&mut self, told: &Told) {
        let ranker = self.training.ranker_mut();
        teach(ranker, &told.example(), self.correction_importance, |_| {});
    }

    fn has_weights_of(&self, other: &OnlineTraining) -> bool {
        let bytes = |training: &OnlineTraining| {
            let mut bytes = Vec::new();
            training.ranker().encode(&mut bytes);
            bytes
        };
        bytes(&self.training) == bytes(other)
    }
}
