//! The log on disk: partitions of segment files, one writer thread each.
//!
//! ```text
//! <dir>/lock                    held while open
//! <dir>/log.meta                format version and number of event partitions
//! <dir>/events-000/00000000000000000000.segment   named by the offset of its first record
//! <dir>/catalog-000/…           likewise for every stream and partition
//! <dir>/spares/…                files without meaning, written once, waiting to become segments
//! ```
//!
//! A segment is a run of frames: a header, then one frame per group commit, then perhaps a mark.
//! Only one group is ever on its way to the disk, so whatever a crash leaves incomplete is the
//! last thing in the last segment; anything incomplete elsewhere is damage, and opening or reading
//! stops there. The mark, written when a partition falls idle and overwritten by the next group,
//! says "all before me is synced", so that damage to the very last group is known as such, too.

mod meta;
mod partition;
mod queue;
mod reader;
mod recovery;
mod retention;
mod segment;
mod spares;
mod writer;

use crate::ack::AppendAck;
use crate::batch::{RecordBatch, StoredBatch};
use crate::config::LogConfig;
use crate::error::LogError;
use crate::event_log::{Bounds, EventLog};
use crate::memory::partition_index;
use nowcast_disk::{DiskError, FileLock, Fs};
use nowcast_types::{Offset, PartitionId, Stream, Timestamp};
pub use partition::PartitionStats;
use partition::{Partition, PartitionName};
pub use reader::Verified;
use recovery::Recovered;
use spares::Spares;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use writer::Writer;

/// What the partitions of one log share.
#[derive(Debug)]
struct Shared {
    fs: Arc<dyn Fs>,
    config: LogConfig,
    spares: Spares,
    /// Random, the same for all files of this log.
    log_id: u64,
}

/// Durable streams in one folder of one process. Dropping it commits what is queued.
#[derive(Debug)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    partitions: Vec<Arc<Partition>>,
    threads: Vec<JoinHandle<()>>,
    event_partitions: u16,
    _lock: FileLock,
}

impl EmbeddedLog {
    /// Opens the log in `dir`, or creates it, with `event_partitions` partitions of events.
    ///
    /// A torn write at the end of a partition is cut off (and logged); it was never acknowledged.
    ///
    /// # Errors
    /// [`LogError::Conflict`] if another process has it or it was made with another number of
    /// partitions; [`LogError::Corrupt`] on damage; IO.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        config: LogConfig,
        event_partitions: u16,
    ) -> Result<Self, LogError> {
        config.check()?;
        if event_partitions == 0 {
            return Err(LogError::BadConfig("no event partitions".to_owned()));
        }
        fs.create_dir_all(dir)?;
        let lock = fs.lock_exclusive(&dir.join("lock")).map_err(locked)?;
        let log_id = meta::open_or_create(&*fs, dir, event_partitions)?;
        let names = partition_names(event_partitions);
        for name in &names {
            fs.create_dir_all(&dir.join(name.to_string()))?;
        }
        let spares = Spares::open(fs.clone(), &dir.join("spares"), &config)?;
        fs.sync_dir(dir)?;
        let shared = Arc::new(Shared {
            fs,
            config,
            spares,
            log_id,
        });
        let mut log = Self {
            shared,
            partitions: Vec::new(),
            threads: Vec::new(),
            event_partitions,
            _lock: lock,
        };
        for (name, recovered) in names.iter().zip(recover_all(&log.shared, dir, &names)?) {
            log.start_partition(*name, dir, recovered)?;
        }
        log.start_thread("log-spares", |shared| shared.spares.run())?;
        Ok(log)
    }

    fn start_partition(
        &mut self,
        name: PartitionName,
        dir: &Path,
        recovered: Recovered,
    ) -> Result<(), LogError> {
        let dir = dir.join(name.to_string());
        let (partition, active) = Partition::new(name, dir, recovered);
        let partition = Arc::new(partition);
        self.partitions.push(partition.clone());
        self.start_thread(&format!("log-{name}"), move |shared| {
            Writer::new(shared, partition, active).run();
        })
    }

    fn start_thread(
        &mut self,
        name: &str,
        body: impl FnOnce(Arc<Shared>) + Send + 'static,
    ) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let builder = thread::Builder::new().name(name.to_owned());
        let thread = builder
            .spawn(move || body(shared))
            .map_err(|e| DiskError::io("start thread", Path::new(name), e))?;
        self.threads.push(thread);
        Ok(())
    }

    fn partition(
        &self,
        stream: Stream,
        partition: PartitionId,
    ) -> Result<&Arc<Partition>, LogError> {
        let index = partition_index(stream, partition, self.event_partitions)?;
        Ok(&self.partitions[index])
    }

    /// Retires segments that are too old as seen from `now`, or beyond the size kept, as far as
    /// protection allows. Also done on its own, as seen from the newest event, at each new segment.
    ///
    /// # Errors
    /// IO; then the partition retires nothing more until it is opened again.
    pub fn enforce_retention(&self, now: Timestamp) -> Result<(), LogError> {
        for partition in &self.partitions {
            retention::enforce(&self.shared, partition, now)?;
        }
        Ok(())
    }

    /// Counters of one partition since it was opened.
    ///
    /// # Errors
    /// [`LogError::NoPartition`].
    pub fn stats(
        &self,
        stream: Stream,
        partition: PartitionId,
    ) -> Result<PartitionStats, LogError> {
        Ok(self.partition(stream, partition)?.stats())
    }

    /// Reads everything of one partition from its files and decodes every record.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] at the first damage; IO.
    pub fn verify(&self, stream: Stream, partition: PartitionId) -> Result<Verified, LogError> {
        reader::verify(self.partition(stream, partition)?, &self.shared.config)
    }
}

fn partition_names(event_partitions: u16) -> Vec<PartitionName> {
    let of_stream = |stream: Stream| {
        (0..stream.partitions(event_partitions)).map(move |partition| PartitionName {
            stream,
            partition: PartitionId(partition),
        })
    };
    Stream::ALL.into_iter().flat_map(of_stream).collect()
}

/// Recovers all partitions at once: each reads a segment, and the disk likes company.
fn recover_all(
    shared: &Arc<Shared>,
    dir: &Path,
    names: &[PartitionName],
) -> Result<Vec<Recovered>, LogError> {
    thread::scope(|scope| {
        let recover = |name: &PartitionName| {
            let (shared, name, dir) = (shared.clone(), *name, dir.join(name.to_string()));
            scope.spawn(move || recovery::recover(&shared, name, &dir))
        };
        let threads: Vec<_> = names.iter().map(recover).collect();
        let joined = threads.into_iter().map(|thread| {
            let outcome = thread.join();
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    })
}

fn locked(error: DiskError) -> LogError {
    match error {
        DiskError::Locked { path } => LogError::Conflict {
            path,
            detail: "another process has this log open".to_owned(),
        },
        other => other.into(),
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        for partition in &self.partitions {
            partition.close();
        }
        self.shared.spares.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked; its partition had stopped");
            }
        }
    }
}

impl EventLog for EmbeddedLog {
    fn append(&self, stream: Stream, partition: PartitionId, batch: RecordBatch) -> AppendAck {
        let queued = self.partition(stream, partition).and_then(|partition| {
            batch.check()?;
            partition.enqueue(batch, &self.shared.config)
        });
        queued.unwrap_or_else(|error| AppendAck::ready(Err(error)))
    }

    fn read(
        &self,
        stream: Stream,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        let partition = self.partition(stream, partition)?;
        reader::read(partition, &self.shared.config, from, bytes_max)
    }

    fn bounds(&self, stream: Stream, partition: PartitionId) -> Result<Bounds, LogError> {
        Ok(self.partition(stream, partition)?.bounds())
    }

    fn wait_beyond(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
        timeout: Duration,
    ) -> bool {
        self.partition(stream, partition)
            .is_ok_and(|partition| partition.wait_beyond(offset, timeout))
    }

    fn protect(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        self.partition(stream, partition)?.protect(offset);
        Ok(())
    }

    fn truncate_before(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        let partition = self.partition(stream, partition)?;
        retention::truncate_before(&self.shared, partition, offset)
    }

    fn partitions(&self, stream: Stream) -> u16 {
        stream.partitions(self.event_partitions)
    }
}
