//! How long a file may be: inline tests and test files do not count.

use super::tree::Tree;
use super::{Finding, Level};

/// Above this, look for the seam.
const LINES_WARN: usize = 400;
/// Above this, nobody reads the whole file any more.
const LINES_FAIL: usize = 800;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| !file.is_test()) {
        let lines = file.product_lines().count();
        let level = match lines {
            0..=LINES_WARN => continue,
            _ if lines <= LINES_FAIL => Level::Warn,
            _ => Level::Fail,
        };
        findings.push(Finding {
            level,
            file: file.path.clone(),
            line: lines,
            what: format!("{lines} lines without tests, the soft limit is {LINES_WARN}"),
            advice: "split it where two readers never open the same half (800 is the hard limit)",
        });
    }
    findings
}
