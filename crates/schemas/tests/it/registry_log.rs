//! The registry is what its log says: after a restart, and with other processes writing.

use nowcast_schemas::registry::{
    EachChange, MemoryRegistryLog, Mode, NewSchema, RegistryRefusal, VersionSelector,
};
use nowcast_schemas::{RegistryLog, RegistryService, SchemaError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let log = Arc::new(MemoryRegistryLog::default());
    let open = || RegistryService::open(Arc::<MemoryRegistryLog>::clone(&log)).unwrap();
    let service = open();
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
    let service = open();
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
    let service = open();
    let refused = service.write(|registry| registry.plan_register("d", &avro("\"int\"")));
    assert!(matches!(
        refused,
        Err(RegistryRefusal::OperationNotPermitted(..))
    ));
}

/// A log that another registry writes to between the plan and the append of this one.
struct Raced {
    log: Arc<MemoryRegistryLog>,
    other: RegistryService,
    races: AtomicUsize,
}

impl RegistryLog for Raced {
    fn append(&self, planned_on: u64, change: &[u8]) -> Result<(), SchemaError> {
        let left = self.races.load(Ordering::Relaxed);
        if left > 0 {
            self.races.store(left - 1, Ordering::Relaxed);
            register(&self.other, &format!("other{left}"), &enumeration(left));
        }
        self.log.append(planned_on, change)
    }

    fn read(&self, from: u64, each: EachChange<'_>) -> Result<u64, SchemaError> {
        self.log.read(from, each)
    }
}

fn enumeration(number: usize) -> String {
    format!(r#"{{"type":"enum","name":"e{number}","symbols":["a"]}}"#)
}

#[test]
fn two_processes_on_one_log_never_give_one_id_to_two_schemas() {
    let log = Arc::new(MemoryRegistryLog::default());
    let other = || RegistryService::open(Arc::<MemoryRegistryLog>::clone(&log)).unwrap();
    let raced = Raced {
        log: Arc::clone(&log),
        other: other(),
        races: AtomicUsize::new(3),
    };
    let service = RegistryService::open(Arc::new(raced)).unwrap();
    assert_eq!(register(&service, "mine", "\"int\""), 4, "three came first");
    let reader = other();
    assert_eq!(state(&reader), state(&service));
    assert_eq!(register(&reader, "more", "\"long\""), 5);
    service.refresh().unwrap();
    assert_eq!(
        state(&reader),
        state(&service),
        "a refresh shows the others' changes"
    );
}

struct FullLog;

impl RegistryLog for FullLog {
    fn append(&self, _planned_on: u64, _change: &[u8]) -> Result<(), SchemaError> {
        Err(SchemaError::LogUnavailable("full".to_owned()))
    }

    fn read(&self, _from: u64, _each: EachChange<'_>) -> Result<u64, SchemaError> {
        Ok(0)
    }
}

#[test]
fn what_the_log_did_not_take_is_not_seen() {
    let service = RegistryService::open(Arc::new(FullLog)).unwrap();
    let refused = service.write(|registry| registry.plan_register("a", &avro("\"int\"")));
    assert!(matches!(refused, Err(RegistryRefusal::Store(_))));
    assert_eq!(service.read(|registry| registry.subjects(true).count()), 0);
}
