//! No input makes the decoder panic: hundreds of thousands of damaged messages, and any bytes.

use crate::samples::{self, decoder, with_header};
use nowcast_schemas::registry::NewSchema;
use nowcast_schemas::schema_type::{SchemaText, SchemaType};
use nowcast_schemas::shipped::SHIPPED;
use nowcast_schemas::{
    Decoded, Decoder, Message, Obstacle, RecordKind, Registry, TopicConfig, TopicFormat,
};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

const SEED: u64 = 0x5eed;

fn corpus() -> Vec<Vec<u8>> {
    let indexed = [&[0][..], &samples::protobuf_message()].concat();
    let single = {
        let schema = samples::text(RecordKind::Event, SchemaType::Avro);
        let print = Decoder::default().learn_fingerprint(&schema).unwrap();
        [
            &[0xc3, 0x01][..],
            &print.to_le_bytes(),
            &samples::avro_datum(),
        ]
        .concat()
    };
    let envelope = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/","type":"a.click","data":{}}}"#,
        samples::EVENT
    );
    vec![
        samples::EVENT.as_bytes().to_vec(),
        with_header(samples::AVRO_ID, &samples::avro_datum()),
        with_header(samples::PROTOBUF_ID, &indexed),
        with_header(samples::JSON_ID, samples::EVENT.as_bytes()),
        single,
        samples::protobuf_message(),
        envelope.into_bytes(),
    ]
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut SmallRng) {
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            bytes.push(rng.random());
            continue;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            4 => {
                bytes.remove(at);
            }
            5 => bytes[at] = [0xff, 0x80, 0x00, 0x7f][rng.random_range(0..4)],
            _ => {
                let end = (at + rng.random_range(1..16)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}

fn topics() -> Vec<TopicConfig> {
    let mut topics = Vec::new();
    for format in [
        TopicFormat::Auto,
        TopicFormat::Json,
        TopicFormat::Avro,
        TopicFormat::Protobuf,
        TopicFormat::CloudEvents,
    ] {
        for kind in [RecordKind::Event, RecordKind::Any, RecordKind::Item] {
            topics.push(TopicConfig {
                kind,
                format,
                ..TopicConfig::default()
            });
        }
    }
    topics
}

#[test]
fn a_damaged_message_is_decoded_or_refused_and_never_panics() {
    let (decoder, corpus, topics) = (decoder(), corpus(), topics());
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut slowest = Duration::ZERO;
    let (mut decoded, mut refused, mut asked) = (0, 0, 0);
    for round in 0..300_000 {
        let mut bytes = corpus[round % corpus.len()].clone();
        mutate(&mut bytes, &mut rng);
        // Events in every format most of the time, other kinds now and then.
        let topic = if round % 4 == 0 {
            &topics[rng.random_range(0..topics.len())]
        } else {
            &topics[0]
        };
        let start = Instant::now();
        match decoder.try_decode(&Message::of_value(&bytes), topic) {
            Ok(Decoded::Event(fields)) => {
                decoded += 1;
                assert!(fields.to_json().is_object());
            }
            Ok(_) => decoded += 1,
            Err(Obstacle::Fault(fault)) => {
                refused += 1;
                assert!(!fault.expected.is_empty());
            }
            Err(Obstacle::NeedsSchema(_)) => asked += 1,
        }
        slowest = slowest.max(start.elapsed());
    }
    // The mutations are neither all harmless nor all fatal, or the test would prove nothing.
    assert!(
        decoded > 10_000 && refused > 10_000 && asked > 100,
        "{decoded} {refused} {asked}"
    );
    println!(
        "seed {SEED:#x}: {decoded} decoded, {refused} refused, {asked} need a schema, slowest {slowest:?}"
    );
}

#[test]
fn a_few_bytes_that_claim_much_cost_little() {
    let decoder = Decoder::default();
    let any = TopicConfig {
        kind: RecordKind::Any,
        ..TopicConfig::default()
    };
    for (id, schema, datum) in [
        (
            1,
            r#"{"type":"array","items":"null"}"#,
            &b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"[..],
        ),
        (
            2,
            r#"{"type":"map","values":"int"}"#,
            b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f",
        ),
        (
            3,
            r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#,
            b"",
        ),
        (4, "\"string\"", b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"),
        (
            5,
            r#"{"type":"fixed","name":"F","size":9000000000000}"#,
            b"x",
        ),
    ] {
        decoder.learn_schema(id, &SchemaText::new(SchemaType::Avro, schema));
        let start = Instant::now();
        let bytes = with_header(id, datum);
        let answer = decoder.try_decode(&Message::of_value(&bytes), &any);
        assert!(
            matches!(answer, Err(Obstacle::Fault(_))),
            "{schema}: {answer:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(5), "{schema}");
    }
    let deep = "[".repeat(100_000);
    let answer = decoder.try_decode(&Message::of_value(deep.as_bytes()), &any);
    assert!(matches!(answer, Err(Obstacle::Fault(_))));
}

#[test]
fn a_damaged_schema_is_registered_or_refused_and_never_panics() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut registry = Registry::default();
    for shipped in SHIPPED {
        let new = NewSchema {
            schema_type: shipped.schema_type,
            schema: shipped.text.to_owned(),
            ..NewSchema::default()
        };
        let subject = format!("{}-{:?}", shipped.schema_type, shipped.kind);
        let (_, change) = registry.plan_register(&subject, &new).unwrap();
        if let Some(change) = change {
            registry.apply(&change).unwrap();
        }
    }
    let (mut taken, mut refused) = (0, 0);
    for round in 0..6_000 {
        let shipped = SHIPPED[round % SHIPPED.len()];
        let mut bytes = shipped.text.as_bytes().to_vec();
        mutate(&mut bytes, &mut rng);
        let new = NewSchema {
            schema_type: shipped.schema_type,
            schema: String::from_utf8_lossy(&bytes).into_owned(),
            ..NewSchema::default()
        };
        let subject = format!("{}-{:?}", shipped.schema_type, shipped.kind);
        match registry.plan_register(&subject, &new) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 500 && refused > 500, "{taken} {refused}");
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..8)),
        header in prop::collection::vec(any::<u8>(), 0..8),
        place in 0_usize..15,
    ) {
        let decoder = decoder();
        let headers = [
            ("ce_specversion", &b"1.0"[..]),
            ("ce_id", &header),
            ("ce_source", b"s"),
            ("ce_type", b"t"),
        ];
        for count in [0, 4] {
            let message = Message { value: Some(&bytes), key: key.as_deref(), headers: &headers[..count] };
            drop(decoder.try_decode(&message, &topics()[place]));
        }
        for id in 1..=3 {
            let framed = with_header(id, &bytes);
            drop(decoder.try_decode(&Message::of_value(&framed), &TopicConfig::default()));
        }
    }

    #[test]
    fn an_avro_event_written_by_others_is_read_as_they_read_it(
        texts in prop::collection::vec(prop::option::of(".{0,12}"), 5),
        timestamp in prop::option::of(any::<i64>()),
        value in prop::option::of(-1e12_f64..1e12),
        minutes in prop::option::of(any::<i32>()),
    ) {
        use apache_avro::types::Value as Avro;
        let schema = samples::text(RecordKind::Event, SchemaType::Avro).text;
        let branch = |value: Option<Avro>| match value {
            Some(value) => Avro::Union(1, Box::new(value)),
            None => Avro::Union(0, Box::new(Avro::Null)),
        };
        let mut texts = texts.into_iter();
        let names = nowcast_schemas::fields::EVENT_FIELDS;
        let mut expected = serde_json::Map::new();
        let record = names.map(|name| {
            let value = match name {
                "timestamp" => timestamp.map(|ms| (Avro::TimestampMillis(ms), ms.into())),
                "value" => value.map(|value| (Avro::Double(value), value.into())),
                "utc_offset_minutes" => minutes.map(|m| (Avro::Int(m), m.into())),
                "properties" | "consent" | "schema_version" => None,
                _ => texts.next().flatten().map(|text| (Avro::String(text.clone()), text.into())),
            };
            if let Some((_, json)) = &value {
                expected.insert(name.to_owned(), serde_json::Value::clone(json));
            }
            (name.to_owned(), branch(value.map(|(avro, _)| avro)))
        });
        let datum = samples::avro(&schema, Avro::Record(record.into()));
        let bytes = with_header(samples::AVRO_ID, &datum);
        let event = samples::event(&decoder(), &Message::of_value(&bytes), &TopicConfig::default());
        prop_assert_eq!(event, serde_json::Value::Object(expected));
    }
}
