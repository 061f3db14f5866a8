//! The rules of the house, checked over the source tree.
//!
//! Each check is one file under `tidy/` with one function from the [`tree::Tree`] to its findings,
//! and one line in [`CHECKS`]. A finding names file and line and says what to do. Everything is a
//! plain text check: nothing here parses Rust, so a rule must be visible in the text.

mod config_keys;
mod layers;
mod links;
mod machine;
mod manifests;
mod openings;
mod sizes;
#[cfg(test)]
mod tests;
mod tree;
mod unsafe_code;
mod words;

use anyhow::Result;
use std::fmt;
use std::process::ExitCode;
use tree::Tree;

pub(crate) use tree::root;

/// Whether a finding fails the check or is only said aloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Warn,
    Fail,
}

/// A place that breaks a rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    level: Level,
    file: String,
    /// Counted from 1.
    line: usize,
    what: String,
    advice: &'static str,
}

impl Finding {
    fn fail(file: &str, line: usize, what: impl Into<String>, advice: &'static str) -> Self {
        Self {
            level: Level::Fail,
            file: file.to_owned(),
            line,
            what: what.into(),
            advice,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warn => "warning",
            Level::Fail => "error",
        };
        write!(
            f,
            "{}:{}: {level}: {}; {}",
            self.file, self.line, self.what, self.advice
        )
    }
}

type Check = fn(&Tree) -> Vec<Finding>;

/// Every check, in the order of its report.
const CHECKS: &[(&str, Check)] = &[
    ("layers", layers::check),
    ("manifests", manifests::check),
    ("sizes", sizes::check),
    ("openings", openings::check),
    ("words", words::check),
    ("unsafe code", unsafe_code::check),
    ("machine traces", machine::check),
    ("links", links::check),
    ("config keys", config_keys::check),
];

/// Checks the tree this binary was built from and prints what it found.
pub(crate) fn run() -> Result<ExitCode> {
    let tree = Tree::load()?;
    let mut failures = 0;
    for (name, check) in CHECKS {
        let findings = check(&tree);
        let failed = findings.iter().filter(|f| f.level == Level::Fail).count();
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        println!("tidy: {name}: {verdict}");
        for finding in findings {
            println!("  {finding}");
        }
        failures += failed;
    }
    println!("tidy: {} files, {failures} errors", tree.files.len());
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
