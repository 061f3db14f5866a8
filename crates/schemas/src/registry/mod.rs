//! The built-in schema registry as a value: no HTTP, no IO.
//!
//! Reads look at the state. Writes are in two steps, so that a change is durable before it is
//! seen: a `plan_…` method checks a call and answers with the [`RegistryChange`]s it takes, if
//! any; [`Registry::apply`] makes them so. [`RegistryService`] does both around a [`RegistryLog`].

mod apply;
mod change;
mod log;
mod plan;
mod refusal;
mod service;

pub use change::RegistryChange;
pub use log::{EachChange, MemoryRegistryLog, RegistryLog, StoredChange};
pub use plan::NewSchema;
pub use refusal::RegistryRefusal;
pub use service::RegistryService;

use crate::compat::CompatibilityLevel;
use crate::schema_type::{SchemaReference, SchemaText, SchemaType};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What may be done with a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// Everything.
    #[default]
    ReadWrite,
    /// Reading.
    ReadOnly,
    /// Reading, whatever the subject says. Only for all subjects together.
    #[serde(rename = "READONLY_OVERRIDE")]
    ReadOnlyOverride,
    /// Schemas come with the ids and versions they had elsewhere.
    Import,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [
        Self::ReadWrite,
        Self::ReadOnly,
        Self::ReadOnlyOverride,
        Self::Import,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
        }
    }

    /// The mode of a name in the API, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut modes = Self::ALL.into_iter();
        modes.find(|mode| mode.name().eq_ignore_ascii_case(name))
    }
}

/// A schema under its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchema {
    /// The language.
    pub schema_type: SchemaType,
    /// The text, as it was sent.
    pub schema: Arc<str>,
    /// What it refers to.
    pub references: Vec<SchemaReference>,
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectVersion {
    /// The subject.
    pub subject: String,
    /// The version, from 1.
    pub version: u32,
    /// The schema's id.
    pub id: u32,
    /// Whether it is softly deleted.
    pub is_deleted: bool,
    /// The schema.
    pub schema: Arc<StoredSchema>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct VersionEntry {
    id: u32,
    is_deleted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Subject {
    versions: BTreeMap<u32, VersionEntry>,
    /// The highest version ever given: numbers are not used again after a hard delete.
    version_max: u32,
}

/// The registry's state.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    subjects: BTreeMap<String, Subject>,
    schemas: BTreeMap<u32, Arc<StoredSchema>>,
    /// Ids by language, canonical text and references.
    ids: HashMap<(SchemaType, String, Vec<SchemaReference>), u32>,
    id_max: u32,
    levels: BTreeMap<Option<String>, CompatibilityLevel>,
    modes: BTreeMap<Option<String>, Mode>,
}

/// Which version of a subject is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionSelector {
    /// The highest that is not deleted.
    Latest,
    /// This one.
    Number(u32),
}

impl VersionSelector {
    /// Reads `latest`, `-1` or a number from 1.
    ///
    /// # Errors
    /// [`RegistryRefusal::InvalidVersion`].
    pub fn parse(text: &str) -> Result<Self, RegistryRefusal> {
        match (text, text.parse::<i32>()) {
            ("latest" | "-1", _) => Ok(Self::Latest),
            (_, Ok(number)) if number > 0 => Ok(Self::Number(number.unsigned_abs())),
            _ => Err(RegistryRefusal::InvalidVersion(
                text.chars().take(32).collect(),
            )),
        }
    }
}

impl Registry {
    /// Names of the subjects; with `with_deleted`, also of those softly deleted.
    pub fn subjects(&self, with_deleted: bool) -> impl Iterator<Item = &str> {
        let is_shown = move |subject: &Subject| {
            let mut versions = subject.versions.values();
            versions.any(|version| with_deleted || !version.is_deleted)
        };
        let shown = self
            .subjects
            .iter()
            .filter(move |(_, subject)| is_shown(subject));
        shown.map(|(name, _)| name.as_str())
    }

    /// The schema with an id.
    #[must_use]
    pub fn schema(&self, id: u32) -> Option<&Arc<StoredSchema>> {
        self.schemas.get(&id)
    }

    /// The highest id given.
    #[must_use]
    pub const fn id_max(&self) -> u32 {
        self.id_max
    }

    /// A schema's text with those of everything it refers to.
    ///
    /// # Errors
    /// [`RegistryRefusal::InvalidSchema`] if a reference leads nowhere or in a circle.
    pub fn resolve(
        &self,
        schema_type: SchemaType,
        text: &str,
        references: &[SchemaReference],
    ) -> Result<SchemaText, RegistryRefusal> {
        const REFERENCES_MAX: usize = 256;
        let mut resolved = SchemaText::new(schema_type, text);
        let mut budget = REFERENCES_MAX;
        self.add_references(references, &mut resolved, &mut budget)?;
        Ok(resolved)
    }

    fn add_references(
        &self,
        references: &[SchemaReference],
        resolved: &mut SchemaText,
        budget: &mut usize,
    ) -> Result<(), RegistryRefusal> {
        for reference in references {
            let bad = |what: &str| {
                let SchemaReference {
                    name,
                    subject,
                    version,
                } = reference;
                let reason = format!("reference {name} to {subject} version {version} {what}");
                RegistryRefusal::InvalidSchema(reason)
            };
            *budget = budget
                .checked_sub(1)
                .ok_or_else(|| bad("is one too many, or in a circle"))?;
            let known = resolved.dependencies.iter();
            if known.into_iter().any(|(name, _)| *name == reference.name) {
                continue;
            }
            let selector = VersionSelector::Number(reference.version);
            let found = self
                .version(&reference.subject, selector, true)
                .map_err(|_| bad("does not exist"))?;
            if found.schema.schema_type != resolved.schema_type {
                return Err(bad("is in another language"));
            }
            self.add_references(&found.schema.references, resolved, budget)?;
            let text = Arc::clone(&found.schema.schema);
            resolved.dependencies.push((reference.name.clone(), text));
        }
        Ok(())
    }

    /// The text of the schema with an id, with what it refers to; `None` if there is none.
    #[must_use]
    pub fn schema_text(&self, id: u32) -> Option<SchemaText> {
        let stored = self.schemas.get(&id)?;
        self.resolve(stored.schema_type, &stored.schema, &stored.references)
            .ok()
    }

    /// The numbers of a subject's versions.
    ///
    /// # Errors
    /// [`RegistryRefusal::SubjectNotFound`].
    pub fn versions(&self, subject: &str, with_deleted: bool) -> Result<Vec<u32>, RegistryRefusal> {
        let known = self.subjects.get(subject);
        let versions: Vec<u32> = known
            .into_iter()
            .flat_map(|subject| &subject.versions)
            .filter(|(_, entry)| with_deleted || !entry.is_deleted)
            .map(|(version, _)| *version)
            .collect();
        if versions.is_empty() {
            return Err(RegistryRefusal::SubjectNotFound(subject.to_owned()));
        }
        Ok(versions)
    }

    /// A version of a subject.
    ///
    /// # Errors
    /// [`RegistryRefusal::SubjectNotFound`], [`RegistryRefusal::VersionNotFound`].
    pub fn version(
        &self,
        subject: &str,
        selector: VersionSelector,
        with_deleted: bool,
    ) -> Result<SubjectVersion, RegistryRefusal> {
        let versions = self.versions(subject, with_deleted)?;
        let version = match selector {
            VersionSelector::Latest => versions.last().copied(),
            VersionSelector::Number(number) => versions.contains(&number).then_some(number),
        };
        let missing = || match selector {
            VersionSelector::Latest => RegistryRefusal::VersionNotFound("latest".to_owned()),
            VersionSelector::Number(number) => RegistryRefusal::VersionNotFound(number.to_string()),
        };
        let version = version.ok_or_else(missing)?;
        self.entry(subject, version).ok_or_else(missing)
    }

    fn entry(&self, subject: &str, version: u32) -> Option<SubjectVersion> {
        let entry = self.subjects.get(subject)?.versions.get(&version)?;
        Some(SubjectVersion {
            subject: subject.to_owned(),
            version,
            id: entry.id,
            is_deleted: entry.is_deleted,
            schema: Arc::clone(self.schemas.get(&entry.id)?),
        })
    }

    /// Every version of every subject, in order.
    pub fn all_versions(&self, with_deleted: bool) -> impl Iterator<Item = SubjectVersion> {
        let pairs = self.subjects.iter().flat_map(|(name, subject)| {
            subject.versions.keys().map(move |version| (name, *version))
        });
        pairs
            .filter_map(|(name, version)| self.entry(name, version))
            .filter(move |found| with_deleted || !found.is_deleted)
    }

    /// Ids of the schemas that refer to a version.
    #[must_use]
    pub fn referenced_by(&self, subject: &str, version: u32) -> Vec<u32> {
        let refers = |found: &SubjectVersion| {
            let mut references = found.schema.references.iter();
            references.any(|to| to.subject == subject && to.version == version)
        };
        let mut ids: Vec<u32> = self
            .all_versions(true)
            .filter(refers)
            .map(|found| found.id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The compatibility level of a subject, or of all; `None` where none was set.
    #[must_use]
    pub fn own_level(&self, subject: Option<&str>) -> Option<CompatibilityLevel> {
        self.levels.get(&subject.map(str::to_owned)).copied()
    }

    /// The level that counts for a subject; backward if nothing was ever set.
    #[must_use]
    pub fn level(&self, subject: Option<&str>) -> CompatibilityLevel {
        let own = subject.and_then(|subject| self.own_level(Some(subject)));
        own.or_else(|| self.own_level(None)).unwrap_or_default()
    }

    /// The mode of a subject, or of all; `None` where none was set.
    #[must_use]
    pub fn own_mode(&self, subject: Option<&str>) -> Option<Mode> {
        self.modes.get(&subject.map(str::to_owned)).copied()
    }

    /// The mode that counts for a subject.
    #[must_use]
    pub fn mode(&self, subject: Option<&str>) -> Mode {
        let of_all = self.own_mode(None).unwrap_or_default();
        if of_all == Mode::ReadOnlyOverride {
            return of_all;
        }
        let own = subject.and_then(|subject| self.own_mode(Some(subject)));
        own.unwrap_or(of_all)
    }
}
