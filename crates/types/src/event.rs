//! An interaction, validated and enriched: the unit of everything else.
//!
//! The strings are borrowed, from the request body at the edge and from the log's bytes in the
//! fold, so that no event is ever allocated field by field.

use crate::event_type::EventTypeCode;
use crate::ids::{SessionKey, UserKey};
use crate::time::Timestamp;
use arrayvec::ArrayVec;

/// Categories of an event's item, at most [`CATEGORIES_MAX`].
pub type Categories<'a> = ArrayVec<&'a str, CATEGORIES_MAX>;

/// Most categories that an event carries; more would cost every fold step.
pub const CATEGORIES_MAX: usize = 4;

/// The current version of the event schema.
pub const SCHEMA_VERSION: u8 = 1;

/// An event as the log stores it and the fold sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// The client's id, or one derived at the edge.
    pub event_id: &'a str,
    /// What happened.
    pub event_type: EventTypeCode,
    /// Who did it.
    pub user: UserKey,
    /// The client's session, if it keeps one.
    pub session: Option<SessionKey>,
    /// What it was done to.
    pub item_id: Option<&'a str>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When the edge received it.
    pub received_at: Timestamp,
    /// The quantity, whose meaning the event type defines.
    pub value: Option<f32>,
    /// Where on the surface it happened.
    pub slot: Option<&'a str>,
    /// The answer it came from.
    pub request_id: Option<&'a str>,
    /// Enriched: the kind of device.
    pub device: DeviceClass,
    /// Where the user was, such as a country code.
    pub location: Option<&'a str>,
    /// Minutes east of Greenwich of the event's zone.
    pub utc_offset_minutes: i16,
    /// Enriched: the item's categories when the event arrived.
    pub categories: Categories<'a>,
    /// Anything else, as a JSON object.
    pub properties: Option<&'a str>,
    /// What the user allows.
    pub consent: Consent,
    /// Version of the schema the client wrote.
    pub schema_version: u8,
}

/// The kind of device an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum DeviceClass {
    /// Not told.
    #[default]
    Unknown = 0,
    /// A desktop or laptop computer.
    Desktop = 1,
    /// A phone.
    Mobile = 2,
    /// A tablet.
    Tablet = 3,
    /// A television or console.
    Tv = 4,
    /// A crawler or script.
    Bot = 5,
}

impl DeviceClass {
    /// Every class, in the order of the stored byte.
    pub const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Desktop,
        Self::Mobile,
        Self::Tablet,
        Self::Tv,
        Self::Bot,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Bot => "bot",
        }
    }

    /// The class of a name on the wire.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class behind a stored byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// The purposes a user allows, as a bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Consent(pub u8);

impl Consent {
    /// The event may change this user's profile and answers.
    pub const PERSONALIZE: Self = Self(1);
    /// The event may train models and item counters.
    pub const TRAIN: Self = Self(2);
    /// Both.
    pub const ALL: Self = Self(3);
    /// Neither: the event is kept for the audit of consent alone.
    pub const NONE: Self = Self(0);

    /// Whether every purpose of `other` is allowed.
    #[must_use]
    pub const fn allows(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
