//! Where `unsafe` may stand: in modules named `kernels`, and in the few files that call the OS.
//! Every block says why it is sound.

use super::Finding;
use super::tree::{SourceFile, Tree};

/// Files that may call the operating system directly, and why.
const OS_CALLS: &[(&str, &str)] = &[];

/// How many lines above an `unsafe` block its `SAFETY` comment may begin.
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
                    "move it into a module named `kernels`, or list the OS call in tidy/unsafe_code.rs",
                ));
            }
            let above = &lines[index.saturating_sub(COMMENT_REACH)..=index];
            let says_why = above
                .iter()
                .any(|line| line.contains("SAFETY") || line.contains("# Safety"));
            if !says_why {
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

fn may_be_unsafe(file: &SourceFile) -> bool {
    let in_kernels = file
        .path
        .split('/')
        .any(|part| part == "kernels" || part == "kernels.rs");
    in_kernels || OS_CALLS.iter().any(|(path, _)| *path == file.path)
}

fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    ["{", "fn ", "impl ", "impl<", "extern "]
        .iter()
        .any(|next| code.contains(&format!("{} {next}", concat!("un", "safe"))))
}
