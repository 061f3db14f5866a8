//! History in, answers out, state rebuilt.

use crate::files;
use crate::program::run;
use std::path::Path;

fn import(dir: &Path) -> serde_json::Value {
    files::events(dir);
    files::items(dir);
    run(
        dir,
        &[
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
            "--items",
            "items.csv",
            "--item-id",
            "id",
            "--item-attribute",
            "title",
            "--item-categories",
            "topics",
            "--json",
            "--quiet",
            "events.csv",
        ],
    )
    .ok()
}

#[test]
fn imported_history_is_served_and_replayed_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let report = import(dir.path());
    assert_eq!(report["accepted"], 400, "{report}");
    assert_eq!(report["items"], 40);
    assert_eq!(report["fold"]["applied"], 400);
    assert_eq!(report["fold"]["late"], 0);

    let answer = run(
        dir.path(),
        &["recommend", "--user", "r0", "-k", "5", "--json"],
    )
    .ok();
    let items: Vec<&str> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["item_id"].as_str().unwrap())
        .collect();
    assert_eq!(answer["rung"], "personalized", "{answer}");
    assert_eq!(items.len(), 5);
    assert!(items.iter().all(|id| id.starts_with("cook-")), "{items:?}");

    let replay = run(dir.path(), &["replay", "--json", "--quiet"]).ok();
    assert_eq!(replay["equal"], true, "{replay}");
    assert_eq!(replay["events"], 400);
}

#[test]
fn importing_the_same_file_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    import(dir.path());
    let again = import(dir.path());
    assert_eq!(again["fold"]["applied"], 400, "{again}");
    let repeated = ["duplicate", "late"].map(|name| again["fold"][name].as_u64().unwrap());
    assert_eq!(repeated.iter().sum::<u64>(), 400, "{again}");
}

#[test]
fn bad_rows_are_counted_with_their_reason_and_hurt_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let lines = concat!(
        r#"{"event_type":"view","user_id":"a","item_id":"x","timestamp":1700000000000}"#,
        "\n",
        r#"{"event_type":"stare","user_id":"a","item_id":"x","timestamp":1700000001000}"#,
        "\n",
        r#"{"event_type":"view","user_id":"a","#,
        "\n",
        r#"{"event_type":"view","user_id":"a","item_id":"y","timestamp":1700000002000}"#,
        "\n",
    );
    files::write(dir.path(), "e.ndjson", lines);
    let report = run(
        dir.path(),
        &[
            "import", "--format", "jsonl", "e.ndjson", "--json", "--quiet",
        ],
    )
    .ok();
    assert_eq!(report["accepted"], 2, "{report}");
    assert_eq!(report["dead_letters"], 2, "{report}");
    let reasons = report["reasons"].to_string();
    assert!(reasons.contains("stare"), "{reasons}");
}

#[test]
fn a_missing_column_is_named_with_the_ones_there_are() {
    let dir = tempfile::tempdir().unwrap();
    files::events(dir.path());
    let failed = run(
        dir.path(),
        &[
            "import",
            "--format",
            "events",
            "--header",
            "--user",
            "whom",
            "--item",
            "what",
            "--time",
            "when",
            "events.csv",
            "--quiet",
        ],
    );
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("whom"), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("who, what, when, kind"),
        "{}",
        failed.stderr
    );
}

#[test]
fn doctor_and_train_say_what_is_missing_and_what_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = run(dir.path(), &["doctor", "--json"]).ok();
    assert_eq!(nothing["ok"], true, "{nothing}");
    assert!(
        nothing.to_string().contains("does not exist yet"),
        "{nothing}"
    );

    import(dir.path());
    let few = run(dir.path(), &["train", "--json", "--quiet"]);
    assert_eq!(few.code, 1, "{}", few.stdout);
    assert!(few.stderr.contains("interactions"), "{}", few.stderr);

    let trained = run(
        dir.path(),
        &[
            "train",
            "--model",
            "covisit",
            "--set",
            "training.interactions_min=100",
            "--json",
            "--quiet",
        ],
    )
    .ok();
    assert_eq!(trained["models"][0]["version"], 1, "{trained}");
    let healthy = run(dir.path(), &["doctor", "--json"]).ok();
    let checks = healthy["checks"].as_array().unwrap();
    let models = checks
        .iter()
        .find(|check| check["check"] == "models")
        .unwrap();
    assert_eq!(models["verdict"], "ok", "{healthy}");
}
