//! An event as a client writes it: every field optional, nothing checked, strings borrowed from
//! the request body wherever JSON allows.

use super::when::When;
use nowcast_types::Consent;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
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

/// Declares a struct of optional fields that is read from a JSON object only.
///
/// (A derived reader would also take an array, by position; and a field given twice must be an
/// error, or the two readers of a body could disagree about it.)
macro_rules! optional_fields {
    ($(#[$about:meta])* $name:ident $(<$life:lifetime>)? { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default)]
        pub struct $name $(<$life>)? {
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        impl<'de> Deserialize<'de> for $name $(<$life>)? {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types)]
                #[derive(Deserialize, Clone, Copy)]
                #[serde(field_identifier)]
                enum Name { $($field),* }

                struct FieldsVisitor;
                impl<'de> Visitor<'de> for FieldsVisitor {
                    type Value = $name $(<$life>)?;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a JSON object")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut fields = Self::Value::default();
                        let mut seen = 0_u32;
                        while let Some(name) = map.next_key::<Name>()? {
                            if seen & (1 << name as u32) != 0 {
                                return Err(A::Error::custom("a field is there twice"));
                            }
                            seen |= 1 << name as u32;
                            match name {
                                $(Name::$field => fields.$field = map.next_value()?,)*
                            }
                        }
                        Ok(fields)
                    }
                }
                deserializer.deserialize_map(FieldsVisitor)
            }
        }
    };
}

optional_fields! {
    /// The fields a client may send of one event.
    EventDraft<'de> {
        /// The client's id of the event; the key of retries.
        event_id: Text<'de>,
        /// Name of the event type.
        event_type: Text<'de>,
        /// The raw user id.
        user_id: Text<'de>,
        /// The raw session id; names the visitor when there is no user id.
        session_id: Text<'de>,
        /// The item it was done to.
        item_id: Text<'de>,
        /// Event time; the time of receipt if absent.
        timestamp: When<'de>,
        /// The quantity.
        value: f64,
        /// Where on the surface it happened.
        slot: Text<'de>,
        /// The answer it came from.
        request_id: Text<'de>,
        /// The device class; told by the user agent if absent.
        device_type: Text<'de>,
        /// Where the user was, such as a country code.
        location: Text<'de>,
        /// Minutes east of Greenwich of the event's zone; told by a textual timestamp if absent.
        utc_offset_minutes: i64,
        /// Anything else, as an object.
        properties: &'de RawValue,
        /// What the user allows; everything if absent.
        consent: ConsentDraft,
        /// Version of the schema the client wrote; the current one if absent.
        schema_version: i64,
    }
}

optional_fields! {
    /// The purposes a user allows, each granted unless denied.
    ConsentDraft {
        /// May change this user's profile and answers.
        personalize: bool,
        /// May train models and item counters.
        train: bool,
    }
}

impl From<&ConsentDraft> for Consent {
    fn from(draft: &ConsentDraft) -> Self {
        let personalize = if draft.personalize != Some(false) {
            Self::PERSONALIZE.0
        } else {
            0
        };
        let train = if draft.train != Some(false) {
            Self::TRAIN.0
        } else {
            0
        };
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
    fn only_an_object_of_known_fields_each_once_is_read() {
        for json in [
            r#"{"usr_id":"a"}"#,
            r#"{"slot":"a","slot":"a"}"#,
            r#"{"slot":null,"slot":"a"}"#,
            "[]",
            r#"["e1","click"]"#,
            r#"{"consent":[true,false]}"#,
        ] {
            assert!(
                serde_json::from_str::<EventDraft<'_>>(json).is_err(),
                "{json}"
            );
        }
    }

    #[test]
    fn consent_is_granted_unless_denied() {
        let draft: ConsentDraft = serde_json::from_str(r#"{"train":false}"#).unwrap();
        assert_eq!(Consent::from(&draft), Consent::PERSONALIZE);
    }
}
