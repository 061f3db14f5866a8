//! A dead letter's input as it is to be read again: as it was, patched, or replaced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nowcast_engine::Original;
use nowcast_engine::records::merge_patch;
use nowcast_schemas::Message;
use nowcast_types::Offset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which letter to replay, and what to read in place of its payload.
///
/// The fields have the names of a letter's view, so that a line of a listing with its `value`
/// changed is a repair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Repair {
    /// The letter.
    pub offset: Offset,
    /// A payload of JSON in place of the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// A payload of any bytes, in base64, in place of the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// A JSON merge patch (RFC 7396) for a payload that is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
}

impl Repair {
    /// A letter as it was.
    #[must_use]
    pub fn none(offset: Offset) -> Self {
        Self {
            offset,
            ..Self::default()
        }
    }
}

/// A message to be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Repaired {
    original: Original,
    value: Option<Vec<u8>>,
    /// Whether the payload was given as JSON, whatever the topic's format.
    pub(crate) is_json: bool,
}

impl Repaired {
    /// Applies a repair.
    pub(crate) fn new(repair: &Repair, original: Original) -> Result<Self, String> {
        let bytes = original.value.as_ref().map(|bytes| bytes.0.clone());
        let is_replaced = repair.value.is_some() || repair.value_base64.is_some();
        if original.bytes_left_out.is_some() && !is_replaced {
            return Err("its message was too large to be kept; it is at its source".to_owned());
        }
        let (mut value, mut is_json) = match (&repair.value, &repair.value_base64) {
            (Some(json), _) => (Some(json.to_string().into_bytes()), true),
            (None, Some(base64)) => {
                let bytes = STANDARD.decode(base64);
                let bytes = bytes.map_err(|error| format!("value_base64: {error}"))?;
                (Some(bytes), false)
            }
            (None, None) => (bytes, false),
        };
        if let Some(patch) = &repair.patch {
            let json = value.as_deref().map(serde_json::from_slice::<Value>);
            let Some(Ok(mut json)) = json else {
                return Err("its payload is not JSON, so no patch fits".to_owned());
            };
            merge_patch(&mut json, patch);
            value = Some(json.to_string().into_bytes());
            is_json = true;
        }
        Ok(Self {
            original,
            value,
            is_json,
        })
    }

    /// The headers of the message; JSON that was given needs none.
    pub(crate) fn headers(&self) -> Vec<(&str, &[u8])> {
        let headers = self.original.headers.iter();
        headers
            .filter(|(name, _)| !(self.is_json && name.eq_ignore_ascii_case("content-type")))
            .map(|(name, value)| (name.as_str(), value.0.as_slice()))
            .collect()
    }

    pub(crate) fn message<'r>(&'r self, headers: &'r [(&'r str, &'r [u8])]) -> Message<'r> {
        Message {
            value: self.value.as_deref(),
            key: self.original.key.as_ref().map(|key| key.0.as_slice()),
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_engine::dead_letter::Base64;
    use serde_json::json;

    fn repaired(repair: Repair) -> Result<Vec<u8>, String> {
        let original = Original {
            value: Some(Base64(br#"{"a":1,"b":2}"#.to_vec())),
            ..Original::default()
        };
        Repaired::new(&repair, original).map(|repaired| repaired.value.unwrap())
    }

    #[test]
    fn a_payload_stays_or_is_patched_or_replaced() {
        assert_eq!(repaired(Repair::none(1)).unwrap(), br#"{"a":1,"b":2}"#);
        let patch = Repair {
            patch: Some(json!({"b": null, "c": 3})),
            ..Repair::none(1)
        };
        assert_eq!(repaired(patch).unwrap(), br#"{"a":1,"c":3}"#);
        let value = Repair {
            value: Some(json!({"x": 1})),
            ..Repair::none(1)
        };
        assert_eq!(repaired(value).unwrap(), br#"{"x":1}"#);
        let bytes = Repair {
            value_base64: Some("AAE=".to_owned()),
            ..Repair::none(1)
        };
        assert_eq!(repaired(bytes.clone()).unwrap(), [0, 1]);
        let no_json = Repair {
            patch: Some(json!({})),
            ..bytes
        };
        assert!(repaired(no_json).is_err());
    }
}
