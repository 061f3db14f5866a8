//! What to read in place of what was sent, in pieces that one request can carry.

use anyhow::Context;
use nowcast_intake::Repair;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Letters of one request.
const TOGETHER_MAX: usize = 1_000;
/// Bytes of one request, below what servers take.
const BYTES_MAX: usize = 4 << 20;

type Replay<'r> = &'r mut dyn FnMut(&[Repair]) -> anyhow::Result<()>;

/// Replays letters by number, each with the same patch.
///
/// # Errors
/// Those of `replay`.
pub fn from_offsets(
    offsets: &[u64],
    patch: Option<&Value>,
    replay: Replay<'_>,
) -> anyhow::Result<()> {
    for some in offsets.chunks(TOGETHER_MAX) {
        let repairs: Vec<Repair> = some
            .iter()
            .map(|offset| Repair {
                patch: patch.cloned(),
                ..Repair::none(*offset)
            })
            .collect();
        replay(&repairs)?;
    }
    Ok(())
}

/// Replays what the lines of a file say.
///
/// # Errors
/// A line that is no repair, with its number; those of `replay`.
pub fn from_file(path: &Path, replay: Replay<'_>) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut repairs, mut bytes) = (Vec::new(), 0);
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let repair: Repair = serde_json::from_str(&line)
            .with_context(|| format!("{}:{number} is no letter", path.display()))?;
        bytes += line.len();
        repairs.push(repair);
        if repairs.len() == TOGETHER_MAX || bytes > BYTES_MAX {
            replay(&repairs)?;
            repairs.clear();
            bytes = 0;
        }
    }
    if repairs.is_empty() {
        return Ok(());
    }
    replay(&repairs)
}
