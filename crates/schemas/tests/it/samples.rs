//! Messages to test with: one event in every format, and the registry that knows its schemas.

use nowcast_schemas::schema_type::{SchemaText, SchemaType};
use nowcast_schemas::shipped::{ConsentMessage, EventMessage, shipped};
use nowcast_schemas::{Decoded, Decoder, EventFields, Message, RecordKind, TopicConfig};
use prost::Message as _;
use serde_json::Value;

pub(crate) const AVRO_ID: u32 = 1;
pub(crate) const PROTOBUF_ID: u32 = 2;
pub(crate) const JSON_ID: u32 = 3;

/// The event as JSON, with every field.
pub(crate) const EVENT: &str = r#"{"event_id":"e-1","event_type":"purchase","user_id":"ann","session_id":"s-9","item_id":"i-77","timestamp":1795000000123,"value":19.99,"slot":"home","request_id":"r-5","device_type":"mobile","location":"DE","utc_offset_minutes":-90,"properties":{"n":3,"q":"shöes","sale":true},"consent":{"personalize":true,"train":false},"schema_version":1}"#;

pub(crate) fn event_json() -> Value {
    serde_json::from_str(EVENT).unwrap()
}

pub(crate) fn text(kind: RecordKind, schema_type: SchemaType) -> SchemaText {
    SchemaText::new(schema_type, shipped(kind, schema_type).unwrap().text)
}

/// A decoder that knows the shipped event schemas under the ids above.
pub(crate) fn decoder() -> Decoder {
    let decoder = Decoder::new(None);
    for (id, schema_type) in [
        (AVRO_ID, SchemaType::Avro),
        (PROTOBUF_ID, SchemaType::Protobuf),
        (JSON_ID, SchemaType::Json),
    ] {
        decoder.learn_schema(id, &text(RecordKind::Event, schema_type));
    }
    decoder
}

pub(crate) fn with_header(id: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The event as an Avro datum, written by the independent `apache-avro`.
pub(crate) fn avro_datum() -> Vec<u8> {
    use apache_avro::types::Value as Avro;
    let text = |text: &str| Avro::Union(1, Box::new(Avro::String(text.to_owned())));
    let consent = vec![
        (
            "personalize".to_owned(),
            Avro::Union(1, Box::new(Avro::Boolean(true))),
        ),
        (
            "train".to_owned(),
            Avro::Union(1, Box::new(Avro::Boolean(false))),
        ),
    ];
    let properties = [
        ("n".to_owned(), Avro::Union(2, Box::new(Avro::Long(3)))),
        (
            "q".to_owned(),
            Avro::Union(4, Box::new(Avro::String("shöes".to_owned()))),
        ),
        (
            "sale".to_owned(),
            Avro::Union(1, Box::new(Avro::Boolean(true))),
        ),
    ];
    let fields = [
        ("event_id", text("e-1")),
        ("event_type", text("purchase")),
        ("user_id", text("ann")),
        ("session_id", text("s-9")),
        ("item_id", text("i-77")),
        (
            "timestamp",
            Avro::Union(1, Box::new(Avro::TimestampMillis(1_795_000_000_123))),
        ),
        ("value", Avro::Union(1, Box::new(Avro::Double(19.99)))),
        ("slot", text("home")),
        ("request_id", text("r-5")),
        ("device_type", text("mobile")),
        ("location", text("DE")),
        (
            "utc_offset_minutes",
            Avro::Union(1, Box::new(Avro::Int(-90))),
        ),
        (
            "properties",
            Avro::Union(1, Box::new(Avro::Map(properties.into_iter().collect()))),
        ),
        ("consent", Avro::Union(1, Box::new(Avro::Record(consent)))),
        ("schema_version", Avro::Union(1, Box::new(Avro::Int(1)))),
    ];
    let record = fields.map(|(name, value)| (name.to_owned(), value));
    avro(&text_of(SchemaType::Avro), Avro::Record(record.into()))
}

fn text_of(schema_type: SchemaType) -> String {
    text(RecordKind::Event, schema_type).text.to_string()
}

/// Encodes a value with the independent `apache-avro`.
pub(crate) fn avro(schema: &str, value: apache_avro::types::Value) -> Vec<u8> {
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema);
    writer.build().unwrap().write_value_to_vec(value).unwrap()
}

pub(crate) fn protobuf_message() -> Vec<u8> {
    use prost_types::value::Kind;
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let properties = [
        ("n".to_owned(), value(Kind::NumberValue(3.0))),
        ("q".to_owned(), value(Kind::StringValue("shöes".to_owned()))),
        ("sale".to_owned(), value(Kind::BoolValue(true))),
    ];
    EventMessage {
        event_id: Some("e-1".to_owned()),
        event_type: Some("purchase".to_owned()),
        user_id: Some("ann".to_owned()),
        session_id: Some("s-9".to_owned()),
        item_id: Some("i-77".to_owned()),
        timestamp: Some(1_795_000_000_123),
        value: Some(19.99),
        slot: Some("home".to_owned()),
        request_id: Some("r-5".to_owned()),
        device_type: Some("mobile".to_owned()),
        location: Some("DE".to_owned()),
        utc_offset_minutes: Some(-90),
        properties: Some(prost_types::Struct {
            fields: properties.into(),
        }),
        consent: Some(ConsentMessage {
            personalize: Some(true),
            train: Some(false),
        }),
        schema_version: Some(1),
    }
    .encode_to_vec()
}

pub(crate) fn event(decoder: &Decoder, message: &Message<'_>, topic: &TopicConfig) -> Value {
    fields(decoder, message, topic).to_json()
}

pub(crate) fn fields<'m>(
    decoder: &Decoder,
    message: &Message<'m>,
    topic: &TopicConfig,
) -> EventFields<'m> {
    match decoder.try_decode(message, topic) {
        Ok(Decoded::Event(fields)) => fields,
        other => panic!("not an event: {other:?}"),
    }
}
