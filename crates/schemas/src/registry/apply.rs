//! How a change becomes part of the state.

use super::{Registry, RegistryChange, StoredSchema, VersionEntry};
use crate::parsed::ParsedSchema;
use crate::schema_type::{SchemaReference, SchemaType};
use std::sync::Arc;

impl Registry {
    /// Makes a change so.
    ///
    /// # Errors
    /// A sentence if the change contradicts the state, which says that the log is not the one that
    /// this state was built from.
    pub fn apply(&mut self, change: &RegistryChange) -> Result<(), String> {
        match change {
            RegistryChange::Register {
                subject,
                version,
                id,
                schema_type,
                schema,
                references,
            } => {
                let stored = StoredSchema {
                    schema_type: *schema_type,
                    schema: schema.as_str().into(),
                    references: references.clone(),
                };
                self.add_schema(*id, stored)?;
                let subject = self.subjects.entry(subject.clone()).or_default();
                subject.version_max = subject.version_max.max(*version);
                let entry = VersionEntry {
                    id: *id,
                    is_deleted: false,
                };
                subject.versions.insert(*version, entry);
            }
            RegistryChange::SoftDelete { subject, versions } => {
                let known = self.subjects.get_mut(subject);
                let known = known.ok_or_else(|| format!("there is no subject {subject}"))?;
                for (version, entry) in &mut known.versions {
                    entry.is_deleted |= versions.contains(version);
                }
            }
            RegistryChange::HardDelete { subject, versions } => {
                let known = self.subjects.get_mut(subject);
                let known = known.ok_or_else(|| format!("there is no subject {subject}"))?;
                known
                    .versions
                    .retain(|version, _| !versions.contains(version));
                if known.versions.is_empty() {
                    self.levels.remove(&Some(subject.clone()));
                    self.modes.remove(&Some(subject.clone()));
                }
            }
            RegistryChange::SetLevel { subject, level } => {
                match level {
                    Some(level) => self.levels.insert(subject.clone(), *level),
                    None => self.levels.remove(subject),
                };
            }
            RegistryChange::SetMode { subject, mode } => {
                match mode {
                    Some(mode) => self.modes.insert(subject.clone(), *mode),
                    None => self.modes.remove(subject),
                };
            }
        }
        Ok(())
    }

    fn add_schema(&mut self, id: u32, stored: StoredSchema) -> Result<(), String> {
        if let Some(known) = self.schemas.get(&id) {
            let is_same = **known == stored;
            return if is_same || self.key(known) == self.key(&stored) {
                Ok(())
            } else {
                Err(format!("id {id} is that of another schema"))
            };
        }
        let key = self.key(&stored)?;
        self.ids.entry(key).or_insert(id);
        self.id_max = self.id_max.max(id);
        self.schemas.insert(id, Arc::new(stored));
        Ok(())
    }

    /// What a schema is recognised by.
    pub(super) fn key(
        &self,
        stored: &StoredSchema,
    ) -> Result<(SchemaType, String, Vec<SchemaReference>), String> {
        let text = self
            .resolve(stored.schema_type, &stored.schema, &stored.references)
            .map_err(|refusal| refusal.to_string())?;
        let parsed = ParsedSchema::parse(&text)?;
        let canonical = ParsedSchema::canonical(&text, &parsed);
        let mut references = stored.references.clone();
        references.sort();
        Ok((stored.schema_type, canonical, references))
    }
}
