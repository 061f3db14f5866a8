//! A message that was refused, with everything needed to find it, repair it and send it again.
//!
//! It is kept as a JSON object, which is what the body of a dead letter in the log is. The
//! original bytes are in it as they came, raw ids included: only bytes that nobody could decode
//! end here, and an edge that must not keep them can drop `value` and keep the position.

use crate::fault::Fault;
use crate::message::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a message was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOrigin {
    /// The topic.
    pub topic: String,
    /// The partition of the topic.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
}

/// A refused message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedMessage {
    /// Where it was read.
    #[serde(flatten)]
    pub origin: MessageOrigin,
    /// What was found in place of what was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The payload; absent for a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Base64>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Base64>,
    /// The headers, in order.
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

impl RefusedMessage {
    /// A message, where it came from and what was found wrong with it.
    #[must_use]
    pub fn new(origin: MessageOrigin, message: &Message<'_>, fault: &Fault) -> Self {
        let header = |(name, value): &(&str, &[u8])| ((*name).to_owned(), Base64(value.to_vec()));
        Self {
            origin,
            found: fault.found.clone(),
            value: message.value.map(|bytes| Base64(bytes.to_vec())),
            key: message.key.map(|bytes| Base64(bytes.to_vec())),
            headers: message.headers.iter().map(header).collect(),
        }
    }

    /// The body of the dead letter; its code, field and expectation are the fault's own.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers are always JSON")
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// A sentence about what is wrong with the JSON.
    pub fn from_json(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Calls `f` with the message, to decode it again or to send it again.
    pub fn with_message<T>(&self, f: impl FnOnce(&Message<'_>) -> T) -> T {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &[u8])> = headers
            .map(|(name, value)| (name.as_str(), value.0.as_slice()))
            .collect();
        f(&Message {
            value: self.value.as_ref().map(|bytes| bytes.0.as_slice()),
            key: self.key.as_ref().map(|bytes| bytes.0.as_slice()),
            headers: &headers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultCode;

    #[test]
    fn a_refused_message_comes_back_byte_for_byte() {
        let headers = [("content-type", &b"\xff\x00"[..])];
        let message = Message {
            value: Some(b"\x00\xffnot json"),
            key: Some(b"k"),
            headers: &headers,
        };
        let origin = MessageOrigin {
            topic: "clicks".to_owned(),
            partition: 3,
            offset: i64::MAX,
        };
        let fault = Fault::new(FaultCode::Malformed, "", "JSON").found("x");
        let refused = RefusedMessage::new(origin, &message, &fault);
        let again = RefusedMessage::from_json(&refused.to_json()).unwrap();
        assert_eq!(again, refused);
        again.with_message(|restored| assert_eq!(*restored, message));
        assert!(RefusedMessage::from_json("{}").is_err());
    }
}
