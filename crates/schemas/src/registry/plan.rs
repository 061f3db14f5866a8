//! What a call would change, and whether it may.

use super::{
    Mode, Registry, RegistryChange, RegistryRefusal, StoredSchema, SubjectVersion, VersionSelector,
};
use crate::compat::{CompatibilityLevel, objections};
use crate::parsed::ParsedSchema;
use crate::schema_type::{SchemaReference, SchemaType};
use std::sync::Arc;

/// A schema on its way into the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSchema {
    /// The language.
    pub schema_type: SchemaType,
    /// The text.
    pub schema: String,
    /// What it refers to.
    pub references: Vec<SchemaReference>,
    /// The id it must get; only while importing.
    pub id: Option<u32>,
    /// The version it must get; only while importing.
    pub version: Option<u32>,
}

impl NewSchema {
    fn stored(&self) -> StoredSchema {
        StoredSchema {
            schema_type: self.schema_type,
            schema: self.schema.as_str().into(),
            references: self.references.clone(),
        }
    }
}

type Refused<T> = Result<T, RegistryRefusal>;

impl Registry {
    fn parse(&self, stored: &StoredSchema) -> Refused<ParsedSchema> {
        let text = self.resolve(stored.schema_type, &stored.schema, &stored.references)?;
        ParsedSchema::parse(&text).map_err(RegistryRefusal::InvalidSchema)
    }

    /// The id under which a schema is known, in whatever subject.
    fn known_id(&self, new: &NewSchema) -> Refused<Option<u32>> {
        let key = self.key(&new.stored());
        let key = key.map_err(RegistryRefusal::InvalidSchema)?;
        Ok(self.ids.get(&key).copied())
    }

    /// The version of a subject that has this very schema.
    ///
    /// # Errors
    /// 40401 without the subject, 40403 if it does not have the schema, 42201.
    pub fn lookup(
        &self,
        subject: &str,
        new: &NewSchema,
        with_deleted: bool,
    ) -> Refused<SubjectVersion> {
        let versions = self.versions(subject, with_deleted)?;
        let id = self.known_id(new)?.ok_or(RegistryRefusal::SchemaNotFound)?;
        let found = versions
            .into_iter()
            .rev()
            .filter_map(|version| self.entry(subject, version))
            .find(|found| found.id == id);
        found.ok_or(RegistryRefusal::SchemaNotFound)
    }

    /// Registers a schema: the id it has, and the change that makes it so, if it is not yet.
    ///
    /// # Errors
    /// 409, 42201, 42205.
    pub fn plan_register(
        &self,
        subject: &str,
        new: &NewSchema,
    ) -> Refused<(u32, Option<RegistryChange>)> {
        check_subject(subject)?;
        let mode = self.mode(Some(subject));
        self.check_writable(subject)?;
        if mode != Mode::Import && (new.id.is_some() || new.version.is_some()) {
            return Err(not_permitted(subject, mode));
        }
        if new.schema.trim().is_empty() {
            return Err(RegistryRefusal::InvalidSchema("it is empty".to_owned()));
        }
        self.parse(&new.stored())?;
        let known_id = self.known_id(new)?;
        if mode != Mode::Import
            && let Ok(found) = self.lookup(subject, new, false)
        {
            return Ok((found.id, None));
        }
        if mode != Mode::Import {
            let reasons = self.objections(subject, new, None)?;
            if !reasons.is_empty() {
                return Err(RegistryRefusal::Incompatible {
                    subject: subject.to_owned(),
                    reasons,
                });
            }
        }
        let id = match (new.id, known_id) {
            (Some(id), _) => self.check_import_id(id, new)?,
            (None, Some(id)) => id,
            (None, None) => self.id_max + 1,
        };
        let version_max = self
            .subjects
            .get(subject)
            .map_or(0, |known| known.version_max);
        let change = RegistryChange::Register {
            subject: subject.to_owned(),
            version: new.version.unwrap_or(version_max + 1),
            id,
            schema_type: new.schema_type,
            schema: new.schema.clone(),
            references: new.references.clone(),
        };
        Ok((id, Some(change)))
    }

    fn check_import_id(&self, id: u32, new: &NewSchema) -> Refused<u32> {
        let is_free = match self.schemas.get(&id) {
            None => true,
            Some(known) => self.key(known) == self.key(&new.stored()),
        };
        if is_free && id > 0 && i32::try_from(id).is_ok() {
            return Ok(id);
        }
        let reason = format!("Overwrite new schema with id {id} is not permitted.");
        Err(RegistryRefusal::Unprocessable(reason))
    }

    /// Why a schema does not go with a subject: with all its versions, as its level says, or with
    /// one of them.
    ///
    /// # Errors
    /// 40402, 42201. A subject without versions has no objections.
    pub fn objections(
        &self,
        subject: &str,
        new: &NewSchema,
        only: Option<VersionSelector>,
    ) -> Refused<Vec<String>> {
        let level = self.level(Some(subject));
        let parsed = self.parse(&new.stored())?;
        if level == CompatibilityLevel::None {
            return Ok(Vec::new());
        }
        let versions = match only {
            Some(selector) => vec![self.version(subject, selector, false)?.version],
            None => self.versions(subject, false).unwrap_or_default(),
        };
        let mut earlier = Vec::new();
        for version in versions {
            if let Some(found) = self.entry(subject, version) {
                earlier.push(self.parse(&found.schema)?);
            }
        }
        Ok(objections(&parsed, &earlier, level))
    }

    /// Deletes a subject: its versions, and the change.
    ///
    /// # Errors
    /// 40401, 40404, 40405, 42205, 42206.
    pub fn plan_delete_subject(
        &self,
        subject: &str,
        is_permanent: bool,
    ) -> Refused<(Vec<u32>, RegistryChange)> {
        self.check_writable(subject)?;
        let all = self.versions(subject, true)?;
        let visible = self.versions(subject, false).unwrap_or_default();
        let versions = match (is_permanent, visible.is_empty()) {
            (false, true) => {
                return Err(RegistryRefusal::SubjectSoftDeleted(subject.to_owned()));
            }
            (true, false) => {
                return Err(RegistryRefusal::SubjectNotSoftDeleted(subject.to_owned()));
            }
            (false, false) => visible,
            (true, true) => all,
        };
        for version in &versions {
            self.check_unreferenced(subject, *version)?;
        }
        Ok((versions.clone(), deletion(subject, versions, is_permanent)))
    }

    /// Deletes a version: its number, and the change.
    ///
    /// # Errors
    /// 40401, 40402, 40406, 40407, 42205, 42206.
    pub fn plan_delete_version(
        &self,
        subject: &str,
        selector: VersionSelector,
        is_permanent: bool,
    ) -> Refused<(u32, RegistryChange)> {
        self.check_writable(subject)?;
        let found = self.version(subject, selector, true)?;
        let version = match (selector, is_permanent) {
            // The latest to be hidden is the latest that is visible.
            (VersionSelector::Latest, false) => self.version(subject, selector, false)?,
            _ => found,
        };
        let number = version.version;
        match (is_permanent, version.is_deleted) {
            (false, true) => {
                let refusal = RegistryRefusal::VersionSoftDeleted(subject.to_owned(), number);
                return Err(refusal);
            }
            (true, false) => {
                let refusal = RegistryRefusal::VersionNotSoftDeleted(subject.to_owned(), number);
                return Err(refusal);
            }
            _ => {}
        }
        self.check_unreferenced(subject, number)?;
        Ok((number, deletion(subject, vec![number], is_permanent)))
    }

    /// Sets a mode, or with `None` takes it back.
    ///
    /// # Errors
    /// 42205 for importing into what already has schemas (unless forced), 42204 for an override of
    /// one subject.
    pub fn plan_set_mode(
        &self,
        subject: Option<&str>,
        mode: Option<Mode>,
        is_forced: bool,
    ) -> Refused<RegistryChange> {
        if let Some(subject) = subject {
            check_subject(subject)?;
            if mode == Some(Mode::ReadOnlyOverride) {
                return Err(RegistryRefusal::InvalidMode);
            }
        }
        let is_in_use = match subject {
            Some(subject) => self.versions(subject, false).is_ok(),
            None => self.subjects(false).next().is_some(),
        };
        let is_entering = mode == Some(Mode::Import) && self.mode(subject) != Mode::Import;
        if is_entering && is_in_use && !is_forced {
            let reason = "Cannot import since found existing subjects".to_owned();
            return Err(RegistryRefusal::Unprocessable(reason));
        }
        Ok(RegistryChange::SetMode {
            subject: subject.map(str::to_owned),
            mode,
        })
    }

    /// Sets a level, or with `None` takes it back.
    ///
    /// # Errors
    /// 42205, 42208.
    pub fn plan_set_level(
        &self,
        subject: Option<&str>,
        level: Option<CompatibilityLevel>,
    ) -> Refused<RegistryChange> {
        if let Some(subject) = subject {
            check_subject(subject)?;
            self.check_writable(subject)?;
        }
        Ok(RegistryChange::SetLevel {
            subject: subject.map(str::to_owned),
            level,
        })
    }

    fn check_writable(&self, subject: &str) -> Refused<()> {
        match self.mode(Some(subject)) {
            mode @ (Mode::ReadOnly | Mode::ReadOnlyOverride) => Err(not_permitted(subject, mode)),
            Mode::ReadWrite | Mode::Import => Ok(()),
        }
    }

    fn check_unreferenced(&self, subject: &str, version: u32) -> Refused<()> {
        if self.referenced_by(subject, version).is_empty() {
            return Ok(());
        }
        let subject = subject.to_owned();
        Err(RegistryRefusal::ReferenceExists(subject, version))
    }

    /// A subject's version by its schema's id, for `GET /schemas/ids/{id}/versions`.
    #[must_use]
    pub fn uses_of(&self, id: u32, with_deleted: bool) -> Option<Vec<SubjectVersion>> {
        let _known: &Arc<StoredSchema> = self.schemas.get(&id)?;
        let uses = self.all_versions(with_deleted);
        Some(uses.filter(|found| found.id == id).collect())
    }
}

/// Longest name of a subject, in bytes.
const SUBJECT_BYTES_MAX: usize = 512;

fn check_subject(subject: &str) -> Refused<()> {
    let is_fine = !subject.is_empty()
        && subject.len() <= SUBJECT_BYTES_MAX
        && !subject.chars().any(char::is_control)
        && !subject.starts_with("__");
    if is_fine {
        return Ok(());
    }
    let shown = subject.chars().take(64).collect();
    Err(RegistryRefusal::InvalidSubject(shown))
}

fn not_permitted(subject: &str, mode: Mode) -> RegistryRefusal {
    RegistryRefusal::OperationNotPermitted(subject.to_owned(), mode.name())
}

fn deletion(subject: &str, versions: Vec<u32>, is_permanent: bool) -> RegistryChange {
    let subject = subject.to_owned();
    if is_permanent {
        RegistryChange::HardDelete { subject, versions }
    } else {
        RegistryChange::SoftDelete { subject, versions }
    }
}
