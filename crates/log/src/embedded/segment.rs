//! One segment file: its header frame, its sparse index, and how a file becomes one.

use super::Shared;
use super::meta::random_id;
use super::partition::PartitionName;
use super::spares::Spare;
use crate::error::LogError;
use nowcast_disk::failpoint::hit;
use nowcast_disk::frame::{HEADER_LEN, frame_len, parse_frame};
use nowcast_disk::{File, FrameHeader, OpenMode, write_frame};
use nowcast_types::{Offset, Stream, Timestamp};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Kinds of frames in a segment.
pub(super) mod kind {
    pub(in super::super) const SEGMENT: u8 = 2;
    pub(in super::super) const GROUP: u8 = 3;
    pub(in super::super) const MARK: u8 = 4;
}

/// Payload of the header frame: stream, partition, log id, base of the segment before.
const HEADER_PAYLOAD_LEN: usize = 1 + 2 + 8 + 8;
/// Where the first group begins.
pub(super) const GROUPS_START: u64 = frame_len(HEADER_PAYLOAD_LEN) as u64;
/// What a segment made from a new file is allocated at first.
const FIRST_BYTES: u64 = 1 << 20;
/// What the first segment has in place of the base of the segment before.
const NO_SEGMENT_BEFORE: u64 = u64::MAX;

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<dyn File>,
    pub(super) path: PathBuf,
    /// Offset of its first record.
    pub(super) base: Offset,
    pub(super) epoch: u64,
    /// Base of the segment before, if there was one when this one was made.
    pub(super) base_before: Option<Offset>,
    /// Latest event time in all segments before.
    pub(super) max_timestamp_before: Timestamp,
    /// Offsets and positions of some groups, ascending.
    index: Mutex<Vec<(Offset, u64)>>,
}

/// What a new segment must know.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewSegment {
    pub(super) name: PartitionName,
    pub(super) base: Offset,
    pub(super) base_before: Option<Offset>,
    pub(super) max_timestamp_before: Timestamp,
}

impl Segment {
    /// Writes the header of the segment `new` into a spare file and syncs it. Only
    /// [`Segment::publish`] makes it a segment: until then it can be thrown away.
    pub(super) fn prepare(
        shared: &Shared,
        dir: &Path,
        spare: &Spare,
        new: NewSegment,
    ) -> Result<Self, LogError> {
        let epoch = random_id();
        spare
            .file
            .allocate(FIRST_BYTES.min(shared.config.segment_bytes.bytes()))?;
        spare
            .file
            .write_at(&header_frame(shared.log_id, epoch, new), 0)?;
        spare.file.sync_all()?;
        hit("log.roll.prepared");
        Ok(Self {
            file: spare.file.clone(),
            path: dir.join(file_name(new.base)),
            base: new.base,
            epoch,
            base_before: new.base_before,
            max_timestamp_before: new.max_timestamp_before,
            index: Mutex::default(),
        })
    }

    /// Gives a prepared segment its name, durably. The header was synced before, so a segment that
    /// can be seen after a crash has a sound one; its groups come after, so none can be lost with
    /// the name. If this fails, nobody knows whether the segment is there.
    pub(super) fn publish(&self, shared: &Shared, spare: &Spare) -> Result<(), LogError> {
        shared.fs.rename(&spare.path, &self.path)?;
        hit("log.roll.named");
        if let Some(dir) = self.path.parent() {
            shared.fs.sync_dir(dir)?;
        }
        shared.fs.sync_dir(shared.spares.dir())?;
        hit("log.roll.done");
        Ok(())
    }

    /// Opens the segment file `base` and checks its header.
    pub(super) fn open(
        shared: &Shared,
        dir: &Path,
        name: PartitionName,
        base: Offset,
    ) -> Result<Self, LogError> {
        let path = dir.join(file_name(base));
        let file = shared.fs.open(&path, OpenMode::ReadWrite)?;
        let mut bytes = [0; GROUPS_START as usize];
        let read = file.read_at(&mut bytes, 0)?;
        let damaged = |detail: &str| corrupt(&path, 0, detail);
        let (header, payload) =
            parse_frame(&bytes[..read]).map_err(|fault| damaged(&fault.to_string()))?;
        let (found_name, log_id, base_before) =
            parse_payload(payload).ok_or_else(|| damaged("not the header of a segment"))?;
        if header.kind != kind::SEGMENT || header.base_offset != base {
            return Err(damaged("the header is not that of the file's name"));
        }
        if found_name != (stream_code(name.stream), name.partition.0) || log_id != shared.log_id {
            return Err(damaged("the file belongs to another partition or log"));
        }
        Ok(Self {
            file,
            base,
            epoch: header.epoch,
            base_before: (base_before != NO_SEGMENT_BEFORE).then_some(base_before),
            max_timestamp_before: header.max_timestamp,
            index: Mutex::default(),
            path,
        })
    }

    /// Notes where the group at `offset` begins, if the last note is `interval` bytes back.
    pub(super) fn index_group(&self, offset: Offset, position: u64, interval: u64) {
        let mut index = self.index.lock();
        let (last_offset, last_position) = index.last().copied().unwrap_or((0, GROUPS_START));
        if position >= last_position + interval && offset > last_offset {
            index.push((offset, position));
        }
    }

    /// The nearest noted group that is not behind `offset`.
    pub(super) fn seek(&self, offset: Offset) -> (Offset, u64) {
        let index = self.index.lock();
        let behind = index.partition_point(|(noted, _)| *noted <= offset);
        let nearest = behind.checked_sub(1).map(|at| index[at]);
        nearest.unwrap_or((self.base, GROUPS_START))
    }

    /// The header of the frames in this segment.
    pub(super) fn frame_header(
        &self,
        kind: u8,
        base_offset: Offset,
        count: u32,
        max_timestamp: Timestamp,
    ) -> FrameHeader {
        FrameHeader {
            kind,
            epoch: self.epoch,
            base_offset,
            count,
            max_timestamp,
            payload_len: 0,
        }
    }

    /// The frame that says that the segment ends, synced, at `end`.
    pub(super) fn mark(&self, end: Offset) -> Vec<u8> {
        let mut frame = Vec::with_capacity(HEADER_LEN);
        let header = self.frame_header(kind::MARK, end, 0, Timestamp::MIN);
        write_frame(&mut frame, &header, &[]);
        frame
    }

    pub(super) fn corrupt(&self, position: u64, detail: &str) -> LogError {
        corrupt(&self.path, position, detail)
    }
}

/// Reports damage.
pub(super) fn corrupt(path: &Path, position: u64, detail: &str) -> LogError {
    LogError::Corrupt {
        path: path.to_owned(),
        position,
        detail: detail.to_owned(),
    }
}

/// The name of a segment: decimal digits that sort as numbers do.
pub(super) fn file_name(base: Offset) -> String {
    format!("{base:020}.segment")
}

/// The base offset of a segment's name.
pub(super) fn parse_file_name(name: &str) -> Option<Offset> {
    let base = name.strip_suffix(".segment")?.parse().ok()?;
    (file_name(base) == name).then_some(base)
}

fn header_frame(log_id: u64, epoch: u64, new: NewSegment) -> Vec<u8> {
    let mut payload = vec![stream_code(new.name.stream)];
    payload.extend_from_slice(&new.name.partition.0.to_le_bytes());
    payload.extend_from_slice(&log_id.to_le_bytes());
    let base_before = new.base_before.unwrap_or(NO_SEGMENT_BEFORE);
    payload.extend_from_slice(&base_before.to_le_bytes());
    let header = FrameHeader {
        kind: kind::SEGMENT,
        epoch,
        base_offset: new.base,
        count: 0,
        max_timestamp: new.max_timestamp_before,
        payload_len: 0,
    };
    let mut frame = Vec::new();
    write_frame(&mut frame, &header, &payload);
    frame
}

/// Stream code and partition, log id, base before.
fn parse_payload(payload: &[u8]) -> Option<((u8, u16), u64, u64)> {
    let (&[stream, low, high], rest) = payload.split_first_chunk()?;
    let (log_id, rest) = rest.split_first_chunk()?;
    let base_before: &[u8; 8] = rest.try_into().ok()?;
    let name = (stream, u16::from_le_bytes([low, high]));
    let log_id = u64::from_le_bytes(*log_id);
    Some((name, log_id, u64::from_le_bytes(*base_before)))
}

/// What a stream is called on disk; never changes.
const fn stream_code(stream: Stream) -> u8 {
    match stream {
        Stream::Events => 0,
        Stream::Catalog => 1,
        Stream::DeadLetters => 2,
        Stream::Late => 3,
        Stream::Schemas => 4,
        Stream::Examples => 5,
    }
}
