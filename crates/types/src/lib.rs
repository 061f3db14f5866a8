//! The domain vocabulary of Nowcast: what an event, an item, a user and a log record are, and
//! what makes one acceptable.
//!
//! Everything above speaks these words. It is deliberately *not* here to do things: no IO, no
//! async, no clock, no wire format. Time arrives as a [`Timestamp`] argument, raw user ids never
//! arrive at all (the edge has turned them into a [`UserKey`] before an [`Event`] exists).

pub mod error;
pub mod event;
pub mod event_type;
pub mod ids;
pub mod item;
pub mod limits;
pub mod record;
pub mod retry;
pub mod stable_hash;
pub mod time;
pub mod units;

pub use error::{ErrorKind, Refusal, RefusalCode, with_causes};
pub use event::{Categories, Consent, DeviceClass, Event};
pub use event_type::{EventTypeCode, EventTypeDef, EventTypes};
pub use ids::{Offset, PartitionId, SessionKey, Stream, UserKey};
pub use item::{AttributeValue, Item};
pub use limits::Limits;
pub use record::{
    DeadLetter, ItemChange, LabelledExample, Origin, Record, SchemaChange, Slate, SlateItem,
    SlateItems, UserChange,
};
pub use retry::RetryBudget;
pub use time::{Clock, Timestamp};
pub use units::{ByteSize, Span};
