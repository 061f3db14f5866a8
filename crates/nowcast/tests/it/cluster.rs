//! `nowcast up` on a real Kafka and a real Redis, chosen by two URLs.

use crate::demo::Server;
use crate::files;
use crate::program::run;
use nowcast_services::{Kafka, Redis, unique_name};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);

fn up(dir: &Path) -> Server {
    let server = Server::start(dir, &["up", "--json", "--listen", "127.0.0.1:0"]);
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
    let text = format!(
        "[log]\nurl = \"kafka://{}/{}\"\n[store]\nurl = \"{}\"\n[stream]\ncheckpoint_interval = \
         \"100ms\"\n[serving]\nwait_applied_max = \"25s\"\n[training]\nenabled = false\n",
        kafka.bootstrap(),
        unique_name("up"),
        redis.url()
    );
    files::write(dir.path(), "nowcast.toml", &text);
    let first = up(dir.path());
    for at in 0..20 {
        let event = format!(
            r#"{{"event_id":"e{at}","event_type":"click","user_id":"ann","item_id":"i{at}"}}"#
        );
        let (status, receipt) = first.ask("POST", "/v1/events?wait=applied", &event);
        assert_eq!(status, 200, "{receipt}");
        let receipt: Value = serde_json::from_str(&receipt).unwrap();
        assert_eq!(receipt["applied"], true, "{receipt}");
    }
    assert_eq!(history(&first, "ann"), 20);
    // Killed, not stopped: what was acknowledged must be on the servers.
    drop(first);
    assert!(!dir.path().join("data/log").exists());
    assert!(!dir.path().join("data/checkpoints").exists());
    let second = up(dir.path());
    assert_eq!(history(&second, "ann"), 20);
    let tool = run(dir.path(), &["recommend", "--user", "ann"]);
    assert_eq!(tool.code, 1, "a command must not take the state over");
    assert!(tool.stderr.contains("store.url"), "{}", tool.stderr);
}

#[test]
fn nonsense_about_kafka_and_redis_is_refused_with_its_line_and_without_passwords() {
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
        "[store]\nurl = \"redis://me:hush@a:1/0\"",
    );
    let shown = run(dir.path(), &["config", "show", "--merged"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.contains("redis://***@a:1/0"),
        "{}",
        shown.stdout
    );
}
