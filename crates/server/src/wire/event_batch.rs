//! A body of events: one object, an array, or one object a line.
//!
//! The fast path parses the whole body straight into borrowed drafts. Only if that fails is the
//! body cut into its events, so that the good ones are taken and each bad one gets its reason.
//! Every list is bounded while it is read: `[{},{},…]` must not become memory.

use super::diagnose::diagnose;
use crate::error::ApiError;
use axum::http::{HeaderMap, StatusCode, header};
use nowcast_engine::EventDraft;
use nowcast_types::{Refusal, RefusalCode};
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// The events of one request, in order, with the unreadable ones set apart.
#[derive(Debug, Default)]
pub struct EventBatch<'a> {
    /// The readable events.
    pub drafts: Vec<EventDraft<'a>>,
    /// Place in the body and reason of each unreadable event, by rising place.
    pub unreadable: Vec<(usize, Refusal)>,
    /// Whether the body was one bare object.
    pub is_single: bool,
}

/// How the body of events is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One object or one array.
    Json,
    /// One object a line.
    Lines,
    /// Told by the first bytes.
    Sniff,
}

/// The layout that the `Content-Type` header names.
///
/// # Errors
/// 415 for a type that is not JSON.
pub fn layout(headers: &HeaderMap) -> Result<Layout, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Layout::Sniff);
    };
    let essence = value.to_str().unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/json" => Ok(Layout::Json),
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines" => Ok(Layout::Lines),
        // What `navigator.sendBeacon` and plain command lines send.
        "" | "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded" => {
            Ok(Layout::Sniff)
        }
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Content-Type must be application/json or application/x-ndjson",
        )),
    }
}

/// Reads a body of events.
///
/// # Errors
/// 400 if the body as a whole makes no sense, 413 if it holds more than `events_max` events.
pub fn parse(body: &[u8], layout: Layout, events_max: usize) -> Result<EventBatch<'_>, ApiError> {
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace());
    let Some(first) = start.map(|at| body[at]) else {
        let refusal = Refusal::new(RefusalCode::Empty, "", "one event, an array or one a line");
        return Err(ApiError::refusal(&refusal));
    };
    match (layout, first) {
        (Layout::Lines, _) => lines(body, events_max),
        (_, b'[') => array(text(body)?, events_max),
        (Layout::Json, _) => single_or_lines(body, false, events_max),
        (Layout::Sniff, _) => single_or_lines(body, true, events_max),
    }
}

fn text(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|error| {
        let expected = format!("UTF-8; the bytes at {} are not", error.valid_up_to());
        ApiError::refusal(&Refusal::new(RefusalCode::Malformed, "", expected))
    })
}

fn array(body: &str, events_max: usize) -> Result<EventBatch<'_>, ApiError> {
    if let Ok(drafts) = bounded::<EventDraft<'_>>(body, events_max) {
        return Ok(EventBatch {
            drafts,
            ..EventBatch::default()
        });
    }
    let raws = bounded::<&RawValue>(body, events_max).map_err(|error| {
        if error.is_data() {
            return too_many(events_max);
        }
        malformed(&error)
    })?;
    let mut batch = EventBatch::default();
    for (place, raw) in raws.into_iter().enumerate() {
        batch.push(place, raw.get());
    }
    Ok(batch)
}

fn single_or_lines(
    body: &[u8],
    may_be_lines: bool,
    events_max: usize,
) -> Result<EventBatch<'_>, ApiError> {
    let whole = text(body);
    if let Ok(whole) = whole
        && serde_json::from_str::<&RawValue>(whole).is_ok()
    {
        let mut batch = EventBatch {
            is_single: true,
            ..EventBatch::default()
        };
        batch.push(0, whole);
        return Ok(batch);
    }
    let is_many_lines = body.trim_ascii().contains(&b'\n');
    if may_be_lines && is_many_lines {
        return lines(body, events_max);
    }
    match serde_json::from_str::<&RawValue>(whole?) {
        Err(error) => Err(malformed(&error)),
        Ok(_) => Err(ApiError::internal()),
    }
}

fn lines(body: &[u8], events_max: usize) -> Result<EventBatch<'_>, ApiError> {
    let mut batch = EventBatch::default();
    let filled = body
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    for (place, line) in filled.enumerate() {
        if place == events_max {
            return Err(too_many(events_max));
        }
        match std::str::from_utf8(line) {
            Ok(line) => batch.push(place, line),
            Err(_) => {
                let refusal = Refusal::new(RefusalCode::Malformed, "", "a line of UTF-8");
                batch.unreadable.push((place, refusal));
            }
        }
    }
    Ok(batch)
}

impl<'a> EventBatch<'a> {
    fn push(&mut self, place: usize, json: &'a str) {
        match serde_json::from_str(json) {
            Ok(draft) => self.drafts.push(draft),
            Err(error) => self.unreadable.push((place, diagnose(json, &error))),
        }
    }

    /// Number of events in the body, readable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.drafts.len() + self.unreadable.len()
    }

    /// Whether the body held no event at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let expected = format!(
        "valid JSON; it breaks at line {} column {}",
        error.line(),
        error.column()
    );
    ApiError::refusal(&Refusal::new(RefusalCode::Malformed, "", expected))
}

fn too_many(events_max: usize) -> ApiError {
    ApiError::too_large(&format!("at most {events_max} events in one request"))
}

/// Reads a JSON array of at most `len_max` entries; one more is a data error.
fn bounded<'a, T: serde::Deserialize<'a>>(
    json: &'a str,
    len_max: usize,
) -> Result<Vec<T>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let list = BoundedList {
        len_max,
        entry: PhantomData,
    };
    let entries = list.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(entries)
}

struct BoundedList<T> {
    len_max: usize,
    entry: PhantomData<T>,
}

impl<'de, T: serde::Deserialize<'de>> DeserializeSeed<'de> for BoundedList<T> {
    type Value = Vec<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: serde::Deserialize<'de>> Visitor<'de> for BoundedList<T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {} entries", self.len_max)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        /// Room made at once: the usual batch, not the largest one.
        const CAPACITY: usize = 512;
        let mut list = Vec::with_capacity(self.len_max.min(CAPACITY));
        while let Some(entry) = entries.next_element()? {
            if list.len() == self.len_max {
                return Err(A::Error::custom("too many entries"));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(body: &str, layout: Layout) -> Result<(usize, Vec<usize>, bool), StatusCode> {
        parse(body.as_bytes(), layout, 4)
            .map(|batch| {
                let places = batch.unreadable.iter().map(|(place, _)| *place).collect();
                (batch.drafts.len(), places, batch.is_single)
            })
            .map_err(|error| error.status())
    }

    #[test]
    fn the_three_layouts_are_told_apart() {
        use Layout::{Json, Lines, Sniff};
        let one = r#" {"user_id":"a"} "#;
        let two = "{\"user_id\":\"a\"}\r\n\n{\"user_id\":\"b\"}\n";
        assert_eq!(shape(one, Json), Ok((1, vec![], true)));
        assert_eq!(shape(one, Sniff), Ok((1, vec![], true)));
        assert_eq!(shape(one, Lines), Ok((1, vec![], false)));
        assert_eq!(shape(two, Sniff), Ok((2, vec![], false)));
        assert_eq!(shape(two, Lines), Ok((2, vec![], false)));
        assert_eq!(shape(two, Json), Err(StatusCode::BAD_REQUEST));
        assert_eq!(
            shape(r#"[{},{"user_id":"b"}]"#, Json),
            Ok((2, vec![], false))
        );
        assert_eq!(shape("[]", Json), Ok((0, vec![], false)));
    }

    #[test]
    fn a_bad_event_does_not_spoil_its_neighbours() {
        let array = r#"[{"user_id":"a"},{"user_id":5},7,{"user_id":"b"}]"#;
        assert_eq!(shape(array, Layout::Json), Ok((2, vec![1, 2], false)));
        let lines = "{\"user_id\":\"a\"}\n{oops\n{\"user_id\":\"b\"}";
        assert_eq!(shape(lines, Layout::Lines), Ok((2, vec![1], false)));
    }

    #[test]
    fn more_events_than_allowed_are_too_large() {
        let too_large = Err(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(shape("[{},{},{},{},{}]", Layout::Json), too_large);
        assert_eq!(shape("[1,2,3,4,5]", Layout::Json), too_large);
        assert_eq!(shape("{}\n{}\n{}\n{}\n{}", Layout::Lines), too_large);
    }

    #[test]
    fn bodies_without_sense_are_refused_whole() {
        for body in [
            "",
            " \n ",
            "[{}",
            "[{},]",
            "[{}]x",
            "{",
            "nonsense",
            "\u{feff}{}",
        ] {
            let status = shape(body, Layout::Json);
            assert_eq!(status, Err(StatusCode::BAD_REQUEST), "{body:?}");
        }
        assert!(parse(b"{\"user_id\":\"\xff\"}", Layout::Json, 4).is_err());
    }

    #[test]
    fn other_media_types_are_refused() {
        let layout_of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            layout(&headers).map_err(|error| error.status())
        };
        assert_eq!(
            layout_of("application/json; charset=utf-8"),
            Ok(Layout::Json)
        );
        assert_eq!(layout_of("Application/X-NDJSON"), Ok(Layout::Lines));
        assert_eq!(layout_of("text/plain;charset=UTF-8"), Ok(Layout::Sniff));
        assert_eq!(
            layout_of("application/xml"),
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
    }
}
