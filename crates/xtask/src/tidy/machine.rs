//! Traces of the machine a file was written on: absolute home paths and registry replacements.
//!
//! The patterns are spelt in two halves so that this file passes its own check.

use super::Finding;
use super::tree::Tree;

/// Beginnings of paths that exist on one machine only.
const PATHS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("C:", "\\"),
];

/// Keys of Cargo's configuration that send builds elsewhere.
const REPLACEMENTS: &[&str] = &[
    concat!("replace-", "with"),
    concat!("[sou", "rce."),
    concat!("[regist", "ries"),
    concat!("sparse", "+http"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (number, line) in file.numbered() {
            if PATHS.iter().any(|path| stands_alone(line, path)) {
                findings.push(Finding::fail(
                    &file.path,
                    number,
                    "an absolute path of one machine",
                    "use a relative path, a temporary directory or an argument",
                ));
            }
            if REPLACEMENTS.iter().any(|key| line.contains(key)) {
                findings.push(Finding::fail(
                    &file.path,
                    number,
                    "a registry of one machine",
                    "keep registry settings in your own Cargo home",
                ));
            }
        }
    }
    findings
}

/// Whether `path` begins a path here, rather than continuing one such as a URL's.
fn stands_alone(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-/{}".contains(c))
    })
}
