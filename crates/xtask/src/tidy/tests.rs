//! Each check finds its planted violation, and the tree as it stands has none.

use super::tree::{Crate, SourceFile, Tree};
use super::*;
use cargo_metadata::DependencyKind;

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree {
        files: files
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect(),
        paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        crates: Vec::new(),
    }
}

/// The lines of the failures that `check` reports for `path` with `text`.
fn failing_lines(check: Check, path: &str, text: &str) -> Vec<usize> {
    check(&tree(&[(path, text)]))
        .into_iter()
        .filter(|finding| finding.level == Level::Fail)
        .map(|finding| finding.line)
        .collect()
}

fn a_crate(name: &str, needs: &[(&str, DependencyKind)]) -> Crate {
    Crate {
        name: name.to_owned(),
        manifest: "crates/a/Cargo.toml".to_owned(),
        description: Some("A crate.".to_owned()),
        needs: needs
            .iter()
            .map(|(to, kind)| ((*to).to_owned(), *kind))
            .collect(),
    }
}

/// What the layer check says about crates, the missing architecture document aside.
fn layer_failures(crates: Vec<Crate>) -> Vec<Finding> {
    let mut tree = tree(&[(
        "crates/a/Cargo.toml",
        "[package]\nnowcast-stream.workspace = true\n",
    )]);
    tree.crates = crates;
    let mut findings = layers::check(&tree);
    findings.retain(|finding| finding.file != "ARCHITECTURE.md");
    findings
}

#[test]
fn a_dependency_upward_or_sideways_is_found_at_its_line() {
    for kind in [DependencyKind::Normal, DependencyKind::Development] {
        let up = layer_failures(vec![a_crate(
            "nowcast-features",
            &[("nowcast-stream", kind)],
        )]);
        assert_eq!(up.len(), 1, "{up:?}");
        assert_eq!(up[0].line, 2);
    }
    let sideways = a_crate(
        "nowcast-log",
        &[("nowcast-features", DependencyKind::Normal)],
    );
    assert_eq!(layer_failures(vec![sideways]).len(), 1);
    let down = a_crate("nowcast-stream", &[("nowcast-log", DependencyKind::Normal)]);
    assert!(layer_failures(vec![down]).is_empty());
}

#[test]
fn a_crate_outside_the_table_is_found() {
    assert_eq!(layer_failures(vec![a_crate("nowcast-extra", &[])]).len(), 1);
}

#[test]
fn a_layer_missing_from_the_architecture_is_found() {
    let all: String = layers::LAYERS
        .iter()
        .map(|(name, layer)| {
            let folder = name.strip_prefix("nowcast-").unwrap_or(name);
            let layer = if *folder == *"xtask" {
                "tools".to_owned()
            } else {
                layer.to_string()
            };
            format!("| {layer} | `{folder}` | what |\n")
        })
        .collect();
    assert!(failing_lines(layers::check, "ARCHITECTURE.md", &all).is_empty());
    let without_log = all.replace("| 2 | `log` | what |\n", "");
    assert_eq!(
        failing_lines(layers::check, "ARCHITECTURE.md", &without_log).len(),
        1
    );
}

#[test]
fn a_manifest_without_description_or_lints_is_found() {
    let good = "[lints]\nworkspace = true\n";
    let lock = ("Cargo.lock", "");
    let mut planted = tree(&[("crates/a/Cargo.toml", good), lock]);
    planted.crates = vec![a_crate("nowcast-log", &[])];
    assert!(manifests::check(&planted).is_empty());
    planted.crates[0].description = None;
    assert_eq!(manifests::check(&planted).len(), 1);
    let mut no_lints = tree(&[("crates/a/Cargo.toml", "[package]\n"), lock]);
    no_lints.crates = vec![a_crate("nowcast-log", &[])];
    assert_eq!(manifests::check(&no_lints).len(), 1);
}

#[test]
fn a_crate_from_another_registry_is_found() {
    let lock = "name = \"a\"\nsource = \"git+https://example.org/a\"\n";
    assert_eq!(failing_lines(manifests::check, "Cargo.lock", lock), vec![2]);
}

#[test]
fn a_long_file_fails_and_its_inline_tests_do_not_count() {
    let lines = |n: usize| "let a = 1;\n".repeat(n);
    let path = "crates/a/src/b.rs";
    assert_eq!(failing_lines(sizes::check, path, &lines(801)), vec![801]);
    assert!(failing_lines(sizes::check, path, &lines(800)).is_empty());
    assert_eq!(sizes::check(&tree(&[(path, &lines(401))])).len(), 1);
    let with_tests = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        lines(300),
        lines(900)
    );
    assert!(sizes::check(&tree(&[(path, &with_tests)])).is_empty());
    assert!(sizes::check(&tree(&[("crates/a/tests/it/main.rs", &lines(900))])).is_empty());
}

#[test]
fn a_file_without_an_opening_is_found() {
    let path = "crates/a/src/b.rs";
    assert_eq!(failing_lines(openings::check, path, "use std::fmt;\n"), [1]);
    assert!(failing_lines(openings::check, path, "//! What it is.\n").is_empty());
}

#[test]
fn banned_words_are_found_and_like_words_are_not() {
    let path = "README.md";
    for planted in [
        concat!("good enough for", " now"),
        concat!("For", " now we skip it."),
        concat!("to", "do!()"),
        concat!("unimple", "mented!()"),
        concat!("db", "g!(x)"),
        concat!("// TO", "DO later"),
        concat!("// FIX", "ME"),
    ] {
        let text = format!("fine\n{planted}\n");
        assert_eq!(failing_lines(words::check, path, &text), [2], "{planted}");
    }
    for fine in [
        "a name for nowcast",
        concat!("// TO", "DO(when the format reaches version 2): drop"),
    ] {
        assert!(failing_lines(words::check, path, fine).is_empty(), "{fine}");
    }
}

#[test]
fn a_drawer_is_found_by_its_name() {
    for path in [
        "crates/a/src/util.rs",
        "crates/common/src/lib.rs",
        "crates/a/src/helpers/mod.rs",
        "crates/a/src/manager.rs",
    ] {
        assert_eq!(failing_lines(words::check, path, "//! A\n"), [1], "{path}");
    }
    assert!(failing_lines(words::check, "crates/a/src/utility_of_items.rs", "").is_empty());
}

#[test]
fn unsafe_code_outside_kernels_or_without_a_reason_is_found() {
    let block = concat!("//! A\nlet x = un", "safe { read(p) };\n");
    let with_reason = concat!(
        "//! A\n// SAFETY: p is valid.\nlet x = un",
        "safe { read(p) };\n"
    );
    let check = unsafe_code::check as Check;
    assert_eq!(failing_lines(check, "crates/a/src/b.rs", with_reason), [3]);
    assert_eq!(failing_lines(check, "crates/a/src/kernels.rs", block), [2]);
    assert!(failing_lines(check, "crates/a/src/kernels/x.rs", with_reason).is_empty());
    let around = concat!(
        "// SAFETY: the trait's contract.\nimpl A for B {\n",
        "    a();\n    b();\n    c();\n    d();\n    e();\n    f();\n    g();\n    h();\n",
        "    fn f() {\n        un",
        "safe { g() }\n    }\n}\n"
    );
    assert!(failing_lines(check, "crates/a/src/kernels.rs", around).is_empty());
}

#[test]
fn traces_of_a_machine_are_found() {
    for planted in [
        concat!("let dir = \"/ho", "me/ada/data\";"),
        concat!("see /wo", "rk/thing"),
        concat!("replace-", "with = \"mirror\""),
    ] {
        assert_eq!(
            failing_lines(machine::check, "a.toml", planted),
            [1],
            "{planted}"
        );
    }
    let url = concat!("https://example.org/ho", "me/page");
    assert!(failing_lines(machine::check, "a.md", url).is_empty());
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "one\n[gone](docs/gone.md) [here](README.md#top) [web](https://example.org/x)\n";
    assert_eq!(failing_lines(links::check, "README.md", text), [2]);
    let up = tree(&[
        ("docs/adr/0001.md", "[r](../../README.md)"),
        ("README.md", ""),
    ]);
    assert!(links::check(&up).is_empty());
}

#[test]
fn a_configuration_key_without_a_comment_is_found() {
    let text = "# The port.\nport = 1\nhost = \"a\"\n# Views.\nviews = [\n  { name = \"x\" },\n]\n";
    assert_eq!(
        failing_lines(config_keys::check, "config/default.toml", text),
        [3]
    );
    let list = "# Views.\n[[views]]\nname = 1\n\n[[views]]\nname = 2\n[other]\nkey = 3\n";
    assert_eq!(
        failing_lines(config_keys::check, "config/default.toml", list),
        [8]
    );
}
