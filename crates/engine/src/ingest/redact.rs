//! The body of a dead letter: the event as it was sent, with pseudonyms in place of raw ids, so
//! that it can be studied and sent again without a raw id ever reaching a file.

use super::draft::{EventDraft, Text};
use super::when::When;
use crate::pseudonym::Pseudonymizer;
use serde_json::{Map, Value, json};

/// The draft as a JSON object; `user_id` and `session_id` are replaced by `user_key` and
/// `session_key` in hexadecimal digits.
#[must_use]
pub fn redacted(draft: &EventDraft<'_>, pseudonymizer: &Pseudonymizer) -> String {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| json!(&**text));
    put("event_id", text(&draft.event_id));
    put("event_type", text(&draft.event_type));
    let user_key = draft.user_id.as_ref().map(|id| pseudonymizer.user(id));
    put("user_key", user_key.map(|key| json!(key.to_string())));
    let session = draft.session_id.as_ref();
    if draft.user_id.is_none() {
        let visitor = session.map(|id| pseudonymizer.visitor(id));
        put("visitor_key", visitor.map(|key| json!(key.to_string())));
    }
    let session_key = session.map(|id| pseudonymizer.session(id).0);
    put(
        "session_key",
        session_key.map(|key| json!(format!("{key:016x}"))),
    );
    put("item_id", text(&draft.item_id));
    put(
        "timestamp",
        draft.timestamp.as_ref().map(|when| match when {
            When::Ms(ms) => json!(ms),
            When::Text(text) => json!(&**text),
        }),
    );
    put("value", draft.value.map(|value| json!(value)));
    put("slot", text(&draft.slot));
    put("request_id", text(&draft.request_id));
    put("device_type", text(&draft.device_type));
    put("location", text(&draft.location));
    put(
        "utc_offset_minutes",
        draft.utc_offset_minutes.map(|minutes| json!(minutes)),
    );
    put(
        "properties",
        draft
            .properties
            .and_then(|raw| serde_json::from_str(raw.get()).ok()),
    );
    put(
        "consent",
        draft
            .consent
            .as_ref()
            .map(|consent| json!({"personalize": consent.personalize, "train": consent.train})),
    );
    put(
        "schema_version",
        draft.schema_version.map(|version| json!(version)),
    );
    Value::Object(fields).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::PseudonymKey;

    #[test]
    fn raw_ids_are_gone_and_the_rest_is_there() {
        let pseudonymizer = Pseudonymizer::new(&PseudonymKey::new(1, [1; 32]));
        let draft: EventDraft<'_> = serde_json::from_str(
            r#"{"user_id":"ann@x.org","session_id":"s-77","item_id":"i1","timestamp":5,"properties":{"q":"x"}}"#,
        )
        .unwrap();
        let body = redacted(&draft, &pseudonymizer);
        assert!(
            !body.contains("ann@x.org") && !body.contains("s-77"),
            "{body}"
        );
        assert!(body.contains(&pseudonymizer.user("ann@x.org").to_string()));
        assert!(body.contains(r#""q":"x""#) && body.contains(r#""timestamp":5"#));
    }
}
