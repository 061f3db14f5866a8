//! The file that says what the folder is: written once, before the first segment.

use crate::error::LogError;
use nowcast_disk::frame::parse_frame;
use nowcast_disk::{FrameHeader, Fs, read_all, write_atomic, write_frame};
use nowcast_types::Timestamp;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// Kind of the only frame in `log.meta`.
const KIND_META: u8 = 1;
/// Version of the layout of folder and segments.
const FORMAT_VERSION: u16 = 1;

/// The id of the log in `dir`, which is created if there is none.
pub(super) fn open_or_create(
    fs: &dyn Fs,
    dir: &Path,
    event_partitions: u16,
) -> Result<u64, LogError> {
    let path = dir.join("log.meta");
    match read_all(fs, &path) {
        Ok(bytes) => check(&path, &bytes, event_partitions),
        Err(error) if error.is_not_found() => create(fs, dir, &path, event_partitions),
        Err(error) => Err(error.into()),
    }
}

fn create(fs: &dyn Fs, dir: &Path, path: &Path, event_partitions: u16) -> Result<u64, LogError> {
    for entry in fs.list(dir)? {
        if entry.is_dir
            && fs
                .list(&dir.join(&entry.name))?
                .iter()
                .any(|file| !file.is_dir)
        {
            let detail = format!("it is missing, but there are files in {}", entry.name);
            return Err(corrupt(path, &detail));
        }
    }
    let log_id = random_id();
    let header = FrameHeader {
        kind: KIND_META,
        epoch: log_id,
        base_offset: 0,
        count: 0,
        max_timestamp: Timestamp(0),
        payload_len: 0,
    };
    let mut payload = FORMAT_VERSION.to_le_bytes().to_vec();
    payload.extend_from_slice(&event_partitions.to_le_bytes());
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &header, &payload);
    write_atomic(fs, path, &bytes)?;
    Ok(log_id)
}

fn check(path: &Path, bytes: &[u8], event_partitions: u16) -> Result<u64, LogError> {
    let (header, payload) =
        parse_frame(bytes).map_err(|fault| corrupt(path, &fault.to_string()))?;
    let &[version_low, version_high, partitions_low, partitions_high] = payload else {
        return Err(corrupt(path, "unexpected length"));
    };
    if header.kind != KIND_META {
        return Err(corrupt(path, "not the metadata of a log"));
    }
    let conflict = |detail| LogError::Conflict {
        path: path.to_owned(),
        detail,
    };
    let version = u16::from_le_bytes([version_low, version_high]);
    if version != FORMAT_VERSION {
        return Err(conflict(format!(
            "format version {version}, this program reads {FORMAT_VERSION}"
        )));
    }
    let partitions = u16::from_le_bytes([partitions_low, partitions_high]);
    if partitions != event_partitions {
        return Err(conflict(format!(
            "made with {partitions} event partitions, configured are {event_partitions}: \
             users would move to other partitions, away from their history"
        )));
    }
    Ok(header.epoch)
}

fn corrupt(path: &Path, detail: &str) -> LogError {
    LogError::Corrupt {
        path: path.to_owned(),
        position: 0,
        detail: detail.to_owned(),
    }
}

/// 64 bits that nobody can guess. They are never part of a result, so they need no seed.
pub(super) fn random_id() -> u64 {
    RandomState::new().hash_one(0)
}
