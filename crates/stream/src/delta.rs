//! What the owner of a partition tells those who follow it, after each commit: how far it is, and
//! the rows of the item side that changed.
//!
//! Layout, little-endian: version (1 byte), flags (1 byte), epoch u64, position u64, the position
//! before it u64 (0 without), rows as one blob (none without). Rows are absolute, so an entry that
//! comes twice, or late, does no harm.

use nowcast_store::Epoch;
use nowcast_types::Offset;

const VERSION: u8 = 1;
const HAS_FOLLOWS: u8 = 1;
const HAS_ROWS: u8 = 2;
/// Bytes before the rows.
pub(crate) const HEADER_LEN: usize = 26;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delta<'a> {
    /// Who committed.
    pub(crate) epoch: Epoch,
    /// The position that is stored now.
    pub(crate) position: Offset,
    /// The position that was stored before; `None` if nothing was.
    pub(crate) follows: Option<Offset>,
    /// What changed of the item side; `None` if it must be read from the store.
    pub(crate) rows: Option<&'a [u8]>,
}

impl<'a> Delta<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let rows = self.rows.unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEADER_LEN + rows.len());
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        bytes.push(VERSION);
        bytes.push(flag(self.follows.is_some(), HAS_FOLLOWS) | flag(self.rows.is_some(), HAS_ROWS));
        bytes.extend_from_slice(&self.epoch.0.to_le_bytes());
        bytes.extend_from_slice(&self.position.to_le_bytes());
        bytes.extend_from_slice(&self.follows.unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(rows);
        bytes
    }

    /// `None` for bytes that are no entry of this version.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, flags], bytes) = bytes.split_first_chunk::<2>()?;
        let (epoch, bytes) = bytes.split_first_chunk::<8>()?;
        let (position, bytes) = bytes.split_first_chunk::<8>()?;
        let (follows, rows) = bytes.split_first_chunk::<8>()?;
        if version != VERSION || flags > (HAS_FOLLOWS | HAS_ROWS) {
            return None;
        }
        Some(Self {
            epoch: Epoch(u64::from_le_bytes(*epoch)),
            position: u64::from_le_bytes(*position),
            follows: (flags & HAS_FOLLOWS != 0).then(|| u64::from_le_bytes(*follows)),
            rows: (flags & HAS_ROWS != 0).then_some(rows),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_what_it_was() {
        let delta = Delta {
            epoch: Epoch(3),
            position: 0x0102,
            follows: Some(7),
            rows: Some(b"NCF1"),
        };
        let mut golden = vec![1, 3];
        golden.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend_from_slice(&[2, 1, 0, 0, 0, 0, 0, 0]);
        golden.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend_from_slice(b"NCF1");
        assert_eq!(delta.encode(), golden);
        assert_eq!(Delta::decode(&golden), Some(delta));
    }

    #[test]
    fn absent_parts_stay_absent_and_odd_bytes_are_refused() {
        let delta = Delta {
            epoch: Epoch(1),
            position: 5,
            follows: None,
            rows: None,
        };
        let bytes = delta.encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(Delta::decode(&bytes), Some(delta));
        assert_eq!(Delta::decode(&bytes[..HEADER_LEN - 1]), None);
        let mut other = bytes.clone();
        other[0] = 2;
        assert_eq!(Delta::decode(&other), None);
        other = bytes;
        other[1] = 4;
        assert_eq!(Delta::decode(&other), None);
    }
}
