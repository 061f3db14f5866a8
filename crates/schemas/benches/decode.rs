//! What one message costs in each format: the same event with all its fields.

use criterion::{Criterion, criterion_group, criterion_main};
use nowcast_schemas::schema_type::{SchemaText, SchemaType};
use nowcast_schemas::shipped::shipped;
use nowcast_schemas::{Decoder, Message, RecordKind, TopicConfig, TopicFormat};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(path.join(name)).expect("the golden files are in the repository")
}

fn with_header(id: u8, body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, id][..], body].concat()
}

fn decode(c: &mut Criterion) {
    let decoder = Decoder::default();
    for (id, schema_type) in [
        (3, SchemaType::Avro),
        (4, SchemaType::Protobuf),
        (5, SchemaType::Json),
    ] {
        let schema = shipped(RecordKind::Event, schema_type).expect("events are shipped");
        decoder.learn_schema(id, &SchemaText::new(schema_type, schema.text));
    }
    let (json, protobuf) = (golden("event.3.json"), golden("event.3.pb"));
    let text = String::from_utf8(json.clone()).expect("JSON is text");
    let cloud =
        format!(r#"{{"specversion":"1.0","id":"1","source":"/","type":"a.click","data":{text}}}"#);
    let auto = TopicConfig::default();
    let trusting = TopicConfig {
        check_json_schema: false,
        ..auto.clone()
    };
    let plain = TopicConfig {
        format: TopicFormat::Protobuf,
        ..auto.clone()
    };
    let only_cloud_events = TopicConfig {
        format: TopicFormat::CloudEvents,
        ..auto.clone()
    };
    let mut group = c.benchmark_group("decode");
    group
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    for (name, bytes, topic) in [
        ("json", json.clone(), &auto),
        ("json with header, checked", with_header(5, &json), &auto),
        (
            "json with header, unchecked",
            with_header(5, &json),
            &trusting,
        ),
        ("avro with header", golden("event.3.header.avro"), &auto),
        ("avro single object", golden("event.3.single.avro"), &auto),
        ("protobuf plain", protobuf.clone(), &plain),
        (
            "protobuf with header",
            with_header(4, &[&[0][..], &protobuf].concat()),
            &auto,
        ),
        (
            "cloud event, structured",
            cloud.into_bytes(),
            &only_cloud_events,
        ),
    ] {
        let message = Message::of_value(&bytes);
        assert!(decoder.try_decode(&message, topic).is_ok(), "{name}");
        group.bench_function(name, |b| {
            b.iter(|| decoder.try_decode(black_box(&message), topic).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
