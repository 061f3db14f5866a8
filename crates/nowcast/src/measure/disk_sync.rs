//! How long the disk itself takes for a durable write: the yardstick of acknowledgements.

use anyhow::Context;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Size of the file that is overwritten; written once before, so that no sync commits metadata.
const FILE_BYTES: usize = 4 << 20;
/// Bytes per write: one page, as a small batch of events would be.
const WRITE_BYTES: usize = 4096;

/// Times of `write(4 KiB) + fdatasync` on a file in `dir`, one after the other for `duration`.
///
/// # Errors
/// When the file cannot be written.
pub fn fdatasync_times(dir: &Path, duration: Duration) -> anyhow::Result<Vec<Duration>> {
    let path = dir.join("fdatasync.probe");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all_at(&vec![0_u8; FILE_BYTES], 0)
        .and_then(|()| file.sync_all())
        .context("cannot fill the probe file")?;
    let page = vec![0xA5_u8; WRITE_BYTES];
    let mut times = Vec::new();
    let mut offset = 0_usize;
    let until = Instant::now() + duration;
    while Instant::now() < until {
        let started = Instant::now();
        file.write_all_at(&page, offset as u64)
            .and_then(|()| file.sync_data())
            .context("cannot sync the probe file")?;
        times.push(started.elapsed());
        offset = (offset + WRITE_BYTES) % FILE_BYTES;
    }
    drop(file);
    std::fs::remove_file(&path).context("cannot remove the probe file")?;
    Ok(times)
}

/// The value below which `share` of `times` lie; zero for none.
#[must_use]
pub fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or_default()
}
