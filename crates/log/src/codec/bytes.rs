//! The primitives of the record layout: variable-length integers and one shared run of text.

use crate::error::LogError;
use nowcast_types::UserKey;

const CUT_SHORT: LogError = LogError::BadRecord("cut short");

/// Appends an unsigned integer in 7-bit groups, the lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer: zigzag, then as [`put_varint`].
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Reads fields from the front of a record.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], LogError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, LogError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn user(&mut self) -> Result<UserKey, LogError> {
        self.array().map(UserKey)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, LogError> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            let group = u64::from(byte & 0x7f);
            if index == 9 && *byte > 1 {
                return Err(LogError::BadRecord("integer above 64 bits"));
            }
            value |= group << (7 * index);
            if byte & 0x80 == 0 {
                if index > 0 && *byte == 0 {
                    return Err(LogError::BadRecord("integer not in its shortest form"));
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(CUT_SHORT)
    }

    pub(super) fn signed(&mut self) -> Result<i64, LogError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The length of a text, in bytes. Checked against the record when the text is taken.
    pub(super) fn len(&mut self) -> Result<usize, LogError> {
        Ok(self.varint()? as usize)
    }

    /// The length of a text that may be absent: then 0, and nothing is read.
    pub(super) fn len_if(&mut self, is_present: bool) -> Result<usize, LogError> {
        if is_present { self.len() } else { Ok(0) }
    }

    /// The rest of the record as text, checked once.
    pub(super) fn into_text(self) -> Result<Text<'a>, LogError> {
        match std::str::from_utf8(self.rest) {
            Ok(rest) => Ok(Text { rest }),
            Err(_) => Err(LogError::BadRecord("text is not UTF-8")),
        }
    }

    /// The rest of the record as texts of these lengths, which must use it up.
    pub(super) fn into_texts<const N: usize>(
        self,
        lengths: [usize; N],
    ) -> Result<[&'a str; N], LogError> {
        let mut text = self.into_text()?;
        let mut texts = [""; N];
        for (slot, len) in texts.iter_mut().zip(lengths) {
            *slot = text.take(len)?;
        }
        text.finish()?;
        Ok(texts)
    }
}

/// A run of valid text, taken piece by piece.
#[derive(Debug)]
pub(super) struct Text<'a> {
    rest: &'a str,
}

impl<'a> Text<'a> {
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'a str, LogError> {
        let split = self.rest.split_at_checked(len);
        let (head, rest) = split.ok_or(LogError::BadRecord("text is shorter than its length"))?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(super) fn take_if(
        &mut self,
        is_present: bool,
        len: usize,
    ) -> Result<Option<&'a str>, LogError> {
        if is_present {
            self.take(len).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn finish(self) -> Result<(), LogError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(LogError::BadRecord("bytes behind the last field"))
        }
    }
}
