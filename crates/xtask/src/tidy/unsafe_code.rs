//! Where `unsafe` may stand: in modules named `kernels`, and in the few other files that are listed.
//! Each says why it is sound, at the place or at an item around it (a trait's `# Safety`, or one
//! `SAFETY` for all methods of an impl).

use super::Finding;
use super::tree::{SourceFile, Tree};

/// The other files, and why.
const LISTED: &[(&str, &str)] = &[
    (
        "crates/evaluation/src/process_usage.rs",
        "getrusage has no safe binding in the standard library",
    ),
    (
        "crates/log-kafka/src/native.rs",
        "librdkafka's wrapper does not pass tokens on to its administration client",
    ),
    (
        "crates/models/src/vector_index/lent.rs",
        "a filter of one request is called by another's thread while its own waits",
    ),
];

/// How many lines above its place a `SAFETY` comment may begin.
const COMMENT_REACH: usize = 8;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if !opens_unsafe(line) {
                continue;
            }
            if !may_be_unsafe(file) {
                findings.push(Finding::fail(
                    &file.path,
                    index + 1,
                    "`unsafe` outside a `kernels` module",
                    "move it into a module named `kernels`, or list the file in tidy/unsafe_code.rs",
                ));
            }
            if !says_why(&lines, index) {
                findings.push(Finding::fail(
                    &file.path,
                    index + 1,
                    "`unsafe` without a reason",
                    "write a `// SAFETY:` comment that says why it is sound",
                ));
            }
        }
    }
    findings
}

/// Whether a reason stands above the line or above one of the items around it.
fn says_why(lines: &[&str], index: usize) -> bool {
    let mut at = index;
    loop {
        let above = &lines[at.saturating_sub(COMMENT_REACH)..=at];
        if above
            .iter()
            .any(|line| line.contains("SAFETY") || line.contains("# Safety"))
        {
            return true;
        }
        let depth = indentation(lines[at]);
        let around = lines[..at]
            .iter()
            .rposition(|line| !line.trim().is_empty() && indentation(line) < depth);
        match around {
            Some(outer) => at = outer,
            None => return false,
        }
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn may_be_unsafe(file: &SourceFile) -> bool {
    let in_kernels = file
        .path
        .split('/')
        .any(|part| part == "kernels" || part == "kernels.rs");
    in_kernels || LISTED.iter().any(|(path, _)| *path == file.path)
}

fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    ["{", "fn ", "impl ", "impl<", "extern "]
        .iter()
        .any(|next| code.contains(&format!("{} {next}", concat!("un", "safe"))))
}
