//! The shipped schemas say the same in Avro, Protobuf and JSON Schema, and each revision goes with
//! those before it.

use crate::samples::text;
use nowcast_schemas::compat::CompatibilityLevel;
use nowcast_schemas::fields::{EVENT_FIELDS, ITEM_FIELDS, USER_FIELDS};
use nowcast_schemas::registry::NewSchema;
use nowcast_schemas::schema_type::SchemaType;
use nowcast_schemas::shipped::{EventMessage, SHIPPED, revisions};
use nowcast_schemas::{RecordKind, Registry, RegistryChange};
use prost::Message as _;
use prost_reflect::{Kind, MessageDescriptor};
use serde_json::Value;

/// What a field holds, in the words of no language.
fn of_avro(schema: &Value) -> String {
    let branches = schema
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![schema.clone()]);
    let mut names: Vec<String> = branches
        .iter()
        .filter(|branch| *branch != "null")
        .map(|branch| match (branch, branch["type"].as_str()) {
            (Value::String(name), _) => match name.as_str() {
                "int" | "long" => "integer".to_owned(),
                "double" => "number".to_owned(),
                other => other.to_owned(),
            },
            (_, Some("long")) => "time".to_owned(),
            (_, Some("array")) => format!("list of {}", of_avro(&branch["items"])),
            (_, Some("map")) => "object".to_owned(),
            (_, Some("record")) => {
                let fields = branch["fields"].as_array().unwrap();
                let fields = fields.iter().map(|field| {
                    format!(
                        "{}: {}",
                        field["name"].as_str().unwrap(),
                        of_avro(&field["type"])
                    )
                });
                format!("record {}", fields.collect::<Vec<_>>().join(", "))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    // Properties may also be the text of a JSON object, since Avro has no open objects.
    if names == ["object", "string"] {
        names.pop();
    }
    names.join("|")
}

fn of_json(name: &str, schema: &Value) -> String {
    let types = schema["type"].as_array().expect("every field may be null");
    assert!(types.contains(&"null".into()), "{name}");
    let types: Vec<&str> = types
        .iter()
        .filter_map(Value::as_str)
        .filter(|name| *name != "null")
        .collect();
    match types.as_slice() {
        ["integer", "string"] => "time".to_owned(),
        ["array"] => format!("list of {}", schema["items"]["type"].as_str().unwrap()),
        ["object"] if schema.get("properties").is_some() => {
            let fields = schema["properties"].as_object().unwrap().iter();
            let fields = fields.map(|(name, field)| format!("{name}: {}", of_json(name, field)));
            format!("record {}", fields.collect::<Vec<_>>().join(", "))
        }
        [one] => (*one).to_owned(),
        other => panic!("{name}: {other:?}"),
    }
}

fn of_protobuf(message: &MessageDescriptor, name: &str) -> String {
    let field = message.get_field_by_name(name).unwrap();
    assert!(
        field.is_list() || field.supports_presence(),
        "{name} has presence"
    );
    let one = match field.kind() {
        Kind::String => "string".to_owned(),
        Kind::Double => "number".to_owned(),
        Kind::Bool => "boolean".to_owned(),
        Kind::Int64 if name == "timestamp" || name.ends_with("_at") => "time".to_owned(),
        Kind::Int32 | Kind::Sint32 => "integer".to_owned(),
        Kind::Message(of) if of.full_name() == "google.protobuf.Struct" => "object".to_owned(),
        Kind::Message(of) => {
            let fields = of
                .fields()
                .map(|field| format!("{}: {}", field.name(), of_protobuf(&of, field.name())));
            format!("record {}", fields.collect::<Vec<_>>().join(", "))
        }
        other => panic!("{name}: {other:?}"),
    };
    if field.is_list() {
        format!("list of {one}")
    } else {
        one
    }
}

fn message(source: &str) -> MessageDescriptor {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.proto"), source).unwrap();
    let mut compiler = protox::Compiler::new([dir.path()]).unwrap();
    compiler.include_imports(true).open_file("x.proto").unwrap();
    let file = compiler
        .descriptor_pool()
        .get_file_by_name("x.proto")
        .unwrap();
    let mut messages = file.messages().collect::<Vec<_>>();
    messages.swap_remove(0)
}

#[test]
fn the_three_languages_say_the_same_of_every_field() {
    let kinds = [
        (RecordKind::Event, &EVENT_FIELDS[..]),
        (RecordKind::Item, &ITEM_FIELDS[..]),
        (RecordKind::User, &USER_FIELDS[..]),
    ];
    for (kind, names) in kinds {
        let count = revisions(kind, SchemaType::Avro).count();
        for revision in 0..count {
            let of = |schema_type| revisions(kind, schema_type).nth(revision).unwrap().text;
            let avro: Value = serde_json::from_str(of(SchemaType::Avro)).unwrap();
            let json: Value = serde_json::from_str(of(SchemaType::Json)).unwrap();
            let protobuf = message(of(SchemaType::Protobuf));
            let fields = avro["fields"].as_array().unwrap();
            let members = json["properties"].as_object().unwrap();
            assert_eq!(json["additionalProperties"], false);
            assert_eq!(members.len(), fields.len());
            assert_eq!(protobuf.fields().count(), fields.len());
            for field in fields {
                let name = field["name"].as_str().unwrap();
                assert!(field["default"].is_null() && field.get("default").is_some());
                let expected = of_avro(&field["type"]);
                assert_eq!(of_json(name, &members[name]), expected, "{kind:?}.{name}");
                assert_eq!(of_protobuf(&protobuf, name), expected, "{kind:?}.{name}");
            }
            if revision + 1 == count {
                let written: Vec<_> = fields.iter().map(|f| f["name"].as_str().unwrap()).collect();
                assert_eq!(
                    written, names,
                    "the newest revision has all fields, in order"
                );
            }
        }
    }
}

#[test]
fn the_event_struct_is_the_shipped_protobuf_message() {
    let descriptor = message(&text(RecordKind::Event, SchemaType::Protobuf).text);
    let bytes = crate::samples::protobuf_message();
    let dynamic = prost_reflect::DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
    assert_eq!(dynamic.unknown_fields().count(), 0);
    assert_eq!(
        dynamic.fields().count(),
        EVENT_FIELDS.len(),
        "the sample sets every field"
    );
    // Not byte by byte: the order of a map's entries is no part of a message.
    let again: EventMessage = dynamic.transcode_to().unwrap();
    assert_eq!(again, EventMessage::decode(bytes.as_slice()).unwrap());
}

#[test]
fn every_revision_goes_with_all_before_it() {
    for kind in [RecordKind::Event, RecordKind::Item, RecordKind::User] {
        for (schema_type, level) in [
            (SchemaType::Avro, CompatibilityLevel::FullTransitive),
            // An older reader lacks the message types that a newer file has, which the rules of
            // registries count against forward compatibility, though no older reader meets them.
            (SchemaType::Protobuf, CompatibilityLevel::BackwardTransitive),
            // Closed objects cannot be read by older readers once they have a new field.
            (SchemaType::Json, CompatibilityLevel::BackwardTransitive),
        ] {
            let mut registry = Registry::default();
            let set = RegistryChange::SetLevel {
                subject: None,
                level: Some(level),
            };
            registry.apply(&set).unwrap();
            for shipped in revisions(kind, schema_type) {
                let new = NewSchema {
                    schema_type,
                    schema: shipped.text.to_owned(),
                    ..NewSchema::default()
                };
                let (id, change) = registry.plan_register("s", &new).unwrap();
                assert_eq!(id, shipped.revision);
                registry.apply(&change.unwrap()).unwrap();
            }
        }
    }
    assert_eq!(SHIPPED.len(), 15);
}
