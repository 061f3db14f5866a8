"""Writes valid messages and poison to a topic with independent serializers, and one row of a
database in Avro to another. Prints a JSON line for each poison message: where it lies and why it
must be refused.

argv: brokers, registry, topic of events, topic of rows, rounds, users."""

import json
import sys
import time

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

brokers, registry, events, rows, rounds, users = sys.argv[1:7]
client = SchemaRegistryClient({"url": registry})
producer = Producer({"bootstrap.servers": brokers, "acks": "all", "linger.ms": 20})
fields = ["event_type", "user_id", "item_id"]

avro = AvroSerializer(client, json.dumps({
    "type": "record", "name": "AvroClick",
    "fields": [{"name": name, "type": ["null", "string"], "default": None} for name in fields]}),
    conf={"subject.name.strategy": lambda context, name: "clicks-avro"})
json_schema = JSONSerializer(json.dumps({
    "title": "JsonClick", "type": "object", "required": ["user_id"],
    "properties": {name: {"type": "string"} for name in fields}}), client,
    conf={"subject.name.strategy": lambda context, name: "clicks-json"})
file = descriptor_pb2.FileDescriptorProto(name="click.proto", package="shop", syntax="proto3")
message = file.message_type.add(name="Click")
for number, name in enumerate(fields, 1):
    message.field.add(name=name, number=number, type=9, label=1)
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Click = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Click"))
protobuf = ProtobufSerializer(Click, client, conf={
    "use.deprecated.format": False,
    "subject.name.strategy": lambda context, name: "clicks-protobuf"})
context = SerializationContext(events, MessageField.VALUE)


def report(code):
    def delivered(error, message):
        assert error is None, error
        print(json.dumps({"partition": message.partition(), "offset": message.offset(),
                          "code": code}))
    return delivered


def send(value, headers=None, code=None):
    while True:
        try:
            producer.produce(events, value=value, headers=headers,
                             on_delivery=report(code) if code else None)
            break
        except BufferError:
            producer.poll(0.1)
    producer.poll(0)


item = 0
for number in range(int(rounds)):
    def click():
        global item
        item += 1
        return {"event_type": "click", "user_id": f"u{item % int(users)}", "item_id": f"i{item}"}

    send(avro(click(), context))
    send(json_schema(click(), context))
    send(protobuf(Click(**click()), context))
    send(json.dumps(click()).encode())
    send(json.dumps({**click(), "event_id": f"own-{number}"}).encode())
    data = click()
    send(json.dumps({key: data[key] for key in fields[1:]}).encode(), {
        "ce_specversion": "1.0", "ce_id": f"binary-{number}", "ce_source": "/shop",
        "ce_type": "com.shop.click", "content-type": "application/json"})
    send(json.dumps({"specversion": "1.0", "id": f"structured-{number}", "source": "/shop",
                     "type": "com.shop.click", "data": click()}).encode(),
         {"content-type": "application/cloudevents+json"})

    send(json.dumps({**click(), "event_type": "klick"}).encode(), code="unknown_name")
    send(b"\xff\xfenoise %d" % number, code="unknown_format")
    send(b'{"event_type": "click", %d' % number, code="malformed")
    send(b"\0\0\x0f\xff\xff" + b"x%d" % number, code="unknown_schema_id")
    send(avro({"event_type": "click", "user_id": None, "item_id": "i"}, context), code="missing")

row = AvroSerializer(client, json.dumps({
    "type": "record", "name": "Envelope", "fields": [
        {"name": "before", "default": None, "type": ["null", {
            "type": "record", "name": "Value", "fields": [
                {"name": "sku", "type": "long"}, {"name": "shelf", "type": ["null", "string"]},
                {"name": "title", "type": "string"}]}]},
        {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "op", "type": "string"}]}))
producer.produce(rows, value=row(
    {"before": None, "after": {"sku": 7, "shelf": "tea", "title": "Sencha"}, "op": "c"},
    SerializationContext(rows, MessageField.VALUE)))
assert producer.flush(120) == 0
