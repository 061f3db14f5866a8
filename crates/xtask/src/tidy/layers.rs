//! Who may depend on whom: dependencies run strictly downward through the layer table.
//!
//! The table here and the one in `ARCHITECTURE.md` must agree, so a new edge is a decision that
//! shows in the same commit. Development dependencies obey the same rule unless justified below.

use super::tree::{Crate, Tree};
use super::{Finding, Level};
use cargo_metadata::DependencyKind;

/// Every crate and its layer, from the bottom up.
pub(super) const LAYERS: &[(&str, u8)] = &[
    ("nowcast-types", 0),
    ("nowcast-services", 1),
    ("nowcast-disk", 1),
    ("nowcast-models", 1),
    ("nowcast-sim", 1),
    ("nowcast-log", 2),
    ("nowcast-schemas", 2),
    ("nowcast-features", 2),
    ("nowcast-sessions", 2),
    ("nowcast-log-kafka", 3),
    ("nowcast-store", 3),
    ("nowcast-stream", 4),
    ("nowcast-store-s3", 4),
    ("nowcast-store-redis", 5),
    ("nowcast-recommend", 5),
    ("nowcast-training", 5),
    ("nowcast-engine", 6),
    ("nowcast-intake", 7),
    ("nowcast-evaluation", 7),
    ("nowcast-server", 8),
    ("nowcast", 9),
    ("xtask", TOOLS),
];

/// Above everything: tools may use any crate, and nothing may use them.
const TOOLS: u8 = 10;

/// Development dependencies that may break the rule: from, to, and why.
const JUSTIFIED: &[(&str, &str, &str)] = &[];

const ARCHITECTURE: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for a_crate in &tree.crates {
        let Some(layer) = layer(&a_crate.name) else {
            findings.push(Finding::fail(
                &a_crate.manifest,
                1,
                format!("crate `{}` is in no layer", a_crate.name),
                "add it to LAYERS in crates/xtask/src/tidy/layers.rs and to ARCHITECTURE.md",
            ));
            continue;
        };
        findings.extend(edges_up(tree, a_crate, layer));
    }
    findings.extend(rows_missing(tree));
    findings
}

fn layer(name: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, layer)| *layer)
}

fn edges_up(tree: &Tree, from: &Crate, from_layer: u8) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (to, kind) in &from.needs {
        let Some(to_layer) = layer(to) else { continue };
        let is_justified = *kind == DependencyKind::Development
            && JUSTIFIED.iter().any(|(a, b, _)| *a == from.name && b == to);
        if to_layer < from_layer || is_justified {
            continue;
        }
        findings.push(Finding::fail(
            &from.manifest,
            line_of(tree, &from.manifest, to),
            format!(
                "`{}` (layer {from_layer}) depends on `{to}` (layer {to_layer})",
                from.name
            ),
            "dependencies run strictly downward: move the shared part into a lower crate",
        ));
    }
    findings
}

fn line_of(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    tree.file(manifest)
        .and_then(|file| {
            file.numbered()
                .find(|(_, line)| line.starts_with(dependency))
                .map(|(number, _)| number)
        })
        .unwrap_or(1)
}

/// Crates whose row `| layer | \`folder\` |` the architecture's table lacks.
fn rows_missing(tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.file(ARCHITECTURE) else {
        return vec![Finding {
            level: Level::Fail,
            file: ARCHITECTURE.to_owned(),
            line: 1,
            what: "the document is missing".to_owned(),
            advice: "write it: it holds the layer table",
        }];
    };
    LAYERS
        .iter()
        .filter(|(name, layer)| {
            let folder = name.strip_prefix("nowcast-").unwrap_or(name);
            let number = if *layer == TOOLS {
                "tools".to_owned()
            } else {
                layer.to_string()
            };
            !document
                .text
                .contains(&format!("| {number} | `{folder}` |"))
        })
        .map(|(name, layer)| {
            Finding::fail(
                ARCHITECTURE,
                1,
                format!("no row for `{name}` in layer {layer}"),
                "write a row `| layer | `folder` | purpose |` into the layer table",
            )
        })
        .collect()
}
