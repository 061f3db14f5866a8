//! Learning while serving: what is shown and clicked changes what others are shown, and a loss of
//! power changes nothing of what is learnt.

use crate::harness::{World, config, draft, take};
use nowcast_engine::learning::{load_training, objectives};
use nowcast_engine::{Answer, CallSubject, Engine, EngineConfig, EventDraft, RecommendCall};
use nowcast_log::{EventLog, StoredBatch};
use nowcast_models::online::OnlineRanker;
use nowcast_recommend::ranking::{OnlineTraining, teach};
use nowcast_types::{Origin, PartitionId, Record, Span, Stream};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const ITEMS: [&str; 5] = ["i0", "i1", "i2", "i3", "i4"];

fn learning() -> EngineConfig {
    let mut config = config();
    config.fold.attribution.enabled = true;
    config.fold.attribution.window = Span(10_000);
    config.online.bits = 12;
    config.online.publish_interval = Span(1);
    config.online.checkpoint_interval = Span(1);
    config.stream.checkpoint_interval = Span(1);
    let slot = config.recommend.slots.get_mut("default").unwrap();
    slot.scorers = [("online".to_owned(), 1.0)].into();
    config
}

async fn with_items(engine: &Engine) {
    for item in ITEMS {
        let stored = engine.put_item(item, &json!({})).await.unwrap();
        assert!(engine.wait_catalog(stored).await);
    }
}

fn ask(engine: &Engine, user_id: &str, request_id: &str) -> Answer {
    let subject = CallSubject::User {
        user_id,
        session_id: None,
    };
    let call = RecommendCall {
        request_id,
        explain: true,
        ..RecommendCall::new(subject, "default", ITEMS.len())
    };
    engine.recommend(&call).unwrap()
}

/// Waits until something holds; fails after long enough.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::task::yield_now().await;
    }
}

fn pending(engine: &Engine) -> usize {
    let of = |partition| {
        let processor = engine.processor();
        processor.with_partition(PartitionId(partition), |view| view.state().pending_slates())
    };
    (0..3).filter_map(of).sum()
}

/// Shows a list to a user and lets them click one item of it.
async fn show_and_click(engine: &Engine, user: &str, item: &str) {
    let before = pending(engine);
    ask(engine, user, &format!("r-{user}"));
    until("the slate is folded", || pending(engine) > before).await;
    let (id, request) = (format!("e-{user}"), format!("r-{user}"));
    let click = EventDraft {
        request_id: Some(request.as_str().into()),
        ..draft(&id, "click", user, item)
    };
    take(engine, &[click]).await;
}

/// Closes all windows: a search of each partition's users after them.
async fn close_windows(world: &World, engine: &Engine) {
    world.clock.advance(11_000);
    let names: Vec<(String, String)> = (0..24)
        .map(|n| {
            (
                format!("tick-{n}-{}", engine.now().0),
                format!("ticker-{n}"),
            )
        })
        .collect();
    let drafts: Vec<EventDraft<'_>> = names
        .iter()
        .map(|(id, user)| EventDraft {
            event_id: Some(id.as_str().into()),
            event_type: Some("search".into()),
            user_id: Some(user.as_str().into()),
            ..EventDraft::default()
        })
        .collect();
    take(engine, &drafts).await;
}

fn has_learnt_all(engine: &Engine, least: u64) -> bool {
    let bounds = engine.log().bounds(Stream::Examples, PartitionId(0));
    let status = engine.status().online.unwrap();
    assert_eq!(status.failure, None);
    let end = bounds.unwrap().end;
    end >= least && status.durable == end
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_click_is_shown_first_and_the_answer_says_why() {
    let world = World::new();
    let engine = world.try_open(learning()).unwrap();
    with_items(&engine).await;
    assert_eq!(&*ask(&engine, "nobody", "r-0").items[0].item_id, "i0");
    for n in 0..12 {
        show_and_click(&engine, &format!("user-{n}"), "i3").await;
    }
    close_windows(&world, &engine).await;
    // Twelve clicks, and the windows of thirteen lists of five.
    until("all is learnt", || has_learnt_all(&engine, 12 + 13 * 5)).await;
    let answer = ask(&engine, "somebody-else", "r-1");
    assert_eq!(&*answer.items[0].item_id, "i3");
    let parts = &answer.explanation.as_ref().unwrap().items[0].parts;
    assert_eq!(parts[0].scorer, "online");
    let metrics = engine.render_metrics();
    let positive = r#"nowcast_online_labels_total{objective="click",label="positive"} 12"#;
    assert!(metrics.contains(positive), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_where_the_ranker_has_no_say() {
    let mut config = learning();
    let slot = config.recommend.slots.get_mut("default").unwrap();
    slot.scorers = [("popularity".to_owned(), 1.0)].into();
    let engine = World::new().try_open(config).unwrap();
    with_items(&engine).await;
    ask(&engine, "ann", "r");
    engine.close();
    let mut slates = 0;
    each_record(&**engine.log(), Stream::Events, 3, |_, record| {
        slates += u32::from(matches!(record, Record::Slate(_)));
    });
    assert_eq!(slates, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn power_losses_change_nothing_of_what_is_learnt() {
    let world = World::new();
    let mut users = 0;
    for life in 0..6_u64 {
        let engine = world.try_open(learning()).unwrap();
        // Put again, which waits until the catalogue is back: a list of before would be shorter.
        with_items(&engine).await;
        for _ in 0..4 {
            let item = ITEMS[users % ITEMS.len()];
            show_and_click(&engine, &format!("user-{users}"), item).await;
            users += 1;
        }
        if life % 2 == 1 {
            close_windows(&world, &engine).await;
        }
        // Wherever the fold, its checkpoints and the learner are by now.
        world.fs.crash();
        drop(engine);
    }
    let engine = world.try_open(learning()).unwrap();
    close_windows(&world, &engine).await;
    // Lists that were not recorded before the power went are asked for again by nobody; all that
    // were clicked were recorded.
    until("all is learnt", || has_learnt_all(&engine, 24 + 24 * 5)).await;
    engine.close();

    let config = learning();
    let learnt = objectives(&config.fold.attribution);
    let importance = config.online.correction_importance;
    let stored = load_training(world.fs.clone(), Path::new("data"))
        .unwrap()
        .unwrap();
    let stored = stored.training(config.online.ranker(), &learnt, importance);
    let mut once = OnlineRanker::new(config.online.ranker(), learnt).unwrap();
    let mut origins: HashSet<Origin> = HashSet::new();
    let mut clicks = 0;
    each_record(&**engine.log(), Stream::Examples, 1, |_, record| {
        let Record::Example(example) = record else {
            panic!("a record of another stream: {record:?}")
        };
        if origins.insert(example.origin) {
            clicks += usize::from(example.labels == "+click");
            teach(&mut once, example, importance, |_| {});
        }
    });
    assert_eq!(clicks, users, "each click is an example, once");
    assert_eq!(
        bytes(stored.as_ref().map(OnlineTraining::ranker).unwrap()),
        bytes(&once)
    );
}

fn bytes(ranker: &OnlineRanker) -> Vec<u8> {
    let mut bytes = Vec::new();
    ranker.encode(&mut bytes);
    bytes
}

fn each_record(
    log: &dyn EventLog,
    stream: Stream,
    partitions: u16,
    mut each: impl FnMut(u64, &Record<'_>),
) {
    for partition in (0..partitions).map(PartitionId) {
        let bounds = log.bounds(stream, partition).unwrap();
        let mut position = bounds.earliest;
        while position < bounds.end {
            let batches = log.read(stream, partition, position, 1 << 20).unwrap();
            for (offset, record) in batches.iter().flat_map(StoredBatch::records) {
                if offset >= position {
                    each(offset, &record.unwrap());
                }
            }
            position = batches.last().unwrap().end_offset();
        }
    }
}
