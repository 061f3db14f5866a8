//! The online ranker in the pipeline: it is silent until taught, learns from the facts of answers,
//! and re-ranks the lists of callers.

use crate::world::{NOW, World, ids, request, stranger};
use nowcast_models::online::OnlineConfig;
use nowcast_recommend::ranking::{LiveRanker, features};
use nowcast_recommend::{Answer, Recommender, Request};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const LIST: [&str; 5] = [
    "crime-07",
    "unheard-of",
    "poetry-02",
    "space-09",
    "crime-01",
];

fn taught_world() -> (Recommender, Arc<LiveRanker>) {
    let mut world = World::empty();
    let ranker = Arc::new(LiveRanker::new(OnlineConfig::default()).unwrap());
    world.ranker = Arc::clone(&ranker);
    let slot = world.slot();
    slot.rerank.insert("online".to_owned(), 1.0);
    slot.rerank
        .retain(|name, _| name == "online" || name == "position");
    // For ties alone.
    slot.rerank.insert("position".to_owned(), 1e-4);
    (world.ready(), ranker)
}

fn ask(recommender: &Recommender, context: &Map<String, Value>) -> Answer {
    let asked = Request {
        candidates: Some(&LIST),
        context: Some(context),
        keep_facts: true,
        ..stranger(1)
    };
    recommender.recommend(&asked).unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn a_ranker_that_has_learnt_nothing_leaves_the_callers_order() {
    let (recommender, ranker) = taught_world();
    assert!(!ranker.knows_something());
    let answer = ask(&recommender, &Map::new());
    assert_eq!(ids(&answer), LIST);
}

#[test]
fn what_is_chosen_again_and_again_comes_first_once_it_is_published() {
    let (recommender, ranker) = taught_world();
    for _ in 0..200 {
        let answer = ask(&recommender, &Map::new());
        let chosen = answer.items.iter().position(|i| &*i.item_id == "space-09");
        ranker.learn_choice(answer.facts.as_ref().unwrap(), chosen.unwrap());
    }
    assert_eq!(ids(&ask(&recommender, &Map::new())), LIST);
    assert!(ranker.publish() > 0);
    assert_eq!(ids(&ask(&recommender, &Map::new()))[0], "space-09");
}

#[test]
fn prices_and_the_context_tell_situations_apart() {
    let (recommender, ranker) = taught_world();
    let contexts = [
        map(json!({"device": "phone", "prices": [9, 5, 7, 3, 8]})),
        map(json!({"device": "desktop", "prices": [9, 5, 7, 3, 8]})),
    ];
    for turn in 0..400 {
        let context = &contexts[turn % 2];
        let answer = ask(&recommender, context);
        // On the phone the cheapest is chosen, on the desktop the dearest.
        let wanted = ["space-09", "crime-07"][turn % 2];
        let chosen = answer.items.iter().position(|i| &*i.item_id == wanted);
        ranker.learn_choice(answer.facts.as_ref().unwrap(), chosen.unwrap());
        ranker.publish();
    }
    assert_eq!(ids(&ask(&recommender, &contexts[0]))[0], "space-09");
    assert_eq!(ids(&ask(&recommender, &contexts[1]))[0], "crime-07");
}

#[test]
fn facts_come_with_an_answer_only_if_asked_for_and_in_its_order() {
    let recommender = World::lively().ready();
    let plain = Request {
        candidates: Some(&LIST),
        ..request(1)
    };
    assert!(recommender.recommend(&plain).unwrap().facts.is_none());
    let kept = Request {
        keep_facts: true,
        ..plain
    };
    let answer = recommender.recommend(&kept).unwrap();
    let facts = answer.facts.as_ref().unwrap();
    let places: Vec<usize> = facts.items.iter().map(|f| usize::from(f.place)).collect();
    let listed: Vec<usize> = ids(&answer)
        .iter()
        .map(|id| LIST.iter().position(|other| other == id).unwrap())
        .collect();
    assert_eq!(places, listed);
    let again = recommender.recommend(&kept).unwrap();
    assert_eq!(features(facts), features(&again.facts.unwrap()));
    assert_eq!(kept.now, NOW);
}

#[test]
fn what_prices_cannot_be_is_no_price() {
    let (recommender, _) = taught_world();
    let odd = map(json!({"prices": [null, -1, "7", 1e300], "nested": {"a": 1}}));
    let answer = ask(&recommender, &odd);
    let facts = answer.facts.unwrap();
    assert_eq!(facts.situation.context.len(), 0);
    assert!(facts.items.iter().all(|item| item.price_order == u8::MAX));
    assert_eq!(answer.items.len(), LIST.len());
}
