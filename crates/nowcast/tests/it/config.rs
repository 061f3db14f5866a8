//! The configuration from the outside.

use crate::files;
use crate::program::{command, finished, run};

#[test]
fn the_defaults_are_shown_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let shown = run(dir.path(), &["config", "show"]);
    assert_eq!(shown.code, 0);
    let file = include_str!("../../../../config/default.toml");
    assert_eq!(shown.stdout.trim_end(), file.trim_end());
    let checked = run(dir.path(), &["config", "check", "--json"]).ok();
    assert_eq!(checked["ok"], true);
}

#[test]
fn the_file_of_defaults_given_as_a_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = include_str!("../../../../config/default.toml");
    files::write(dir.path(), "all.toml", file);
    let with = ["--config", "all.toml", "config", "show", "--merged"];
    let without = ["config", "show", "--merged"];
    assert_eq!(
        run(dir.path(), &with).stdout,
        run(dir.path(), &without).stdout
    );
}

#[test]
fn all_mistakes_are_reported_at_once_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let text = "\
[server]
listen = \"nowhere\"
[log]
segment_bytes = 64
[fold]
histroy_len = 5
[recommend.slots.default]
seen = \"sometimes\"
[[fold.views]]
name = \"x\"
";
    files::write(dir.path(), "nowcast.toml", text);
    let checked = run(dir.path(), &["config", "check"]);
    assert_eq!(checked.code, 3, "{}", checked.stdout);
    for line in [2, 4, 6, 8, 9] {
        let place = format!("nowcast.toml:{line}:");
        assert!(
            checked.stdout.contains(&place),
            "{place} in\n{}",
            checked.stdout
        );
    }
    assert!(
        checked.stdout.contains("history_len"),
        "valid names: {}",
        checked.stdout
    );
    let up = run(dir.path(), &["up"]);
    assert_eq!(up.code, 2);
    assert!(up.stderr.contains("nowcast.toml:2"), "{}", up.stderr);
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let dir = tempfile::tempdir().unwrap();
    files::write(dir.path(), "nowcast.toml", "[fold]\nhistory_len = 10\n");
    let history_len = |environment: Option<&str>, args: &[&str]| {
        let mut all = vec!["config", "show", "--merged", "--json"];
        all.extend(args);
        let mut command = command(dir.path(), &all);
        if let Some(value) = environment {
            command.env("NOWCAST__FOLD__HISTORY_LEN", value);
        }
        finished(command.output().unwrap()).ok()["fold"]["history_len"].clone()
    };
    assert_eq!(history_len(None, &[]), 10);
    assert_eq!(history_len(Some("20"), &[]), 20);
    assert_eq!(
        history_len(Some("20"), &["--set", "fold.history_len=30"]),
        30
    );
}

#[test]
fn a_bad_environment_variable_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(dir.path(), &["config", "check"]);
    command.env("NOWCAST__LOG__SEGMENTS", "4");
    let checked = finished(command.output().unwrap());
    assert_eq!(checked.code, 3);
    assert!(
        checked
            .stdout
            .contains("environment NOWCAST__LOG__SEGMENTS"),
        "{}",
        checked.stdout
    );
}
