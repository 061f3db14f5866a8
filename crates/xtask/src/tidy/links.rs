//! Links between our own documents resolve to files that exist.
//!
//! Addresses on the web are not tried: a check that needs a network is not a check of this tree.

use super::Finding;
use super::tree::Tree;
use std::path::{Component, Path};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.has_extension("md")) {
        let mut in_code = false;
        for (number, line) in file.numbered() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            if in_code {
                continue;
            }
            for target in targets(line) {
                if !resolves(tree, &file.path, target) {
                    findings.push(Finding::fail(
                        &file.path,
                        number,
                        format!("the link to `{target}` leads nowhere"),
                        "correct the path; links are relative to the document",
                    ));
                }
            }
        }
    }
    findings
}

/// The targets of `[text](target)` links in a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| {
        let rest = &line[at + 2..];
        rest.find(')').map(|end| &rest[..end])
    })
}

fn resolves(tree: &Tree, document: &str, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or(target);
    let is_elsewhere = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
    if is_elsewhere {
        return true;
    }
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<String> = Vec::new();
    for component in folder.join(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    let wanted = parts.join("/");
    let folder_prefix = format!("{wanted}/");
    tree.paths
        .iter()
        .any(|known| *known == wanted || known.starts_with(&folder_prefix))
}
