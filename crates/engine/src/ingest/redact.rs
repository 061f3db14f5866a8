//! An event that was refused, twice: with pseudonyms in place of raw ids, to be studied, and as it
//! was sent, to be sealed and sent again. A raw id never reaches a file in the open.

use super::draft::{EventDraft, Text};
use super::when::When;
use crate::dead_letter::{Base64, Letter, LetterBody, LetterKind, LetterSource, Original};
use crate::pseudonym::Pseudonymizer;
use nowcast_types::{Refusal, Timestamp};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

/// The letter about a refused event of the API.
///
/// # Errors
/// A sentence if the system has no random bytes.
pub fn letter(
    draft: &EventDraft<'_>,
    refusal: &Refusal,
    at: Timestamp,
    pseudonymizer: &Pseudonymizer,
) -> Result<Letter, String> {
    let redacted = redacted(draft, pseudonymizer);
    let original = Original {
        field: refusal.field.clone(),
        expected: refusal.expected.clone(),
        found: refusal.value.clone(),
        value: Some(Base64(as_sent(draft).to_string().into_bytes())),
        ..Original::default()
    };
    // Equal input has an equal id, so a retry is told.
    let id = format!("{:032x}", xxh3_128(redacted.to_string().as_bytes()));
    let (source, kind) = (LetterSource::Http, LetterKind::Event);
    let body = LetterBody::sealed(pseudonymizer.sealer(), &original, id, source, kind)?;
    let body = body.with_redacted(redacted);
    Ok(Letter {
        at,
        code: refusal.code.as_str().to_owned(),
        field: refusal.field.clone(),
        body: body.to_json(),
    })
}

/// The draft as a JSON object; `user_id` and `session_id` are replaced by `user_key` and
/// `session_key` in hexadecimal digits.
#[must_use]
pub fn redacted(draft: &EventDraft<'_>, pseudonymizer: &Pseudonymizer) -> Value {
    let mut fields = without_ids(draft);
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    };
    let user_key = draft.user_id.as_ref().map(|id| pseudonymizer.user(id));
    put("user_key", user_key.map(|key| key.to_string()));
    let session = draft.session_id.as_ref();
    if draft.user_id.is_none() {
        let visitor = session.map(|id| pseudonymizer.visitor(id));
        put("visitor_key", visitor.map(|key| key.to_string()));
    }
    let session_key = session.map(|id| pseudonymizer.session(id).0);
    put("session_key", session_key.map(|key| format!("{key:016x}")));
    Value::Object(fields)
}

/// The draft as a client would send it.
fn as_sent(draft: &EventDraft<'_>) -> Value {
    let mut fields = without_ids(draft);
    for (name, id) in [
        ("user_id", &draft.user_id),
        ("session_id", &draft.session_id),
    ] {
        if let Some(id) = id {
            fields.insert(name.to_owned(), json!(&**id));
        }
    }
    Value::Object(fields)
}

fn without_ids(draft: &EventDraft<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| json!(&**text));
    put("event_id", text(&draft.event_id));
    put("event_type", text(&draft.event_type));
    put("item_id", text(&draft.item_id));
    let when = |when: &When<'_>| match when {
        When::Ms(ms) => json!(ms),
        When::Text(text) => json!(&**text),
    };
    put("timestamp", draft.timestamp.as_ref().map(when));
    put("value", draft.value.map(|value| json!(value)));
    put("slot", text(&draft.slot));
    put("request_id", text(&draft.request_id));
    put("device_type", text(&draft.device_type));
    put("location", text(&draft.location));
    let zone = draft.utc_offset_minutes;
    put("utc_offset_minutes", zone.map(|minutes| json!(minutes)));
    let properties = draft.properties;
    put(
        "properties",
        properties.and_then(|raw| serde_json::from_str(raw.get()).ok()),
    );
    let consent = draft.consent.as_ref();
    put(
        "consent",
        consent.map(|consent| {
            let purposes = [
                ("personalize", consent.personalize),
                ("train", consent.train),
            ];
            let told = purposes
                .into_iter()
                .filter_map(|(name, flag)| Some((name, flag?)));
            told.collect()
        }),
    );
    let version = draft.schema_version;
    put("schema_version", version.map(|version| json!(version)));
    fields
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
        let body = redacted(&draft, &pseudonymizer).to_string();
        assert!(
            !body.contains("ann@x.org") && !body.contains("s-77"),
            "{body}"
        );
        assert!(body.contains(&pseudonymizer.user("ann@x.org").to_string()));
        assert!(body.contains(r#""q":"x""#) && body.contains(r#""timestamp":5"#));
    }

    #[test]
    fn a_letter_holds_the_event_as_it_was_sent_under_a_seal() {
        let pseudonymizer = Pseudonymizer::new(&PseudonymKey::new(1, [1; 32]));
        let sent = r#"{"event_type":"click","user_id":"ann@x.org","consent":{"train":false},"timestamp":5}"#;
        let draft: EventDraft<'_> = serde_json::from_str(sent).unwrap();
        let refusal = Refusal::new(nowcast_types::RefusalCode::TooOld, "timestamp", "newer");
        let letter = letter(&draft, &refusal, Timestamp(9), &pseudonymizer).unwrap();
        assert!(!letter.body.contains("ann@x.org"), "{}", letter.body);
        let body = LetterBody::from_json(&letter.body).unwrap();
        let original = body.original(pseudonymizer.sealer()).unwrap();
        let value: Value = serde_json::from_slice(&original.value.unwrap().0).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(sent).unwrap());
    }
}
