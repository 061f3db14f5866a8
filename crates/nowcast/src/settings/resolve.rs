//! Layers of configuration become one typed value, or a list of everything that is wrong.
//!
//! serde stops at its first error. To report all of them with their lines, a tree that does not
//! fit is taken apart: each leaf alone is put onto the defaults, which fit, so what fails then is
//! that leaf's fault.

use super::layers::{Leaf, Problem};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Lays `leaves` (lowest precedence first) over `defaults` and reads the result as a `T`.
///
/// # Errors
/// Every leaf that does not fit, or else the error of the whole.
pub fn resolve<T: DeserializeOwned>(
    defaults: &Table,
    leaves: &[Leaf],
) -> Result<(T, Table), Vec<Problem>> {
    let mut merged = defaults.clone();
    for leaf in leaves {
        set(&mut merged, &leaf.path, leaf.value.clone());
    }
    let error = match merged.clone().try_into::<T>() {
        Ok(value) => return Ok((value, merged)),
        Err(error) => error,
    };
    let problems: Vec<Problem> = leaves
        .iter()
        .flat_map(|leaf| faults_of::<T>(defaults, leaf))
        .collect();
    if problems.is_empty() {
        return Err(vec![Problem {
            place: None,
            key: String::new(),
            message: one_line(&error),
        }]);
    }
    Err(problems)
}

/// What is wrong with `leaf` alone on the defaults. A value that only lacks its neighbours (a key
/// of a new named table) is not at fault by itself.
fn faults_of<T: DeserializeOwned>(defaults: &Table, leaf: &Leaf) -> Vec<Problem> {
    let Some(error) = fit::<T>(defaults, leaf, leaf.value.clone()) else {
        return Vec::new();
    };
    let key = leaf.path.join(".");
    if let Value::Array(elements) = &leaf.value {
        let faults: Vec<Problem> = elements
            .iter()
            .zip(&leaf.elements)
            .filter_map(|(element, place)| {
                let message = fit::<T>(defaults, leaf, Value::Array(vec![element.clone()]))?;
                Some(Problem {
                    place: Some(place.clone()),
                    key: key.clone(),
                    message,
                })
            })
            .collect();
        if !faults.is_empty() {
            return faults;
        }
    }
    if error.contains("missing field") {
        return Vec::new();
    }
    vec![Problem {
        place: Some(leaf.place.clone()),
        key,
        message: error,
    }]
}

fn fit<T: DeserializeOwned>(defaults: &Table, leaf: &Leaf, value: Value) -> Option<String> {
    let mut trial = defaults.clone();
    set(&mut trial, &leaf.path, value);
    trial.try_into::<T>().err().map(|error| one_line(&error))
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', " ")
}

/// Puts `value` at `path`, making tables on the way.
pub fn set(table: &mut Table, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.insert(key.clone(), value);
        return;
    }
    let below = table
        .entry(key.clone())
        .or_insert_with(|| Value::Table(Table::new()));
    if !below.is_table() {
        *below = Value::Table(Table::new());
    }
    if let Value::Table(below) = below {
        set(below, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::from_text;
    use super::*;
    use nowcast_types::Span;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::path::Path;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole {
        log: Log,
        #[serde(default)]
        named: BTreeMap<String, Named>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Log {
        delay: Span,
        partitions: u16,
        #[serde(default)]
        views: Vec<Named>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        a: u8,
        b: u8,
    }

    fn check(text: &str) -> Result<Whole, Vec<String>> {
        let defaults: Table = toml::from_str("[log]\ndelay = \"1s\"\npartitions = 4").unwrap();
        let leaves = from_text(text, Path::new("f")).unwrap();
        resolve::<Whole>(&defaults, &leaves)
            .map(|(whole, _)| whole)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_overrides_only_what_it_names() {
        let whole = check("log.partitions = 8\n[named.x]\na = 1\nb = 2").unwrap();
        assert_eq!((whole.log.partitions, whole.log.delay), (8, Span(1000)));
        assert_eq!((whole.named["x"].a, whole.named["x"].b), (1, 2));
        assert!(whole.log.views.is_empty());
    }

    #[test]
    fn every_bad_line_is_named_at_once() {
        let problems =
            check("[log]\ndelay = 300\npartition = 4\npartitions = \"many\"").unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(
            problems.iter().any(|p| p.starts_with("f:2: log.delay:")),
            "{problems:?}"
        );
        let unknown = problems.iter().find(|p| p.starts_with("f:3")).unwrap();
        assert!(
            unknown.contains("`partitions`"),
            "lists valid names: {unknown}"
        );
    }

    #[test]
    fn the_faulty_element_of_a_list_is_named() {
        let text = "[[log.views]]\na = 1\nb = 1\n[[log.views]]\na = 1\nb = 1\nc = 1\n";
        let problems = check(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("f:4: log.views:"), "{problems:?}");
    }
}
