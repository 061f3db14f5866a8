//! Python's `confluent-kafka` against the built-in registry: its schema-registry client's calls,
//! and the bytes of its Avro, JSON Schema and Protobuf serializers decoded by ours.
//!
//! The library is fetched once by pip into a virtual environment in the user's cache folder
//! (`NOWCAST_CACHE`, else `XDG_CACHE_HOME`, else `~/.cache`); the test says so when it does.

use crate::running::Running;
use crate::samples::event_json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nowcast_schemas::{Decoded, Decoder, Message, TopicConfig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 1] = ["confluent-kafka[avro,json,protobuf]==2.16.0"];

fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let base = set("NOWCAST_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("nowcast")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/nowcast")));
    base.expect("a home folder")
        .join("python-confluent-kafka-2.16.0")
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?} failed:\n{out}\n{err}");
    out.into_owned()
}

/// The interpreter of an environment with the library, made if it is not there yet.
fn python() -> PathBuf {
    let dir = cache();
    let python = dir.join("bin/python");
    if !dir.join("complete").exists() {
        println!("fetching {PACKAGES:?} into {}", dir.display());
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&dir));
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ];
        run(Command::new(&python).args(pip).args(PACKAGES));
        std::fs::write(dir.join("complete"), "").unwrap();
    }
    python
}

/// The shipped event and a nested foreign message, as descriptors for Python's runtime.
fn descriptors(schemas: &Path) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(schemas.join("event.proto"), dir.path().join("event.proto")).unwrap();
    let nested = "syntax = \"proto3\"; package shop; message First {} message Outer { message A {}
        message Click { string event_type = 1; string user_id = 2; } }";
    std::fs::write(dir.path().join("shop.proto"), nested).unwrap();
    let mut compiler = protox::Compiler::new([dir.path()]).unwrap();
    compiler.include_imports(true);
    compiler.open_files(["event.proto", "shop.proto"]).unwrap();
    STANDARD.encode(compiler.encode_file_descriptor_set())
}

#[test]
fn confluent_kafka_talks_to_the_registry_and_its_bytes_are_decoded() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (running, service) = Running::registry();
    let output = run(Command::new(python())
        .arg(here.join("tests/it/python_clients.py"))
        .arg(running.url())
        .arg(here.join("schemas"))
        .arg(descriptors(&here.join("schemas"))));
    let decoder = Decoder::new(Some(service));
    let older =
        json!({"event_id": "e-1", "event_type": "purchase", "user_id": "ann", "item_id": "i-77"});
    let nested = json!({"event_type": "click", "user_id": "ann"});
    let mut names = Vec::new();
    for line in output.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = line["name"].as_str().unwrap();
        let bytes = STANDARD.decode(line["bytes"].as_str().unwrap()).unwrap();
        let expected = match name {
            "done" => continue,
            "avro revision 1" => older.clone(),
            "protobuf nested" => nested.clone(),
            _ => event_json(),
        };
        let message = Message::of_value(&bytes);
        let topic = TopicConfig::default();
        let decoded = running.runtime.block_on(decoder.decode(&message, &topic));
        let Ok(Decoded::Event(fields)) = decoded else {
            panic!("{name}: {decoded:?}");
        };
        assert_eq!(fields.to_json(), expected, "{name}");
        names.push(name.to_owned());
    }
    let all = [
        "avro",
        "avro revision 1",
        "json",
        "protobuf",
        "protobuf nested",
    ];
    assert_eq!(names, all);
}
