//! Ids for events whose client gave none.
//!
//! With a timestamp of its own, an event's id is a hash of its content, so a retry of the same
//! bytes counts once. Without one, two equal events cannot be told from a retry, so each gets a
//! fresh id and counts.

use nowcast_types::Event;
use xxhash_rust::xxh3::Xxh3;

/// 32 hexadecimal digits of the XXH3-128 of everything the client said about the event.
///
/// The encoding under the hash is: each field behind its presence byte and, for text, its length;
/// so no two different events share an encoding. Receipt time, id and categories are left out.
#[must_use]
pub fn of_content(event: &Event<'_>) -> String {
    let mut hash = Xxh3::new();
    hash.update(&[
        event.event_type.0,
        event.device as u8,
        event.consent.0,
        event.schema_version,
    ]);
    hash.update(&event.user.0);
    hash.update(&event.timestamp.0.to_le_bytes());
    hash.update(&event.utc_offset_minutes.to_le_bytes());
    let session = event.session.map(|session| session.0.to_le_bytes());
    let value = event.value.map(|value| value.to_bits().to_le_bytes());
    update(&mut hash, session.as_ref().map(<[u8; 8]>::as_slice));
    update(&mut hash, value.as_ref().map(<[u8; 4]>::as_slice));
    for text in [
        event.item_id,
        event.slot,
        event.request_id,
        event.location,
        event.properties,
    ] {
        update(&mut hash, text.map(str::as_bytes));
    }
    hex(hash.digest128())
}

fn update(hash: &mut Xxh3, bytes: Option<&[u8]>) {
    match bytes {
        None => hash.update(&[0]),
        Some(bytes) => {
            hash.update(&[1]);
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
}

fn hex(number: u128) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    (0..32)
        .rev()
        .map(|digit| char::from(DIGITS[(number >> (4 * digit)) as usize & 15]))
        .collect()
}

/// Fresh ids for the events of one batch.
#[derive(Debug, Clone, Copy)]
pub struct EventIdSource {
    nonce: u64,
}

impl EventIdSource {
    /// A source whose ids are told from other batches' by `nonce`.
    #[must_use]
    pub const fn with_nonce(nonce: u64) -> Self {
        Self { nonce }
    }

    /// The id of the event at `index` of the batch.
    #[must_use]
    pub fn next(&self, index: usize) -> String {
        hex((u128::from(self.nonce) << 64) | index as u128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_all_32_digits() {
        assert_eq!(hex(0x1f), format!("{:032x}", 0x1f));
        assert_eq!(hex(u128::MAX), "f".repeat(32));
    }

    #[test]
    fn ids_of_a_batch_differ() {
        let source = EventIdSource::with_nonce(3);
        assert_ne!(source.next(0), source.next(1));
        assert_ne!(source.next(0), EventIdSource::with_nonce(4).next(0));
    }
}
