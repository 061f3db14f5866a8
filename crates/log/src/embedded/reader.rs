//! Reading a partition: recent groups from memory, older ones from their segment.
//!
//! What is read from a file is checked frame by frame and must join up: offset to offset within a
//! segment, and a segment's end to the next one's base. Anything else is damage.

use super::partition::Partition;
use super::segment::{Segment, kind};
use crate::batch::StoredBatch;
use crate::config::LogConfig;
use crate::error::LogError;
use crate::memory::{check_range, take_batches};
use bytes::Bytes;
use nowcast_disk::{FrameReader, Scan, ScanEnd};
use nowcast_types::Offset;
use std::sync::Arc;

/// What a check of a whole partition found sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Records that were decoded.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Part of a partition that a reader may take from a file.
#[derive(Debug)]
struct Stretch {
    segment: Arc<Segment>,
    /// One past the last readable offset in it.
    end: Offset,
}

pub(super) fn read(
    partition: &Partition,
    config: &LogConfig,
    from: Offset,
    bytes_max: usize,
) -> Result<Vec<StoredBatch>, LogError> {
    let view = partition.view();
    check_range(from, view.earliest(), view.end)?;
    let is_cached = view
        .tail
        .front()
        .is_some_and(|oldest| oldest.base_offset() <= from);
    if is_cached || from == view.end {
        return Ok(take_batches(&view.tail, from, bytes_max));
    }
    drop(view);
    read_files(partition, config, from, bytes_max)
}

/// Reads from files alone, from the group that holds `from`.
fn read_files(
    partition: &Partition,
    config: &LogConfig,
    from: Offset,
    bytes_max: usize,
) -> Result<Vec<StoredBatch>, LogError> {
    let interval = config.index_interval_bytes.bytes();
    let mut batches = Vec::new();
    let mut bytes = 0;
    let mut next = from;
    while let Some(stretch) = find_stretch(partition, next) {
        read_stretch(&stretch, next, interval, |batch| {
            if !batches.is_empty() && bytes + batch.byte_len() > bytes_max {
                return false;
            }
            bytes += batch.byte_len();
            next = batch.end_offset();
            batches.push(batch);
            true
        })?;
        if next < stretch.end || bytes >= bytes_max {
            break;
        }
    }
    Ok(batches)
}

/// The segment that holds `offset`, unless that is the end or was retired meanwhile.
fn find_stretch(partition: &Partition, offset: Offset) -> Option<Stretch> {
    let view = partition.view();
    if offset >= view.end {
        return None;
    }
    let behind = view
        .segments
        .partition_point(|segment| segment.base <= offset);
    let segment = view.segments.get(behind.checked_sub(1)?)?.clone();
    let end = view.segments.get(behind).map_or(view.end, |next| next.base);
    Some(Stretch { segment, end })
}

/// Gives the groups of a stretch to `take`, from the one that holds `from`, until it says stop.
fn read_stretch(
    stretch: &Stretch,
    from: Offset,
    index_interval: u64,
    mut take: impl FnMut(StoredBatch) -> bool,
) -> Result<(), LogError> {
    let segment = &stretch.segment;
    let (mut expected, start) = segment.seek(from);
    let mut reader = FrameReader::new(&*segment.file, start, Some(segment.epoch));
    while expected < stretch.end {
        let (position, header, payload) = match reader.next_frame()? {
            Scan::Frame {
                position,
                header,
                payload,
            } => (position, header, payload),
            Scan::End(end) => {
                let detail = describe(end, expected, stretch.end);
                return Err(segment.corrupt(reader.position(), &detail));
            }
        };
        if header.kind != kind::GROUP || header.base_offset != expected || header.count == 0 {
            return Err(segment.corrupt(position, "a frame out of order"));
        }
        segment.index_group(expected, position, index_interval);
        expected += u64::from(header.count);
        if expected > stretch.end {
            return Err(segment.corrupt(position, "a group that reaches into the next segment"));
        }
        if expected > from {
            let payload = Bytes::copy_from_slice(payload);
            let (base, count) = (header.base_offset, header.count);
            let batch = StoredBatch::new(payload, base, count, header.max_timestamp);
            if !take(batch) {
                break;
            }
        }
    }
    Ok(())
}

fn describe(end: ScanEnd, expected: Offset, stretch_end: Offset) -> String {
    let fault = match end {
        ScanEnd::Clean => "the frames end".to_owned(),
        ScanEnd::Foreign => "no frame".to_owned(),
        ScanEnd::Torn(fault) | ScanEnd::Corrupt { fault, .. } => fault.to_string(),
    };
    format!("{fault} at offset {expected}, {stretch_end} is acknowledged")
}

/// Reads and decodes everything from files.
pub(super) fn verify(partition: &Partition, config: &LogConfig) -> Result<Verified, LogError> {
    let interval = config.index_interval_bytes.bytes();
    let mut verified = Verified::default();
    let mut next = partition.bounds().earliest;
    while let Some(stretch) = find_stretch(partition, next) {
        let mut bad_record = None;
        read_stretch(&stretch, next, interval, |batch| {
            next = batch.end_offset();
            for (_, record) in batch.records() {
                match record {
                    Ok(_) => verified.records += 1,
                    Err(error) => bad_record = Some(error),
                }
            }
            verified.bytes += batch.byte_len() as u64;
            bad_record.is_none()
        })?;
        if let Some(error) = bad_record {
            return Err(error);
        }
    }
    Ok(verified)
}
