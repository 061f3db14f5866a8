//! Answers: who is asked for, what is recorded, and models that come and go.

use crate::harness::{World, config, draft, history, take};
use nowcast_engine::{CallSubject, Engine, RecommendCall, Rung};
use nowcast_models::{InteractionsBuilder, ItemIds, Params, trainer};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn ask(engine: &Engine, user_id: &str, k: usize) -> nowcast_engine::Answer {
    let subject = CallSubject::User {
        user_id,
        session_id: None,
    };
    let call = RecommendCall {
        request_id: "r1",
        ..RecommendCall::new(subject, "default", k)
    };
    engine.recommend(&call).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn impressions_are_events_of_their_user_and_change_no_history() {
    let engine = World::new().open();
    for item in ["i1", "i2", "i3"] {
        let stored = engine.put_item(item, &json!({})).await.unwrap();
        assert!(engine.wait_catalog(stored).await);
    }
    take(&engine, &[draft("e1", "click", "ann", "i1")]).await;
    let answer = ask(&engine, "ann", 2);
    assert_eq!(answer.items.len(), 2);
    engine.close();
    let status = engine.status();
    let slot = status
        .slots
        .iter()
        .find(|slot| slot.slot == "default")
        .unwrap();
    assert_eq!((slot.impressions, slot.clicks), (2, 0));
    assert_eq!(status.impressions_shed_total, 0);
    assert_eq!(history(&engine, "ann"), ["i1"]);
    ask(&engine, "ann", 2);
    assert_eq!(
        engine.status().impressions_shed_total,
        2,
        "nobody records after the end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_of_subjects_without_an_id() {
    let engine = World::new().open();
    let stored = engine.put_item("i1", &json!({})).await.unwrap();
    assert!(engine.wait_catalog(stored).await);
    let call = RecommendCall::new(CallSubject::Anonymous, "default", 1);
    assert_eq!(engine.recommend(&call).unwrap().items.len(), 1);
    engine.close();
    assert!(engine.status().slots.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_swapped_while_requests_run_and_none_fails() {
    let world = World::new();
    let mut config = config();
    config.serving.record_impressions = false;
    let engine = world.try_open(config).unwrap();
    let ids: Vec<String> = (0..30).map(|n| format!("i{n}")).collect();
    let mut builder = InteractionsBuilder::new(ItemIds::default());
    for id in &ids {
        builder.push_item(id);
    }
    for user in 0..40_u32 {
        let row = builder.push_user();
        for step in 0..8_u32 {
            builder.push(row, (user % 3) * 10 + (user + step) % 10, 1.0, step);
        }
    }
    let data = builder.build();
    let trained = trainer("ials").unwrap();
    let model = trained.fit(&data, &Params::new(), 1, &()).unwrap();
    let mut bytes = Vec::new();
    model.encode(&mut bytes);
    take(
        &engine,
        &[
            draft("e1", "click", "ann", "i0"),
            draft("e2", "click", "ann", "i1"),
        ],
    )
    .await;

    let publish = |version| {
        engine.artifacts().put("ials", version, &bytes).unwrap();
        engine.artifacts().promote("ials", version).unwrap();
        engine.reload_models();
    };
    // Before the first model, nothing but what was clicked is known.
    publish(1);
    let (stop, answers) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let askers: Vec<_> = (0..2)
        .map(|_| {
            let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    assert!(!ask(&engine, "ann", 5).items.is_empty());
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for version in 2..=20 {
        publish(version);
        let before = answers.load(Ordering::Relaxed);
        while answers.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
            assert!(
                askers.iter().all(|asker| !asker.is_finished()),
                "a request failed"
            );
        }
    }
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.join().unwrap();
    }
    let answer = ask(&engine, "ann", 5);
    assert_eq!(answer.rung, Rung::Personalized);
    assert_eq!(answer.models[0].version, "20");
    assert!(
        answer
            .items
            .iter()
            .all(|item| ids[..10].iter().any(|id| **id == *item.item_id)),
        "items of the same group first: {:?}",
        answer.items
    );
}
