//! A dead letter: why something was refused, where it came from, what it said without raw ids,
//! and the original, sealed.
//!
//! What stands in the open holds nothing that a sender could have put a raw id into: the reason's
//! code, field names that we know, and pseudonyms. Everything else is inside the seal, which only
//! the key of the pseudonyms opens.

use crate::seal::Sealer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nowcast_types::{DeadLetter, Record, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The version of the body.
const VERSION: u32 = 1;

/// The code of a letter that says which letters were replayed.
pub const REPLAYED_CODE: &str = "replayed";

/// Where refused input came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case")]
pub enum LetterSource {
    /// A request to the API.
    Http,
    /// A message of an input topic.
    Topic {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The offset there.
        offset: i64,
        /// The broker's time of the message, in milliseconds since 1970, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<i64>,
    },
}

/// What the input was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// An interaction.
    Event,
    /// A change of the catalogue.
    Item,
    /// A change of a user's record.
    User,
}

/// What is sealed: the reason in full, and the input byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The field that broke the rule, as the sender called it.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was found, cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The payload; absent for a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Base64>,
    /// How many bytes the message had, if it was too large to be kept; it is still at its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_left_out: Option<u64>,
    /// The key of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Base64>,
    /// The headers of the message, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, Base64)>,
}

/// Bytes that are base64 text in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// The body of a dead letter in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LetterBody {
    v: u32,
    /// Names the input, not the letter: a retry of the same input has the same id, so input that
    /// was stored twice is told.
    pub id: String,
    /// Where it came from.
    pub source: LetterSource,
    /// What it is about.
    pub kind: LetterKind,
    /// The input with pseudonyms in place of raw ids, where it could be read that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted: Option<Value>,
    /// The [`Original`], sealed.
    sealed: Base64,
}

impl LetterBody {
    /// Seals an original.
    ///
    /// # Errors
    /// A sentence if the system has no random bytes.
    pub fn sealed(
        sealer: &Sealer,
        original: &Original,
        id: String,
        source: LetterSource,
        kind: LetterKind,
    ) -> Result<Self, String> {
        let plain = serde_json::to_vec(original).map_err(|error| error.to_string())?;
        Ok(Self {
            v: VERSION,
            id,
            source,
            kind,
            redacted: None,
            sealed: Base64(sealer.seal(&plain)?),
        })
    }

    /// The same with the input as far as it could be read, without raw ids.
    #[must_use]
    pub fn with_redacted(mut self, redacted: Value) -> Self {
        self.redacted = Some(redacted);
        self
    }

    /// The body as the log keeps it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers are always JSON")
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// A sentence about what is wrong with the text.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let body: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if body.v == VERSION {
            Ok(body)
        } else {
            Err(format!("version {} of a dead letter is unknown", body.v))
        }
    }

    /// The original, if this installation's key sealed it.
    #[must_use]
    pub fn original(&self, sealer: &Sealer) -> Option<Original> {
        let plain = sealer.open(&self.sealed.0)?;
        serde_json::from_slice(&plain).ok()
    }
}

/// The body of a letter that says which letters were replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayedBody {
    v: u32,
    /// The ids of the letters' inputs.
    pub ids: Vec<String>,
}

impl ReplayedBody {
    /// Says that inputs were replayed.
    #[must_use]
    pub const fn new(ids: Vec<String>) -> Self {
        Self { v: VERSION, ids }
    }

    /// The letter that says so.
    #[must_use]
    pub fn letter(&self, at: Timestamp) -> Letter {
        Letter {
            at,
            code: REPLAYED_CODE.to_owned(),
            field: String::new(),
            body: serde_json::to_string(self).expect("texts are always JSON"),
        }
    }
}

/// A letter on its way into the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// When it was refused.
    pub at: Timestamp,
    /// Why, for machines.
    pub code: String,
    /// The field, if it is one of ours; otherwise the seal has it.
    pub field: String,
    /// The body.
    pub body: String,
}

impl Letter {
    /// The letter as a record of the stream of dead letters.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record::DeadLetter(DeadLetter {
            at: self.at,
            code: &self.code,
            field: &self.field,
            expected: "",
            body: &self.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_comes_back_byte_for_byte_and_is_not_in_the_open() {
        let sealer = Sealer::new(&[3; 32], 1);
        let original = Original {
            field: "ann@x.org".to_owned(),
            value: Some(Base64(b"\x00\xffann@x.org".to_vec())),
            headers: vec![("content-type".to_owned(), Base64(b"\xff".to_vec()))],
            ..Original::default()
        };
        let source = LetterSource::Topic {
            topic: "clicks".to_owned(),
            partition: 3,
            offset: i64::MAX,
            timestamp: None,
        };
        let body =
            LetterBody::sealed(&sealer, &original, "i".into(), source, LetterKind::Event).unwrap();
        let json = body.to_json();
        assert!(
            json.contains(r#""topic":"clicks""#) && !json.contains("ann"),
            "{json}"
        );
        let again = LetterBody::from_json(&json).unwrap();
        assert_eq!(again.original(&sealer), Some(original));
        assert_eq!(again.original(&Sealer::new(&[4; 32], 1)), None);
        assert!(LetterBody::from_json(&json.replace("\"v\":1", "\"v\":2")).is_err());
    }
}
