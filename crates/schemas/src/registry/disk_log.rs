//! The registry's changes in one file: a checksummed frame each, synced one by one.
//!
//! Registrations are rare and small, so there is no group commit, no segment and no compaction:
//! ten thousand of them are some ten megabytes. A torn tail was never acknowledged and is
//! overwritten; damage before it is an error that names the byte. A failed sync is never retried.

use super::RegistryLog;
use crate::error::SchemaError;
use nowcast_disk::frame::{FrameHeader, write_frame};
use nowcast_disk::frame_reader::{FrameReader, Scan, ScanEnd};
use nowcast_disk::{File, FileLock, Fs, OpenMode};
use nowcast_types::Timestamp;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

const FILE_NAME: &str = "registry.log";
const LOCK_NAME: &str = "registry.lock";

/// What the frames hold; other numbers are other files.
const KIND: u8 = 32;
/// The file is written once and never used again for something else, so one epoch is enough.
const EPOCH: u64 = 0x6e63_7265_6769_7374;

/// A log in a folder of its own.
#[derive(Debug)]
pub struct DiskRegistryLog {
    file: Arc<dyn File>,
    end: Mutex<End>,
    _lock: FileLock,
}

#[derive(Debug)]
struct End {
    position: u64,
    count: u64,
    failure: Option<String>,
}

impl DiskRegistryLog {
    /// Opens the log in `dir`, which is created if need be, and locks it.
    ///
    /// # Errors
    /// IO, a lock that another process holds, and [`SchemaError::BadChange`] on damage.
    pub fn open(fs: &dyn Fs, dir: &Path) -> Result<Self, SchemaError> {
        fs.create_dir_all(dir)?;
        let lock = fs.lock_exclusive(&dir.join(LOCK_NAME))?;
        let path = dir.join(FILE_NAME);
        let exists = fs.list(dir)?.iter().any(|entry| entry.name == FILE_NAME);
        let file = if exists {
            fs.open(&path, OpenMode::ReadWrite)?
        } else {
            let file = fs.open(&path, OpenMode::CreateNew)?;
            file.sync_all()?;
            fs.sync_dir(dir)?;
            file
        };
        let (position, count) = scan(file.as_ref(), &mut |_| Ok(()))?;
        Ok(Self {
            file,
            end: Mutex::new(End {
                position,
                count,
                failure: None,
            }),
            _lock: lock,
        })
    }
}

/// Calls `each` with every change; answers with where the sound frames end and their number.
fn scan(
    file: &dyn File,
    each: &mut dyn FnMut(&[u8]) -> Result<(), SchemaError>,
) -> Result<(u64, u64), SchemaError> {
    let mut reader = FrameReader::new(file, 0, Some(EPOCH));
    let mut count = 0;
    loop {
        let bad = |reason: String| SchemaError::BadChange {
            place: count,
            reason,
        };
        match reader.next_frame()? {
            Scan::Frame {
                header, payload, ..
            } => {
                if header.kind != KIND || header.base_offset != count {
                    return Err(bad("it is not the next change of a registry".to_owned()));
                }
                each(payload)?;
                count += 1;
            }
            Scan::End(ScanEnd::Corrupt { fault, next_valid }) => {
                return Err(bad(format!(
                    "{fault}; the next change is at byte {next_valid}"
                )));
            }
            Scan::End(_) => return Ok((reader.position(), count)),
        }
    }
}

impl RegistryLog for DiskRegistryLog {
    fn append(&self, change: &[u8]) -> Result<(), SchemaError> {
        let mut end = self.end.lock();
        if let Some(failure) = &end.failure {
            return Err(SchemaError::LogUnavailable(failure.clone()));
        }
        let header = FrameHeader {
            kind: KIND,
            epoch: EPOCH,
            base_offset: end.count,
            count: 1,
            max_timestamp: Timestamp::MIN,
            payload_len: 0,
        };
        let mut frame = Vec::new();
        write_frame(&mut frame, &header, change);
        let written = self.file.write_at(&frame, end.position);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            end.failure = Some(format!("an earlier change failed: {error}"));
            return Err(error.into());
        }
        end.position += frame.len() as u64;
        end.count += 1;
        Ok(())
    }

    fn replay(
        &self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), SchemaError>,
    ) -> Result<(), SchemaError> {
        // Held throughout, so that no change comes between the last one read and the next.
        let _end = self.end.lock();
        scan(self.file.as_ref(), each).map(drop)
    }
}
