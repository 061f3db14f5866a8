//! The built-in schema registry of the running program, with the client that others use.

use crate::program::finished;
use crate::server::Server;
use nowcast_services::tools;
use std::process::Command;

/// What an independent client does first, and finds again after a restart.
const SCRIPT: &str = r#"
import sys
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

stage, settings = sys.argv[1], {"url": sys.argv[2]}
if len(sys.argv) > 3:
    settings["basic.auth.user.info"] = "shop:" + sys.argv[3]
client = SchemaRegistryClient(settings)

def record(*fields):
    fields = ",".join('{"name":"%s","type":"string","default":""}' % name for name in fields)
    return Schema('{"type":"record","name":"Click","fields":[%s]}' % fields, "AVRO")

def refused(code, call):
    try:
        call()
    except SchemaRegistryError as error:
        assert (error.error_code == code or error.http_status_code == code), error
        return
    raise AssertionError(f"expected {code}")

context = SerializationContext("clicks", MessageField.VALUE)
if stage == "first":
    assert client.get_subjects() == []
    serializer = AvroSerializer(client, record("user_id", "item_id").schema_str)
    data = serializer({"user_id": "ann", "item_id": "i1"}, context)
    assert data[:5] == b"\0\0\0\0\x01", data
    client.set_compatibility("clicks-value", "FULL")
    assert client.register_schema("clicks-value", record("user_id", "item_id", "slot")) == 2
    refused(409, lambda: client.register_schema("clicks-value", Schema('"int"', "AVRO")))
    client.register_schema("gone", Schema('"string"', "AVRO"))
    assert client.delete_subject("gone") == [1]
elif stage == "again":
    assert client.get_subjects() == ["clicks-value"]
    assert client.get_versions("clicks-value") == [1, 2]
    assert client.get_compatibility("clicks-value") == "FULL"
    assert client.get_schema(3).schema_str == '"string"', "soft deletion keeps the id"
    data = b"\0\0\0\0\x01\x06ann\x04i1"
    assert AvroDeserializer(client)(data, context)["item_id"] == "i1"
    assert client.register_schema("more", Schema('"double"', "AVRO")) == 4
elif stage == "writer":
    assert client.register_schema("more", Schema('"double"', "AVRO")) == 1
    refused(403, lambda: client.delete_subject("more"))
elif stage == "nobody":
    refused(401, lambda: client.get_subjects())
print("{}")
"#;

fn client(stage: &str, server: &Server, key: Option<&str>) {
    let mut python = Command::new(tools::python_kafka().unwrap());
    python.args(["-c", SCRIPT, stage]);
    python.arg(format!("{}/registry", server.url())).args(key);
    finished(python.output().unwrap()).ok();
}

const UP: [&str; 6] = ["up", "--json", "--listen", "127.0.0.1:0", "--data", "d"];

#[test]
fn confluents_client_finds_after_a_restart_what_it_registered() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &UP);
    client("first", &server, None);
    server.stop();
    let server = Server::start(dir.path(), &UP);
    client("again", &server, None);
    assert_eq!(server.ask("GET", "/registry/nothing", "").0, 404);
}

#[test]
fn a_key_is_the_password_and_opens_what_its_scopes_say() {
    let dir = tempfile::tempdir().unwrap();
    let key = nowcast_server::generate_key().unwrap();
    let keys = format!(
        "server.api_keys=[{{name=\"shop\", blake3=\"{}\", scopes=[\"read\", \"write\"]}}]",
        key.blake3
    );
    let mut args = UP.to_vec();
    args.extend(["--set", &keys]);
    let server = Server::start(dir.path(), &args);
    client("nobody", &server, None);
    client("writer", &server, Some(&key.secret));
}

#[test]
fn the_registry_moves_and_goes_by_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = UP.to_vec();
    args.extend(["--set", "registry.path=/schemas/of-ours"]);
    let server = Server::start(dir.path(), &args);
    assert_eq!(
        server.ask("GET", "/schemas/of-ours/subjects", ""),
        (200, "[]".to_owned())
    );
    assert_eq!(server.ask("GET", "/registry/subjects", "").0, 404);
    server.stop();
    args.extend(["--set", "registry.enabled=false"]);
    let server = Server::start(dir.path(), &args);
    assert_eq!(server.ask("GET", "/schemas/of-ours/subjects", "").0, 404);
}
