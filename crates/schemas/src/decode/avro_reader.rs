//! Avro's binary encoding, read from a slice with bounds on everything.
//!
//! Avro 1.12.0 specification, "Binary Encoding". Lengths come from strangers, so nothing is
//! allocated by a length before the bytes behind it have been seen.

use crate::fault::{Fault, FaultCode};

/// The bytes of one datum.
pub(super) struct AvroReader<'m> {
    bytes: &'m [u8],
    len: usize,
    /// Values that may still be read: an array of nulls has no bytes to run out of.
    budget: usize,
}

/// Values in one message, beyond one for each of its bytes.
const VALUES_BEYOND_BYTES_MAX: usize = 4096;

impl<'m> AvroReader<'m> {
    pub(super) fn new(bytes: &'m [u8]) -> Self {
        Self {
            bytes,
            len: bytes.len(),
            budget: bytes.len() + VALUES_BEYOND_BYTES_MAX,
        }
    }

    /// Counts one value.
    pub(super) fn spend(&mut self) -> Result<(), Fault> {
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or_else(|| Fault::new(FaultCode::TooLong, "", "fewer values in one message"))?;
        Ok(())
    }

    /// Refuses bytes behind the datum.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let expected = "nothing behind the datum; another schema may have written it";
        let left = format!("{} bytes more", self.bytes.len());
        Err(Fault::new(FaultCode::TrailingBytes, "", expected).found(left))
    }

    fn short(&self, what: &str) -> Fault {
        let expected = format!("{what}; the message ends at byte {}", self.len);
        Fault::new(FaultCode::Truncated, "", expected)
    }

    fn bad(&self, what: &str) -> Fault {
        let at = self.len - self.bytes.len();
        Fault::new(FaultCode::Malformed, "", format!("{what} at byte {at}"))
    }

    pub(super) fn take(&mut self, len: usize, what: &str) -> Result<&'m [u8], Fault> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            return Err(self.short(what));
        };
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.take(1, "a boolean")? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.bad("a boolean that is 0 or 1, before")),
        }
    }

    /// A zigzag LEB128 integer of at most 64 bits.
    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, Fault> {
        let mut value = 0_u64;
        for (place, byte) in self.bytes.iter().enumerate().take(10) {
            if place == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[place + 1..];
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        if self.bytes.len() < 10 {
            return Err(self.short("an integer"));
        }
        Err(self.bad("an integer of at most 64 bits"))
    }

    pub(super) fn int(&mut self) -> Result<i64, Fault> {
        let value = self.long()?;
        if i32::try_from(value).is_err() {
            return Err(self.bad("an integer of at most 32 bits, before"));
        }
        Ok(value)
    }

    pub(super) fn float(&mut self) -> Result<f64, Fault> {
        let bytes = self.take(4, "a float")?;
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        // Through the shortest decimal text, so that 9.99f32 is 9.99 and not 9.98999977.
        let value = f32::from_le_bytes(bytes);
        Ok(value.to_string().parse().unwrap_or(f64::from(value)))
    }

    pub(super) fn double(&mut self) -> Result<f64, Fault> {
        let bytes = self.take(8, "a double")?;
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        Ok(f64::from_le_bytes(bytes))
    }

    #[inline]
    pub(super) fn bytes(&mut self, what: &str) -> Result<&'m [u8], Fault> {
        let len = self.long()?;
        let Ok(len) = usize::try_from(len) else {
            return Err(self.bad("a length that is not negative, before"));
        };
        self.take(len, what)
    }

    #[inline]
    pub(super) fn string(&mut self) -> Result<&'m str, Fault> {
        let bytes = self.bytes("a string")?;
        std::str::from_utf8(bytes).map_err(|_| self.bad("a string of UTF-8, before"))
    }

    /// The index of a union's branch or an enum's symbol, below `count`.
    #[inline]
    pub(super) fn index(&mut self, count: usize) -> Result<usize, Fault> {
        let index = self.long()?;
        match usize::try_from(index) {
            Ok(index) if index < count => Ok(index),
            _ => Err(self.bad(&format!("an index below {count}, not {index}, before"))),
        }
    }

    /// The number of entries in the next block of an array or map; 0 ends it.
    pub(super) fn block(&mut self) -> Result<u64, Fault> {
        let count = self.long()?;
        if count < 0 {
            // A negative count is followed by the block's length in bytes, for skipping.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}
