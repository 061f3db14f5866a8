//! A dead letter as people and scripts see it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nowcast_engine::{LetterBody, LetterKind, LetterSource, Sealer};
use nowcast_types::{DeadLetter, Offset};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which letters to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Only those behind this one.
    pub after: Option<Offset>,
    /// At most so many.
    pub limit: usize,
    /// Only those with this reason.
    pub code: Option<String>,
    /// Only those of this topic.
    pub topic: Option<String>,
    /// Those that were replayed as well.
    pub all: bool,
    /// With the bytes of the input, raw ids included.
    pub bytes: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
            code: None,
            topic: None,
            all: false,
            bytes: false,
        }
    }
}

impl Wanted {
    pub(crate) fn fits(&self, code: &str, body: &LetterBody, is_replayed: bool) -> bool {
        let is_topic = |wanted: &String| matches!(&body.source, LetterSource::Topic { topic, .. } if topic == wanted);
        (self.all || !is_replayed)
            && self.code.as_ref().is_none_or(|wanted| wanted == code)
            && self.topic.as_ref().is_none_or(is_topic)
    }
}

/// A dead letter with its seal opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LetterView {
    /// Its place among the dead letters, by which it is named.
    pub offset: Offset,
    /// Names the input: equal for input that was stored twice.
    pub id: String,
    /// When it was refused, in milliseconds since 1970.
    pub at: i64,
    /// Why, for machines.
    pub code: String,
    /// The field that broke the rule.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was found, cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Where it came from.
    pub source: LetterSource,
    /// What it is about.
    pub kind: LetterKind,
    /// Whether its input was taken in since.
    pub replayed: bool,
    /// Whether this installation's key opens it; otherwise only what is in the open is shown.
    pub opened: bool,
    /// The input with pseudonyms in place of raw ids, where it could be read that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted: Option<Value>,
    /// The payload, if it is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The payload in base64, if it is not JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// The key of the message, as text as far as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The headers of the message, as text as far as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// How large the message was, if it was too large to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_left_out: Option<u64>,
}

impl LetterView {
    pub(crate) fn new(
        offset: Offset,
        letter: &DeadLetter<'_>,
        body: &LetterBody,
        sealer: &Sealer,
        replayed: bool,
    ) -> Self {
        let opened = body.original(sealer);
        let is_opened = opened.is_some();
        let original = opened.unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let bytes = original.value.as_ref().map(|bytes| bytes.0.as_slice());
        let value = bytes.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let value_base64 = bytes.filter(|_| value.is_none());
        let open_field = || letter.field.to_owned();
        Self {
            offset,
            id: body.id.clone(),
            at: letter.at.0,
            code: letter.code.to_owned(),
            field: if is_opened {
                original.field
            } else {
                open_field()
            },
            expected: original.expected,
            found: original.found,
            source: body.source.clone(),
            kind: body.kind,
            replayed,
            opened: is_opened,
            redacted: body.redacted.clone(),
            value_base64: value_base64.map(|bytes| STANDARD.encode(bytes)),
            value,
            key: original.key.map(|key| text(&key.0)),
            headers: original
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), text(&value.0)))
                .collect(),
            bytes_left_out: original.bytes_left_out,
        }
    }

    /// The same without what the sender wrote.
    pub(crate) fn without_bytes(self) -> Self {
        Self {
            value: None,
            value_base64: None,
            key: None,
            headers: Vec::new(),
            ..self
        }
    }
}
