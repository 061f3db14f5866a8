//! Identifiers. Each is a newtype, so that a user can never be passed where a session is meant.

use crate::stable_hash::stable_hash;
use std::fmt;

/// Position of a record in one partition of one stream; strictly increasing from 0.
pub type Offset = u64;

/// A user as every store, log line and file knows them: key id (1 byte) and the first 15 bytes of
/// `HMAC-SHA-256(key, raw id)`.
///
/// Visitors without a user id are keyed by their session id, in a domain of its own, so that the
/// two can never meet. The value is a pseudonym, hence still personal data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(pub [u8; 16]);

impl UserKey {
    /// The partition, of `partitions`, that owns this user.
    #[must_use]
    pub fn partition(&self, partitions: u16) -> PartitionId {
        // The bytes are already uniform (an HMAC), so a modulo of eight of them is fair.
        PartitionId((self.bits() % u64::from(partitions)) as u16)
    }

    /// Eight of the uniform bytes, for hash tables.
    #[must_use]
    pub fn bits(&self) -> u64 {
        u64::from_le_bytes([
            self.0[1], self.0[2], self.0[3], self.0[4], self.0[5], self.0[6], self.0[7], self.0[8],
        ])
    }

    /// Parses the 32 hexadecimal digits that [`fmt::Display`] writes.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0_u8; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({self})")
    }
}

/// A client's session, as 64 keyed-hash bits of the raw session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub u64);

/// One of the ordered parts of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u16);

/// A named ordered log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// What users did, user records and erasures; partitioned by user.
    Events,
    /// Item changes; one partition.
    Catalog,
    /// Input that was refused after it had been understood, with the reason; one partition.
    DeadLetters,
    /// Events that arrived behind the watermark by more than the lateness; one partition.
    Late,
    /// Changes of the built-in schema registry; one partition, kept for ever.
    Schemas,
    /// Labelled examples that the fold makes of what was shown and what came of it; one partition,
    /// whose order is the order of learning.
    Examples,
}

impl Stream {
    /// Every stream, in a fixed order.
    pub const ALL: [Self; 6] = [
        Self::Events,
        Self::Catalog,
        Self::DeadLetters,
        Self::Late,
        Self::Schemas,
        Self::Examples,
    ];

    /// The name used for folders, metrics and topics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Catalog => "catalog",
            Self::DeadLetters => "dead-letters",
            Self::Late => "late",
            Self::Schemas => "schemas",
            Self::Examples => "examples",
        }
    }

    /// How many partitions the stream has when events have `event_partitions`.
    #[must_use]
    pub const fn partitions(self, event_partitions: u16) -> u16 {
        match self {
            Self::Events => event_partitions,
            Self::Catalog | Self::DeadLetters | Self::Late | Self::Schemas | Self::Examples => 1,
        }
    }
}

/// What deduplication remembers of an event: 64 bits of its id and user.
///
/// Two different events of one partition meet with probability n / 2^64 for n remembered ids.
#[must_use]
pub fn dedup_key(user: UserKey, event_id: &str) -> u64 {
    stable_hash(event_id.as_bytes(), user.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_rejects_other_text() {
        let key = UserKey([7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(UserKey::from_hex(&key.to_string()), Some(key));
        assert_eq!(UserKey::from_hex("07"), None);
        assert_eq!(UserKey::from_hex(&"é".repeat(16)), None);
    }
}
