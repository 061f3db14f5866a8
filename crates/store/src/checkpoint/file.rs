//! One checkpoint file: a head frame, blob frames, an end frame. Written once, whole or not at all.
//!
//! A file gets its name only after its content is durable, so a file with a name is complete:
//! one that is short, lacks its end or fails a checksum is damaged, never torn. The frames' epoch
//! is a hash of whose file it is and which, so that a file that was renamed, copied or cut out of
//! another partition is found out too.

use crate::checkpoint::ChainId;
use crate::error::StoreError;
use nowcast_disk::frame::{self, FrameHeader, HEADER_LEN};
use nowcast_disk::{DiskError, File, Fs, OpenMode};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Offset, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HEAD: u8 = 0x11;
const BLOB: u8 = 0x12;
const END: u8 = 0x13;

/// Bytes that may wait for the disk while a file is written. A log on the same disk commits every
/// few milliseconds, and a file that is made durable all at once would hold it up for hundreds.
const UNSYNCED_BYTES_MAX: u64 = 1 << 20;

/// Whether a file stands on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    /// What changed since the file with the number before.
    Delta,
    /// Everything up to and including its number.
    Base,
}

/// Which file: its place in the chain of one partition, and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(crate) seq: u64,
    pub(crate) kind: FileKind,
}

impl FileId {
    pub(crate) fn name(self) -> String {
        let kind = match self.kind {
            FileKind::Delta => "delta",
            FileKind::Base => "base",
        };
        format!("{:012}.{kind}", self.seq)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (seq, kind) = name.split_once('.')?;
        let kind = match kind {
            "delta" => FileKind::Delta,
            "base" => FileKind::Base,
            _ => return None,
        };
        let id = Self {
            seq: seq.parse().ok()?,
            kind,
        };
        (id.name() == name).then_some(id)
    }

    fn epoch(self, chain: ChainId) -> u64 {
        let text = format!(
            "{}/{}/{}",
            chain.stream.name(),
            chain.partition.0,
            self.name()
        );
        stable_hash(text.as_bytes(), 0)
    }
}

/// The log positions a file spans: it turns the state at `from` into the state at `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) from: Offset,
    pub(crate) to: Offset,
}

/// Writes a file beside its final name; [`FileWriter::finish`] gives it the name.
pub(crate) struct FileWriter<'a> {
    fs: &'a dyn Fs,
    file: Arc<dyn File>,
    beside: PathBuf,
    path: PathBuf,
    epoch: u64,
    position: Offset,
    ordinal: u32,
    len: u64,
    synced: u64,
    buffer: Vec<u8>,
}

impl<'a> FileWriter<'a> {
    pub(crate) fn create(
        fs: &'a dyn Fs,
        dir: &Path,
        chain: ChainId,
        id: FileId,
        positions: Positions,
    ) -> Result<Self, DiskError> {
        let path = dir.join(id.name());
        // Deltas and compactions of one chain run side by side, under names of their own.
        let beside = dir.join(format!("{}.tmp", id.name()));
        match fs.remove(&beside) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let mut writer = Self {
            fs,
            file: fs.open(&beside, OpenMode::CreateNew)?,
            beside,
            path,
            epoch: id.epoch(chain),
            position: positions.to,
            ordinal: 0,
            len: 0,
            synced: 0,
            buffer: Vec::new(),
        };
        writer.frame(HEAD, &positions.from.to_le_bytes())?;
        Ok(writer)
    }

    pub(crate) fn blob(&mut self, blob: &[u8]) -> Result<(), DiskError> {
        self.frame(BLOB, blob)?;
        if self.len - self.synced >= UNSYNCED_BYTES_MAX {
            self.file.sync_data()?;
            self.synced = self.len;
        }
        Ok(())
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> Result<(), DiskError> {
        let header = FrameHeader {
            kind,
            epoch: self.epoch,
            base_offset: self.position,
            count: self.ordinal,
            max_timestamp: Timestamp(0),
            payload_len: 0,
        };
        self.buffer.clear();
        frame::write_frame(&mut self.buffer, &header, payload);
        self.file.write_at(&self.buffer, self.len)?;
        self.len += self.buffer.len() as u64;
        self.ordinal += 1;
        Ok(())
    }

    /// Ends the file and makes its content durable, still without its name.
    pub(crate) fn seal(mut self) -> Result<SealedFile<'a>, DiskError> {
        let total = self.len;
        self.frame(END, &total.to_le_bytes())?;
        self.file.sync_all()?;
        Ok(SealedFile {
            fs: self.fs,
            beside: self.beside,
            path: self.path,
            len: self.len,
        })
    }
}

/// A complete, durable file that has no name yet.
pub(crate) struct SealedFile<'a> {
    fs: &'a dyn Fs,
    pub(crate) beside: PathBuf,
    path: PathBuf,
    pub(crate) len: u64,
}

impl SealedFile<'_> {
    /// Gives the file its name: the commit. Durable on return.
    pub(crate) fn publish(self) -> Result<u64, DiskError> {
        self.fs.rename(&self.beside, &self.path)?;
        let dir = self.path.parent().expect("the path was joined to a folder");
        self.fs.sync_dir(dir)?;
        Ok(self.len)
    }
}

/// Reads a file frame by frame and checks everything that can be checked on the way.
pub(crate) struct FileReader {
    file: Arc<dyn File>,
    name: String,
    epoch: u64,
    len: u64,
    at: u64,
    ordinal: u32,
    pub(crate) positions: Positions,
}

impl FileReader {
    pub(crate) fn open(
        fs: &dyn Fs,
        path: &Path,
        chain: ChainId,
        id: FileId,
    ) -> Result<Self, StoreError> {
        let file = fs.open(path, OpenMode::Read)?;
        let mut reader = Self {
            len: file.len()?,
            file,
            name: path.display().to_string(),
            epoch: id.epoch(chain),
            at: 0,
            ordinal: 0,
            positions: Positions { from: 0, to: 0 },
        };
        let (header, payload) = reader.frame()?;
        let from = payload.as_slice().try_into();
        match (header.kind, from) {
            (HEAD, Ok(from)) => {
                reader.positions = Positions {
                    from: u64::from_le_bytes(from),
                    to: header.base_offset,
                };
                Ok(reader)
            }
            _ => Err(reader.damaged("it does not begin with a head")),
        }
    }

    /// The next blob; `None` after the last, once the end of the file has been checked too.
    pub(crate) fn next_blob(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let before = self.at;
        let (header, payload) = self.frame()?;
        if header.base_offset != self.positions.to {
            return Err(self.damaged("a frame belongs to another position"));
        }
        match header.kind {
            BLOB => Ok(Some(payload)),
            END if self.at == self.len && payload == before.to_le_bytes() => Ok(None),
            END => Err(self.damaged("it does not end where it says")),
            _ => Err(self.damaged("a frame of unknown kind")),
        }
    }

    /// Reads to the end.
    pub(crate) fn verify(mut self) -> Result<Positions, StoreError> {
        while self.next_blob()?.is_some() {}
        Ok(self.positions)
    }

    fn frame(&mut self) -> Result<(FrameHeader, Vec<u8>), StoreError> {
        let left = self.len - self.at;
        if left < HEADER_LEN as u64 {
            return Err(self.damaged("it ends without an end frame"));
        }
        let mut bytes = vec![0; HEADER_LEN];
        self.file.read_exact_at(&mut bytes, self.at)?;
        let header = frame::parse_header(&bytes).map_err(|fault| self.fault(&fault))?;
        let total = frame::frame_len(header.payload_len as usize);
        if left < total as u64 {
            return Err(self.damaged("it ends within a frame"));
        }
        bytes.resize(total, 0);
        let body_at = self.at + HEADER_LEN as u64;
        self.file.read_exact_at(&mut bytes[HEADER_LEN..], body_at)?;
        let (header, payload) = frame::parse_frame(&bytes).map_err(|fault| self.fault(&fault))?;
        let payload_len = payload.len();
        if header.epoch != self.epoch || header.count != self.ordinal {
            return Err(self.damaged("a frame belongs to another file or place"));
        }
        self.at += total as u64;
        self.ordinal += 1;
        bytes.truncate(HEADER_LEN + payload_len);
        bytes.drain(..HEADER_LEN);
        Ok((header, bytes))
    }

    fn fault(&self, fault: &frame::FrameFault) -> StoreError {
        self.damaged(&format!("{fault} at byte {}", self.at))
    }

    fn damaged(&self, detail: &str) -> StoreError {
        StoreError::corrupt(self.name.clone(), detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_strangers_are_ignored() {
        for (seq, kind) in [(1, FileKind::Delta), (u64::MAX, FileKind::Base)] {
            let id = FileId { seq, kind };
            assert_eq!(FileId::parse(&id.name()), Some(id));
        }
        for name in [
            "1.delta",
            "000000000001.delta.tmp",
            "lock",
            "00000000000x.base",
        ] {
            assert_eq!(FileId::parse(name), None);
        }
    }
}
