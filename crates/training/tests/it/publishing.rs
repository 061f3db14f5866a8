//! Training once: what is published, what is refused, and what comes back.

use crate::world::{World, choose, config, empty, item_name, read};
use nowcast_models::{HistoryItem, Model, ModelQuery, Params};
use nowcast_store::artifact::{LIVE, PREVIOUS};
use nowcast_training::{
    Effort, TrainingConfig, TrainingError, TrainingReport, load_live, train_once,
};
use std::sync::Mutex;

fn train(world: &World, config: &TrainingConfig) -> (TrainingReport, Vec<(String, u64)>) {
    let published = Mutex::new(Vec::new());
    let on_published = |model: std::sync::Arc<dyn Model>, version| {
        published
            .lock()
            .unwrap()
            .push((model.name().to_owned(), version));
    };
    let report = train_once(&world.deps, config, Effort::Full, &(), &on_published).unwrap();
    (report, published.into_inner().unwrap())
}

fn all_models() -> TrainingConfig {
    let models = ["popular", "covisit", "ials", "content"];
    TrainingConfig {
        models: models.map(str::to_owned).to_vec(),
        ..config()
    }
}

#[test]
fn every_model_passes_on_readers_with_tastes_and_comes_back_from_the_store() {
    let world = empty();
    read(&world, 0..300);
    let (report, published) = train(&world, &all_models());
    assert_eq!((report.users, report.items), (300, 100));
    let names: Vec<&str> = published.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["popular", "covisit", "ials", "content"]);
    for outcome in &report.models {
        assert_eq!(outcome.version, Some(1), "{outcome:?}");
        let validation = outcome.validation.as_ref().unwrap();
        assert_eq!(validation.users, 30);
        let (own, popular) = (validation.recall_at_20, validation.popular_recall_at_20);
        if outcome.model != "popular" {
            assert!(own > popular, "{outcome:?}");
        }
        let loaded = load_live(&world.deps.artifacts, &outcome.model)
            .unwrap()
            .unwrap();
        assert_eq!(loaded.version, 1);
    }
    let ials = load_live(&world.deps.artifacts, "ials")
        .unwrap()
        .unwrap()
        .model;
    let index = ials.items().to_index();
    let history = [HistoryItem {
        item: index[item_name(7).as_str()],
        weight: 1.0,
        age_s: 0,
    }];
    let prepared = ials.prepare(&ModelQuery::new(&history));
    let mut out = Vec::new();
    ials.retrieve(&prepared, 5, &|_| true, &mut out);
    for scored in out {
        let id = ials.items().get(scored.item).unwrap();
        let number: u32 = id.trim_start_matches("item-").parse().unwrap();
        assert_eq!(number % 5, 2, "{id}");
    }
}

#[test]
fn slots_whose_lists_are_chosen_from_differently_answer_differently() {
    let world = empty();
    read(&world, 0..1000);
    choose(&world, 0..1000);
    let mut params = Params::new();
    for name in ["transitions", "session_knn", "item_knn", "ials", "graph"] {
        params = params.with(name, u8::from(name == "item_knn"));
    }
    let with_slots = TrainingConfig {
        models: vec!["blend".to_owned()],
        params: [("blend".to_owned(), params)].into(),
        ..config()
    };
    let (report, published) = train(&world, &with_slots);
    assert_eq!(published.len(), 1, "{report:?}");
    assert_eq!(report.dataset.slot_outcomes, 1000);
    let model = load_live(&world.deps.artifacts, "blend")
        .unwrap()
        .unwrap()
        .model;
    let index = model.items().to_index();
    let entry = |number: u32| HistoryItem {
        item: index[item_name(number).as_str()],
        weight: 1.0,
        age_s: 0,
    };
    let history = [7, 12, 17].map(entry);
    let best = |slot: Option<&str>| {
        let query = ModelQuery {
            slot,
            ..ModelQuery::new(&history)
        };
        let mut out = Vec::new();
        let is_new = |item| history.iter().all(|entry| entry.item != item);
        model.retrieve(&model.prepare(&query), 3, &is_new, &mut out);
        let ids = out.iter().map(|scored| model.items().get(scored.item));
        ids.map(|id| id.unwrap().to_owned()).collect::<Vec<_>>()
    };
    let number = |id: &String| id.trim_start_matches("item-").parse::<u32>().unwrap();
    let of_topic = |ids: &[String]| ids.iter().all(|id| number(id) % 5 == 2);
    let (topic, top) = (best(Some("topic")), best(Some("top")));
    assert!(of_topic(&topic), "{topic:?}");
    assert!(top.iter().all(|id| number(id) < 5), "{top:?}");
    assert_eq!(best(Some("elsewhere")), best(None));
}

#[test]
fn the_same_log_gives_the_same_bytes_whatever_the_threads() {
    let bytes = |threads| {
        let world = empty();
        read(&world, 0..200);
        let with_threads = TrainingConfig {
            threads,
            ..all_models()
        };
        train(&world, &with_threads);
        let names = ["popular", "covisit", "ials", "content"];
        names.map(|name| world.deps.artifacts.get(name, 1).unwrap())
    };
    let one = bytes(1);
    assert!(one == bytes(1) && one == bytes(2) && one == bytes(3));
}

#[test]
fn a_model_below_the_gate_is_not_published_and_says_why() {
    let world = empty();
    read(&world, 0..300);
    let strict = TrainingConfig {
        gate_share_of_popular: 100.0,
        ..config()
    };
    let (report, published) = train(&world, &strict);
    assert!(published.is_empty());
    for outcome in &report.models {
        let validation = outcome.validation.as_ref().unwrap();
        assert!(!validation.is_passed && outcome.version.is_none());
        assert!(validation.reason.contains("is below"), "{outcome:?}");
        assert!(
            load_live(&world.deps.artifacts, &outcome.model)
                .unwrap()
                .is_none()
        );
    }
}

#[test]
fn too_little_data_is_told_and_one_failing_model_does_not_stop_the_others() {
    let world = empty();
    read(&world, 0..5);
    let outcome = train_once(&world.deps, &config(), Effort::Full, &(), &|_, _| {});
    assert!(matches!(
        outcome,
        Err(TrainingError::TooFew { need: 100, .. })
    ));

    read(&world, 5..100);
    world.deps.catalog.clear();
    let (report, published) = train(&world, &all_models());
    assert_eq!(published.len(), 3);
    let content = report.models.iter().find(|m| m.model == "content").unwrap();
    assert!(
        content.error.as_ref().unwrap().contains("content"),
        "{content:?}"
    );
}

#[test]
fn a_damaged_live_model_gives_way_to_the_previous_one() {
    let world = empty();
    read(&world, 0..100);
    train(&world, &config());
    train(&world, &config());
    let artifacts = &world.deps.artifacts;
    assert_eq!(artifacts.alias("ials", LIVE).unwrap(), Some(2));
    assert_eq!(artifacts.alias("ials", PREVIOUS).unwrap(), Some(1));
    let of_version = |version: u64| {
        let name = format!("{version:010}.artifact");
        let files = world.fs.files().into_iter();
        let mut ours = files.filter(|(path, _)| {
            path.ends_with(&name) && path.components().any(|c| c.as_os_str() == "ials")
        });
        ours.next().unwrap().0
    };
    world.fs.flip_bit(&of_version(2), 12_345).unwrap();
    assert_eq!(load_live(artifacts, "ials").unwrap().unwrap().version, 1);
    world.fs.flip_bit(&of_version(1), 12_345).unwrap();
    let error = load_live(artifacts, "ials").err().unwrap();
    assert_eq!(error.kind(), nowcast_types::ErrorKind::Corrupt);
}
