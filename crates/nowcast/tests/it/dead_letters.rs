//! `nowcast dead-letters` on a data folder and on a running server.

use crate::program::run;
use crate::server::Server;
use serde_json::json;

#[test]
fn an_event_refused_for_its_time_is_shown_repaired_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let up = ["up", "--json", "--listen", "127.0.0.1:0", "--data", "d"];
    let server = Server::start(dir.path(), &up);
    let old = json!({"event_type": "click", "user_id": "ann", "item_id": "i1", "timestamp": 1});
    assert_eq!(server.ask("POST", "/v1/events", &old.to_string()).0, 422);
    let url = server.url();
    let of_server = run(dir.path(), &["dead-letters", "ls", "--json", "--url", &url]).ok();
    assert_eq!(
        (&of_server["code"], &of_server["offset"]),
        (&json!("too_old"), &json!(0))
    );
    assert!(!of_server.to_string().contains("ann"), "{of_server}");
    let taken = run(dir.path(), &["dead-letters", "ls", "--data", "d"]);
    assert!(
        taken.code == 1 && taken.stderr.contains("--url"),
        "{}",
        taken.stderr
    );
    server.stop();

    let shown = run(dir.path(), &["dead-letters", "show", "0", "--data", "d"]);
    assert!(
        shown.stdout.contains("\"user_id\": \"ann\""),
        "{}",
        shown.stdout
    );
    let as_it_was = run(
        dir.path(),
        &["dead-letters", "replay", "0", "--data", "d", "--json"],
    );
    assert_eq!(as_it_was.code, 3);
    assert_eq!(as_it_was.json()[0]["failed"][0]["code"], "too_old");
    let no_choice = run(dir.path(), &["dead-letters", "replay", "--data", "d"]);
    assert!(no_choice.stderr.contains("--all"), "{}", no_choice.stderr);

    // Without a time it is stamped when it is taken in.
    let patch = r#"{"timestamp":null}"#;
    let replay = [
        "dead-letters",
        "replay",
        "--json",
        "--data",
        "d",
        "--patch",
        patch,
    ];
    let chosen = [&replay[..], &["--code", "too_old"]].concat();
    assert_eq!(
        run(dir.path(), &chosen).ok(),
        json!({"replayed": 1, "failed": []})
    );
    let again = [&replay[..], &["0"]].concat();
    assert_eq!(
        run(dir.path(), &again).ok(),
        json!({"replayed": 1, "failed": []})
    );
    let left = run(dir.path(), &["dead-letters", "ls", "--data", "d", "--json"]);
    assert_eq!(left.stdout, "");

    let server = Server::start(dir.path(), &up);
    let profile = || server.ask("GET", "/v1/users/ann/profile", "");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !server
        .ask("GET", "/v1/status", "")
        .1
        .contains("\"lag_events\":0")
    {
        assert!(std::time::Instant::now() < deadline);
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    assert!(profile().1.contains("\"history_len\":1"), "{}", profile().1);
}
