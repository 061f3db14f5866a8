//! Opening a partition: which segments there are, and where the last one ends.
//!
//! Sealed segments are only looked at by their headers (reading them checks every byte); the last
//! one is read whole.

use super::Shared;
use super::partition::PartitionName;
use super::segment::{GROUPS_START, Segment, corrupt, file_name, kind, parse_file_name};
use crate::batch::BATCH_BYTES_MAX;
use crate::error::LogError;
use nowcast_disk::frame::frame_len;
use nowcast_disk::{FrameReader, Scan, ScanEnd};
use nowcast_types::{Offset, Timestamp};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// How far damage may hide the next frame: the longest frame, and some zeroed pages.
const SEARCH_BYTES: u64 = (frame_len(BATCH_BYTES_MAX) + (64 << 10)) as u64;

/// A partition as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) end: Offset,
    pub(super) max_timestamp: Timestamp,
    pub(super) active: Option<ActiveSegment>,
}

/// The segment that is written, and where.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    pub(super) segment: Arc<Segment>,
    /// Where the next group begins.
    pub(super) position: u64,
    /// Up to where the file was written before.
    pub(super) allocated: u64,
    /// Whether a mark stands at `position`.
    pub(super) is_marked: bool,
    pub(super) has_asked_for_spare: bool,
}

/// What reading the last segment found.
struct Tail {
    end: Offset,
    position: u64,
    max_timestamp: Timestamp,
    is_marked: bool,
    /// Position and length of the last group's frame.
    last_group: Option<(u64, u64)>,
    scan_end: ScanEnd,
}

pub(super) fn recover(
    shared: &Shared,
    name: PartitionName,
    dir: &Path,
) -> Result<Recovered, LogError> {
    let mut segments = VecDeque::new();
    for entry in shared.fs.list(dir)? {
        let base = parse_file_name(&entry.name)
            .ok_or_else(|| corrupt(&dir.join(&entry.name), 0, "not the name of a segment"))?;
        segments.push_back(Arc::new(Segment::open(shared, dir, name, base)?));
    }
    check_chain(dir, &segments)?;
    // Names that are seen may still be lost, and with them what is about to be written.
    shared.fs.sync_dir(dir)?;
    let Some(last) = segments.back().cloned() else {
        return Ok(Recovered {
            segments,
            end: 0,
            max_timestamp: Timestamp::MIN,
            active: None,
        });
    };
    let tail = scan_tail(&last, shared.config.index_interval_bytes.bytes())?;
    if let ScanEnd::Torn(fault) = tail.scan_end
        && !tail.is_marked
    {
        tracing::warn!(
            file = %last.path.display(),
            position = tail.position,
            %fault,
            "cut off a torn write that was never acknowledged"
        );
    }
    if !tail.is_marked {
        make_durable(&last, &tail)?;
    }
    Ok(Recovered {
        segments,
        end: tail.end,
        max_timestamp: tail.max_timestamp,
        active: Some(ActiveSegment {
            position: tail.position,
            allocated: last.file.len()?,
            is_marked: true,
            has_asked_for_spare: false,
            segment: last,
        }),
    })
}

/// Segments are only ever removed from the front, so each names the one before.
fn check_chain(dir: &Path, segments: &VecDeque<Arc<Segment>>) -> Result<(), LogError> {
    for (before, segment) in segments.iter().zip(segments.iter().skip(1)) {
        if segment.base_before != Some(before.base) {
            let missing = segment.base_before.map_or_else(String::new, file_name);
            return Err(corrupt(
                &dir.join(missing),
                0,
                &format!("missing before {}", segment.path.display()),
            ));
        }
    }
    Ok(())
}

/// Reads all groups of the last segment.
fn scan_tail(segment: &Segment, index_interval: u64) -> Result<Tail, LogError> {
    let mut reader = FrameReader::new(&*segment.file, GROUPS_START, Some(segment.epoch))
        .with_search_len(SEARCH_BYTES);
    let mut tail = Tail {
        end: segment.base,
        position: GROUPS_START,
        max_timestamp: segment.max_timestamp_before,
        is_marked: false,
        last_group: None,
        scan_end: ScanEnd::Clean,
    };
    loop {
        match reader.next_frame()? {
            Scan::Frame {
                position, header, ..
            } => {
                if tail.is_marked || header.base_offset != tail.end {
                    return Err(segment.corrupt(position, "a frame out of order"));
                }
                match header.kind {
                    kind::GROUP => {
                        segment.index_group(tail.end, position, index_interval);
                        tail.end += u64::from(header.count);
                        tail.max_timestamp = tail.max_timestamp.max(header.max_timestamp);
                        tail.position = reader.position();
                        tail.last_group = Some((position, tail.position - position));
                    }
                    kind::MARK => tail.is_marked = true,
                    _ => return Err(segment.corrupt(position, "a frame of an unknown kind")),
                }
            }
            Scan::End(ScanEnd::Corrupt { fault, next_valid }) => {
                let detail = format!("{fault}, but a valid frame follows at {next_valid}");
                return Err(segment.corrupt(reader.position(), &detail));
            }
            Scan::End(scan_end) => {
                tail.scan_end = scan_end;
                return Ok(tail);
            }
        }
    }
}

/// Makes what was found durable before anyone builds on it, and marks its end.
///
/// The last group may be in the system's cache alone, and after a sync that failed the cache may
/// believe that it is on disk. So it is written again, byte for byte, and then synced.
fn make_durable(segment: &Segment, tail: &Tail) -> Result<(), LogError> {
    if let Some((position, len)) = tail.last_group {
        let mut frame = vec![0; len as usize];
        segment.file.read_exact_at(&mut frame, position)?;
        segment.file.write_at(&frame, position)?;
    }
    segment
        .file
        .write_at(&segment.mark(tail.end), tail.position)?;
    segment.file.sync_all()?;
    Ok(())
}
