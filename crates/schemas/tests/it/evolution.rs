//! Messages of producers that were never updated: the golden files of every revision of the event
//! schema (see `tests/golden/make.py`) still decode to the right events.

use crate::samples::{event, with_header};
use nowcast_schemas::schema_type::{SchemaText, SchemaType};
use nowcast_schemas::shipped::revisions;
use nowcast_schemas::{Decoder, Message, RecordKind, TopicConfig, TopicFormat};
use serde_json::Value;
use std::path::PathBuf;

fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(path.join(name)).unwrap()
}

fn expected(revision: u32) -> Value {
    serde_json::from_slice(&golden(&format!("event.{revision}.json"))).unwrap()
}

#[test]
fn golden_messages_of_every_revision_still_decode() {
    let decoder = Decoder::default();
    let auto = TopicConfig::default();
    let protobuf = TopicConfig {
        format: TopicFormat::Protobuf,
        ..TopicConfig::default()
    };
    for shipped in revisions(RecordKind::Event, SchemaType::Avro) {
        let revision = shipped.revision;
        let schema = SchemaText::new(SchemaType::Avro, shipped.text);
        decoder.learn_schema(revision, &schema);
        for (name, topic) in [
            (format!("event.{revision}.json"), &auto),
            (format!("event.{revision}.header.avro"), &auto),
            (format!("event.{revision}.single.avro"), &auto),
            (format!("event.{revision}.pb"), &protobuf),
        ] {
            let bytes = golden(&name);
            let message = Message::of_value(&bytes);
            assert_eq!(
                event(&decoder, &message, topic),
                expected(revision),
                "{name}"
            );
        }
    }
    assert_eq!(revisions(RecordKind::Event, SchemaType::Avro).count(), 3);
}

#[test]
fn golden_protobuf_messages_decode_by_their_own_descriptor_too() {
    let decoder = Decoder::default();
    for shipped in revisions(RecordKind::Event, SchemaType::Protobuf) {
        let revision = shipped.revision;
        let schema = SchemaText::new(SchemaType::Protobuf, shipped.text);
        decoder.learn_schema(revision, &schema);
        let body = [&[0][..], &golden(&format!("event.{revision}.pb"))].concat();
        let bytes = with_header(revision, &body);
        let decoded = event(
            &decoder,
            &Message::of_value(&bytes),
            &TopicConfig::default(),
        );
        assert_eq!(decoded, expected(revision));
    }
}

#[test]
fn a_producer_that_is_ahead_of_us_is_still_read() {
    // A revision 4 that this program has never seen: one field more, in the middle.
    use apache_avro::types::Value as Avro;
    let schema = r#"{"type":"record","name":"Event","namespace":"nowcast","fields":[
        {"name":"event_type","type":["null","string"],"default":null},
        {"name":"campaign","type":["null",{"type":"record","name":"Campaign","fields":[{"name":"id","type":"long"}]}],"default":null},
        {"name":"user_id","type":["null","string"],"default":null}]}"#;
    let campaign = Avro::Record(vec![("id".into(), Avro::Long(7))]);
    let some = |value| Avro::Union(1, Box::new(value));
    let record = Avro::Record(vec![
        ("event_type".into(), some(Avro::String("click".into()))),
        ("campaign".into(), some(campaign)),
        ("user_id".into(), some(Avro::String("ann".into()))),
    ]);
    let decoder = Decoder::default();
    decoder.learn_schema(4, &SchemaText::new(SchemaType::Avro, schema));
    let bytes = with_header(4, &crate::samples::avro(schema, record));
    let decoded = event(
        &decoder,
        &Message::of_value(&bytes),
        &TopicConfig::default(),
    );
    assert_eq!(
        decoded,
        serde_json::json!({"event_type": "click", "user_id": "ann"})
    );
}
