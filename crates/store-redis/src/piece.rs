//! From sections to what the script does: one piece is one script call.

use crate::error::RedisStoreError;
use crate::keys::{Keys, index_place, stripe};
use nowcast_features::{
    Section, begin_blob, for_each_section, section_kind, user_slot, write_section,
};
use nowcast_types::{Stream, UserKey};
use std::collections::BTreeMap;

/// Bytes of a section's head in a blob, at most.
const SECTION_HEAD_BYTES: usize = 16;

/// What one call of the script changes. Removals happen first.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) removed: Vec<Vec<u8>>,
    /// Chunk key, byte, user key or zeros.
    pub(crate) index: Vec<(Vec<u8>, u32, [u8; 16])>,
    pub(crate) users: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) appended: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) rows_removed: Vec<Vec<u8>>,
    pub(crate) generation: Option<u64>,
    /// Users that are removed: where the index has them is known to Redis alone.
    pub(crate) users_removed: Vec<UserKey>,
}

fn corrupt(error: impl std::fmt::Display) -> RedisStoreError {
    RedisStoreError::Corrupt(error.to_string())
}

impl Piece {
    /// The piece for a blob whose commit leads to `position`; the last section of a key counts.
    pub(crate) fn of_blob(
        keys: &Keys,
        stream: Stream,
        position: u64,
        blob: &[u8],
    ) -> Result<Self, RedisStoreError> {
        let mut latest: BTreeMap<(u8, &[u8]), Option<&[u8]>> = BTreeMap::new();
        for_each_section(blob, |section| {
            latest.insert((section.kind, section.key), section.value);
        })
        .map_err(corrupt)?;
        let mut piece = Self::default();
        for ((kind, key), value) in latest {
            let section = Section { kind, key, value };
            match (stream, kind) {
                (Stream::Events, section_kind::USER) => piece.user(keys, section)?,
                (Stream::Events, section_kind::DEDUP) => piece.ids(keys, position, section)?,
                _ => piece.row(section),
            }
        }
        Ok(piece)
    }

    fn user(&mut self, keys: &Keys, section: Section<'_>) -> Result<(), RedisStoreError> {
        let user = section.key.try_into().map(UserKey);
        let user = user.map_err(|_| corrupt("the key of a user is not 16 bytes"))?;
        let Some(value) = section.value else {
            self.removed.push(keys.user(&user));
            self.users_removed.push(user);
            return Ok(());
        };
        let slot = user_slot(value).ok_or_else(|| corrupt("a user without a row number"))?;
        let (chunk, byte) = index_place(slot);
        self.index.push((keys.index(chunk), byte, user.0));
        self.users.push((keys.user(&user), checked(value)));
        Ok(())
    }

    fn ids(
        &mut self,
        keys: &Keys,
        position: u64,
        section: Section<'_>,
    ) -> Result<(), RedisStoreError> {
        let generation = section.key.first_chunk().map(|n| u64::from_le_bytes(*n));
        let generation = generation.ok_or_else(|| corrupt("event ids without a generation"))?;
        match section.value {
            Some(ids) => {
                let key = keys.dedup(generation, stripe(position));
                self.appended.push((key, ids.to_vec()));
                self.generation = self.generation.max(Some(generation));
            }
            None => {
                for key in keys.dedup_all(generation) {
                    if !self.removed.contains(&key) {
                        self.removed.push(key);
                    }
                }
            }
        }
        Ok(())
    }

    fn row(&mut self, section: Section<'_>) {
        let mut field = Vec::with_capacity(1 + section.key.len());
        field.push(section.kind);
        field.extend_from_slice(section.key);
        match section.value {
            Some(value) => self.rows.push((field, checked(value))),
            None => self.rows_removed.push(field),
        }
    }
}

/// Splits a blob into blobs of about `bytes_max`, at least one section each.
pub(crate) fn split(blob: &[u8], bytes_max: usize) -> Result<Vec<Vec<u8>>, RedisStoreError> {
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    begin_blob(&mut piece);
    let empty_len = piece.len();
    for_each_section(blob, |section| {
        let len = section.value.map_or(0, <[u8]>::len) + section.key.len() + SECTION_HEAD_BYTES;
        if piece.len() > empty_len && piece.len() + len > bytes_max {
            let mut next = Vec::new();
            begin_blob(&mut next);
            pieces.push(std::mem::replace(&mut piece, next));
        }
        write_section(&mut piece, section);
    })
    .map_err(corrupt)?;
    if piece.len() > empty_len {
        pieces.push(piece);
    }
    Ok(pieces)
}

/// A value with its CRC-32C behind it.
pub(crate) fn checked(value: &[u8]) -> Vec<u8> {
    let mut checked = Vec::with_capacity(value.len() + 4);
    checked.extend_from_slice(value);
    checked.extend_from_slice(&crc32c::crc32c(value).to_le_bytes());
    checked
}

/// The value in front of its CRC-32C; `None` if that is not it.
pub(crate) fn unchecked(stored: &[u8]) -> Option<&[u8]> {
    let (value, crc) = stored.split_last_chunk::<4>()?;
    (crc32c::crc32c(value).to_le_bytes() == *crc).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_blob_has_the_same_sections_in_order() {
        let mut blob = Vec::new();
        begin_blob(&mut blob);
        for n in 0..100_u8 {
            let (key, value) = ([n], vec![n; usize::from(n) * 3]);
            let value = (n % 7 > 0).then_some(&value[..]);
            write_section(
                &mut blob,
                Section {
                    kind: n % 5,
                    key: &key,
                    value,
                },
            );
        }
        let list = |blob: &[u8]| {
            let mut all = Vec::new();
            for_each_section(blob, |s| {
                all.push((s.kind, s.key.to_vec(), s.value.map(<[u8]>::to_vec)));
            })
            .unwrap();
            all
        };
        for bytes_max in [1, 200, 1_000, 1 << 20] {
            let pieces = split(&blob, bytes_max).unwrap();
            let joined: Vec<_> = pieces.iter().flat_map(|piece| list(piece)).collect();
            assert_eq!(joined, list(&blob), "{bytes_max}");
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut stored = checked(b"value");
        assert_eq!(unchecked(&stored), Some(&b"value"[..]));
        stored[1] ^= 4;
        assert_eq!(unchecked(&stored), None);
        assert_eq!(unchecked(b"abc"), None);
    }
}
