//! What must be equal: all that is known, as canonical text, and all answers.

use anyhow::{Result, ensure};
use nowcast_engine::{CallSubject, Engine, RecommendCall};
use nowcast_types::PartitionId;
use nowcast_types::stable_hash::stable_hash;
use std::fmt::Write as _;
use std::time::Duration;

/// Items of an answer.
const ANSWER_LEN: usize = 20;
/// No answer may be cut short by a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// What an engine knows and says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Profiles, counters and tiles of every partition.
    pub(super) dump: Vec<u8>,
    /// Every answer, a line each.
    pub(super) answers: String,
}

impl Outcome {
    /// Asks an engine that has folded everything.
    pub(super) fn of(engine: &Engine, users: &[String]) -> Result<Self> {
        Ok(Self {
            dump: dump(engine)?,
            answers: answers(engine, users)?,
        })
    }

    pub(super) fn state_hash(&self) -> String {
        format!("{:016x}", stable_hash(&self.dump, 0))
    }

    pub(super) fn answers_hash(&self) -> String {
        format!("{:016x}", stable_hash(self.answers.as_bytes(), 0))
    }
}

/// All that the partitions know.
pub(super) fn dump(engine: &Engine) -> Result<Vec<u8>> {
    let processor = engine.processor();
    let mut text = Vec::new();
    for partition in (0..processor.partitions()).map(PartitionId) {
        let written = processor.with_partition(partition, |view| view.state().dump(&mut text));
        written.unwrap_or(Ok(()))?;
    }
    Ok(text)
}

/// What the engine recommends to each of `users`.
pub(super) fn answers(engine: &Engine, users: &[String]) -> Result<String> {
    engine.refresh_serving();
    let mut text = String::new();
    for user_id in users {
        let subject = CallSubject::User {
            user_id,
            session_id: None,
        };
        let call = RecommendCall {
            deadline: Some(DEADLINE),
            records_impressions: false,
            ..RecommendCall::new(subject, "default", ANSWER_LEN)
        };
        let answer = engine.recommend(&call)?;
        ensure!(answer.late.is_empty(), "{user_id}: {:?}", answer.late);
        write!(text, "{user_id} {}", answer.rung.name())?;
        for item in &answer.items {
            let bits = item.score.to_bits();
            write!(text, " {}:{bits:08x}:{}", item.item_id, item.source)?;
        }
        text.push('\n');
    }
    Ok(text)
}

/// The first lines in which two texts differ.
pub(super) fn first_difference<'a>(ours: &'a str, theirs: &'a str) -> Option<(&'a str, &'a str)> {
    let mut pairs = ours.lines().zip(theirs.lines());
    pairs.find(|(ours, theirs)| ours != theirs)
}
