//! Reads a file of frames in order, and says how it ends.
//!
//! The one question that matters: are the bytes that are no frame a write that never finished, or
//! damage to something that was once complete? A frame of the same epoch *behind* them decides:
//! whoever writes a frame only after the one before is synced leaves nothing behind a torn write.

use crate::error::DiskError;
use crate::frame::{
    ALIGNMENT, FrameFault, FrameHeader, HEADER_LEN, frame_len, parse_frame, parse_header,
};
use crate::fs::File;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What a reader finds next.
#[derive(Debug)]
pub enum Scan<'b> {
    /// A sound frame.
    Frame {
        /// Where it begins in the file, in bytes.
        position: u64,
        /// Its header.
        header: FrameHeader,
        /// Its payload.
        payload: &'b [u8],
    },
    /// No more frames; [`FrameReader::position`] is where the sound ones end.
    End(ScanEnd),
}

/// How the frames of a file end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// At the end of the file, at zeros, or at a frame of another epoch.
    Clean,
    /// At bytes that are no frame: what a former use of the file left, or a torn header.
    Foreign,
    /// At a frame of this epoch that was not written whole; nothing valid follows.
    Torn(FrameFault),
    /// At damage: a frame of this epoch begins behind it.
    Corrupt {
        /// What is wrong where the reader stopped.
        fault: FrameFault,
        /// Where the next frame begins in the file, in bytes.
        next_valid: u64,
    },
}

/// A forward reader over the frames of one file.
#[derive(Debug)]
pub struct FrameReader<'a> {
    file: &'a dyn File,
    epoch: Option<u64>,
    search_len: u64,
    position: u64,
    buffer: Vec<u8>,
    buffer_start: u64,
}

impl<'a> FrameReader<'a> {
    /// Starts at `position`, a frame's beginning. Without an `epoch` the first frame sets it.
    #[must_use]
    pub fn new(file: &'a dyn File, position: u64, epoch: Option<u64>) -> Self {
        Self {
            file,
            epoch,
            search_len: u64::MAX,
            position,
            buffer: Vec::new(),
            buffer_start: position,
        }
    }

    /// Looks for frames behind damage over `bytes` only, which must be at least the longest frame
    /// of this file. Without it the search goes to the end of the file.
    #[must_use]
    pub fn with_search_len(mut self, bytes: u64) -> Self {
        self.search_len = bytes;
        self
    }

    /// Where the next frame begins, or where the sound frames ended.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The epoch of the frames, once known.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// Reads the next frame. After an end it answers the same end again.
    ///
    /// # Errors
    /// IO alone; damage is a [`ScanEnd`].
    pub fn next_frame(&mut self) -> Result<Scan<'_>, DiskError> {
        let mut needed = HEADER_LEN;
        loop {
            let available = self.fill(needed)?;
            let bytes = &self.buffer[(self.position - self.buffer_start) as usize..];
            let fault = match parse_frame(bytes) {
                Ok((header, _)) if self.is_ours(&header) => break,
                Ok(_) => None,
                // A sound header of another epoch: its payload does not matter.
                Err(FrameFault::Short(_) | FrameFault::PayloadChecksum)
                    if parse_header(bytes).is_ok_and(|header| !self.is_ours(&header)) =>
                {
                    None
                }
                Err(FrameFault::Short(total)) if available >= needed && total > needed => {
                    needed = total;
                    continue;
                }
                Err(fault) => Some(fault),
            };
            return Ok(Scan::End(self.classify(fault)?));
        }
        let position = self.position;
        let bytes = &self.buffer[(position - self.buffer_start) as usize..];
        let (header, payload) = parse_frame(bytes).expect("the loop parsed these bytes");
        self.epoch = Some(header.epoch);
        self.position += frame_len(payload.len()) as u64;
        Ok(Scan::Frame {
            position,
            header,
            payload,
        })
    }

    fn is_ours(&self, header: &FrameHeader) -> bool {
        self.epoch.is_none_or(|epoch| epoch == header.epoch)
    }

    /// Holds at least `needed` bytes from the position on, if the file has them; says how many.
    fn fill(&mut self, needed: usize) -> Result<usize, DiskError> {
        let consumed = (self.position - self.buffer_start) as usize;
        let available = self.buffer.len() - consumed;
        if available >= needed {
            return Ok(available);
        }
        let mut buffer = vec![0; needed.max(CHUNK_BYTES)];
        buffer[..available].copy_from_slice(&self.buffer[consumed..]);
        self.buffer_start = self.position;
        let rest = self.position + available as u64;
        let read = self.file.read_at(&mut buffer[available..], rest)?;
        self.buffer = buffer;
        self.buffer.truncate(available + read);
        Ok(available + read)
    }

    /// `fault` is `None` where a sound frame of another epoch stands.
    fn classify(&mut self, fault: Option<FrameFault>) -> Result<ScanEnd, DiskError> {
        if let Some(next_valid) = self.find_frame_behind()? {
            let fault = fault.unwrap_or(FrameFault::NoMagic);
            return Ok(ScanEnd::Corrupt { fault, next_valid });
        }
        let start = (self.position - self.buffer_start) as usize;
        let rest = &self.buffer[start..];
        let is_zero = rest[..rest.len().min(HEADER_LEN)].iter().all(|b| *b == 0);
        Ok(match fault {
            None => ScanEnd::Clean,
            Some(FrameFault::NoMagic | FrameFault::Short(HEADER_LEN)) if is_zero => ScanEnd::Clean,
            Some(FrameFault::NoMagic) => ScanEnd::Foreign,
            Some(fault) => ScanEnd::Torn(fault),
        })
    }

    /// The first aligned position behind the present one where a header of this epoch stands.
    fn find_frame_behind(&self) -> Result<Option<u64>, DiskError> {
        let Some(epoch) = self.epoch else {
            return Ok(None);
        };
        let align = ALIGNMENT as u64;
        let mut start = (self.position + 1).next_multiple_of(align);
        let limit = self.position.saturating_add(self.search_len);
        let mut chunk = vec![0; CHUNK_BYTES];
        while start < limit {
            let read = self.file.read_at(&mut chunk, start)?;
            for at in (0..(read + 1).saturating_sub(HEADER_LEN)).step_by(ALIGNMENT) {
                let header = parse_header(&chunk[at..]);
                if header.is_ok_and(|header| header.epoch == epoch) {
                    return Ok(Some(start + at as u64));
                }
            }
            if read < CHUNK_BYTES {
                break;
            }
            start += (CHUNK_BYTES - HEADER_LEN) as u64;
        }
        Ok(None)
    }
}
