//! Every format gives the event that its JSON gives; whatever is wrong has its code and field.

use crate::samples::{self, decoder, event, event_json, with_header};
use nowcast_schemas::schema_type::{SchemaText, SchemaType};
use nowcast_schemas::topic::{SubjectField, UnknownFields};
use nowcast_schemas::{
    Decoded, Decoder, EntityChange, FaultCode, Message, Obstacle, RecordKind, TopicConfig,
    TopicFormat,
};
use serde_json::{Value, json};

fn topic(format: TopicFormat) -> TopicConfig {
    TopicConfig {
        format,
        ..TopicConfig::default()
    }
}

fn of_kind(kind: RecordKind) -> TopicConfig {
    TopicConfig {
        kind,
        ..TopicConfig::default()
    }
}

fn code(decoder: &Decoder, bytes: &[u8], topic: &TopicConfig) -> (FaultCode, String) {
    match decoder.try_decode(&Message::of_value(bytes), topic) {
        Err(Obstacle::Fault(fault)) => (fault.code, fault.field),
        other => panic!("not a fault: {other:?}"),
    }
}

#[test]
fn every_format_gives_the_same_event() {
    let decoder = decoder();
    let auto = TopicConfig::default();
    let single = {
        let schema = apache_avro::Schema::parse_str(
            &samples::text(RecordKind::Event, SchemaType::Avro).text,
        );
        let print = schema.unwrap().fingerprint::<apache_avro::rabin::Rabin>();
        [&[0xc3, 0x01][..], &print.bytes, &samples::avro_datum()].concat()
    };
    let first_message = [&[0][..], &samples::protobuf_message()].concat();
    for (bytes, topic) in [
        (samples::EVENT.as_bytes().to_vec(), &auto),
        (
            with_header(samples::JSON_ID, samples::EVENT.as_bytes()),
            &auto,
        ),
        (with_header(samples::AVRO_ID, &samples::avro_datum()), &auto),
        (single, &auto),
        (with_header(samples::PROTOBUF_ID, &first_message), &auto),
        (samples::protobuf_message(), &topic(TopicFormat::Protobuf)),
    ] {
        assert_eq!(
            event(&decoder, &Message::of_value(&bytes), topic),
            event_json()
        );
    }
}

#[test]
fn both_fingerprints_in_use_name_a_schema_with_logical_types() {
    // Of the canonical form as Java and fastavro make it; `apache-avro` and Python's `avro` keep
    // `{"type":"long"}` where a logical type was.
    let decoder = Decoder::default();
    for known in [0x00e3_2a64_5073_9b42_u64, 0x446f_8864_f811_0e7a] {
        let datum = [&[0xc3, 0x01][..], &known.to_le_bytes(), &[0; 8]].concat();
        let decoded = event(
            &decoder,
            &Message::of_value(&datum),
            &TopicConfig::default(),
        );
        assert_eq!(decoded, json!({}));
    }
}

#[test]
fn a_content_type_header_tells_plain_protobuf() {
    let bytes = samples::protobuf_message();
    let headers = [("Content-Type", &b"application/x-protobuf"[..])];
    let message = Message {
        value: Some(&bytes),
        key: None,
        headers: &headers,
    };
    let auto = TopicConfig::default();
    assert_eq!(event(&decoder(), &message, &auto), event_json());
}

#[test]
fn cloud_events_fill_what_their_data_leaves_out() {
    let topic = TopicConfig {
        cloud_event_subject: Some(SubjectField::UserId),
        cloud_event_types: [("shop.cart".to_owned(), "add_to_cart".to_owned())].into(),
        ..TopicConfig::default()
    };
    let headers = |of_type: &'static [u8]| {
        [
            ("ce_specversion", &b"1.0"[..]),
            ("ce_id", b"c-1"),
            ("ce_source", b"/shop"),
            ("ce_type", of_type),
            ("ce_time", b"2026-11-20T12:00:00Z"),
            ("ce_subject", b"ann"),
            ("content-type", b"application/json"),
        ]
    };
    let expected = |event_type: &str| {
        json!({"event_id": "c-1", "event_type": event_type, "user_id": "ann", "item_id": "i1",
               "timestamp": "2026-11-20T12:00:00Z"})
    };
    let decoder = decoder();
    for (of_type, event_type) in [
        (&b"com.shop.click"[..], "click"),
        (b"shop.cart", "add_to_cart"),
    ] {
        let headers = headers(of_type);
        let message = Message {
            value: Some(br#"{"item_id":"i1"}"#),
            key: None,
            headers: &headers,
        };
        assert_eq!(event(&decoder, &message, &topic), expected(event_type));
    }
    let structured = br#"{"specversion":"1.0","id":"c-1","source":"/shop","type":"com.shop.click","time":"2026-11-20T12:00:00Z","subject":"ann","data":{"item_id":"i1"},"traceparent":"00-1"}"#;
    let headers = [(
        "content-type",
        &b"application/cloudevents+json; charset=utf-8"[..],
    )];
    let message = Message {
        value: Some(structured),
        key: None,
        headers: &headers,
    };
    assert_eq!(event(&decoder, &message, &topic), expected("click"));
    let only_cloud_events = TopicConfig {
        format: TopicFormat::CloudEvents,
        ..topic.clone()
    };
    let message = Message::of_value(structured);
    assert_eq!(
        event(&decoder, &message, &only_cloud_events),
        expected("click")
    );
}

#[test]
fn a_cloud_event_may_carry_avro_in_base64() {
    use base64::Engine as _;
    let avro = with_header(samples::AVRO_ID, &samples::avro_datum());
    let data = base64::engine::general_purpose::STANDARD.encode(avro);
    let envelope = json!({"specversion": "1.0", "id": "other", "source": "/", "type": "x",
        "datacontenttype": "application/avro", "data_base64": data});
    let bytes = envelope.to_string();
    let message = Message::of_value(bytes.as_bytes());
    let only = topic(TopicFormat::CloudEvents);
    assert_eq!(event(&decoder(), &message, &only), event_json());
}

#[test]
fn every_fault_has_its_code_and_field() {
    use FaultCode as Code;
    let decoder = decoder();
    decoder.learn_schema(
        9,
        &SchemaText::new(SchemaType::Avro, "{\"type\":\"strange\"}"),
    );
    let auto = TopicConfig::default();
    let avro = with_header(samples::AVRO_ID, &samples::avro_datum());
    let longer = [&avro[..], b"x"].concat();
    let no_message = with_header(samples::PROTOBUF_ID, &[2, 18]);
    for (bytes, expected, field) in [
        (&b""[..], Code::Empty, ""),
        (b"hello", Code::UnknownFormat, ""),
        (b"{\"slot\":1}", Code::WrongType, "slot"),
        (b"\0\0\0", Code::Truncated, ""),
        (&with_header(9, b""), Code::BadSchema, ""),
        (&avro[..20], Code::Truncated, "user_id"),
        (&longer, Code::TrailingBytes, ""),
        (&no_message, Code::BadSchema, ""),
        (
            b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08",
            Code::UnknownFingerprint,
            "",
        ),
        (
            &with_header(samples::JSON_ID, b"{\"value\":\"x\"}"),
            Code::SchemaViolation,
            "value",
        ),
        (
            &with_header(samples::JSON_ID, b"{\"x\":1}"),
            Code::SchemaViolation,
            "",
        ),
    ] {
        assert_eq!(
            code(&decoder, bytes, &auto),
            (expected, field.to_owned()),
            "{bytes:?}"
        );
    }
    let small = TopicConfig {
        message_bytes_max: nowcast_types::ByteSize(3),
        ..auto.clone()
    };
    assert_eq!(code(&decoder, b"{  }", &small).0, Code::TooLong);
    let protobuf = topic(TopicFormat::Protobuf);
    assert_eq!(code(&decoder, b"\x0a\xff", &protobuf).0, Code::Malformed);
    let avro_only = topic(TopicFormat::Avro);
    assert_eq!(code(&decoder, b"{}", &avro_only).0, Code::UnknownFormat);
    let cloud = topic(TopicFormat::CloudEvents);
    for bad in [
        &b"{}"[..],
        br#"{"specversion":"0.3","id":"1","source":"/","type":"t","data":{}}"#,
        br#"{"specversion":"1.0","id":"1","source":"/","type":"t"}"#,
        br#"{"specversion":"1.0","id":"","source":"/","type":"t","data":{}}"#,
    ] {
        assert_eq!(code(&decoder, bad, &cloud).0, Code::BadCloudEvent);
    }
}

#[test]
fn a_missing_schema_is_asked_for_and_without_a_registry_refused() {
    let decoder = Decoder::default();
    let bytes = with_header(77, b"x");
    let message = Message::of_value(&bytes);
    let auto = TopicConfig::default();
    let asked = decoder.try_decode(&message, &auto);
    assert!(matches!(asked, Err(Obstacle::NeedsSchema(77))));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let refused = runtime
        .block_on(decoder.decode(&message, &auto))
        .unwrap_err();
    assert!(
        matches!(refused, nowcast_schemas::SchemaError::Fault(f) if f.code == FaultCode::NoRegistry)
    );
}

#[test]
fn a_foreign_avro_schema_is_resolved_by_name_alias_and_promotion() {
    use apache_avro::types::Value as Avro;
    let schema = r#"{"type":"record","name":"Hit","fields":[
        {"name":"extra","type":{"type":"array","items":"int"}},
        {"name":"kind","aliases":["event_type"],"type":{"type":"enum","name":"Kind","symbols":["VIEW","CLICK"]}},
        {"name":"user_id","type":"bytes"},
        {"name":"timestamp","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"value","type":"float"},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
        {"name":"properties","type":{"type":"record","name":"P","fields":[{"name":"deep","type":{"type":"map","values":"int"}}]}}
    ]}"#;
    let map = [("a".to_owned(), Avro::Int(1))].into_iter().collect();
    let record = Avro::Record(vec![
        (
            "extra".into(),
            Avro::Array(vec![Avro::Int(1), Avro::Int(2)]),
        ),
        ("kind".into(), Avro::Enum(1, "CLICK".into())),
        ("user_id".into(), Avro::Bytes(b"ann".to_vec())),
        (
            "timestamp".into(),
            Avro::TimestampMicros(1_795_000_000_123_999),
        ),
        ("value".into(), Avro::Float(9.99)),
        (
            "price".into(),
            Avro::Decimal(apache_avro::Decimal::from((-1234_i32).to_be_bytes())),
        ),
        (
            "properties".into(),
            Avro::Record(vec![("deep".into(), Avro::Map(map))]),
        ),
    ]);
    let decoder = decoder();
    decoder.learn_schema(5, &SchemaText::new(SchemaType::Avro, schema));
    let bytes = with_header(5, &samples::avro(schema, record));
    let message = Message::of_value(&bytes);
    assert_eq!(
        event(&decoder, &message, &TopicConfig::default()),
        json!({"event_type": "click", "user_id": "ann", "timestamp": 1_795_000_000_123_i64,
               "value": 9.99, "properties": {"deep": {"a": 1}}})
    );
    let any = decoder.try_decode(&message, &of_kind(RecordKind::Any));
    let Ok(Decoded::Any(value)) = any else {
        panic!("not a value: {any:?}");
    };
    assert_eq!(value["price"], json!(-12.34));
    assert_eq!(value["extra"], json!([1, 2]));
}

#[test]
fn a_foreign_protobuf_schema_is_mapped_by_field_name() {
    use prost_reflect::{DynamicMessage, Value as Wire};
    let schema = r#"syntax = "proto3"; package shop;
        import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
        message Outer { message Inner { message Hit {
          enum EventType { EVENT_TYPE_UNKNOWN = 0; EVENT_TYPE_ADD_TO_CART = 1; }
          EventType event_type = 1; string user_id = 2; google.protobuf.Timestamp timestamp = 3;
          google.protobuf.DoubleValue value = 4; map<string, int32> properties = 5; bytes other = 6; } } }"#;
    let decoder = decoder();
    decoder.learn_schema(6, &SchemaText::new(SchemaType::Protobuf, schema));
    let pool = protox_pool(schema);
    let hit = pool.get_message_by_name("shop.Outer.Inner.Hit").unwrap();
    let mut message = DynamicMessage::new(hit);
    message.set_field_by_name("event_type", Wire::EnumNumber(1));
    message.set_field_by_name("user_id", Wire::String("ann".into()));
    let stamp = pool
        .get_message_by_name("google.protobuf.Timestamp")
        .unwrap();
    let mut at = DynamicMessage::new(stamp);
    at.set_field_by_name("seconds", Wire::I64(1_795_000_000));
    at.set_field_by_name("nanos", Wire::I32(123_456_789));
    message.set_field_by_name("timestamp", Wire::Message(at));
    let wrapper = pool
        .get_message_by_name("google.protobuf.DoubleValue")
        .unwrap();
    let mut value = DynamicMessage::new(wrapper);
    value.set_field_by_name("value", Wire::F64(0.5));
    message.set_field_by_name("value", Wire::Message(value));
    let map = [(prost_reflect::MapKey::String("n".into()), Wire::I32(3))];
    message.set_field_by_name("properties", Wire::Map(map.into()));
    // The path to Outer.Inner.Hit: three indexes, all 0, zigzag.
    let body = [&[6, 0, 0, 0][..], &prost::Message::encode_to_vec(&message)].concat();
    let bytes = with_header(6, &body);
    assert_eq!(
        event(
            &decoder,
            &Message::of_value(&bytes),
            &TopicConfig::default()
        ),
        json!({"event_type": "add_to_cart", "user_id": "ann", "timestamp": 1_795_000_000_123_i64,
               "value": 0.5, "properties": {"n": 3}})
    );
}

fn protox_pool(source: &str) -> prost_reflect::DescriptorPool {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.proto"), source).unwrap();
    let mut compiler = protox::Compiler::new([dir.path()]).unwrap();
    compiler.include_imports(true).open_file("x.proto").unwrap();
    compiler.descriptor_pool()
}

#[test]
fn items_and_users_become_puts_and_deletes() {
    let decoder = decoder();
    let item = br#"{"item_id":"i1","categories":["a"],"available":null,"attributes":{"price":3}}"#;
    let decoded = decoder.try_decode(&Message::of_value(item), &of_kind(RecordKind::Item));
    let Ok(Decoded::Item(fields)) = decoded else {
        panic!("{decoded:?}");
    };
    assert_eq!(fields.id, "i1");
    let put = json!({"categories": ["a"], "attributes": {"price": 3}});
    assert_eq!(fields.change, EntityChange::Put(put));

    let keyed = |value: Option<&'static [u8]>| Message {
        value,
        key: Some(b"ann"),
        headers: &[],
    };
    let of_user = of_kind(RecordKind::User);
    for (value, change) in [
        (None, EntityChange::Delete),
        (Some(&br#"{"deleted":true}"#[..]), EntityChange::Delete),
        (
            Some(br#"{"segment":"vip"}"#),
            EntityChange::Put(json!({"segment": "vip"})),
        ),
    ] {
        let decoded = decoder.try_decode(&keyed(value), &of_user);
        let Ok(Decoded::User(fields)) = decoded else {
            panic!("{decoded:?}");
        };
        assert_eq!((fields.id.as_ref(), fields.change), ("ann", change));
    }
    for (json, expected) in [
        (&br#"{"segment":"a"}"#[..], (FaultCode::Missing, "user_id")),
        (
            br#"{"user_id":"a","name":"x"}"#,
            (FaultCode::UnknownField, "name"),
        ),
        (br#"{"user_id":7}"#, (FaultCode::WrongType, "user_id")),
        (b"[]", (FaultCode::WrongType, "")),
    ] {
        let (code, field) = code(&decoder, json, &of_user);
        assert_eq!((code, field.as_str()), expected);
    }
    let lax = TopicConfig {
        unknown_fields: UnknownFields::Ignore,
        ..of_user
    };
    let message = Message::of_value(br#"{"user_id":"a","name":"x"}"#);
    assert!(decoder.try_decode(&message, &lax).is_ok());
}

#[test]
fn shipped_item_messages_of_avro_and_protobuf_are_read() {
    use apache_avro::types::Value as Avro;
    let decoder = decoder();
    let schema = samples::text(RecordKind::Item, SchemaType::Avro);
    decoder.learn_schema(20, &schema);
    let some = |value| Avro::Union(1, Box::new(value));
    let none = || Avro::Union(0, Box::new(Avro::Null));
    let record = Avro::Record(vec![
        ("item_id".into(), some(Avro::String("i1".into()))),
        (
            "categories".into(),
            some(Avro::Array(vec![Avro::String("a".into())])),
        ),
        ("tags".into(), none()),
        (
            "attributes".into(),
            some(Avro::Map(
                [(
                    "price".to_owned(),
                    Avro::Union(1, Box::new(Avro::Double(2.5))),
                )]
                .into(),
            )),
        ),
        ("published_at".into(), some(Avro::TimestampMillis(5))),
        ("expires_at".into(), none()),
        ("available".into(), some(Avro::Boolean(false))),
        ("deleted".into(), none()),
    ]);
    let bytes = with_header(20, &samples::avro(&schema.text, record));
    let decoded = decoder.try_decode(&Message::of_value(&bytes), &of_kind(RecordKind::Item));
    let put: Value = json!({"categories": ["a"], "attributes": {"price": 2.5},
        "published_at": 5, "available": false});
    assert!(
        matches!(decoded, Ok(Decoded::Item(f)) if f.id == "i1" && f.change == EntityChange::Put(put))
    );

    // item_id = "i1", categories = ["a"], available = false, by hand.
    let message = b"\x0a\x02i1\x12\x01a\x38\x00";
    let topic = TopicConfig {
        format: TopicFormat::Protobuf,
        ..of_kind(RecordKind::Item)
    };
    let decoded = decoder.try_decode(&Message::of_value(message), &topic);
    let put = json!({"categories": ["a"], "available": false});
    assert!(
        matches!(decoded, Ok(Decoded::Item(f)) if f.id == "i1" && f.change == EntityChange::Put(put))
    );
}
