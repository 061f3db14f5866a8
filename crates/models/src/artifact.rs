//! The artifact codec: one checksummed envelope around each model's own payload.
//!
//! Layout, little endian: magic `NCMODEL1` (8), format `u16`, payload length `u64`, CRC32C of the
//! payload `u32`, CRC32C of the 22 header bytes before it `u32`, payload. The payload begins with
//! the model's name and its item ids. Nothing here allocates more than the input's own length
//! allows, so a damaged length is an error and not an abort.

use crate::error::ModelError;
use crate::item_ids::ItemIds;
use crate::model::Model;
use crate::trainer::trainer;

const MAGIC: &[u8; 8] = b"NCMODEL1";
const FORMAT: u16 = 1;
const HEADER_BYTES: usize = 26;

/// Reads an artifact back into a model.
///
/// # Errors
/// [`ModelError::Damaged`] or [`ModelError::UnsupportedFormat`]; every flipped bit is one of them.
pub fn decode(bytes: &[u8]) -> Result<Box<dyn Model>, ModelError> {
    let payload = verified_payload(bytes)?;
    let mut reader = Reader { rest: payload };
    let name = reader.text()?.to_owned();
    let trainer = trainer(&name)
        .map_err(|_| ModelError::Damaged(format!("it holds an unknown model `{name}`")))?;
    let model = trainer.decode(&mut reader)?;
    if !reader.rest.is_empty() {
        return Err(damaged("bytes are left over at the end"));
    }
    Ok(model)
}

/// Verifies the envelope and reads the payload from its beginning, the model's name.
pub(crate) fn open(bytes: &[u8]) -> Result<Reader<'_>, ModelError> {
    let rest = verified_payload(bytes)?;
    Ok(Reader { rest })
}

fn verified_payload(bytes: &[u8]) -> Result<&[u8], ModelError> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return Err(damaged("it does not begin like one"));
    }
    let (header, payload) = bytes.split_at(HEADER_BYTES);
    let mut fields = Reader { rest: &header[8..] };
    let (format, len) = (fields.u16()?, fields.u64()?);
    let (payload_crc, header_crc) = (fields.u32()?, fields.u32()?);
    if crc32c::crc32c(&header[..HEADER_BYTES - 4]) != header_crc {
        return Err(damaged("the header's checksum differs"));
    }
    if format != FORMAT {
        return Err(ModelError::UnsupportedFormat {
            found: format,
            supported: FORMAT,
        });
    }
    if payload.len() as u64 != len {
        return Err(damaged("it is cut off or has bytes behind its end"));
    }
    if crc32c::crc32c(payload) != payload_crc {
        return Err(damaged("the payload's checksum differs"));
    }
    Ok(payload)
}

fn damaged(what: &str) -> ModelError {
    ModelError::Damaged(what.to_owned())
}

/// Writes an artifact: header, name, item ids, then whatever the model puts.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    /// Begins an artifact at the end of `out`.
    #[must_use]
    pub fn begin(out: &'a mut Vec<u8>, name: &str, items: &ItemIds) -> Self {
        let start = out.len();
        out.resize(start + HEADER_BYTES, 0);
        let mut writer = Self { out, start };
        writer.text(name);
        writer.u32(items.len() as u32);
        for id in items.iter() {
            writer.text(id);
        }
        writer
    }

    /// Fills in lengths and checksums. Without it the artifact is not readable.
    pub fn finish(self) {
        let payload_start = self.start + HEADER_BYTES;
        let len = (self.out.len() - payload_start) as u64;
        let payload_crc = crc32c::crc32c(&self.out[payload_start..]);
        let header = &mut self.out[self.start..payload_start];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        header[10..18].copy_from_slice(&len.to_le_bytes());
        header[18..22].copy_from_slice(&payload_crc.to_le_bytes());
        let header_crc = crc32c::crc32c(&header[..HEADER_BYTES - 4]);
        header[22..].copy_from_slice(&header_crc.to_le_bytes());
    }

    /// Puts a number.
    pub fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a number.
    pub fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a number.
    pub fn f32(&mut self, value: f32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a text with its length.
    pub fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Puts numbers with their count.
    pub fn f32s(&mut self, values: &[f32]) {
        self.u64(values.len() as u64);
        for value in values {
            self.f32(*value);
        }
    }

    /// Puts numbers with their count.
    pub fn u32s(&mut self, values: &[u32]) {
        self.u64(values.len() as u64);
        for value in values {
            self.u32(*value);
        }
    }

    /// Puts numbers with their count.
    pub fn u64s(&mut self, values: &[u64]) {
        self.u64(values.len() as u64);
        for value in values {
            self.u64(*value);
        }
    }
}

impl Writer<'_> {
    /// Puts bytes with their count.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// Puts the first `width` values of each row of `side`; the others are padding.
    pub(crate) fn padded_rows(&mut self, rows: &[f32], side: usize, width: usize) {
        let packed = rows.chunks_exact(side).flat_map(|row| &row[..width]);
        self.f32s(&packed.copied().collect::<Vec<f32>>());
    }
}

/// Reads a payload in the order it was written.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ModelError> {
        if len > self.rest.len() {
            return Err(damaged("it ends in the middle of a field"));
        }
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("take returns N bytes"))
    }

    /// Whether everything has been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn u16(&mut self) -> Result<u16, ModelError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Takes a number.
    ///
    /// # Errors
    /// When the payload ends.
    pub fn u32(&mut self) -> Result<u32, ModelError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes a number.
    ///
    /// # Errors
    /// When the payload ends.
    pub fn u64(&mut self) -> Result<u64, ModelError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes a finite number.
    ///
    /// # Errors
    /// When the payload ends or the number is not finite.
    pub fn f32(&mut self) -> Result<f32, ModelError> {
        let value = self.array().map(f32::from_le_bytes)?;
        if !value.is_finite() {
            return Err(damaged("a parameter is not finite"));
        }
        Ok(value)
    }

    /// Takes a text.
    ///
    /// # Errors
    /// When the payload ends or the bytes are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, ModelError> {
        let len = self.u32()? as usize;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| damaged("a text is not UTF-8"))
    }

    /// Takes the item ids that [`Writer::begin`] put.
    ///
    /// # Errors
    /// When the payload ends or an id is not UTF-8.
    pub fn item_ids(&mut self) -> Result<ItemIds, ModelError> {
        let len = self.u32()?;
        let mut ids = ItemIds::default();
        for _ in 0..len {
            ids.push(self.text()?);
        }
        Ok(ids)
    }

    fn counted(&mut self, width: usize) -> Result<&'a [u8], ModelError> {
        let bytes = usize::try_from(self.u64()?)
            .ok()
            .and_then(|count| count.checked_mul(width));
        self.take(bytes.ok_or_else(|| damaged("a count is impossible"))?)
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// When the payload ends.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ModelError> {
        self.counted(1)
    }

    /// Takes finite numbers.
    ///
    /// # Errors
    /// When the payload ends or a number is not finite.
    pub fn f32s(&mut self) -> Result<Vec<f32>, ModelError> {
        let bytes = self.counted(4)?;
        let word = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("chunks of 4"));
        let values: Vec<f32> = bytes.chunks_exact(4).map(word).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(damaged("a parameter is not finite"));
        }
        Ok(values)
    }

    /// Takes `len` rows of `width` values that [`Writer::padded_rows`] put, padded to `side` again;
    /// `what` must be there.
    pub(crate) fn padded_rows(
        &mut self,
        (len, side, width): (usize, usize, usize),
        what: &str,
    ) -> Result<Vec<f32>, ModelError> {
        let packed = self.f32s()?;
        self.require(packed.len() == len * width, what)?;
        let mut rows = vec![0.0; len * side];
        let pairs = rows.chunks_exact_mut(side).zip(packed.chunks_exact(width));
        pairs.for_each(|(to, from)| to[..width].copy_from_slice(from));
        Ok(rows)
    }

    /// Takes numbers.
    ///
    /// # Errors
    /// When the payload ends.
    pub fn u32s(&mut self) -> Result<Vec<u32>, ModelError> {
        let bytes = self.counted(4)?;
        let word = |b: &[u8]| u32::from_le_bytes(b.try_into().expect("chunks of 4"));
        Ok(bytes.chunks_exact(4).map(word).collect())
    }

    /// Takes numbers.
    ///
    /// # Errors
    /// When the payload ends.
    pub fn u64s(&mut self) -> Result<Vec<u64>, ModelError> {
        let bytes = self.counted(8)?;
        let word = |b: &[u8]| u64::from_le_bytes(b.try_into().expect("chunks of 8"));
        Ok(bytes.chunks_exact(8).map(word).collect())
    }

    /// Fails unless `holds`, saying `what` must be.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] with `what`.
    pub fn require(&self, holds: bool, what: &str) -> Result<(), ModelError> {
        if holds { Ok(()) } else { Err(damaged(what)) }
    }
}
