//! Each Rust file opens with `//!` lines: what it is, the one idea, what it does not do.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| {
            Finding::fail(
                &file.path,
                1,
                "the file does not open with `//!`",
                "say first what the file is, its one idea, and what it deliberately does not do",
            )
        })
        .collect()
}
