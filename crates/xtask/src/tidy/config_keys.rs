//! Every key of the default configuration carries a comment: the file is the manual.
//!
//! The elements of a list (`[[fold.views]]`) are explained once, above the first of them.

use super::Finding;
use super::tree::Tree;

const DEFAULTS: &str = "config/default.toml";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(DEFAULTS) else {
        return vec![Finding::fail(
            DEFAULTS,
            1,
            "the default configuration is missing",
            "write it: every key with its default and a comment",
        )];
    };
    let mut findings = Vec::new();
    let mut commented = false;
    let mut lists: Vec<&str> = Vec::new();
    let mut in_list = false;
    // Inside a value that spans lines, a line is not a key.
    let mut depth = 0_i32;
    for (number, line) in file.numbered() {
        let text = line.trim();
        if text.starts_with('#') {
            commented = true;
            continue;
        }
        if depth == 0 && text.starts_with('[') {
            in_list = text.starts_with("[[") && (commented || lists.contains(&text));
            if in_list {
                lists.push(text);
            }
        }
        let is_key = depth == 0 && !text.starts_with('[') && text.contains('=');
        if is_key && !commented && !in_list && !text.contains(" #") {
            let key = text.split('=').next().unwrap_or(text).trim();
            findings.push(Finding::fail(
                DEFAULTS,
                number,
                format!("key `{key}` has no comment"),
                "say above it what it does, in which unit, and when to change it",
            ));
        }
        if is_key || depth > 0 {
            depth += brackets(text);
        }
        commented = false;
    }
    findings
}

/// Opening minus closing brackets of a line, strings and comments aside.
fn brackets(text: &str) -> i32 {
    let mut in_string = false;
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '"' => in_string = !in_string,
            '#' if !in_string => break,
            '[' | '{' if !in_string => depth += 1,
            ']' | '}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    depth
}
