//! One random life of a log on a simulated disk, with a crash in it, and what must hold after.
//!
//! A life is appends (answered one by one or several at once), truncations and clean restarts.
//! After the crash the log is opened again and compared with what the schedule knows:
//! acknowledged events are there, in order, with their offsets; what was never acknowledged may
//! follow as far as it was sent, in whole batches; there is nothing else.

use crate::fixtures::{Coins, EVENTS, batch, open, read_numbers, small_config};
use nowcast_disk::{Fs, SimFs};
use nowcast_log::{EmbeddedLog, EventLog, LogConfig};
use nowcast_types::{ByteSize, Offset};
use std::sync::Arc;

/// What the outside knows of the log.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// For each batch sent: its first event's number and how many it has. Numbers are offsets.
    sent: Vec<(u64, u64)>,
    /// Everything below was acknowledged.
    acked: Offset,
    /// Everything from here on must still be there.
    kept_from: Offset,
    next_number: u64,
}

/// Why a life ended early.
#[derive(Debug)]
pub(crate) struct PowerLost;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) segments_spare_max: usize,
}

impl Life {
    fn config(&self) -> LogConfig {
        LogConfig {
            segments_spare_max: self.segments_spare_max,
            segment_bytes: ByteSize(4 << 10),
            ..small_config()
        }
    }

    /// Lives until a step fails, which is when the power goes.
    pub(crate) fn run(&self, fs: &Arc<dyn Fs>, known: &mut Known) -> Result<(), PowerLost> {
        let mut coins = Coins(self.seed);
        let mut log = open(fs.clone(), self.config()).map_err(|_| PowerLost)?;
        for _ in 0..self.steps {
            match coins.below(10) {
                0 => {
                    drop(log);
                    log = open(fs.clone(), self.config()).map_err(|_| PowerLost)?;
                }
                1 => truncate(&log, known, &mut coins)?,
                _ => append_some(&log, known, &mut coins)?,
            }
        }
        Ok(())
    }

    /// Opens the log after the crash and compares it with what is known.
    pub(crate) fn check(&self, fs: &SimFs, known: &mut Known) -> Result<(), String> {
        let log = open(Arc::new(fs.clone()), self.config()).map_err(|e| e.to_string())?;
        let bounds = log.bounds(EVENTS.0, EVENTS.1).map_err(|e| e.to_string())?;
        let numbers = read_numbers(&log).map_err(|e| e.to_string())?;
        if bounds.earliest > known.kept_from {
            return Err(format!("{bounds:?} lost what was not truncated: {known:?}"));
        }
        if bounds.end < known.acked {
            return Err(format!("{bounds:?} lost what was acknowledged: {known:?}"));
        }
        if bounds.end > known.next_number {
            return Err(format!("{bounds:?} holds what was never sent: {known:?}"));
        }
        if let Some((offset, number)) = numbers.iter().find(|(offset, number)| offset != number) {
            return Err(format!("event {number} is at offset {offset}"));
        }
        let is_whole = known
            .sent
            .iter()
            .all(|(first, count)| bounds.end <= *first || bounds.end >= first + count);
        if !is_whole {
            return Err(format!("{bounds:?} holds part of a batch: {known:?}"));
        }
        // What was found is now as good as acknowledged; what was not is forgotten.
        known.acked = bounds.end;
        known.next_number = bounds.end;
        known.sent.retain(|(first, _)| *first < bounds.end);
        Ok(())
    }
}

fn append_some(log: &EmbeddedLog, known: &mut Known, coins: &mut Coins) -> Result<(), PowerLost> {
    let mut acks = Vec::new();
    for _ in 0..=coins.below(3) {
        let (first, count) = (known.next_number, 1 + coins.below(4));
        let batch = batch(first..first + count, coins.below(300) as usize);
        known.next_number += count;
        known.sent.push((first, count));
        acks.push((first + count, log.append(EVENTS.0, EVENTS.1, batch)));
    }
    let mut outcome = Ok(());
    for (end, ack) in acks {
        match ack.wait() {
            Ok(offsets) => {
                assert_eq!(
                    offsets.end, end,
                    "offsets are given in the order of appends"
                );
                known.acked = end;
            }
            Err(_) => outcome = Err(PowerLost),
        }
    }
    outcome
}

fn truncate(log: &EmbeddedLog, known: &mut Known, coins: &mut Coins) -> Result<(), PowerLost> {
    let before = known.kept_from + coins.below(known.acked - known.kept_from + 1);
    known.kept_from = before;
    let outcome = log.protect(EVENTS.0, EVENTS.1, before);
    outcome.map_err(|_| PowerLost)?;
    let outcome = log.truncate_before(EVENTS.0, EVENTS.1, before);
    outcome.map_err(|_| PowerLost)
}
