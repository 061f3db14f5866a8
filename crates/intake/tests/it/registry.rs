//! The registry in the log of an engine.

use crate::rig::engine;
use nowcast_intake::BuiltInRegistry;
use nowcast_schemas::registry::NewSchema;

fn register(registry: &BuiltInRegistry, subject: &str, text: &str) -> u32 {
    let new = NewSchema {
        schema: text.to_owned(),
        ..NewSchema::default()
    };
    let plan = |state: &nowcast_schemas::Registry| state.plan_register(subject, &new);
    registry.service().write(plan).unwrap()
}

#[test]
fn the_registry_is_in_the_log_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine = engine(dir.path());
        let registry = BuiltInRegistry::open(&engine).unwrap();
        assert_eq!(register(&registry, "a", "\"int\""), 1);
        assert_eq!(register(&registry, "b", "\"string\""), 2);
    }
    let engine = engine(dir.path());
    let registry = BuiltInRegistry::open(&engine).unwrap();
    let subjects: Vec<String> = registry
        .service()
        .read(|state| state.subjects(false).map(str::to_owned).collect());
    assert_eq!(subjects, ["a", "b"]);
    assert_eq!(register(&registry, "c", "\"long\""), 3, "ids go on");
}

#[test]
fn two_registries_on_one_log_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let one = BuiltInRegistry::open(&engine).unwrap();
    let other = BuiltInRegistry::open(&engine).unwrap();
    let ids: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = [&one, &other]
            .into_iter()
            .enumerate()
            .map(|(number, registry)| {
                scope.spawn(move || {
                    let id = |round| {
                        let name = format!("e{number}_{round}");
                        let text = format!(r#"{{"type":"enum","name":"{name}","symbols":["a"]}}"#);
                        register(registry, &name, &text)
                    };
                    (0..20).map(id).collect::<Vec<u32>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=40).collect::<Vec<u32>>(), "every id once");
    other.service().refresh().unwrap();
    one.service().refresh().unwrap();
    for registry in [&one, &other] {
        assert_eq!(
            registry
                .service()
                .read(|state| state.subjects(false).count()),
            40
        );
    }
}
