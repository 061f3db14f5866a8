//! The online ranker's course through the stream of examples: what it has learnt, and from which
//! examples, as one value that is stored and restored as a whole.
//!
//! The fold may emit examples again after a crash. Each names the record it stems from, and per
//! partition those ascend; so whatever does not lie beyond the last one has been learnt already and
//! is passed over. Learning is then exactly once, wherever it was interrupted.

use super::teaching::{Taught, teach};
use nowcast_models::ModelError;
use nowcast_models::online::{Objective, OnlineConfig, OnlineRanker};
use nowcast_types::{LabelledExample, Offset};
use std::collections::BTreeMap;

/// What became of an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// It was learnt.
    Learnt,
    /// It had been learnt before.
    Repeated,
    /// Its facts have a layout that is not known.
    Unreadable,
}

/// A ranker with its place in the stream of examples.
#[derive(Debug, Clone)]
pub struct OnlineTraining {
    ranker: OnlineRanker,
    position: Offset,
    /// The last offset and index that were learnt, by partition of the events.
    origins: BTreeMap<u16, (Offset, u32)>,
    correction_importance: f32,
}

/// Bytes of an entry of the origins.
const ORIGIN_BYTES: usize = 14;

impl OnlineTraining {
    /// One that has learnt nothing and begins at `position`.
    ///
    /// # Errors
    /// A number of the configuration is outside its range, or the objectives contradict each other.
    pub fn new(
        config: OnlineConfig,
        objectives: Vec<Objective>,
        correction_importance: f32,
        position: Offset,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            ranker: OnlineRanker::new(config, objectives)?,
            position,
            origins: BTreeMap::new(),
            correction_importance,
        })
    }

    /// The next offset of the stream of examples.
    #[must_use]
    pub const fn position(&self) -> Offset {
        self.position
    }

    /// What has been learnt.
    #[must_use]
    pub const fn ranker(&self) -> &OnlineRanker {
        &self.ranker
    }

    /// What has been learnt, to be followed by those who serve.
    pub const fn ranker_mut(&mut self) -> &mut OnlineRanker {
        &mut self.ranker
    }

    /// Learns the example at `offset` unless it was learnt before, and tells `each` label.
    pub fn take<'a>(
        &mut self,
        offset: Offset,
        example: &LabelledExample<'a>,
        each: impl FnMut(Taught<'a>),
    ) -> Lesson {
        self.pass(offset);
        let origin = (example.origin.offset, example.origin.index);
        let last = self.origins.get(&example.origin.partition);
        if last.is_some_and(|last| origin <= *last) {
            return Lesson::Repeated;
        }
        self.origins.insert(example.origin.partition, origin);
        if teach(&mut self.ranker, example, self.correction_importance, each) {
            Lesson::Learnt
        } else {
            Lesson::Unreadable
        }
    }

    /// Goes past a record that is no example, or past what the log no longer has.
    pub fn pass(&mut self, offset: Offset) {
        self.position = self.position.max(offset.saturating_add(1));
    }

    /// Everything but the position, which whoever stores it keeps beside: the origins, then the
    /// ranker's artifact.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = (self.origins.len() as u32).to_le_bytes().to_vec();
        for (partition, (offset, index)) in &self.origins {
            out.extend_from_slice(&partition.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
            out.extend_from_slice(&index.to_le_bytes());
        }
        let mut artifact = Vec::new();
        self.ranker.encode(&mut artifact);
        out.extend_from_slice(&artifact);
        out
    }

    /// Reads what [`Self::encode`] wrote at `position`. Weights of objectives are those of
    /// `objectives`, which may have changed without a loss.
    ///
    /// # Errors
    /// [`ModelError::Damaged`]; [`ModelError::UnusableData`] if it learnt under another
    /// configuration or other objectives, so that it must begin again.
    pub fn decode(
        bytes: &[u8],
        position: Offset,
        config: OnlineConfig,
        objectives: Vec<Objective>,
        correction_importance: f32,
    ) -> Result<Self, ModelError> {
        let cut = || ModelError::Damaged("it is cut short".to_owned());
        let (count, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let count = u32::from_le_bytes(*count) as usize;
        let len = count.checked_mul(ORIGIN_BYTES).ok_or_else(cut)?;
        let (entries, artifact) = rest.split_at_checked(len).ok_or_else(cut)?;
        let (entries, _) = entries.as_chunks::<ORIGIN_BYTES>();
        let origins = entries.iter().map(|e| {
            let partition = u16::from_le_bytes([e[0], e[1]]);
            let offset = u64::from_le_bytes([e[2], e[3], e[4], e[5], e[6], e[7], e[8], e[9]]);
            let index = u32::from_le_bytes([e[10], e[11], e[12], e[13]]);
            (partition, (offset, index))
        });
        let mut ranker = OnlineRanker::decode(artifact)?;
        if !ranker.reweigh(&objectives) || !ranker.is_configured_as(&config) {
            return Err(ModelError::UnusableData {
                model: nowcast_models::online::NAME,
                reason: "it learnt under another configuration".to_owned(),
            });
        }
        Ok(Self {
            ranker,
            position,
            origins: origins.collect(),
            correction_importance,
        })
    }
}
