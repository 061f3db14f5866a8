//! The one layout of persisted bytes: a header and a payload, each under its own CRC32C.
//!
//! Log batches, checkpoints and artifacts are all frames. The `epoch` ties a frame to one use of
//! one file: a file that is used again keeps the frames of its former life, and only the epoch
//! (random, so that no payload can imitate it) tells them apart. Frames are padded to
//! [`ALIGNMENT`], so that the search for frames beyond damage looks at one position in eight.
//!
//! ```text
//!  0 magic "NCF1"   4 version u8   5 kind u8   6 zero u16   8 payload length u32  12 count u32
//! 16 epoch u64     24 base offset u64         32 max timestamp i64, ms
//! 40 CRC32C of payload and padding u32        44 CRC32C of bytes 0..44 u32        48 payload
//! ```

use nowcast_types::Timestamp;

/// Length of a header in bytes.
pub const HEADER_LEN: usize = 48;
/// Frames begin at multiples of this many bytes from the start of the first one.
pub const ALIGNMENT: usize = 8;
/// Longest payload. A header that claims more is damaged.
pub const PAYLOAD_LEN_MAX: usize = 1 << 30;

const MAGIC: [u8; 4] = *b"NCF1";
const VERSION: u8 = 1;

/// What a header says. `payload_len` is filled in when the frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the payload is; each file format has its own kinds.
    pub kind: u8,
    /// The one use of one file that this frame belongs to.
    pub epoch: u64,
    /// Offset of the first record, or whatever number the file format orders frames by.
    pub base_offset: u64,
    /// Number of records.
    pub count: u32,
    /// Latest event time in the payload.
    pub max_timestamp: Timestamp,
    /// Length of the payload in bytes.
    pub payload_len: u32,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The bytes end before the frame does; holds the number of bytes needed to go on.
    #[error("cut short, {0} bytes needed")]
    Short(usize),
    /// There is no header here.
    #[error("no frame header")]
    NoMagic,
    /// The header is damaged.
    #[error("header checksum mismatch")]
    HeaderChecksum,
    /// A newer program wrote this.
    #[error("unknown frame version {0}")]
    Version(u8),
    /// The header is sound, the payload is damaged.
    #[error("payload checksum mismatch")]
    PayloadChecksum,
}

/// Length of a whole frame with a payload of `payload_len` bytes, padding included.
#[must_use]
pub const fn frame_len(payload_len: usize) -> usize {
    HEADER_LEN + payload_len.next_multiple_of(ALIGNMENT)
}

/// Appends a frame to `out`; `header.payload_len` is ignored and taken from `payload`.
///
/// # Panics
/// If the payload is longer than [`PAYLOAD_LEN_MAX`].
pub fn write_frame(out: &mut Vec<u8>, header: &FrameHeader, payload: &[u8]) {
    let start = out.len();
    out.resize(start + HEADER_LEN, 0);
    out.extend_from_slice(payload);
    seal(out, start, header);
}

/// Turns a buffer of [`HEADER_LEN`] free bytes and a payload into a frame, without copying it.
///
/// # Panics
/// If the buffer is shorter than a header or longer than a frame may be.
pub fn seal_frame(buffer: &mut Vec<u8>, header: &FrameHeader) {
    seal(buffer, 0, header);
}

fn seal(out: &mut Vec<u8>, start: usize, header: &FrameHeader) {
    let payload_len = out.len() - start - HEADER_LEN;
    assert!(
        payload_len <= PAYLOAD_LEN_MAX,
        "a payload of {payload_len} bytes does not fit a frame"
    );
    out.resize(start + frame_len(payload_len), 0);
    let payload_crc = crc32c::crc32c(&out[start + HEADER_LEN..]);
    let bytes = &mut out[start..start + HEADER_LEN];
    bytes[0..4].copy_from_slice(&MAGIC);
    bytes[4] = VERSION;
    bytes[5] = header.kind;
    bytes[6..8].fill(0);
    bytes[8..12].copy_from_slice(&(payload_len as u32).to_le_bytes());
    bytes[12..16].copy_from_slice(&header.count.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.epoch.to_le_bytes());
    bytes[24..32].copy_from_slice(&header.base_offset.to_le_bytes());
    bytes[32..40].copy_from_slice(&header.max_timestamp.0.to_le_bytes());
    bytes[40..44].copy_from_slice(&payload_crc.to_le_bytes());
    let header_crc = crc32c::crc32c(&bytes[..44]);
    bytes[44..48].copy_from_slice(&header_crc.to_le_bytes());
}

/// Reads the header at the start of `bytes`, without looking at the payload.
///
/// # Errors
/// Any [`FrameFault`] but `PayloadChecksum`.
pub fn parse_header(bytes: &[u8]) -> Result<FrameHeader, FrameFault> {
    let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(FrameFault::Short(HEADER_LEN));
    };
    if bytes[0..4] != MAGIC {
        return Err(FrameFault::NoMagic);
    }
    if crc32c::crc32c(&bytes[..44]) != u32_at(bytes, 44) {
        return Err(FrameFault::HeaderChecksum);
    }
    if bytes[4] != VERSION {
        return Err(FrameFault::Version(bytes[4]));
    }
    let payload_len = u32_at(bytes, 8);
    if payload_len as usize > PAYLOAD_LEN_MAX {
        return Err(FrameFault::HeaderChecksum);
    }
    Ok(FrameHeader {
        kind: bytes[5],
        epoch: u64_at(bytes, 16),
        base_offset: u64_at(bytes, 24),
        count: u32_at(bytes, 12),
        max_timestamp: Timestamp(u64_at(bytes, 32) as i64),
        payload_len,
    })
}

/// Reads the frame at the start of `bytes`: its header and payload. The next frame begins
/// [`frame_len`] bytes on.
///
/// # Errors
/// Any [`FrameFault`]. Nothing of a damaged frame is returned.
pub fn parse_frame(bytes: &[u8]) -> Result<(FrameHeader, &[u8]), FrameFault> {
    let header = parse_header(bytes)?;
    let payload_len = header.payload_len as usize;
    let total = frame_len(payload_len);
    let Some(body) = bytes.get(HEADER_LEN..total) else {
        return Err(FrameFault::Short(total));
    };
    if crc32c::crc32c(body) != u32_at(bytes, 40) {
        return Err(FrameFault::PayloadChecksum);
    }
    Ok((header, &body[..payload_len]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
