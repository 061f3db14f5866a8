//! `nowcast tune`: the winner holds on what was held out, and `evaluate` takes it.

use crate::files;
use crate::program::run;

#[test]
fn the_winner_is_no_worse_than_the_defaults_and_goes_to_evaluate() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for user in 0..120 {
        // Each group walks its own circle, so that the next item is there to be learnt.
        let (group, start) = (user % 3, user * 7 % 20);
        let items = (0..12).map(|step| format!("{group}-{}", (start + step) % 20));
        rows += &format!("{user} {}\n", items.collect::<Vec<_>>().join(" "));
    }
    files::write(dir.path(), "rows.txt", &rows);
    let model = [
        "--format",
        "sequences",
        "--input",
        "rows.txt",
        "--model",
        "transitions",
    ];
    let limits = [
        "--trials",
        "12",
        "--budget",
        "5m",
        "--out",
        "won.params",
        "--json",
    ];
    let tuned = run(dir.path(), &[&["tune"], &model[..], &limits[..]].concat()).ok();
    assert_eq!(tuned["trials"], 12);
    assert_eq!(tuned["metric"], "ndcg@10");
    let (score, default) = (&tuned["score"], &tuned["default_score"]);
    assert!(score.as_f64() >= default.as_f64(), "{tuned}");

    let flags = ["--hold-out", "10", "--params-file", "won.params", "--json"];
    let metrics = ["--metrics", "ndcg@10"];
    let evaluate = [&["evaluate"], &model[..], &flags[..], &metrics[..]].concat();
    let evaluated = run(dir.path(), &evaluate).ok();
    assert_eq!(&evaluated["metrics"]["ndcg@10"], score, "as it was tried");
}

#[test]
fn what_cannot_be_searched_is_said() {
    let dir = tempfile::tempdir().unwrap();
    files::write(dir.path(), "rows.txt", "1 a b c\n2 b c a\n");
    let tune = |rest: &[&str]| {
        let model = [
            "tune",
            "--format",
            "sequences",
            "--input",
            "rows.txt",
            "--model",
        ];
        run(dir.path(), &[&model[..], rest].concat())
    };
    let unknown = tune(&["transitions", "--search", "colour"]);
    assert!(
        unknown.code != 0 && unknown.stderr.contains("history_decay"),
        "{}",
        unknown.stderr
    );
    let nothing = tune(&["popular"]);
    assert!(
        nothing.code != 0 && nothing.stderr.contains("nothing to search"),
        "{}",
        nothing.stderr
    );
}
