//! Records on their way into the log and out of it, as one run of bytes each.
//!
//! A [`RecordBatch`] is encoded once, where the records are; from there to the disk it is moved or
//! copied whole. A [`StoredBatch`] shares the bytes of the log's cache or of one read, and decodes
//! records only when they are asked for, borrowed.
//!
//! Both are a sequence of `length u32 | record`.

use crate::codec;
use crate::error::LogError;
use bytes::Bytes;
use nowcast_disk::frame::HEADER_LEN;
use nowcast_types::{Offset, Record, Timestamp};

/// Most bytes in one batch, so that one append cannot keep all others waiting.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// Bytes of the length before each record.
pub const LENGTH_BYTES: usize = 4;

/// Records to append together: all of them become durable, or none.
#[derive(Debug, Clone)]
pub struct RecordBatch {
    /// Room for a frame header, then the records: a lone batch is committed without being copied.
    buffer: Vec<u8>,
    count: u32,
    max_timestamp: Timestamp,
    trace: Option<Box<str>>,
}

impl Default for RecordBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty batch with room for `bytes` bytes of encoded records.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_LEN + bytes);
        buffer.resize(HEADER_LEN, 0);
        Self {
            buffer,
            count: 0,
            max_timestamp: Timestamp::MIN,
            trace: None,
        }
    }

    /// Names the trace that the records belong to, as a W3C `traceparent`. Logs that others read
    /// hand it on beside the records; it is not part of them.
    pub fn set_trace(&mut self, traceparent: &str) {
        self.trace = Some(traceparent.into());
    }

    /// The trace that the records belong to, if one was named.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    /// Encodes one record at the end.
    pub fn push(&mut self, record: &Record<'_>) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        codec::encode(record, &mut self.buffer);
        let len = (self.buffer.len() - start - LENGTH_BYTES) as u32;
        self.buffer[start..start + LENGTH_BYTES].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(record.timestamp());
    }

    /// Adds all records of `other` at the end.
    pub fn extend(&mut self, other: &Self) {
        self.buffer.extend_from_slice(other.payload());
        self.count += other.count;
        self.max_timestamp = self.max_timestamp.max(other.max_timestamp);
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of encoded records.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.buffer.len() - HEADER_LEN
    }

    /// Latest timestamp of a record; [`Timestamp::MIN`] when empty.
    #[must_use]
    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.truncate(HEADER_LEN);
        self.count = 0;
        self.max_timestamp = Timestamp::MIN;
        self.trace = None;
    }

    /// The encoding of every record, in order.
    pub fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        Encoded {
            rest: self.payload(),
        }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.buffer[HEADER_LEN..]
    }

    /// The buffer with room for a frame header in front.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Refuses what can never be appended.
    ///
    /// # Errors
    /// [`LogError::BadBatch`] without records, or beyond [`BATCH_BYTES_MAX`].
    pub fn check(&self) -> Result<(), LogError> {
        if self.is_empty() {
            return Err(LogError::BadBatch("it has no records".to_owned()));
        }
        if self.byte_len() > BATCH_BYTES_MAX {
            let len = self.byte_len();
            return Err(LogError::BadBatch(format!(
                "{len} bytes are more than {BATCH_BYTES_MAX}"
            )));
        }
        Ok(())
    }
}

/// Records as the log has them; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    payload: Bytes,
    base_offset: Offset,
    count: u32,
    max_timestamp: Timestamp,
}

impl StoredBatch {
    /// `payload` is `count` records, each `length u32 (little-endian) | encoding`, the first of
    /// them at `base_offset`. Bytes that are no record surface when they are read.
    #[must_use]
    pub fn new(payload: Bytes, base_offset: Offset, count: u32, max_timestamp: Timestamp) -> Self {
        Self {
            payload,
            base_offset,
            count,
            max_timestamp,
        }
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// One past the offset of the last record.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.base_offset + u64::from(self.count)
    }

    /// Number of records.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of encoded records.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.payload.len()
    }

    /// Latest timestamp of a record.
    #[must_use]
    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// The bytes of every record with its offset, not decoded. Bytes missing from the payload are
    /// empty records.
    pub fn encoded(&self) -> impl Iterator<Item = (Offset, &[u8])> {
        let encoded = Encoded {
            rest: &self.payload,
        };
        (self.base_offset..self.end_offset()).zip(encoded.chain(std::iter::repeat(&[][..])))
    }

    /// Every record with its offset. A record that cannot be decoded is an error in its place;
    /// the iteration goes on behind it.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records {
            rest: &self.payload,
            offset: self.base_offset,
            end: self.end_offset(),
        }
    }
}

/// The pieces of a payload, up to where it ends or stops making sense.
#[derive(Debug, Clone)]
struct Encoded<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Encoded<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<LENGTH_BYTES>()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        Some(record)
    }
}

/// The records of a [`StoredBatch`]: always exactly as many as its count.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    offset: Offset,
    end: Offset,
}

impl<'a> Iterator for Records<'a> {
    type Item = (Offset, Result<Record<'a>, LogError>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.end {
            return None;
        }
        let offset = self.offset;
        self.offset += 1;
        let Some((length, rest)) = self.rest.split_first_chunk::<LENGTH_BYTES>() else {
            return Some((offset, Err(LogError::BadRecord("the batch is too short"))));
        };
        let Some((record, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        else {
            self.rest = &[];
            return Some((offset, Err(LogError::BadRecord("longer than its batch"))));
        };
        self.rest = rest;
        Some((offset, codec::decode(record)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.offset) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}
