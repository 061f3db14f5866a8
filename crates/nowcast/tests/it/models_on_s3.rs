//! `nowcast run train` publishes to an object store and `nowcast run serve` answers with what it
//! finds there; the folder that they share has the key and no model.

use crate::cluster::{PATIENCE, start};
use crate::files;
use crate::program::run;
use crate::server::Server;
use nowcast_services::{Kafka, Redis, S3, unique_name};
use serde_json::Value;
use std::path::Path;
use std::time::Instant;

fn configure(dir: &Path, kafka: &Kafkas, redis: &Redis, s3: &S3) {
    let name = unique_name("models");
    let text = format!(
        "shared_dir = \"shared\"\n[log]\nurl = \"kafka://{}/{name}\"\n[store]\nurl = \"{}\"\n\
         [store.redis]\nread_timeout = \"10s\"\n[serving]\nmodels_refresh = \"100ms\"\n[training]\n\
         models = [\"popular\", \"covisit\"]\ninteractions_min = 100\ninterval = \"1s\"\n\
         gate_share_of_popular = 0.0\n[artifacts]\nurl = \"s3://models/shop\"\n[artifacts.s3]\n\
         endpoint = \"{}\"\nregion = \"{}\"\naccess_key_id = \"tests\"\n\
         secret_access_key = \"any\"\nallow_http = true\n",
        kafka.bootstrap(),
        redis.url(),
        s3.url(),
        S3::REGION,
    );
    files::write(dir, "nowcast.toml", &text);
}

type Kafkas = nowcast_services::SharedKafka;

/// The models that a server says are in use.
fn models(server: &Server) -> Vec<String> {
    let (status, body) = server.ask("GET", "/v1/status", "");
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let models = body["models"].as_array().unwrap();
    let name = |model: &Value| model["name"].as_str().unwrap().to_owned();
    models.iter().map(name).collect()
}

#[test]
fn a_process_that_serves_finds_what_a_process_that_trains_has_published() {
    let kafka = Kafka::shared().expect("three brokers start");
    let redis = Redis::start().expect("redis starts");
    let s3 = S3::start().expect("moto starts");
    s3.create_bucket("models").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    configure(dir, &kafka, &redis, &s3);
    let _ingest = start(dir, &["run", "ingest"]);
    let _process = start(dir, &["run", "process"]);
    let serve = start(dir, &["run", "serve"]);
    assert!(models(&serve).is_empty());
    files::events(dir);
    let import = [
        "import",
        "--format",
        "events",
        "--header",
        "--user",
        "who",
        "--item",
        "what",
        "--time",
        "when",
        "--type",
        "kind",
        "--json",
        "events.csv",
    ];
    assert_eq!(run(dir, &import).ok()["accepted"], 400);
    let train = start(dir, &["run", "train"]);
    let deadline = Instant::now() + PATIENCE;
    while models(&serve) != ["covisit", "popular"] {
        assert!(Instant::now() < deadline, "in use: {:?}", models(&serve));
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    drop(train);
    assert!(dir.join("shared").exists(), "the key is shared");
    assert!(
        !dir.join("shared/models").exists(),
        "models are not in the folder"
    );
    assert!(!dir.join("data/models").exists(), "nor in the data folder");
    let question = r#"{"user_id":"r1","k":5,"explain":true}"#;
    let (status, answer) = serve.ask("POST", "/v1/recommendations", question);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("covisit"), "{answer}");
}
