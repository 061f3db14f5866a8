//! Parameters of trainers: text in, typed values out, unknown names refused.

use crate::error::ModelError;
use std::collections::BTreeMap;

/// A parameter that a trainer declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamDef {
    /// The name, as in `--param name=value`.
    pub name: &'static str,
    /// The default, as text.
    pub default: &'static str,
    /// What it does, with its unit and range, in one sentence.
    pub doc: &'static str,
}

/// Parameters as given by the caller; absent ones take their default.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Params {
    values: BTreeMap<String, String>,
}

impl Params {
    /// No parameter given: all defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one parameter, replacing an earlier value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.values.insert(name.into(), value.to_string());
        self
    }

    /// Reads `name=value` texts, as the command line gives them.
    ///
    /// # Errors
    /// [`ModelError::BadParam`] for a text without `=`.
    pub fn from_pairs<S: AsRef<str>>(pairs: &[S]) -> Result<Self, ModelError> {
        let mut params = Self::new();
        for pair in pairs {
            let pair = pair.as_ref();
            let Some((name, value)) = pair.split_once('=') else {
                return Err(ModelError::BadParam {
                    name: pair.to_owned(),
                    value: String::new(),
                    expected: "name=value".to_owned(),
                });
            };
            params = params.with(name.trim(), value.trim());
        }
        Ok(params)
    }

    /// The given values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The parameters among these that `defs` declares; for one set given to several models.
    #[must_use]
    pub fn only(&self, defs: &[ParamDef]) -> Self {
        let known = |name: &str| defs.iter().any(|def| def.name == name);
        let values = self.values.clone();
        Self {
            values: values.into_iter().filter(|(name, _)| known(name)).collect(),
        }
    }

    /// Fills in defaults and refuses names that `defs` does not declare.
    ///
    /// # Errors
    /// [`ModelError::UnknownParam`], which lists the valid names.
    pub fn resolve(
        &self,
        model: &'static str,
        defs: &[ParamDef],
    ) -> Result<ResolvedParams, ModelError> {
        for name in self.values.keys() {
            if !defs.iter().any(|def| def.name == name) {
                let valid: Vec<&str> = defs.iter().map(|def| def.name).collect();
                return Err(ModelError::UnknownParam {
                    model,
                    name: name.clone(),
                    valid: valid.join(", "),
                });
            }
        }
        let value_of = |def: &ParamDef| {
            let given = self.values.get(def.name).map(String::as_str);
            (def.name, given.unwrap_or(def.default).to_owned())
        };
        Ok(ResolvedParams {
            values: defs.iter().map(value_of).collect(),
        })
    }
}

/// Every parameter of a trainer with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedParams {
    values: BTreeMap<&'static str, String>,
}

impl ResolvedParams {
    /// Name and value of each parameter, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(k, v)| (*k, v.as_str()))
    }

    /// The text of a declared parameter.
    ///
    /// # Panics
    /// When the trainer did not declare `name`, which is a bug of the trainer.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.values
            .get(name)
            .expect("trainers read only parameters they declare")
    }

    /// A finite number within `range`.
    ///
    /// # Errors
    /// [`ModelError::BadParam`] with the range.
    pub fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64, ModelError> {
        let text = self.text(name);
        text.parse::<f64>()
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| ModelError::BadParam {
                name: name.to_owned(),
                value: text.to_owned(),
                expected: format!("a number from {} to {}", range.start(), range.end()),
            })
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// [`ModelError::BadParam`] with the range.
    pub fn count(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, ModelError> {
        let text = self.text(name);
        text.parse::<usize>()
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| ModelError::BadParam {
                name: name.to_owned(),
                value: text.to_owned(),
                expected: format!("a whole number from {} to {}", range.start(), range.end()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFS: &[ParamDef] = &[
        ParamDef {
            name: "factors",
            default: "64",
            doc: "",
        },
        ParamDef {
            name: "rate",
            default: "0.5",
            doc: "",
        },
    ];

    #[test]
    fn unknown_names_list_the_valid_ones() {
        let error = Params::new()
            .with("facotrs", 3)
            .resolve("ials", DEFS)
            .unwrap_err();
        assert!(error.to_string().contains("factors, rate"), "{error}");
    }

    #[test]
    fn values_are_typed_ranged_and_defaulted() {
        let params = Params::from_pairs(&["factors = 32"]).unwrap();
        let resolved = params.resolve("ials", DEFS).unwrap();
        assert_eq!(resolved.count("factors", 1..=64).unwrap(), 32);
        assert_eq!(resolved.number("rate", 0.0..=1.0).unwrap(), 0.5);
        assert!(resolved.count("factors", 64..=128).is_err());
        let bad = Params::new()
            .with("rate", "NaN")
            .resolve("ials", DEFS)
            .unwrap();
        assert!(bad.number("rate", 0.0..=1.0).is_err());
        assert!(Params::from_pairs(&["factors"]).is_err());
    }
}
