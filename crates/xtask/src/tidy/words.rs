//! Words and names that say nothing, or promise what nobody will keep.
//!
//! The words are spelt in two halves here so that this file passes its own check.

use super::Finding;
use super::tree::Tree;

/// Names of files and folders that become drawers.
const DRAWERS: &[&str] = &["util", "utils", "common", "helpers", "helper", "manager"];

/// Words that must not stand in any tracked text.
const BANNED: &[(&str, &str)] = &[
    (
        concat!("for", " now"),
        "say what holds and what is missing; list gaps in docs/gaps.md",
    ),
    (
        concat!("to", "do!("),
        "finish it, or leave the feature out and list it in docs/gaps.md",
    ),
    (
        concat!("unimple", "mented!("),
        "finish it, or leave the feature out and list it in docs/gaps.md",
    ),
    (concat!("db", "g!("), "remove it, or log through `tracing`"),
];

/// Marks that need a condition in brackets, such as `(when the format reaches version 2)`.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Texts that only others' tools write.
const GENERATED: &[&str] = &["Cargo.lock", "LICENSE"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = drawers(tree);
    for file in &tree.files {
        if GENERATED.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in file.numbered() {
            for (word, advice) in BANNED {
                if contains_word(line, word) {
                    let what = format!("`{word}` stands here");
                    findings.push(Finding::fail(&file.path, number, what, advice));
                }
            }
            for mark in MARKS {
                if contains_word(line, mark) && !line.contains(&format!("{mark}(when ")) {
                    findings.push(Finding::fail(
                        &file.path,
                        number,
                        format!("`{mark}` without a condition"),
                        "do it, or write the mark with `(when ...)` and the condition",
                    ));
                }
            }
        }
    }
    findings
}

fn drawers(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in &tree.paths {
        let is_drawer = path.split('/').any(|part| {
            let stem = part.split('.').next().unwrap_or(part);
            DRAWERS.contains(&stem)
        });
        if is_drawer {
            findings.push(Finding::fail(
                path,
                1,
                "the name is a drawer that everything ends up in",
                "name the module after the noun of the domain it holds",
            ));
        }
    }
    findings
}

/// Whether `word` stands in `line` with no letter directly before or after it.
fn contains_word(line: &str, word: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let (haystack, needle) = if word.chars().all(|c| c.is_ascii_uppercase()) {
        (line, word.to_owned())
    } else {
        (lower.as_str(), word.to_ascii_lowercase())
    };
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    haystack.match_indices(&needle).any(|(at, found)| {
        let before = haystack[..at].chars().next_back();
        let after = haystack[at + found.len()..].chars().next();
        let ends_open = found.ends_with('(');
        !is_letter(before) && (ends_open || !is_letter(after))
    })
}
