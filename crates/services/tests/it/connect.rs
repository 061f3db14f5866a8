//! Kafka Connect, Debezium and the independent clients, on the Kafka and the worker that tests
//! share.

use nowcast_services::{Connect, Kafka, Postgres, tools, unique_name};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

fn output(program: &Path, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said
}

#[test]
fn a_row_changed_in_postgres_arrives_in_kafka() {
    let postgres = Postgres::start().unwrap();
    postgres
        .sql("create table items (id text primary key, title text)")
        .unwrap();
    let started = Instant::now();
    let connect = Connect::shared().unwrap();
    eprintln!("connect: ready after {:?}", started.elapsed());
    let name = unique_name("cdc");
    let config = serde_json::json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": postgres.address().port().to_string(),
        "database.user": "postgres",
        "database.password": "",
        "database.dbname": "postgres",
        "plugin.name": "pgoutput",
        "topic.prefix": name,
        "table.include.list": "public.items",
        "topic.creation.default.replication.factor": "3",
        "topic.creation.default.partitions": "1",
    });
    connect.put_connector(&name, &config).unwrap();
    postgres
        .sql("insert into items values ('a', 'A tale')")
        .unwrap();

    let kcat = tools::kcat().unwrap();
    let brokers = connect.kafka().bootstrap();
    let topic = format!("{name}.public.items");
    let mut args = vec!["-C", "-b", &brokers, "-t", &topic, "-o", "beginning"];
    // The topic comes into being with the first row.
    args.extend(["-X", "allow.auto.create.topics=false", "-c", "1"]);
    let deadline = Instant::now() + std::time::Duration::from_secs(180);
    while connect
        .kafka()
        .view()
        .unwrap()
        .partition(&topic, 0)
        .is_none()
    {
        assert!(Instant::now() < deadline, "no topic {topic}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let change = output(&kcat, &args);
    connect.delete_connector(&name).unwrap();
    let change: serde_json::Value = serde_json::from_str(&change).unwrap();
    assert_eq!(change["op"], "c", "{change}");
    assert_eq!(change["after"]["title"], "A tale", "{change}");
}

#[test]
fn kcat_reads_what_python_wrote() {
    let kafka = Kafka::shared().unwrap();
    let topic = unique_name("greetings");
    kafka.create_topic(&topic, 1).unwrap();
    let script = "
import sys
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
producer = Producer({'bootstrap.servers': sys.argv[1], 'acks': 'all'})
producer.produce(sys.argv[2], b'good day', key=b'k')
assert producer.flush(120) == 0
";
    let brokers = kafka.bootstrap();
    let python = tools::python_kafka().unwrap();
    output(&python, &["-c", script, &brokers, &topic]);
    let kcat = tools::kcat().unwrap();
    let read = [
        "-C",
        "-b",
        &brokers,
        "-t",
        &topic,
        "-o",
        "beginning",
        "-c",
        "1",
    ];
    assert_eq!(output(&kcat, &read), "good day\n");
}
