//! What a stream can hold. The log stores records; the fold and the catalogue consume them.

use crate::event::Event;
use crate::ids::{Offset, UserKey};
use crate::time::Timestamp;

/// One entry of a stream, borrowing its bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Record<'a> {
    /// An interaction. Stream: events, late.
    Event(Event<'a>),
    /// A user's record changed. Stream: events.
    User(UserChange<'a>),
    /// Everything about a user must go. Stream: events.
    Erase {
        /// Whom to forget.
        user: UserKey,
        /// When this was asked for.
        at: Timestamp,
    },
    /// An item changed. Stream: catalog.
    Item(ItemChange<'a>),
    /// Something was refused after it had been understood. Stream: dead-letters.
    DeadLetter(DeadLetter<'a>),
    /// The schema registry changed. Stream: schemas.
    Schema(SchemaChange<'a>),
    /// A list was shown, with what its scores went by. Stream: events.
    Slate(Slate<'a>),
    /// What came of a shown item. Stream: examples.
    Example(LabelledExample<'a>),
}

impl Record<'_> {
    /// The user whose partition the record belongs to, if it has one.
    #[must_use]
    pub const fn user(&self) -> Option<UserKey> {
        match self {
            Self::Event(event) => Some(event.user),
            Self::User(change) => Some(change.user),
            Self::Erase { user, .. } => Some(*user),
            Self::Slate(slate) => Some(slate.user),
            Self::Item(_) | Self::DeadLetter(_) | Self::Schema(_) | Self::Example(_) => None,
        }
    }

    /// Event time, or the time of the change.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.timestamp,
            Self::User(change) => change.at,
            Self::Erase { at, .. } => *at,
            Self::Item(change) => change.at,
            Self::DeadLetter(letter) => letter.at,
            Self::Schema(change) => change.at,
            Self::Slate(slate) => slate.at,
            Self::Example(example) => example.at,
        }
    }
}

/// A change of a user's record.
#[derive(Debug, Clone, PartialEq)]
pub struct UserChange<'a> {
    /// Whose.
    pub user: UserKey,
    /// When.
    pub at: Timestamp,
    /// Whether absent fields keep their value (PATCH) or are cleared (PUT).
    pub is_patch: bool,
    /// The segment, such as `premium`.
    pub segment: Option<&'a str>,
    /// Other attributes, as a JSON object.
    pub attributes: Option<&'a str>,
}

/// A change of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemChange<'a> {
    /// Which.
    pub item_id: &'a str,
    /// When.
    pub at: Timestamp,
    /// The whole new item as JSON, already merged and validated at the edge; `None` deletes it.
    pub item: Option<&'a str>,
}

/// Input that could not be used, with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter<'a> {
    /// When it was refused.
    pub at: Timestamp,
    /// A [`crate::RefusalCode`] as text.
    pub code: &'a str,
    /// The field that broke the rule.
    pub field: &'a str,
    /// What was expected.
    pub expected: &'a str,
    /// What there is to know of the input, as JSON: where it was read, the input itself with
    /// pseudonyms in place of raw ids, and the original, sealed.
    pub body: &'a str,
}

/// A change of the schema registry.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaChange<'a> {
    /// When.
    pub at: Timestamp,
    /// The revision of the registry, as a number of changes, that it was planned on. On any other
    /// it has no effect: somebody else's change came first, and this one was made without knowing
    /// of it.
    pub planned_on: u64,
    /// The change, in the registry's own encoding.
    pub change: &'a str,
}

/// A list that was shown to somebody, with what each score of the online ranker went by.
///
/// The facts are bytes in the ranker's own encoding: whoever learns from them expands exactly what
/// was scored, and nobody in between looks into them.
#[derive(Debug, Clone, PartialEq)]
pub struct Slate<'a> {
    /// To whom.
    pub user: UserKey,
    /// When.
    pub at: Timestamp,
    /// In which answer.
    pub request_id: &'a str,
    /// Where.
    pub slot: &'a str,
    /// What all items share.
    pub situation: &'a [u8],
    /// The shown items, best first.
    pub items: SlateItems<'a>,
}

/// Bytes before the facts of an item: the hash of its id, and its score.
const ITEM_HEAD_BYTES: usize = 12;

/// The items of a slate in one run of bytes, equally long each: hash of the id, score, facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlateItems<'a> {
    bytes: &'a [u8],
    facts_bytes: usize,
}

/// One item of a slate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlateItem<'a> {
    /// [`crate::stable_hash::stable_hash`] of its id with seed 0.
    pub item: u64,
    /// What the online ranker gave it; 0 before it has learnt anything.
    pub score: f32,
    /// What the score went by.
    pub facts: &'a [u8],
}

impl<'a> SlateItems<'a> {
    /// Items of `facts_bytes` bytes of facts each; `None` if `bytes` is no whole number of them.
    #[must_use]
    pub fn new(bytes: &'a [u8], facts_bytes: usize) -> Option<Self> {
        let item_bytes = facts_bytes.checked_add(ITEM_HEAD_BYTES)?;
        let is_whole = bytes.len().is_multiple_of(item_bytes);
        is_whole.then_some(Self { bytes, facts_bytes })
    }

    /// Appends an item in the form that [`Self::new`] takes.
    pub fn push(out: &mut Vec<u8>, item: &SlateItem<'_>) {
        out.extend_from_slice(&item.item.to_le_bytes());
        out.extend_from_slice(&item.score.to_le_bytes());
        out.extend_from_slice(item.facts);
    }

    /// All of them as bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of facts of each.
    #[must_use]
    pub const fn facts_bytes(&self) -> usize {
        self.facts_bytes
    }

    /// The items, best first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = SlateItem<'a>> + use<'a> {
        self.bytes
            .chunks_exact(self.facts_bytes + ITEM_HEAD_BYTES)
            .map(|bytes| {
                let (head, facts) = bytes.split_at(ITEM_HEAD_BYTES);
                let (item, score) = head.split_at(8);
                SlateItem {
                    item: u64::from_le_bytes(item.try_into().expect("eight bytes were split off")),
                    score: f32::from_le_bytes(score.try_into().expect("four bytes are left")),
                    facts,
                }
            })
    }
}

/// Where an example stems from: what is emitted again after a crash has the same origin and is
/// known by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The partition of the events.
    pub partition: u16,
    /// The record whose fold made it known.
    pub offset: Offset,
    /// Its number among the examples of that record.
    pub index: u32,
}

/// A shown item and what came of it, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledExample<'a> {
    /// Where it stems from; ascends per partition.
    pub origin: Origin,
    /// When it was shown.
    pub at: Timestamp,
    /// The offset of its slate among the events.
    pub slate: Offset,
    /// Its place in the slate, from 0.
    pub place: u16,
    /// Where it was shown.
    pub slot: &'a str,
    /// Objectives with what is known of them now, separated by spaces: `+click` came true, `-like`
    /// did not within the attribution window, `~purchase` came true although it was said that it
    /// did not.
    pub labels: &'a str,
    /// The score it was shown with.
    pub score: f32,
    /// What all items of the slate shared.
    pub situation: &'a [u8],
    /// What the score went by.
    pub facts: &'a [u8],
}
