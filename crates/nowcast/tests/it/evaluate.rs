//! The evaluation's contract: one JSON object a line, with the agreed keys.

use crate::files;
use crate::program::run;
use serde_json::Value;

fn has_keys(row: &Value, keys: &[&str]) {
    for key in keys {
        assert!(row.get(key).is_some(), "{key} in {row}");
    }
}

const KEYS: [&str; 9] = [
    "model",
    "params",
    "seed",
    "metrics",
    "train_seconds",
    "cpu_seconds",
    "users",
    "items",
    "interactions",
];

#[test]
fn a_fixed_split_gives_a_line_for_each_model() {
    let dir = tempfile::tempdir().unwrap();
    let (mut train, mut test) = (String::new(), String::new());
    for user in 0..30 {
        let base = user % 2 * 50;
        let item = |n: usize| base + (user * 3 + n * 7) % 20;
        train += &format!("{user} {} {} {} {}\n", item(0), item(1), item(2), item(3));
        test += &format!("{user} {}\n", item(4));
    }
    files::write(dir.path(), "train.txt", &train);
    files::write(dir.path(), "test.txt", &test);
    let done = run(
        dir.path(),
        &[
            "evaluate",
            "--format",
            "lightgcn",
            "--train",
            "train.txt",
            "--test",
            "test.txt",
            "--model",
            "popular,ials",
            "--metrics",
            "recall@20,ndcg@20",
            "--seed",
            "7",
            "--json",
            "--quiet",
        ],
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    let rows = done.json();
    let models: Vec<&str> = rows
        .iter()
        .map(|row| row["model"].as_str().unwrap())
        .collect();
    assert_eq!(models, ["popular", "ials"]);
    for row in &rows {
        has_keys(row, &KEYS);
        has_keys(row, &["peak_rss_mb"]);
        has_keys(&row["metrics"], &["recall@20", "ndcg@20"]);
        assert_eq!(row["seed"], 7);
        assert_eq!(row["users"], 30);
    }
    let recall = |row: &Value| row["metrics"]["recall@20"].as_f64().unwrap();
    assert!(recall(&rows[1]) > 0.9, "two clusters are easy: {}", rows[1]);
}

#[test]
fn a_stream_gives_a_line_for_each_model_and_refresh() {
    let dir = tempfile::tempdir().unwrap();
    files::events(dir.path());
    let done = run(
        dir.path(),
        &[
            "evaluate",
            "--format",
            "events",
            "--events",
            "events.csv",
            "--header",
            "--user",
            "who",
            "--item",
            "what",
            "--time",
            "when",
            "--prequential",
            "--models",
            "popular",
            "--metrics",
            "recall@10,mrr@10",
            "--json",
            "--quiet",
        ],
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    let rows = done.json();
    let modes: Vec<&str> = rows
        .iter()
        .map(|row| row["refresh"].as_str().unwrap())
        .collect();
    assert_eq!(modes, ["live", "hourly", "daily", "never"]);
    for row in &rows {
        has_keys(row, &KEYS);
        has_keys(row, &["coverage", "peak_rss_mb"]);
        has_keys(&row["metrics"], &["recall@10", "mrr@10"]);
    }
}

#[test]
fn new_items_are_ranked_alone_and_among_all() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rows, mut catalogue) = (String::new(), String::new());
    for user in 0..60 {
        let item = |n: usize| user % 2 * 100 + (user * 3 + n * 7) % 40;
        let row = (0..8).map(|n| format!(" i{}", item(n)));
        rows += &format!("u{user}{}\n", row.collect::<String>());
    }
    for item in (0..40).chain(100..140) {
        let tag = ["cooking", "sailing"][item / 100];
        catalogue += &format!("{{\"item_id\":\"i{item}\",\"tags\":[\"{tag}\"]}}\n");
    }
    files::write(dir.path(), "rows.txt", &rows);
    files::write(dir.path(), "items.jsonl", &catalogue);
    let args = "evaluate --format cold-items --input rows.txt --items items.jsonl --cold 5 \
                --model popular,content,ials --metrics recall@5 --seeds 1,2 --json --quiet";
    let args: Vec<&str> = args.split_ascii_whitespace().collect();
    let done = run(dir.path(), &args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let rows = done.json();
    for row in &rows {
        has_keys(row, &KEYS);
        has_keys(row, &["cold_items", "spread"]);
        has_keys(&row["among_all"], &["recall@5"]);
    }
    let recall = |at: usize| rows[at]["metrics"]["recall@5"].as_f64().unwrap();
    assert!(
        recall(1) > 1.3 * recall(0),
        "content: {} {}",
        rows[0],
        rows[1]
    );
    assert!(recall(2) > 1.3 * recall(0), "ials: {} {}", rows[0], rows[2]);
    assert_eq!(rows[0]["among_all"]["recall@5"], 0.0);
}

#[test]
fn an_unknown_model_or_metric_lists_the_known_ones() {
    let dir = tempfile::tempdir().unwrap();
    files::write(dir.path(), "t.txt", "0 1 2\n");
    let evaluate = |model: &str, metric: &str| {
        let failed = run(
            dir.path(),
            &[
                "evaluate",
                "--format",
                "lightgcn",
                "--train",
                "t.txt",
                "--test",
                "t.txt",
                "--model",
                model,
                "--metrics",
                metric,
                "--quiet",
            ],
        );
        assert_eq!(failed.code, 1);
        failed.stderr
    };
    assert!(evaluate("deepest", "recall@20").contains("ials"));
    assert!(evaluate("popular", "joy@20").contains("ndcg"));
}
