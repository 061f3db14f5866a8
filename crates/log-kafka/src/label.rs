//! What a message says beside the record: its key and headers, for readers with other tools.
//!
//! The key is the user's pseudonym (or the item's id) as text; the partition is not derived from
//! it by any client's hash but computed by us. Headers: `id`, `type`, `schema`, `traceparent`.

use crate::parcel::Message;
use nowcast_log::{LogError, RecordBatch, decode};
use nowcast_types::{EventTypes, Record, UserKey};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the record codec, so that a reader knows what the bytes are.
pub(crate) const SCHEMA: &str = "nowcast-record/1";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A batch taken apart.
pub(crate) struct Labelled<'a> {
    pub(crate) labels: Vec<Label<'a>>,
    /// The keys that exist nowhere else as text, one after the other.
    pub(crate) keys: Vec<u8>,
}

pub(crate) struct Label<'a> {
    value: &'a [u8],
    key: Key<'a>,
    id: &'a str,
    kind: &'a str,
}

enum Key<'a> {
    None,
    Text(&'a str),
    Pseudonym(Range<usize>),
}

impl<'a> Labelled<'a> {
    pub(crate) fn new(batch: &'a RecordBatch, types: &'a EventTypes) -> Result<Self, LogError> {
        let mut labels = Vec::with_capacity(batch.len());
        let mut keys = Vec::with_capacity(batch.len() * 32);
        for value in batch.encoded() {
            let (key, id, kind) = match decode(value)? {
                Record::Event(event) => {
                    let key = Key::Pseudonym(push_hex(&mut keys, event.user));
                    (key, event.event_id, types.name(event.event_type))
                }
                Record::User(change) => {
                    let key = Key::Pseudonym(push_hex(&mut keys, change.user));
                    (key, "", "user-change")
                }
                Record::Erase { user, .. } => {
                    (Key::Pseudonym(push_hex(&mut keys, user)), "", "erase")
                }
                Record::Item(change) => (Key::Text(change.item_id), change.item_id, "item-change"),
                Record::DeadLetter(letter) => (Key::None, letter.code, "dead-letter"),
                Record::Schema(_) => (Key::None, "", "schema-change"),
                Record::Slate(slate) => {
                    let key = Key::Pseudonym(push_hex(&mut keys, slate.user));
                    (key, slate.request_id, "slate")
                }
                Record::Example(_) => (Key::None, "", "example"),
            };
            labels.push(Label {
                value,
                key,
                id,
                kind,
            });
        }
        Ok(Self { labels, keys })
    }
}

impl<'a> Label<'a> {
    pub(crate) fn message<'b>(&'b self, keys: &'b [u8]) -> Message<'b>
    where
        'a: 'b,
    {
        Message {
            key: match &self.key {
                Key::None => &[],
                Key::Text(text) => text.as_bytes(),
                Key::Pseudonym(range) => &keys[range.clone()],
            },
            value: self.value,
            id: self.id,
            kind: self.kind,
            schema: SCHEMA,
        }
    }
}

fn push_hex(out: &mut Vec<u8>, user: UserKey) -> Range<usize> {
    let start = out.len();
    for byte in user.0 {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
    start..out.len()
}

/// A `traceparent` for an append that nobody named a trace for.
pub(crate) fn new_trace() -> String {
    static SEED: OnceLock<RandomState> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let seed = SEED.get_or_init(RandomState::new);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut text = String::with_capacity(55);
    let (high, low) = (seed.hash_one(number), seed.hash_one(!number));
    // Zero is no span.
    let written = write!(text, "00-{high:016x}{low:016x}-{:016x}-01", low | 1);
    written.expect("writing to a string does not fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_pseudonym_as_it_is_shown_everywhere() {
        let user = UserKey([1, 2, 0xab, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xff]);
        let mut keys = b"x".to_vec();
        let range = push_hex(&mut keys, user);
        assert_eq!(keys[range], *user.to_string().as_bytes());
    }

    #[test]
    fn traces_differ_and_have_the_shape_of_the_standard() {
        let (one, other) = (new_trace(), new_trace());
        assert_ne!(one, other);
        assert_eq!(one.len(), 55);
        assert_eq!(
            one.split('-').map(str::len).collect::<Vec<_>>(),
            [2, 32, 16, 2]
        );
    }
}
