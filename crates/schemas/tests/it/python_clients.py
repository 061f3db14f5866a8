"""An independent client against the registry at argv[1]: the calls of confluent-kafka's
schema-registry client, and messages of its three serializers, printed as JSON lines of
{"name", "bytes", "headers"} for the test to decode."""

import base64
import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

url, schemas = sys.argv[1], sys.argv[2]
client = SchemaRegistryClient({"url": url})


def expect(code, call):
    try:
        call()
    except SchemaRegistryError as error:
        assert error.error_code == code, error
        return
    raise AssertionError(f"expected {code}")


def text(name):
    with open(f"{schemas}/{name}") as file:
        return file.read()


def out(name, data):
    print(json.dumps({"name": name, "bytes": base64.b64encode(data).decode()}))


event = {
    "event_id": "e-1", "event_type": "purchase", "user_id": "ann", "session_id": "s-9",
    "item_id": "i-77", "timestamp": 1795000000123, "value": 19.99, "slot": "home",
    "request_id": "r-5", "device_type": "mobile", "location": "DE", "utc_offset_minutes": -90,
    "properties": {"n": 3, "q": "shöes", "sale": True},
    "consent": {"personalize": True, "train": False}, "schema_version": 1,
}

# The client's own calls.
expect(40401, lambda: client.get_versions("calls"))
first = client.register_schema("calls", Schema('"int"', "AVRO"))
assert client.register_schema("calls", Schema('"int"', "AVRO")) == first
second = client.register_schema("calls", Schema('"long"', "AVRO"))
assert client.get_versions("calls") == [1, 2]
assert client.get_subjects() == ["calls"]
assert client.get_latest_version("calls").schema_id == second
assert client.get_version("calls", 1).schema.schema_str == '"int"'
assert client.get_schema(first).schema_str == '"int"'
assert client.lookup_schema("calls", Schema('"long"', "AVRO")).version == 2
assert client.test_compatibility("calls", Schema('"double"', "AVRO"))
assert not client.test_compatibility("calls", Schema('"string"', "AVRO"))
expect(409, lambda: client.register_schema("calls", Schema('"string"', "AVRO")))
expect(42201, lambda: client.register_schema("calls", Schema('{"type":"strange"}', "AVRO")))
expect(40402, lambda: client.get_version("calls", 9))
fresh = SchemaRegistryClient({"url": url})
expect(40403, lambda: fresh.get_schema(4711))
client.set_compatibility("calls", "NONE")
assert client.get_compatibility("calls") == "NONE"
client.register_schema("calls", Schema('"string"', "AVRO"))
assert client.delete_version("calls", 1) == 1
assert client.delete_subject("calls") == [2, 3]
assert client.delete_subject("calls", permanent=True) == [1, 2, 3]
address = Schema(
    '{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}', "AVRO")
client.register_schema("address", address)
person = Schema(
    '{"type":"record","name":"Person","fields":[{"name":"home","type":"Address"}]}', "AVRO",
    [SchemaReference("Address", "address", 1)])
client.register_schema("person", person)
assert client.get_latest_version("person").schema.references[0].subject == "address"
expect(42206, lambda: client.delete_subject("address"))

# Serializers, and the library's own deserializers as the other side.
value = SerializationContext("clicks", MessageField.VALUE)
avro = AvroSerializer(client, text("event.avsc"))(event, value)
assert AvroDeserializer(client)(avro, value)["item_id"] == "i-77"
out("avro", avro)
older = AvroSerializer(client, text("earlier/event.1.avsc"))
out("avro revision 1", older(
    {k: event[k] for k in ("event_id", "event_type", "user_id", "item_id")},
    SerializationContext("older", MessageField.VALUE)))

of_json = SerializationContext("clicks-json", MessageField.VALUE)
made = JSONSerializer(text("event.schema.json"), client)(event, of_json)
assert JSONDeserializer(text("event.schema.json"))(made, of_json)["slot"] == "home"
out("json", made)

files = descriptor_pb2.FileDescriptorSet()
files.ParseFromString(base64.b64decode(sys.argv[3]))
pool = descriptor_pool.DescriptorPool()
for file in files.file:
    pool.Add(file)
Event = message_factory.GetMessageClass(pool.FindMessageTypeByName("nowcast.v1.Event"))
Nested = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Outer.Click"))
message = Event()
for name, field in event.items():
    if name == "properties":
        for key, entry in field.items():
            into = message.properties.fields[key]
            if isinstance(entry, bool):
                into.bool_value = entry
            elif isinstance(entry, str):
                into.string_value = entry
            else:
                into.number_value = entry
    elif name == "consent":
        message.consent.personalize = field["personalize"]
        message.consent.train = field["train"]
    else:
        setattr(message, name, field)
of_proto = SerializationContext("clicks-proto", MessageField.VALUE)
made = ProtobufSerializer(Event, client)(message, of_proto)
back = ProtobufDeserializer(Event, {}, client)(made, of_proto)
assert back.request_id == "r-5"
out("protobuf", made)
nested = Nested(event_type="click", user_id="ann")
out("protobuf nested", ProtobufSerializer(Nested, client)(
    nested, SerializationContext("nested", MessageField.VALUE)))
assert client.get_latest_version("clicks-proto-value").schema.schema_type == "PROTOBUF"
print(json.dumps({"name": "done", "bytes": ""}))
