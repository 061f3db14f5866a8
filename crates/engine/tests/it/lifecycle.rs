//! Opening, closing, losing power, and several engines side by side.

use crate::harness::{World, config, draft, history, live, take};
use nowcast_disk::{Fs, StdFs};
use nowcast_engine::{Engine, EventFate, Readiness, SystemClock};
use serde_json::json;
use std::sync::Arc;

async fn wait_live(engine: &Engine) {
    while engine.readiness() != Readiness::Live {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_loss() {
    let world = World::new();
    let engine = world.open();
    let item = json!({"categories": ["c"]});
    engine.put_item("i1", &item).await.unwrap();
    engine
        .change_user("ann", &json!({"segment": "pro"}), false)
        .await
        .unwrap();
    take(&engine, &[draft("e1", "click", "ann", "i1")]).await;
    world.fs.crash();
    drop(engine);

    let engine = world.open();
    wait_live(&engine).await;
    assert_eq!(history(&engine, "ann"), ["i1"]);
    let profile = engine.profile("ann", false, 1).unwrap().unwrap();
    assert_eq!(profile.segment.as_deref(), Some("pro"));
    assert_eq!(engine.item("i1").unwrap().categories, ["c"]);
    take(&engine, &[draft("e1", "click", "ann", "i1")]).await;
    assert_eq!(
        history(&engine, "ann"),
        ["i1"],
        "the retry of an acknowledged event counts once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_disk_refuses_and_never_acknowledges() {
    let world = World::new();
    let engine = world.open();
    take(&engine, &[draft("e1", "click", "ann", "i1")]).await;
    world.fs.crash();
    let batch = [draft("e2", "click", "ann", "i2")];
    let outcome = engine.ingest(&batch, &live(&engine)).await;
    assert!(
        matches!(outcome.fates[0], EventFate::Failed(_)),
        "{:?}",
        outcome.fates[0]
    );
    assert!(outcome.ends.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_in_one_process_know_nothing_of_each_other() {
    let (one, other) = (World::new().open(), World::new().open());
    take(&one, &[draft("e1", "click", "ann", "i1")]).await;
    assert!(other.profile("ann", false, 1).unwrap().is_none());
    let accepted = r#"nowcast_ingest_events_total{result="accepted"}"#;
    assert!(one.render_metrics().contains(&format!("{accepted} 1")));
    assert!(other.render_metrics().contains(&format!("{accepted} 0")));
}

#[test]
fn a_wrong_configuration_names_its_key() {
    let world = World::new();
    let mut none = config();
    none.events.partitions = 0;
    let error = world.try_open(none).err().unwrap().to_string();
    assert!(error.contains("events.partitions"), "{error}");
    let mut view = config();
    view.fold.views[0].aggregation = "median".to_owned();
    let error = world.try_open(view).err().unwrap().to_string();
    assert!(error.contains("median"), "{error}");
}

#[test]
fn a_data_folder_without_its_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let fs: Arc<dyn Fs> = Arc::new(StdFs);
        Engine::open(config(), folder.path(), fs, Arc::new(SystemClock))
    };
    let engine = open().unwrap();
    assert!(
        open().is_err(),
        "a second process would write the same files"
    );
    engine.close();
    drop(engine);
    drop(open().unwrap());
    std::fs::remove_file(folder.path().join("pseudonym.key")).unwrap();
    let error = open().err().unwrap().to_string();
    assert!(error.contains("restore it from a backup"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_twice_is_the_same_as_once() {
    let world = World::new();
    let engine = world.open();
    take(&engine, &[draft("e1", "click", "ann", "i1")]).await;
    engine.close();
    engine.close();
    assert_eq!(
        history(&engine, "ann"),
        ["i1"],
        "a closed engine still answers"
    );
}
