//! An event as a client writes it: every field optional, nothing checked, strings borrowed from
//! the request body wherever JSON allows.

use super::when::When;
use nowcast_types::Consent;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Text that borrows the request body unless it holds escapes.
///
/// (`Option<Cow<str>>` would always copy: serde borrows a `Cow` only as a direct field.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The fields a client may send of one event. See the README of the API for their meaning.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventDraft<'a> {
    /// The client's id of the event; the key of retries.
    #[serde(borrow)]
    pub event_id: Option<Text<'a>>,
    /// Name of the event type.
    #[serde(borrow)]
    pub event_type: Option<Text<'a>>,
    /// The raw user id.
    #[serde(borrow)]
    pub user_id: Option<Text<'a>>,
    /// The raw session id; names the visitor when there is no user id.
    #[serde(borrow)]
    pub session_id: Option<Text<'a>>,
    /// The item it was done to.
    #[serde(borrow)]
    pub item_id: Option<Text<'a>>,
    /// Event time; the time of receipt if absent.
    #[serde(borrow)]
    pub timestamp: Option<When<'a>>,
    /// The quantity.
    pub value: Option<f64>,
    /// Where on the surface it happened.
    #[serde(borrow)]
    pub slot: Option<Text<'a>>,
    /// The answer it came from.
    #[serde(borrow)]
    pub request_id: Option<Text<'a>>,
    /// The device class; told by the user agent if absent.
    #[serde(borrow)]
    pub device_type: Option<Text<'a>>,
    /// Where the user was, such as a country code.
    #[serde(borrow)]
    pub location: Option<Text<'a>>,
    /// Minutes east of Greenwich of the event's zone; told by a textual timestamp if absent.
    pub utc_offset_minutes: Option<i64>,
    /// Anything else, as an object.
    #[serde(borrow)]
    pub properties: Option<&'a RawValue>,
    /// What the user allows; everything if absent.
    pub consent: Option<ConsentDraft>,
    /// Version of the schema the client wrote; the current one if absent.
    pub schema_version: Option<i64>,
}

/// The purposes a user allows, each granted unless denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentDraft {
    /// May change this user's profile and answers.
    pub personalize: bool,
    /// May train models and item counters.
    pub train: bool,
}

impl Default for ConsentDraft {
    fn default() -> Self {
        Self {
            personalize: true,
            train: true,
        }
    }
}

impl From<ConsentDraft> for Consent {
    fn from(draft: ConsentDraft) -> Self {
        let personalize = if draft.personalize {
            Self::PERSONALIZE.0
        } else {
            0
        };
        let train = if draft.train { Self::TRAIN.0 } else { 0 };
        Self(personalize | train)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let draft: EventDraft<'_> =
            serde_json::from_str(r#"{"event_id":"e1","item_id":"a\nb","properties":{"q":1}}"#)
                .unwrap();
        assert!(matches!(draft.event_id, Some(Text(Cow::Borrowed("e1")))));
        assert!(matches!(draft.item_id, Some(Text(Cow::Owned(_)))));
        assert_eq!(draft.properties.map(RawValue::get), Some(r#"{"q":1}"#));
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        assert!(serde_json::from_str::<EventDraft<'_>>(r#"{"usr_id":"a"}"#).is_err());
    }

    #[test]
    fn consent_is_granted_unless_denied() {
        let draft: ConsentDraft = serde_json::from_str(r#"{"train":false}"#).unwrap();
        assert_eq!(Consent::from(draft), Consent::PERSONALIZE);
    }
}
