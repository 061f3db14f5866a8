//! How long the disk itself takes for a durable write: the yardstick of acknowledgements.

use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Size of the file that is overwritten; written once before, so that no sync commits metadata.
const FILE_BYTES: usize = 4 << 20;
/// Bytes per write: one page, as a small batch of events would be.
const WRITE_BYTES: usize = 4096;

/// A file that is overwritten page by page, each page made durable.
struct Probe {
    file: File,
    path: PathBuf,
    page: Vec<u8>,
    offset: usize,
}

impl Probe {
    fn create(dir: &Path, number: usize) -> anyhow::Result<Self> {
        let path = dir.join(format!("fdatasync-{number}.probe"));
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
        Ok(Self {
            file,
            path,
            page: vec![0xA5_u8; WRITE_BYTES],
            offset: 0,
        })
    }

    fn write(&mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.file
            .write_all_at(&self.page, self.offset as u64)
            .and_then(|()| self.file.sync_data())
            .context("cannot sync the probe file")?;
        self.offset = (self.offset + WRITE_BYTES) % FILE_BYTES;
        Ok(started.elapsed())
    }

    fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).context("cannot remove the probe file")
    }
}

/// Times of `write(4 KiB) + fdatasync` on a file in `dir`, one after the other for `duration`: the
/// disk with nothing else to do.
///
/// # Errors
/// When the file cannot be written.
pub fn fdatasync_times(dir: &Path, duration: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut probe = Probe::create(dir, 0)?;
    let mut times = Vec::new();
    let until = Instant::now() + duration;
    while Instant::now() < until {
        times.push(probe.write()?);
    }
    probe.remove()?;
    Ok(times)
}

/// The same on `files` files at once, `per_second` writes in all, each file's at even distances:
/// the disk at the pace of a log of so many partitions, without the log.
///
/// # Errors
/// When a file cannot be written.
pub fn paced_fdatasync_times(
    dir: &Path,
    files: usize,
    per_second: f64,
    duration: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let probes = (0..files).map(|number| Probe::create(dir, number));
    let probes = probes.collect::<anyhow::Result<Vec<_>>>()?;
    let between = Duration::from_secs_f64(files as f64 / per_second);
    let start = Instant::now();
    let paced = |number: usize, mut probe: Probe| {
        let mut times = Vec::new();
        // Spread over the distance, so that the files do not move in step.
        let mut due = start + between.mul_f64(number as f64 / files as f64);
        while due < start + duration {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            times.push(probe.write()?);
            due += between;
        }
        probe.remove()?;
        anyhow::Ok(times)
    };
    std::thread::scope(|scope| {
        let paced = &paced;
        let threads: Vec<_> = probes
            .into_iter()
            .enumerate()
            .map(|(number, probe)| scope.spawn(move || paced(number, probe)))
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            let times = thread.join();
            all.extend(times.map_err(|_| anyhow::anyhow!("a probe thread panicked"))??);
        }
        Ok(all)
    })
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
