//! One layer of configuration as a flat list of leaves, each with the place it was written.
//!
//! Flat, because every question asked of a layer (which line is this key on, does it exist, does
//! its value fit) is a question about one leaf.

use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A command line flag.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// Something wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written, if one place is to blame.
    pub place: Option<Place>,
    /// The key, dotted; empty when no key is to blame.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// One value of a layer. Arrays are leaves, with the place of each element.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Table names from the root, the key last.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
    /// Where the key is.
    pub place: Place,
    /// Where each element is, for arrays.
    pub elements: Vec<Place>,
}

/// Reads a file's text into leaves.
///
/// # Errors
/// Every syntax error of the text, with its line.
pub fn from_text(text: &str, path: &Path) -> Result<Vec<Leaf>, Vec<Problem>> {
    let (spanned, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| Problem {
            place: error.span().map(|span| place_at(text, path, span.start)),
            key: String::new(),
            message: error.message().to_owned(),
        };
        return Err(errors.iter().map(problem).collect());
    }
    let values: Table = toml::from_str(text).map_err(|error| {
        vec![Problem {
            place: error.span().map(|span| place_at(text, path, span.start)),
            key: String::new(),
            message: error.message().to_owned(),
        }]
    })?;
    let mut leaves = Vec::new();
    let source = Source { text, path };
    source.flatten(&values, spanned.get_ref(), &mut Vec::new(), &mut leaves);
    Ok(leaves)
}

struct Source<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Source<'_> {
    fn flatten(
        &self,
        values: &Table,
        spans: &DeTable<'_>,
        prefix: &mut Vec<String>,
        leaves: &mut Vec<Leaf>,
    ) {
        for (key, spanned) in spans.iter() {
            let Some(value) = values.get(key.get_ref().as_ref()) else {
                continue;
            };
            prefix.push(key.get_ref().to_string());
            match (value, spanned.get_ref()) {
                (Value::Table(table), DeValue::Table(inner)) => {
                    self.flatten(table, inner, prefix, leaves);
                }
                (value, spanned_value) => leaves.push(Leaf {
                    path: prefix.clone(),
                    value: value.clone(),
                    place: place_at(self.text, self.path, key.span().start),
                    elements: match spanned_value {
                        DeValue::Array(elements) => elements
                            .iter()
                            .map(|e| place_at(self.text, self.path, e.span().start))
                            .collect(),
                        _ => Vec::new(),
                    },
                }),
            }
            prefix.pop();
        }
    }
}

fn place_at(text: &str, path: &Path, offset: usize) -> Place {
    let before = &text.as_bytes()[..offset.min(text.len())];
    Place::File {
        path: path.to_owned(),
        line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
    }
}

/// The prefix of environment variables that are settings: `NOWCAST__SERVER__LISTEN`.
pub const ENVIRONMENT_PREFIX: &str = "NOWCAST__";

/// Reads the environment's settings into leaves, sorted by name.
pub fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = variables
        .filter_map(|(name, text)| {
            let keys = name.strip_prefix(ENVIRONMENT_PREFIX)?;
            Some(Leaf {
                path: keys.split("__").map(str::to_ascii_lowercase).collect(),
                value: loose_value(&text),
                place: Place::Environment(name.clone()),
                elements: Vec::new(),
            })
        })
        .collect();
    leaves.sort_by(|a, b| a.path.cmp(&b.path));
    leaves
}

/// Reads one `section.key=value` of the flag `--set`.
///
/// # Errors
/// A sentence when there is no `=`.
pub fn from_assignment(text: &str) -> Result<Leaf, Problem> {
    let place = Place::Flag(format!("--set {text}"));
    let Some((key, value)) = text.split_once('=') else {
        return Err(Problem {
            place: Some(place),
            key: String::new(),
            message: "expected section.key=value".to_owned(),
        });
    };
    Ok(Leaf {
        path: key.trim().split('.').map(str::to_owned).collect(),
        value: loose_value(value.trim()),
        place,
        elements: Vec::new(),
    })
}

/// A value of a flag that stands for a setting.
pub fn from_flag(flag: &str, key: &str, value: Value) -> Leaf {
    Leaf {
        path: key.split('.').map(str::to_owned).collect(),
        value,
        place: Place::Flag(flag.to_owned()),
        elements: Vec::new(),
    }
}

/// A TOML value where the text is one (`4`, `true`, `["a"]`), otherwise the text itself, because
/// nobody quotes twice in a shell.
fn loose_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(leaf: &Leaf) -> usize {
        match leaf.place {
            Place::File { line, .. } => line,
            _ => 0,
        }
    }

    #[test]
    fn every_leaf_knows_its_line() {
        let text =
            "top = 1\n[a]\nb.c = \"x\"\n\n[[a.list]]\nname = \"one\"\n[[a.list]]\nname = \"two\"\n";
        let leaves = from_text(text, Path::new("f.toml")).unwrap();
        let lines: Vec<(String, usize)> = leaves
            .iter()
            .map(|leaf| (leaf.path.join("."), line_of(leaf)))
            .collect();
        assert!(lines.contains(&("top".to_owned(), 1)), "{lines:?}");
        assert!(lines.contains(&("a.b.c".to_owned(), 3)), "{lines:?}");
        let list = leaves.iter().find(|l| l.path == ["a", "list"]).unwrap();
        assert_eq!(list.elements.len(), 2);
    }

    #[test]
    fn all_syntax_errors_are_reported_with_their_lines() {
        let problems = from_text("a = \nb = 1\nc = [1,,2]\n", Path::new("f.toml")).unwrap_err();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(shown.iter().any(|p| p.starts_with("f.toml:1")), "{shown:?}");
        assert!(shown.iter().any(|p| p.starts_with("f.toml:3")), "{shown:?}");
    }

    #[test]
    fn the_environment_speaks_toml_or_plain_text() {
        let variables = [
            ("NOWCAST__SERVER__LISTEN", "127.0.0.1:1"),
            ("NOWCAST__LOG__PARTITIONS", "4"),
            ("NOWCAST_LOG", "debug"),
        ];
        let leaves = from_environment(
            variables
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        );
        assert_eq!(leaves.len(), 2);
        assert_eq!(leaves[0].value, Value::Integer(4));
        assert_eq!(leaves[1].value, Value::String("127.0.0.1:1".to_owned()));
    }
}
