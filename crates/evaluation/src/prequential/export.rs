//! What the online ranker is told, as a file that other learners read.
//!
//! Vowpal Wabbit's text format: a line for each shown item, lists in the order in which they were
//! shown, an empty line behind each. `1 1 0.5 | 17 4711` is the item that was chosen, of importance
//! 1, with a margin of 0.5 to begin with, and the numbers of its features.

use crate::error::EvaluationError;
use nowcast_recommend::ranking::{Facts, features};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes lists.
pub(crate) struct Export {
    out: BufWriter<File>,
}

impl Export {
    /// Begins a file.
    pub(crate) fn create(path: &Path) -> Result<Self, EvaluationError> {
        let file = File::create(path).map_err(|error| {
            EvaluationError::Options(format!("cannot write {}: {error}", path.display()))
        })?;
        let out = BufWriter::new(file);
        Ok(Self { out })
    }

    /// Adds a list of which `chosen` was chosen.
    pub(crate) fn add(&mut self, facts: &Facts, chosen: usize) -> Result<(), EvaluationError> {
        self.write(facts, chosen).map_err(|e| failed(&e))
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<(), EvaluationError> {
        self.out.flush().map_err(|e| failed(&e))
    }

    fn write(&mut self, facts: &Facts, chosen: usize) -> std::io::Result<()> {
        let list = features(facts);
        for item in 0..list.len() {
            let label = if item == chosen { "1" } else { "-1" };
            write!(self.out, "{label} 1 {} |", list.prior(item))?;
            for feature in list.item(item) {
                write!(self.out, " {}", feature.0)?;
            }
            writeln!(self.out)?;
        }
        writeln!(self.out)
    }
}

fn failed(error: &std::io::Error) -> EvaluationError {
    EvaluationError::Options(format!("cannot write the examples: {error}"))
}
