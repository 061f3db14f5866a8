"""Writes the golden messages of every revision of the shipped event schema, with encoders that are
not ours: fastavro and protoc's Python classes (pip install fastavro grpcio-tools).

Golden files are written once, when a revision is released, and never again: they stand for the
messages of producers that have not been updated since.
"""

import importlib
import io
import json
import pathlib
import struct
import sys
import tempfile

import fastavro
import fastavro.schema
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
SCHEMAS = HERE.parent.parent / "schemas"
EVENTS = {
    1: {
        "event_id": "e-1", "event_type": "view", "user_id": "ann", "item_id": "i-1",
        "timestamp": 1795000000001, "value": 1.5, "properties": {"q": "shöes", "n": 3},
    },
    2: {
        "event_id": "e-2", "event_type": "click", "session_id": "s-2", "item_id": "i-2",
        "timestamp": 1795000000002, "slot": "home", "request_id": "r-2", "device_type": "mobile",
        "location": "DE", "utc_offset_minutes": -90, "properties": {"sale": True},
    },
    3: {
        "event_id": "e-3", "event_type": "purchase", "user_id": "bob", "session_id": "s-3",
        "item_id": "i-3", "timestamp": 1795000000003, "value": 19.99, "slot": "home",
        "request_id": "r-3", "device_type": "tablet", "location": "FR", "utc_offset_minutes": 60,
        "properties": {"tags": ["a", "b"]}, "consent": {"personalize": True, "train": False},
        "schema_version": 1,
    },
}


def path_of(revision, suffix):
    name = "event" if revision == max(EVENTS) else f"earlier/event.{revision}"
    return SCHEMAS / f"{name}{suffix}"


def write(name, content):
    path = HERE / name
    if path.exists():
        print(f"{name} is there already")
        return
    path.write_bytes(content)


for revision, event in EVENTS.items():
    write(f"event.{revision}.json", json.dumps(event, ensure_ascii=False).encode())

    schema = json.loads(path_of(revision, ".avsc").read_text())
    parsed = fastavro.parse_schema(schema)
    datum = io.BytesIO()
    fastavro.schemaless_writer(datum, parsed, event)
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
    write(f"event.{revision}.single.avro", b"\xc3\x01" + fingerprint + datum.getvalue())
    write(f"event.{revision}.header.avro", b"\0" + struct.pack(">I", revision) + datum.getvalue())

    with tempfile.TemporaryDirectory() as out:
        module = f"event_{revision}"
        source = pathlib.Path(out) / f"{module}.proto"
        # Each revision in a package of its own, or one process could not load them together.
        text = path_of(revision, ".proto").read_text()
        source.write_text(text.replace("package nowcast.v1;", f"package golden{revision};"))
        include = pathlib.Path(protoc.__file__).parent / "_proto"
        args = ["protoc", f"-I{out}", f"-I{include}", f"--python_out={out}", str(source)]
        assert protoc.main(args) == 0
        sys.path.insert(0, out)
        message = importlib.import_module(f"{module}_pb2").Event()
        for name, value in event.items():
            if name == "properties":
                message.properties.update(value)
            elif name == "consent":
                message.consent.personalize = value["personalize"]
                message.consent.train = value["train"]
            else:
                setattr(message, name, value)
        write(f"event.{revision}.pb", message.SerializeToString(deterministic=True))
