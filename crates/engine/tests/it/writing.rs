//! Events, items and users in: what is durable, what counts, and once.

use crate::harness::{START_MS, World, draft, historic, history, live, take};
use nowcast_engine::{EngineError, EventDraft, EventFate, When};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gets_the_same_answer_and_counts_once() {
    let engine = World::new().open();
    let batch = [
        draft("e1", "click", "ann", "i1"),
        draft("e2", "click", "bob", "i1"),
    ];
    let ids = |fates: &[EventFate<'_>]| -> Vec<String> {
        let id = |fate: &EventFate<'_>| match fate {
            EventFate::Accepted { event_id, .. } => event_id.to_string(),
            other => panic!("{other:?}"),
        };
        fates.iter().map(id).collect()
    };
    let first = engine.ingest(&batch, &live(&engine)).await;
    let again = engine.ingest(&batch, &live(&engine)).await;
    assert_eq!(ids(&first.fates), ids(&again.fates));
    assert!(engine.wait_applied(&again.ends).await);
    assert_eq!(history(&engine, "ann"), ["i1"]);
    let counters = engine.processor().counters();
    let duplicates: u64 = counters.iter().map(|counters| counters.duplicate).sum();
    assert_eq!(duplicates, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_history_is_judged_by_its_own_time() {
    let engine = World::new().open();
    let old = EventDraft {
        timestamp: Some(When::Ms(1_000_000_000_000)),
        ..draft("e1", "view", "ann", "i1")
    };
    let refused = engine
        .ingest(std::slice::from_ref(&old), &live(&engine))
        .await;
    assert!(matches!(refused.fates[0], EventFate::DeadLettered(_)));
    let taken = engine
        .ingest(std::slice::from_ref(&old), &historic(&engine))
        .await;
    assert!(matches!(taken.fates[0], EventFate::Accepted { .. }));
    assert!(engine.wait_applied(&taken.ends).await);
    let profile = engine.profile("ann", false, 10).unwrap().unwrap();
    assert_eq!(profile.history[0].time_s, 1_000_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_cut_for_the_log_and_keeps_its_order() {
    let engine = World::new().open();
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(7_000));
    let properties = serde_json::value::RawValue::from_string(text).unwrap();
    let names: Vec<String> = (0..1_500).map(|n| format!("e{n}")).collect();
    let batch: Vec<EventDraft<'_>> = names
        .iter()
        .map(|name| EventDraft {
            properties: Some(&properties),
            ..draft(name, "view", "ann", name)
        })
        .collect();
    // 10 MB of records of one user: more than the log takes in one append.
    let outcome = engine.ingest(&batch, &live(&engine)).await;
    let offset = |fate: &EventFate<'_>| match fate {
        EventFate::Accepted { offset, .. } => *offset,
        other => panic!("{other:?}"),
    };
    let offsets: Vec<u64> = outcome.fates.iter().map(offset).collect();
    assert_eq!(offsets, (0..1_500).collect::<Vec<u64>>());
    assert_eq!(outcome.ends.len(), 1);
    assert!(engine.wait_applied(&outcome.ends).await);
    assert_eq!(history(&engine, "ann")[0], "e1499");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_sees_what_was_put_just_before() {
    let engine = World::new().open();
    for round in 0..20 {
        let item = json!({"attributes": {"round": round, "kept": true}});
        engine.put_item("i1", &item).await.unwrap();
        let patch = json!({"attributes": {"patched": round}});
        let stored = engine.patch_item("i1", &patch).await.unwrap();
        assert!(engine.wait_catalog(stored).await);
        let shown = serde_json::to_value(engine.item("i1").unwrap()).unwrap();
        let expected =
            json!({"round": f64::from(round), "kept": true, "patched": f64::from(round)});
        assert_eq!(shown["attributes"], expected);
    }
    let missing = engine.patch_item("i2", &json!({})).await;
    assert_eq!(
        missing.unwrap_err().kind(),
        nowcast_types::ErrorKind::NotFound
    );
    let bad = engine.put_item("i1", &json!({"tags": 1})).await;
    assert!(matches!(bad, Err(EngineError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_unknown_and_may_come_back_as_a_stranger() {
    let world = World::new();
    let engine = world.open();
    let record = json!({"segment": "pro", "attributes": {"a": 1}});
    let (user, _) = engine.change_user("ann", &record, false).await.unwrap();
    take(
        &engine,
        &[
            draft("e1", "like", "ann", "i1"),
            draft("e2", "like", "bob", "i1"),
        ],
    )
    .await;
    let receipt = engine.erase("ann", false).await.unwrap();
    assert_eq!(
        (receipt.user, receipt.applied, receipt.at.0),
        (user, true, START_MS)
    );
    assert!(engine.profile("ann", false, 10).unwrap().is_none());
    assert_eq!(history(&engine, "bob"), ["i1"]);

    world.clock.advance(1_000);
    take(&engine, &[draft("e3", "view", "ann", "i2")]).await;
    let profile = engine.profile("ann", false, 10).unwrap().unwrap();
    assert_eq!((profile.history_len, profile.segment), (1, None));
    engine.close();
    drop(engine);
    let engine = world.open();
    while engine.readiness() != nowcast_engine::Readiness::Live {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        history(&engine, "ann"),
        ["i2"],
        "a restart brings nothing back"
    );
}
