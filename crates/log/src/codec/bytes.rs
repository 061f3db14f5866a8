//! The primitives of the record layout: variable-length integers and one shared run of text.

use nowcast_types::UserKey;

/// Why bytes are not a record. Small, so that a field is read without touching memory.
pub(super) type Fault = &'static str;

const CUT_SHORT: Fault = "cut short";

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

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(super) fn user(&mut self) -> Result<UserKey, Fault> {
        self.array().map(UserKey)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        // Nearly all lengths are below 128.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            let group = u64::from(byte & 0x7f);
            if index == 9 && *byte > 1 {
                return Err("integer above 64 bits");
            }
            value |= group << (7 * index);
            if byte & 0x80 == 0 {
                if index > 0 && *byte == 0 {
                    return Err("integer not in its shortest form");
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(CUT_SHORT)
    }

    #[inline]
    pub(super) fn signed(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The length of a text, in bytes. Checked against the record when the text is taken.
    #[inline]
    pub(super) fn len(&mut self) -> Result<usize, Fault> {
        Ok(self.varint()? as usize)
    }

    /// The length of a text that may be absent: then 0, and nothing is read.
    #[inline]
    pub(super) fn len_if(&mut self, is_present: bool) -> Result<usize, Fault> {
        if is_present { self.len() } else { Ok(0) }
    }

    /// So many bytes that are no text.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(head)
    }

    /// The rest of the record as text, checked once.
    pub(super) fn into_text(self) -> Result<Text<'a>, Fault> {
        match std::str::from_utf8(self.rest) {
            Ok(rest) => Ok(Text { rest }),
            Err(_) => Err("text is not UTF-8"),
        }
    }

    /// The rest of the record as texts of these lengths, which must use it up.
    pub(super) fn into_texts<const N: usize>(
        self,
        lengths: [usize; N],
    ) -> Result<[&'a str; N], Fault> {
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
    pub(super) fn take(&mut self, len: usize) -> Result<&'a str, Fault> {
        let split = self.rest.split_at_checked(len);
        let (head, rest) = split.ok_or("text is shorter than its length")?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(super) fn take_if(
        &mut self,
        is_present: bool,
        len: usize,
    ) -> Result<Option<&'a str>, Fault> {
        if is_present {
            self.take(len).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn finish(self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err("bytes behind the last field")
        }
    }
}
