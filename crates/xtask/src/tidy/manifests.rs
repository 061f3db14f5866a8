//! What every crate's manifest must say, and where its crates come from.

use super::Finding;
use super::tree::Tree;

/// The one source of other people's crates, as the lock file writes it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for a_crate in &tree.crates {
        if a_crate.description.as_deref().unwrap_or("").is_empty() {
            findings.push(Finding::fail(
                &a_crate.manifest,
                1,
                "the crate has no description",
                "say in `description` what it is for, in one sentence",
            ));
        }
        let takes_lints = tree
            .file(&a_crate.manifest)
            .is_some_and(|file| file.text.contains("[lints]\nworkspace = true"));
        if !takes_lints {
            findings.push(Finding::fail(
                &a_crate.manifest,
                1,
                "the crate does not take the workspace's lints",
                "add `[lints]` with `workspace = true`",
            ));
        }
    }
    findings.extend(foreign_sources(tree));
    findings
}

fn foreign_sources(tree: &Tree) -> Vec<Finding> {
    let Some(lock) = tree.file("Cargo.lock") else {
        return vec![Finding::fail(
            "Cargo.lock",
            1,
            "the lock file is not tracked",
            "commit it: builds must be repeatable",
        )];
    };
    lock.numbered()
        .filter(|(_, line)| line.starts_with("source = ") && !line.contains(CRATES_IO))
        .map(|(number, line)| {
            Finding::fail(
                "Cargo.lock",
                number,
                format!("a crate comes from {line}"),
                "take crates from crates.io alone, so that any clone can build",
            )
        })
        .collect()
}
