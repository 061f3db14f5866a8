//! The demonstration and the server, over HTTP.

use crate::server::Server;
use serde_json::Value;

#[test]
fn the_demonstration_serves_its_page_and_counts_its_readers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(
        dir.path(),
        &[
            "demo",
            "--json",
            "--quiet",
            "--listen",
            "127.0.0.1:0",
            "--visits-per-second",
            "50",
        ],
    );
    let (status, page) = server.ask("GET", "/", "");
    assert_eq!(status, 200);
    assert!(page.contains("<title>Nowcast</title>"));
    let (_, catalogue) = server.ask("GET", "/demo/catalogue", "");
    let catalogue: Value = serde_json::from_str(&catalogue).unwrap();
    assert_eq!(catalogue.as_array().unwrap().len(), 600);
    // Each answer is waited for, so the loop is bounded by work, not by a sleep.
    let stats = loop {
        let (status, stats) = server.ask("GET", "/demo/stats", "");
        assert_eq!(status, 200);
        let stats: Value = serde_json::from_str(&stats).unwrap();
        assert_eq!(stats["errors"], 0, "{stats}");
        let shown = |arm: usize| stats["arms"][arm]["impressions"].as_u64().unwrap();
        if shown(0) > 100 && shown(1) > 100 {
            break stats;
        }
        assert!(stats["elapsed_seconds"].as_f64().unwrap() < 60.0, "{stats}");
        let _ = server.ask(
            "POST",
            "/v1/recommendations",
            r#"{"user_id":"onlooker","k":1}"#,
        );
    };
    assert_eq!(stats["arms"][0]["arm"], "personalized");
}

#[test]
fn a_click_of_a_visitor_changes_the_visitors_list() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(
        dir.path(),
        &[
            "demo",
            "--json",
            "--quiet",
            "--listen",
            "127.0.0.1:0",
            "--visits-per-second",
            "20",
        ],
    );
    let list = || -> Vec<String> {
        let question = r#"{"user_id":"you","k":10}"#;
        let (status, answer) = server.ask("POST", "/v1/recommendations", question);
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let items = answer["items"].as_array().unwrap();
        items
            .iter()
            .map(|i| i["item_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = list();
    assert_eq!(before.len(), 10);
    let click = format!(
        r#"{{"event_type":"click","user_id":"you","item_id":"{}"}}"#,
        before[0]
    );
    let (status, receipt) = server.ask("POST", "/v1/events?wait=applied", &click);
    assert_eq!(status, 200, "{receipt}");
    assert!(
        !list().contains(&before[0]),
        "what was clicked is not offered again"
    );
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let _server = Server::start(dir.path(), &["up", "--json", "--listen", "127.0.0.1:0"]);
    let second = crate::program::run(dir.path(), &["recommend", "--user", "a"]);
    assert_eq!(second.code, 1);
    assert!(
        second.stderr.contains("cannot open data"),
        "{}",
        second.stderr
    );
    let doctor = crate::program::run(dir.path(), &["doctor"]);
    assert_eq!(doctor.code, 3);
    assert!(doctor.stdout.contains("/v1/status"), "{}", doctor.stdout);
}
