//! Which format a message has: told by its topic, its content type, or its first bytes.

use crate::fault::{Fault, FaultCode};
use crate::topic::TopicFormat;

/// The first byte of the registry's header.
const REGISTRY_MAGIC: u8 = 0;
/// The first two bytes of Avro's single-object encoding (Avro 1.12.0, "Single-object encoding").
const SINGLE_OBJECT_MAGIC: [u8; 2] = [0xc3, 0x01];

/// The payload with its wrapping taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body<'m> {
    Json(&'m [u8]),
    /// A schema id and what it describes.
    Registered(u32, &'m [u8]),
    /// A schema fingerprint and the datum.
    SingleObject(u64, &'m [u8]),
    /// The shipped Protobuf message.
    Protobuf(&'m [u8]),
    /// A whole CloudEvent in JSON.
    CloudEvent(&'m [u8]),
}

/// What a content type says about a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    Avro,
    Protobuf,
    CloudEventJson,
    /// Nothing useful: none given, or bytes of any kind.
    Untold,
}

impl Content {
    /// The content of a media type, whose parameters do not matter.
    pub(super) fn of(media_type: Option<&str>) -> Result<Self, Fault> {
        let Some(media_type) = media_type else {
            return Ok(Self::Untold);
        };
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        Ok(match essence.as_str() {
            "" | "application/octet-stream" | "text/plain" => Self::Untold,
            "application/cloudevents+json" => Self::CloudEventJson,
            "application/json" | "text/json" => Self::Json,
            "application/avro"
            | "avro/binary"
            | "application/vnd.apache.avro"
            | "application/vnd.apache.avro+binary"
            | "application/x-avro" => Self::Avro,
            "application/protobuf"
            | "application/x-protobuf"
            | "application/vnd.google.protobuf" => Self::Protobuf,
            other if other.starts_with("application/cloudevents") => {
                return Err(unsupported(other));
            }
            other if other.ends_with("+json") => Self::Json,
            other => return Err(unsupported(other)),
        })
    }
}

fn unsupported(essence: &str) -> Fault {
    let expected = "JSON, Avro or Protobuf, or application/cloudevents+json";
    Fault::new(FaultCode::UnsupportedContentType, "", expected).found(essence)
}

/// Takes the wrapping off a payload.
pub(super) fn open(bytes: &[u8], format: TopicFormat, content: Content) -> Result<Body<'_>, Fault> {
    if bytes.is_empty()
        && !matches!(
            (format, content),
            (TopicFormat::Protobuf, _) | (_, Content::Protobuf)
        )
    {
        return Err(Fault::new(FaultCode::Empty, "", "a message with a payload"));
    }
    if let [REGISTRY_MAGIC, rest @ ..] = bytes {
        let Some((id, rest)) = rest.split_first_chunk::<4>() else {
            let expected = "a schema id of four bytes behind the zero byte";
            return Err(Fault::new(FaultCode::Truncated, "", expected).found(bytes.len()));
        };
        return Ok(Body::Registered(u32::from_be_bytes(*id), rest));
    }
    if let [a, b, rest @ ..] = bytes
        && [*a, *b] == SINGLE_OBJECT_MAGIC
        && matches!(
            format,
            TopicFormat::Auto | TopicFormat::Avro | TopicFormat::CloudEvents
        )
        && matches!(content, Content::Untold | Content::Avro)
    {
        let Some((fingerprint, rest)) = rest.split_first_chunk::<8>() else {
            let expected = "a schema fingerprint of eight bytes";
            return Err(Fault::new(FaultCode::Truncated, "", expected).found(bytes.len()));
        };
        return Ok(Body::SingleObject(u64::from_le_bytes(*fingerprint), rest));
    }
    match (format, content) {
        (TopicFormat::CloudEvents, Content::Untold) if looks_like_json(bytes) => {
            Ok(Body::CloudEvent(bytes))
        }
        (TopicFormat::Auto | TopicFormat::CloudEvents, Content::CloudEventJson) => {
            Ok(Body::CloudEvent(bytes))
        }
        (TopicFormat::Json, _) | (TopicFormat::Auto, Content::Json) => Ok(Body::Json(bytes)),
        (TopicFormat::Auto, Content::Untold) if looks_like_json(bytes) => Ok(Body::Json(bytes)),
        (TopicFormat::Protobuf, _) | (TopicFormat::Auto, Content::Protobuf) => {
            Ok(Body::Protobuf(bytes))
        }
        _ => Err(unknown(bytes, format)),
    }
}

fn looks_like_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | b'"'))
}

fn unknown(bytes: &[u8], format: TopicFormat) -> Fault {
    let expected = match format {
        TopicFormat::Avro => {
            "Avro with a registry header (first byte 0) or a single object (C3 01); a bare datum does not tell its schema"
        }
        TopicFormat::CloudEvents => "a CloudEvent: ce_ headers, or application/cloudevents+json",
        _ => {
            "JSON, a registry header (first byte 0), an Avro single object (C3 01), or a content-type header"
        }
    };
    let mut found = String::new();
    for byte in bytes.iter().take(8) {
        found.push_str(&format!("{byte:02x}"));
    }
    Fault::new(FaultCode::UnknownFormat, "", expected).found(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_format() {
        let auto = |bytes| open(bytes, TopicFormat::Auto, Content::Untold);
        assert_eq!(auto(b" {}"), Ok(Body::Json(b" {}")));
        assert_eq!(auto(b"\0\0\0\x01\x02xy"), Ok(Body::Registered(258, b"xy")));
        assert_eq!(
            auto(b"\xc3\x01\x01\0\0\0\0\0\0\0z"),
            Ok(Body::SingleObject(1, b"z"))
        );
        for (bytes, code) in [
            (&b""[..], FaultCode::Empty),
            (b"\0\0\0", FaultCode::Truncated),
            (b"\xc3\x01\x01", FaultCode::Truncated),
            (b"\x0a\x01x", FaultCode::UnknownFormat),
        ] {
            assert_eq!(auto(bytes).unwrap_err().code, code);
        }
    }

    #[test]
    fn a_content_type_may_have_parameters_and_any_case() {
        assert_eq!(
            Content::of(Some("Application/JSON; charset=utf-8")),
            Ok(Content::Json)
        );
        assert_eq!(
            Content::of(Some("application/vnd.shop.click+json")),
            Ok(Content::Json)
        );
        for bad in ["application/cloudevents-batch+json", "image/png"] {
            assert_eq!(
                Content::of(Some(bad)).unwrap_err().code,
                FaultCode::UnsupportedContentType
            );
        }
    }
}
