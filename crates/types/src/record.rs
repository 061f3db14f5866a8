//! What a stream can hold. The log stores records; the fold and the catalogue consume them.

use crate::event::Event;
use crate::ids::UserKey;
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
}

impl Record<'_> {
    /// The user whose partition the record belongs to, if it has one.
    #[must_use]
    pub const fn user(&self) -> Option<UserKey> {
        match self {
            Self::Event(event) => Some(event.user),
            Self::User(change) => Some(change.user),
            Self::Erase { user, .. } => Some(*user),
            Self::Item(_) | Self::DeadLetter(_) | Self::Schema(_) => None,
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
