//! The registry is what its log says: after a restart, after a torn write, and not after damage.

use nowcast_disk::StdFs;
use nowcast_schemas::registry::{
    DiskRegistryLog, Mode, NewSchema, RegistryRefusal, VersionSelector,
};
use nowcast_schemas::{RegistryLog, RegistryService, SchemaError};
use std::path::Path;
use std::sync::Arc;

fn open(dir: &Path) -> Result<RegistryService, SchemaError> {
    let log = DiskRegistryLog::open(&StdFs, dir)?;
    RegistryService::open(Arc::new(log))
}

fn avro(text: &str) -> NewSchema {
    NewSchema {
        schema: text.to_owned(),
        ..NewSchema::default()
    }
}

fn register(service: &RegistryService, subject: &str, text: &str) -> u32 {
    let plan = |registry: &nowcast_schemas::Registry| registry.plan_register(subject, &avro(text));
    service.write(plan).unwrap()
}

fn state(service: &RegistryService) -> String {
    service.read(|registry| {
        let versions: Vec<_> = registry
            .all_versions(true)
            .map(|found| (found.subject, found.version, found.id, found.is_deleted))
            .collect();
        format!(
            "{versions:?} {:?} {:?}",
            registry.level(Some("a")),
            registry.mode(None)
        )
    })
}

#[test]
fn a_restart_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let service = open(dir.path()).unwrap();
    assert_eq!(register(&service, "a", "\"int\""), 1);
    assert_eq!(register(&service, "a", "\"long\""), 2);
    assert_eq!(
        register(&service, "b", " \"int\" "),
        1,
        "equal but for its layout"
    );
    assert_eq!(register(&service, "a", "\"int\""), 1, "registered already");
    let full = nowcast_schemas::compat::CompatibilityLevel::Full;
    service
        .write(|registry| Ok(((), Some(registry.plan_set_level(Some("a"), Some(full))?))))
        .unwrap();
    service
        .write(|registry| {
            let (version, change) =
                registry.plan_delete_version("a", VersionSelector::Number(1), false)?;
            Ok((version, Some(change)))
        })
        .unwrap();
    let before = state(&service);
    drop(service);
    let service = open(dir.path()).unwrap();
    assert_eq!(state(&service), before);
    assert_eq!(register(&service, "c", "\"double\""), 3, "ids go on");
    service
        .write(|registry| {
            Ok((
                (),
                Some(registry.plan_set_mode(None, Some(Mode::ReadOnly), false)?),
            ))
        })
        .unwrap();
    drop(service);
    let service = open(dir.path()).unwrap();
    let refused = service.write(|registry| registry.plan_register("d", &avro("\"int\"")));
    assert!(matches!(
        refused,
        Err(RegistryRefusal::OperationNotPermitted(..))
    ));
}

#[test]
fn a_torn_tail_is_cut_and_damage_is_loud() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let service = open(dir.path()).unwrap();
        register(&service, &format!("s{round}"), "\"int\"");
    }
    let path = dir.path().join("registry.log");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let service = open(dir.path()).unwrap();
    let subjects = || service.read(|r| r.subjects(true).map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(subjects(), ["s0", "s1"]);
    register(&service, "again", "\"int\"");
    drop(service);
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(open(dir.path()).is_ok());
    bytes[60] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        open(dir.path()),
        Err(SchemaError::BadChange { place: 0, .. })
    ));
}

#[test]
fn two_processes_cannot_write_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let _first = DiskRegistryLog::open(&StdFs, dir.path()).unwrap();
    assert!(DiskRegistryLog::open(&StdFs, dir.path()).is_err());
}

struct FullLog;

impl RegistryLog for FullLog {
    fn append(&self, _change: &[u8]) -> Result<(), SchemaError> {
        Err(SchemaError::LogUnavailable("full".to_owned()))
    }

    fn replay(
        &self,
        _each: &mut dyn FnMut(&[u8]) -> Result<(), SchemaError>,
    ) -> Result<(), SchemaError> {
        Ok(())
    }
}

#[test]
fn what_the_log_did_not_take_is_not_seen() {
    let service = RegistryService::open(Arc::new(FullLog)).unwrap();
    let refused = service.write(|registry| registry.plan_register("a", &avro("\"int\"")));
    assert!(matches!(refused, Err(RegistryRefusal::Store(_))));
    assert_eq!(service.read(|registry| registry.subjects(true).count()), 0);
}
