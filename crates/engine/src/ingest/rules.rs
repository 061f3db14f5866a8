//! The rules of an acceptable event: one function, every field once, the first broken rule named.
//!
//! It turns a draft into an [`Event`] without its enrichment. It reads no clock (the arrival says
//! when) and keeps nothing.

use super::draft::{EventDraft, Text};
use super::event_id::{self, EventIdSource};
use crate::pseudonym::Pseudonymizer;
use nowcast_types::event::SCHEMA_VERSION;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, EventTypes, Limits, Refusal,
    RefusalCode, Timestamp,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// Whose word about time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrivalClock {
    /// Events come as they happen: age and clock skew are checked against the receipt.
    Live,
    /// History is imported: the event's own time is also its time of receipt.
    EventTime,
}

/// How a batch came in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When the edge received it.
    pub received_at: Timestamp,
    /// Which clock the rules of time use.
    pub clock: ArrivalClock,
    /// The device class of the sender, for events that name none.
    pub device: DeviceClass,
    /// Whether events whose time is out of bounds become dead letters here. Whoever keeps letters
    /// of its own, with the place the event came from, gets them as refused.
    pub keeps_letters: bool,
}

/// The rules with their limits, prepared once.
pub struct EventRules {
    limits: Limits,
    types: Arc<EventTypes>,
    expected_type: String,
    pseudonymizer: Arc<Pseudonymizer>,
}

/// A draft that passed, and the id it goes by.
#[derive(Debug)]
pub struct Admitted<'d> {
    /// The event, without id and categories (both are filled in beside it).
    pub event: Event<'d>,
    /// The client's id, or the derived one.
    pub event_id: Cow<'d, str>,
}

impl EventRules {
    /// Prepares the rules.
    #[must_use]
    pub fn new(limits: Limits, types: Arc<EventTypes>, pseudonymizer: Arc<Pseudonymizer>) -> Self {
        let names: Vec<&str> = types.names().collect();
        let expected_type = format!("one of {}", names.join(", "));
        Self {
            limits,
            types,
            expected_type,
            pseudonymizer,
        }
    }

    /// The limits the rules enforce.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The pseudonyms the rules use.
    #[must_use]
    pub const fn pseudonymizer(&self) -> &Arc<Pseudonymizer> {
        &self.pseudonymizer
    }

    /// Checks one draft. `index` is its place in the batch.
    ///
    /// # Errors
    /// The first broken rule. The codes `too_old` and `too_far_ahead` mean that everything else
    /// about the event was right.
    pub fn admit<'d>(
        &self,
        draft: &'d EventDraft<'_>,
        arrival: &Arrival,
        ids: &EventIdSource,
        index: usize,
    ) -> Result<Admitted<'d>, Refusal> {
        let event_type = self.event_type(draft)?;
        let user_id = self.id("user_id", draft.user_id.as_ref())?;
        let session_id = self.id("session_id", draft.session_id.as_ref())?;
        let item_id = self.id("item_id", draft.item_id.as_ref())?;
        if item_id.is_none() && self.types.get(event_type).is_some_and(|def| def.needs_item) {
            return Err(missing(
                "item_id",
                "the item that this type of event is about",
            ));
        }
        let user = match (user_id, session_id) {
            (Some(user_id), _) => self.pseudonymizer.user(user_id),
            (None, Some(session_id)) => self.pseudonymizer.visitor(session_id),
            (None, None) => return Err(missing("user_id", "a user_id or a session_id")),
        };
        let client_id = self.id("event_id", draft.event_id.as_ref())?;
        let (timestamp, zone) = match &draft.timestamp {
            Some(when) => when.resolve()?,
            None => (arrival.received_at, None),
        };
        let event = Event {
            event_id: "",
            event_type,
            user,
            session: session_id.map(|id| self.pseudonymizer.session(id)),
            item_id,
            timestamp,
            received_at: match arrival.clock {
                ArrivalClock::Live => arrival.received_at,
                ArrivalClock::EventTime => timestamp,
            },
            value: value(draft.value)?,
            slot: self.id("slot", draft.slot.as_ref())?,
            request_id: self.id("request_id", draft.request_id.as_ref())?,
            device: device(draft.device_type.as_ref(), arrival.device)?,
            location: self.id("location", draft.location.as_ref())?,
            utc_offset_minutes: utc_offset(draft.utc_offset_minutes, zone)?,
            categories: Categories::new(),
            properties: self.properties(draft.properties)?,
            consent: draft.consent.as_ref().map_or(Consent::ALL, Consent::from),
            schema_version: schema_version(draft.schema_version)?,
        };
        if arrival.clock == ArrivalClock::Live {
            self.check_age(timestamp, arrival.received_at)?;
        }
        let event_id = match client_id {
            Some(id) => Cow::Borrowed(id),
            None if draft.timestamp.is_some() => Cow::Owned(event_id::of_content(&event)),
            // Nothing tells a retry from a second event of the same kind.
            None => Cow::Owned(ids.next(index)),
        };
        Ok(Admitted { event, event_id })
    }

    fn event_type(&self, draft: &EventDraft<'_>) -> Result<EventTypeCode, Refusal> {
        let Some(name) = &draft.event_type else {
            return Err(missing("event_type", &self.expected_type));
        };
        self.types.code(name).ok_or_else(|| {
            Refusal::new(
                RefusalCode::UnknownName,
                "event_type",
                self.expected_type.as_str(),
            )
            .with_value(&**name)
        })
    }

    fn id<'d>(
        &self,
        field: &'static str,
        text: Option<&'d Text<'_>>,
    ) -> Result<Option<&'d str>, Refusal> {
        let Some(text) = text else { return Ok(None) };
        check_id(field, text, self.limits.id_bytes_max)?;
        Ok(Some(text))
    }

    fn properties<'d>(&self, raw: Option<&'d RawValue>) -> Result<Option<&'d str>, Refusal> {
        let Some(text) = raw.map(RawValue::get) else {
            return Ok(None);
        };
        if !text.starts_with('{') {
            return Err(
                Refusal::new(RefusalCode::WrongType, "properties", "a JSON object")
                    .with_value(text),
            );
        }
        let bytes_max = self.limits.properties_bytes_max;
        if text.len() as u64 > bytes_max.bytes() {
            return Err(Refusal::new(
                RefusalCode::TooLong,
                "properties",
                format!("at most {bytes_max} of JSON"),
            ));
        }
        check_nesting("properties", text, self.limits.nesting_max)?;
        Ok(Some(text))
    }

    fn check_age(&self, timestamp: Timestamp, received_at: Timestamp) -> Result<(), Refusal> {
        let age_ms = received_at.since_ms(timestamp);
        let (age_max, ahead_max) = (self.limits.event_age_max, self.limits.clock_ahead_max);
        if age_ms > age_max.ms() {
            return Err(Refusal::new(
                RefusalCode::TooOld,
                "timestamp",
                format!("at most {age_max} old"),
            )
            .with_value(timestamp));
        }
        if -age_ms > ahead_max.ms() {
            return Err(Refusal::new(
                RefusalCode::TooFarAhead,
                "timestamp",
                format!("at most {ahead_max} ahead of our clock"),
            )
            .with_value(timestamp));
        }
        Ok(())
    }
}

/// Checks an id: not empty, not longer than `bytes_max`, no control characters.
///
/// # Errors
/// The broken rule. The value of a `user_id` or `session_id` is never echoed.
pub fn check_id(field: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    let refuse = |code, expected: String| {
        let refusal = Refusal::new(code, field, expected);
        if matches!(field, "user_id" | "session_id") {
            Err(refusal)
        } else {
            Err(refusal.with_value(text.escape_debug()))
        }
    };
    if text.is_empty() {
        return refuse(RefusalCode::Empty, "at least one character".to_owned());
    }
    if text.len() > bytes_max {
        return refuse(RefusalCode::TooLong, format!("at most {bytes_max} bytes"));
    }
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return refuse(
            RefusalCode::BadCharacter,
            "no control characters".to_owned(),
        );
    }
    Ok(())
}

/// Checks that JSON text nests at most `levels_max` objects or arrays.
///
/// # Errors
/// A refusal of `field` with the code `too_deep`.
pub fn check_nesting(field: &str, json: &str, levels_max: usize) -> Result<(), Refusal> {
    if nesting(json.as_bytes()) <= levels_max {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::TooDeep,
        field,
        format!("at most {levels_max} levels of nesting"),
    ))
}

/// The deepest nesting of brackets outside strings.
fn nesting(json: &[u8]) -> usize {
    let (mut level, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn missing(field: &str, expected: &str) -> Refusal {
    Refusal::new(RefusalCode::Missing, field, expected)
}

fn value(value: Option<f64>) -> Result<Option<f32>, Refusal> {
    let Some(wide) = value else { return Ok(None) };
    let narrow = wide as f32;
    if narrow.is_finite() {
        return Ok(Some(narrow));
    }
    Err(Refusal::new(
        RefusalCode::OutOfRange,
        "value",
        "a number that fits 32 bits of floating point",
    )
    .with_value(wide))
}

fn device(name: Option<&Text<'_>>, sender: DeviceClass) -> Result<DeviceClass, Refusal> {
    let Some(name) = name else { return Ok(sender) };
    DeviceClass::from_name(name).ok_or_else(|| {
        let names = DeviceClass::ALL.map(DeviceClass::name).join(", ");
        Refusal::new(
            RefusalCode::UnknownName,
            "device_type",
            format!("one of {names}"),
        )
        .with_value(&**name)
    })
}

/// The largest distance of a zone from Greenwich that RFC 3339 can write.
const UTC_OFFSET_MINUTES_MAX: i64 = 23 * 60 + 59;

fn utc_offset(field: Option<i64>, zone_of_timestamp: Option<i16>) -> Result<i16, Refusal> {
    let Some(minutes) = field else {
        return Ok(zone_of_timestamp.unwrap_or(0));
    };
    if minutes.abs() > UTC_OFFSET_MINUTES_MAX {
        return Err(Refusal::new(
            RefusalCode::OutOfRange,
            "utc_offset_minutes",
            format!("from -{UTC_OFFSET_MINUTES_MAX} to {UTC_OFFSET_MINUTES_MAX}"),
        )
        .with_value(minutes));
    }
    Ok(minutes as i16)
}

fn schema_version(version: Option<i64>) -> Result<u8, Refusal> {
    match version {
        None => Ok(SCHEMA_VERSION),
        Some(version) if (1..=i64::from(SCHEMA_VERSION)).contains(&version) => Ok(version as u8),
        Some(version) => Err(Refusal::new(
            RefusalCode::OutOfRange,
            "schema_version",
            format!("from 1 to {SCHEMA_VERSION}"),
        )
        .with_value(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::PseudonymKey;
    use nowcast_types::{ByteSize, Span};

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn rules() -> EventRules {
        let limits = Limits {
            id_bytes_max: 16,
            body_bytes_max: ByteSize(1 << 20),
            batch_events_max: 10,
            nesting_max: 3,
            properties_bytes_max: ByteSize(64),
            categories_max: 4,
            clock_ahead_max: Span(300_000),
            event_age_max: Span(86_400_000),
        };
        let key = PseudonymKey::new(1, [9; 32]);
        EventRules::new(
            limits,
            Arc::new(EventTypes::default()),
            Arc::new(Pseudonymizer::new(&key)),
        )
    }

    fn check(fields: &str) -> Result<(String, Timestamp, i16), (RefusalCode, String)> {
        let json = format!(r#"{{"user_id":"ann","event_type":"click","item_id":"i1",{fields}}}"#);
        // A later field of the same name replaces the default one.
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let text = value.to_string();
        let draft: EventDraft<'_> = serde_json::from_str(&text).unwrap();
        let arrival = Arrival {
            received_at: NOW,
            clock: ArrivalClock::Live,
            device: DeviceClass::Desktop,
            keeps_letters: true,
        };
        rules()
            .admit(&draft, &arrival, &EventIdSource::with_nonce(7), 0)
            .map(|admitted| {
                let event = &admitted.event;
                (
                    admitted.event_id.to_string(),
                    event.timestamp,
                    event.utc_offset_minutes,
                )
            })
            .map_err(|refusal| (refusal.code, refusal.field))
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        use RefusalCode as Code;
        let deep = r#""properties":{"a":[{"b":[1]}]}"#;
        let long = format!(r#""properties":{{"a":"{}"}}"#, "x".repeat(80));
        for (fields, code, field) in [
            (r#""event_type":null"#, Code::Missing, "event_type"),
            (r#""event_type":"tap""#, Code::UnknownName, "event_type"),
            (r#""user_id":null"#, Code::Missing, "user_id"),
            (r#""user_id":"""#, Code::Empty, "user_id"),
            (r#""user_id":"aaaaaaaaaaaaaaaaa""#, Code::TooLong, "user_id"),
            (
                r#""session_id":"a\u0000""#,
                Code::BadCharacter,
                "session_id",
            ),
            (r#""item_id":null"#, Code::Missing, "item_id"),
            (r#""item_id":"a\nb""#, Code::BadCharacter, "item_id"),
            (r#""timestamp":"yesterday""#, Code::Malformed, "timestamp"),
            (r#""timestamp":-5"#, Code::OutOfRange, "timestamp"),
            (r#""timestamp":1000"#, Code::TooOld, "timestamp"),
            (
                r#""timestamp":1795000300001"#,
                Code::TooFarAhead,
                "timestamp",
            ),
            (r#""value":1e39"#, Code::OutOfRange, "value"),
            (
                r#""device_type":"fridge""#,
                Code::UnknownName,
                "device_type",
            ),
            (
                r#""utc_offset_minutes":1440"#,
                Code::OutOfRange,
                "utc_offset_minutes",
            ),
            (r#""properties":[1]"#, Code::WrongType, "properties"),
            (deep, Code::TooDeep, "properties"),
            (&long, Code::TooLong, "properties"),
            (r#""schema_version":2"#, Code::OutOfRange, "schema_version"),
        ] {
            assert_eq!(check(fields), Err((code, field.to_owned())), "{fields}");
        }
    }

    #[test]
    fn the_edges_of_the_ranges_are_inside() {
        assert!(check(r#""timestamp":1795000300000"#).is_ok());
        assert!(check(r#""timestamp":1794913600000"#).is_ok());
        assert!(check(r#""properties":{"a":[{"b":"}]{["}]}"#).is_ok());
        assert!(check(r#""user_id":"aaaaaaaaaaaaaaaa""#).is_ok());
    }

    #[test]
    fn a_derived_id_follows_the_content_and_only_it() {
        let at = r#""timestamp":1795000000000"#;
        let first = check(at).unwrap().0;
        assert_eq!(check(at).unwrap().0, first, "a retry has the same id");
        for other in [
            r#""timestamp":1795000000001"#,
            r#""timestamp":1795000000000,"value":0"#,
            r#""timestamp":1795000000000,"item_id":"i2""#,
            r#""timestamp":1795000000000,"user_id":"bob""#,
            r#""timestamp":1795000000000,"slot":"i1""#,
        ] {
            assert_ne!(check(other).unwrap().0, first, "{other}");
        }
        assert_eq!(check(r#""event_id":"mine""#).unwrap().0, "mine");
    }

    #[test]
    fn the_zone_comes_from_the_field_or_the_timestamp() {
        let text = r#""timestamp":"2026-11-18T12:06:40+02:00""#;
        assert_eq!(check(text).unwrap().2, 120);
        let both = format!(r#"{text},"utc_offset_minutes":-60"#);
        assert_eq!(check(&both).unwrap().2, -60);
    }

    #[test]
    fn brackets_inside_strings_do_not_nest() {
        assert_eq!(nesting(br#"{"a":"[[[\"[["}"#), 1);
        assert_eq!(nesting(b"[[[]]][]"), 3);
    }
}
