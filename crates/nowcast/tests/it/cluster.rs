//! `nowcast up` on a real Kafka and a real Redis, chosen by two URLs.

use crate::files;
use crate::program::run;
use crate::server::Server;
use nowcast_services::{Kafka, Redis, unique_name};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

fn up(dir: &Path) -> Server {
    start(dir, &["up"])
}

/// Starts the program and waits until it is ready.
pub(crate) fn start(dir: &Path, args: &[&str]) -> Server {
    let server = Server::start(
        dir,
        &[args, &["--json", "--listen", "127.0.0.1:0"]].concat(),
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, body) = server.ask("GET", "/readyz", "");
        if status == 200 {
            return server;
        }
        assert!(Instant::now() < deadline, "not ready: {body}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A configuration on shared servers, with topics and keys of its own.
fn configure(dir: &Path, kafka: &str, redis: &str) {
    let name = unique_name("up");
    let text = format!(
        "shared_dir = \"shared\"\n[log]\nurl = \"kafka://{kafka}/{name}\"\n[store]\nurl = \"{redis}\"\n\
         [store.redis]\nread_timeout = \"10s\"\n[serving]\nwait_applied_max = \"25s\"\n[training]\n\
         enabled = false\n"
    );
    files::write(dir, "nowcast.toml", &text);
}

fn click(server: &Server, at: usize) {
    let event =
        format!(r#"{{"event_id":"e{at}","event_type":"click","user_id":"ann","item_id":"i{at}"}}"#);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, receipt) = server.ask("POST", "/v1/events?wait=applied", &event);
        assert_eq!(status, 200, "{receipt}");
        let receipt: Value = serde_json::from_str(&receipt).unwrap();
        if receipt["applied"] == true {
            return;
        }
        assert!(Instant::now() < deadline, "not applied: {receipt}");
    }
}

/// The item side of a process that only serves may be some milliseconds behind the commit.
fn wait_history(server: &Server, len: usize) {
    let deadline = Instant::now() + PATIENCE;
    while history(server, "ann") != len {
        assert!(Instant::now() < deadline, "it is not {len} long");
    }
}

fn members(dir: &Path) -> Value {
    run(dir, &["status", "--json"]).ok()
}

fn history(server: &Server, user: &str) -> usize {
    let (status, body) = server.ask("GET", &format!("/v1/users/{user}/profile"), "");
    assert_eq!(status, 200, "{body}");
    let profile: Value = serde_json::from_str(&body).unwrap();
    profile["history"].as_array().unwrap().len()
}

#[test]
fn two_urls_put_log_and_state_on_servers_that_outlive_the_process() {
    let kafka = Kafka::shared().expect("three brokers start");
    let redis = Redis::start().expect("redis starts");
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), &kafka.bootstrap(), &redis.url());
    let first = up(dir.path());
    for at in 0..20 {
        click(&first, at);
    }
    assert_eq!(history(&first, "ann"), 20);
    // Killed, not stopped: what was acknowledged must be on the servers.
    drop(first);
    assert!(!dir.path().join("data/log").exists());
    assert!(!dir.path().join("data/checkpoints").exists());
    let second = up(dir.path());
    assert_eq!(history(&second, "ann"), 20);
    let tool = run(dir.path(), &["recommend", "--user", "ann", "--json"]).ok();
    assert!(tool["rung"].is_string(), "{tool}");
    click(&second, 20);
    assert_eq!(history(&second, "ann"), 21, "the command took nothing over");
}

#[test]
fn roles_in_processes_of_their_own_do_together_what_one_does() {
    let kafka = Kafka::shared().expect("three brokers start");
    let redis = Redis::start().expect("redis starts");
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    configure(dir, &kafka.bootstrap(), &redis.url());
    let ingest = start(dir, &["run", "ingest"]);
    let first = start(dir, &["run", "process"]);
    let serve = start(dir, &["run", "serve"]);
    let monitor = start(dir, &["run", "monitor"]);
    for at in 0..20 {
        click(&ingest, at);
        wait_history(&serve, at + 1);
    }
    let question = r#"{"user_id":"ann","k":5}"#;
    let (status, answer) = serve.ask("POST", "/v1/recommendations", question);
    assert_eq!(status, 200, "{answer}");
    for (server, path) in [(&ingest, "/v1/recommendations"), (&serve, "/v1/events")] {
        let (status, refusal) = server.ask("POST", path, question);
        assert_eq!(status, 421, "{refusal}");
    }

    files::events(dir);
    let columns = [
        "--header", "--user", "who", "--item", "what", "--time", "when", "--type", "kind",
    ];
    let import = [
        &["import", "--format", "events"],
        &columns[..],
        &["--json", "events.csv"],
    ];
    assert_eq!(run(dir, &import.concat()).ok()["accepted"], 400);
    let replayed = run(dir, &["replay", "--json"]).ok();
    assert_eq!(replayed["equal"], true, "{replayed}");
    assert!(replayed["events"].as_u64().unwrap() >= 420, "{replayed}");

    let second = start(dir, &["run", "process"]);
    let deadline = Instant::now() + PATIENCE;
    let shared = loop {
        let found = members(dir);
        let all = found["members"].as_array().unwrap();
        let held = |member: &Value| member["partitions"].as_array().unwrap().len();
        let holders = all.iter().filter(|member| held(member) == 2).count();
        if holders == 2 && found["lag"] == 0 {
            break found;
        }
        assert!(Instant::now() < deadline, "not shared: {found}");
    };
    assert_eq!(shared["members"].as_array().unwrap().len(), 5, "{shared}");
    // Killed, not drained: the group notices, and the other one takes over.
    drop(first);
    for at in 20..30 {
        click(&ingest, at);
    }
    wait_history(&serve, 30);
    let (_, metrics) = monitor.ask("GET", "/metrics", "");
    assert!(metrics.contains("nowcast_cluster_lag_records"), "{metrics}");
    drop((second, monitor));
}

#[test]
fn roles_without_shared_log_and_state_are_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let refused = run(dir.path(), &["run", "serve"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("log.url"), "{}", refused.stderr);
    let refused = run(dir.path(), &["run", "process", "serve"]);
    assert!(refused.stderr.contains("of its own"), "{}", refused.stderr);
    let size = ["size", "--users", "1000000", "--items", "1000", "--json"];
    let size = run(dir.path(), &size).ok();
    assert!(size["total_bytes"].as_u64().unwrap() > 500 << 20, "{size}");
}

#[test]
fn nonsense_about_kafka_redis_and_s3_is_refused_with_its_line_and_without_passwords() {
    let dir = tempfile::tempdir().unwrap();
    for (text, line, said) in [
        (
            "[log]\nurl = \"kafka://me:hush@a:1\"",
            2,
            "no credentials in the URL",
        ),
        (
            "[log]\nurl = \"kafka://a:1?partitions=9\"",
            2,
            "events.partitions",
        ),
        ("[log.kafka]\nmin_insync_replicas = 9", 2, "replication"),
        ("[log.kafka]\nbrokers = [\"a:1\"]", 2, "log.url"),
        ("[store]\nurl = \"mysql://me:hush@a:1\"", 2, "redis://"),
        ("[store]\nurl = \"redis://me:hush@a,b\"", 2, "store.url"),
        ("[store.redis]\nnamespace = \"a b\"", 2, "letters"),
        ("[store.redis]\nuser_tlt = \"1d\"", 2, "user_ttl"),
        (
            "[artifacts]\nurl = \"s3://me:hush@models\"",
            2,
            "credentials",
        ),
        ("[artifacts]\nurl = \"gs://hush\"", 2, "s3://bucket"),
        ("[artifacts.s3]\nendpoint = \"http://a\"", 2, "allow_http"),
        (
            "[artifacts.s3]\nsecret_access_key = \"hush\"",
            2,
            "access_key_id",
        ),
        ("[artifacts.s3]\nretries = 3", 2, "retry_budget"),
        (
            "[session.memcached]\nurl = \"memcached://me:hush@a:1\"",
            2,
            "memcached://host:port",
        ),
        ("[session.memcached]\nttl = \"40d\"", 2, "30d"),
    ] {
        files::write(dir.path(), "nowcast.toml", text);
        let checked = run(dir.path(), &["config", "check"]);
        assert_eq!(checked.code, 3, "{text}: {}", checked.stdout);
        assert!(checked.stdout.contains(said), "{text}: {}", checked.stdout);
        assert!(!checked.stdout.contains("hush"), "{}", checked.stdout);
        let place = format!("nowcast.toml:{line}:");
        assert!(
            checked.stdout.contains(&place),
            "{text}: {}",
            checked.stdout
        );
    }
    files::write(
        dir.path(),
        "nowcast.toml",
        "[store]\nurl = \"redis://me:hush@a:1/0\"\n[artifacts.s3]\naccess_key_id = \"hush\"\n\
         secret_access_key = \"hush\"",
    );
    let shown = run(dir.path(), &["config", "show", "--merged"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.contains("redis://***@a:1/0"),
        "{}",
        shown.stdout
    );
    assert!(!shown.stdout.contains("hush"), "{}", shown.stdout);
}
