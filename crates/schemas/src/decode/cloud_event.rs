//! CloudEvents 1.0: the attributes around an event, from headers (binary mode of the Kafka
//! protocol binding) or from the JSON format (structured mode).
//!
//! The attributes fill what the data leaves out: `id` the event id, `time` the timestamp, `type`
//! the event type and, where the topic says so, `subject` the user, session or item.

use crate::fault::{Fault, FaultCode};
use crate::fields::{EventFields, When};
use crate::message::Message;
use crate::topic::{SubjectField, TopicConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The attributes that are used; others are passed over.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes<'m> {
    pub(super) id: Cow<'m, str>,
    pub(super) event_type: Cow<'m, str>,
    pub(super) time: Option<Cow<'m, str>>,
    pub(super) subject: Option<Cow<'m, str>>,
    pub(super) content_type: Option<Cow<'m, str>>,
}

/// The data of a structured CloudEvent.
#[derive(Debug)]
pub(super) enum Data<'m> {
    Json(&'m RawValue),
    Bytes(Vec<u8>),
}

fn bad(attribute: &str, expected: &str) -> Fault {
    Fault::new(FaultCode::BadCloudEvent, attribute, expected)
}

fn check_version(version: Option<&str>) -> Result<(), Fault> {
    match version {
        Some("1.0") => Ok(()),
        other => Err(bad("specversion", "1.0").found(other.unwrap_or("nothing"))),
    }
}

fn required<T>(attribute: &str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| bad(attribute, "the attribute, which CloudEvents requires"))
}

/// The attributes in the headers, if the message is a CloudEvent in binary mode.
pub(super) fn from_headers<'m>(message: &Message<'m>) -> Result<Option<Attributes<'m>>, Fault> {
    if message.header("ce_specversion").is_none() {
        return Ok(None);
    }
    check_version(message.text_header("ce_specversion"))?;
    let text = |attribute: &str| -> Result<Option<Cow<'m, str>>, Fault> {
        let Some(bytes) = message.header(&format!("ce_{attribute}")) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes).map_err(|_| bad(attribute, "UTF-8"))?;
        Ok(Some(Cow::Borrowed(text)).filter(|text| !text.is_empty()))
    };
    required("source", text("source")?)?;
    Ok(Some(Attributes {
        id: required("id", text("id")?)?,
        event_type: required("type", text("type")?)?,
        time: text("time")?,
        subject: text("subject")?,
        content_type: message.text_header("content-type").map(Cow::Borrowed),
    }))
}

#[derive(Deserialize)]
struct Structured<'m> {
    specversion: Option<String>,
    #[serde(borrow)]
    id: Option<Cow<'m, str>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Cow<'m, str>>,
    #[serde(borrow)]
    source: Option<Cow<'m, str>>,
    time: Option<String>,
    subject: Option<String>,
    datacontenttype: Option<String>,
    #[serde(borrow)]
    data: Option<&'m RawValue>,
    data_base64: Option<String>,
}

/// Reads a CloudEvent in the JSON format.
pub(super) fn from_json(bytes: &[u8]) -> Result<(Attributes<'_>, Data<'_>), Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("", "UTF-8"))?;
    let event: Structured<'_> =
        serde_json::from_str(text).map_err(|error| bad("", "a CloudEvent in JSON").found(error))?;
    check_version(event.specversion.as_deref())?;
    let filled = |text: &Cow<'_, str>| !text.is_empty();
    required("source", event.source.filter(filled))?;
    let attributes = Attributes {
        id: required("id", event.id.filter(filled))?,
        event_type: required("type", event.event_type.filter(filled))?,
        time: event.time.map(Cow::Owned),
        subject: event.subject.map(Cow::Owned),
        content_type: event.datacontenttype.map(Cow::Owned),
    };
    let data = match (event.data, event.data_base64) {
        (Some(_), Some(_)) => return Err(bad("data", "either data or data_base64")),
        (Some(json), None) => Data::Json(json),
        (None, Some(base64)) => {
            let bytes = STANDARD.decode(base64);
            Data::Bytes(bytes.map_err(|error| bad("data_base64", "base64").found(error))?)
        }
        (None, None) => return Err(bad("data", "data or data_base64")),
    };
    Ok((attributes, data))
}

/// Fills the fields that the data left out.
pub(super) fn fill<'m>(
    fields: &mut EventFields<'m>,
    attributes: Attributes<'m>,
    topic: &TopicConfig,
) {
    fields.event_id.get_or_insert(attributes.id);
    if let Some(time) = attributes.time {
        fields.timestamp.get_or_insert(When::Text(time));
    }
    fields.event_type.get_or_insert_with(|| {
        match topic.cloud_event_types.get(attributes.event_type.as_ref()) {
            Some(mapped) => Cow::Owned(mapped.clone()),
            None => last_part(attributes.event_type),
        }
    });
    if let (Some(subject), Some(place)) = (attributes.subject, topic.cloud_event_subject) {
        let field = match place {
            SubjectField::UserId => &mut fields.user_id,
            SubjectField::SessionId => &mut fields.session_id,
            SubjectField::ItemId => &mut fields.item_id,
        };
        field.get_or_insert(subject);
    }
}

/// What follows the last dot.
fn last_part(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.rsplit('.').next().unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(text.rsplit('.').next().unwrap_or(&text).to_owned()),
    }
}
