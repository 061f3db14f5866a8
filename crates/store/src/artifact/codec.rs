//! The bytes of versions and of aliases. Every byte is under a checksum that names the artifact and
//! what it is, so neither damage nor a file in the wrong place is ever served.

use nowcast_disk::frame::{self, FrameHeader};
use nowcast_types::Timestamp;
use nowcast_types::stable_hash::stable_hash;

const ARTIFACT: u8 = 0x21;
const ALIAS: u8 = 0x22;
/// Bytes per frame of an artifact.
const CHUNK_BYTES: usize = 64 << 20;

fn epoch(name: &str, part: &str) -> u64 {
    stable_hash(format!("{name}/{part}").as_bytes(), 0)
}

/// `base_offset` counts the frames of the file and `count` numbers them, so that none can go missing.
pub(super) fn version(name: &str, version: u64, bytes: &[u8]) -> Vec<u8> {
    let chunks: Vec<&[u8]> = if bytes.is_empty() {
        vec![bytes]
    } else {
        bytes.chunks(CHUNK_BYTES).collect()
    };
    let mut file = Vec::with_capacity(bytes.len() + 64 * chunks.len());
    for (at, chunk) in chunks.iter().enumerate() {
        let header = FrameHeader {
            kind: ARTIFACT,
            epoch: epoch(name, &version.to_string()),
            base_offset: chunks.len() as u64,
            count: at as u32,
            max_timestamp: Timestamp(0),
            payload_len: 0,
        };
        frame::write_frame(&mut file, &header, chunk);
    }
    file
}

pub(super) fn read_version(name: &str, version: u64, mut file: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(file.len());
    let mut frames = 0_u32;
    let mut expected = 1;
    while u64::from(frames) < expected {
        let (header, payload) = frame::parse_frame(file).map_err(|fault| fault.to_string())?;
        let is_ours = header.kind == ARTIFACT && header.epoch == epoch(name, &version.to_string());
        if !is_ours || header.count != frames {
            return Err("a frame belongs to another artifact or place".to_owned());
        }
        bytes.extend_from_slice(payload);
        expected = header.base_offset;
        frames += 1;
        file = &file[frame::frame_len(payload.len())..];
    }
    if file.is_empty() {
        Ok(bytes)
    } else {
        Err("there are bytes behind its end".to_owned())
    }
}

pub(super) fn alias(name: &str, alias: &str, version: u64) -> Vec<u8> {
    let header = FrameHeader {
        kind: ALIAS,
        epoch: epoch(name, alias),
        base_offset: version,
        count: 0,
        max_timestamp: Timestamp(0),
        payload_len: 0,
    };
    let mut file = Vec::new();
    frame::write_frame(&mut file, &header, &[]);
    file
}

pub(super) fn read_alias(name: &str, alias: &str, file: &[u8]) -> Result<u64, &'static str> {
    match frame::parse_frame(file) {
        Ok((header, [])) if header.kind == ALIAS && header.epoch == epoch(name, alias) => {
            Ok(header.base_offset)
        }
        _ => Err("not an alias of this artifact"),
    }
}
