//! Lists that the caller brings come back whole, in a better order.

use crate::world::{World, ids, request, stranger, user};
use nowcast_recommend::{Request, Rung};
use std::time::Instant;

const LIST: [&str; 6] = [
    "crime-07",
    "unheard-of",
    "poetry-02",
    "space-09",
    "space-01",
    "crime-01",
];

#[test]
fn all_candidates_come_back_whatever_k_says_and_whatever_was_seen() {
    let world = World::lively();
    world.change("crime-07", |item| item.available = false);
    let recommender = world.ready();
    let answer = recommender.recommend(&Request {
        candidates: Some(&LIST),
        ..request(1)
    });
    let answer = answer.unwrap();
    let mut returned = ids(&answer);
    returned.sort_unstable();
    let mut expected = LIST.to_vec();
    expected.sort_unstable();
    assert_eq!(returned, expected);
    assert!(answer.items.iter().all(|item| item.source == "request"));
}

#[test]
fn the_last_touched_item_comes_first_and_the_rest_keeps_its_order_for_want_of_evidence() {
    let mut world = World::lively();
    world
        .slot()
        .rerank
        .retain(|name, _| name == "touch" || name == "position");
    let recommender = world.ready();
    let answer = recommender.recommend(&Request {
        candidates: Some(&LIST),
        ..request(1)
    });
    let answer = answer.unwrap();
    let expected = [
        "space-01",
        "crime-07",
        "unheard-of",
        "poetry-02",
        "space-09",
        "crime-01",
    ];
    assert_eq!(ids(&answer), expected);
    assert_eq!(answer.rung, Rung::Personalized);
}

#[test]
fn for_a_stranger_the_callers_order_stands_when_nothing_else_is_known() {
    let mut world = World::empty();
    world
        .slot()
        .rerank
        .retain(|name, _| name == "touch" || name == "position");
    let recommender = world.ready();
    let answer = recommender.recommend(&Request {
        candidates: Some(&LIST),
        ..stranger(1)
    });
    let answer = answer.unwrap();
    assert_eq!(ids(&answer), LIST);
    assert_eq!(answer.rung, Rung::Static);
}

#[test]
fn the_callers_order_stands_when_time_is_up() {
    let recommender = World::lively().ready();
    let late = recommender.recommend(&Request {
        candidates: Some(&LIST),
        deadline: Some(Instant::now()),
        ..request(1)
    });
    let late = late.unwrap();
    assert_eq!(ids(&late), LIST);
    assert!(late.late.contains(&"touch"));
}

#[test]
fn what_the_subject_dislikes_sinks() {
    let mut world = World::lively();
    let disliked = world.touch("crime", 7, -3.0, 500);
    world
        .live
        .profiles
        .get_mut(&user(1))
        .unwrap()
        .history
        .push(disliked);
    let recommender = world.ready();
    let answer = recommender.recommend(&Request {
        candidates: Some(&LIST),
        ..request(1)
    });
    assert_eq!(ids(&answer.unwrap()).last(), Some(&"crime-07"));
}

#[test]
fn only_what_the_request_itself_asks_for_is_removed() {
    let recommender = World::lively().ready();
    let answer = recommender.recommend(&Request {
        candidates: Some(&LIST),
        exclude: &["unheard-of", "space-01"],
        filter: Some("!('poetry' in item.categories)"),
        explain: true,
        ..request(1)
    });
    let answer = answer.unwrap();
    let mut returned = ids(&answer);
    returned.sort_unstable();
    assert_eq!(returned, ["crime-01", "crime-07", "space-09"]);
    let why = answer.explanation.unwrap();
    let told: Vec<_> = why.removals.iter().map(|r| (r.filter, r.count)).collect();
    assert_eq!(told, [("excluded", 2), ("expression", 1)]);
}

#[test]
fn repetitions_collapse_into_the_first_place_and_are_counted() {
    let recommender = World::empty().ready();
    let list = ["crime-03", "x", "crime-03", "x", "crime-01"];
    let answer = recommender.recommend(&Request {
        candidates: Some(&list),
        explain: true,
        ..stranger(1)
    });
    let answer = answer.unwrap();
    assert_eq!(answer.items.len(), 3);
    let why = answer.explanation.unwrap();
    assert_eq!(why.removals.len(), 1);
    assert_eq!(
        (why.removals[0].filter, why.removals[0].count),
        ("duplicates", 2)
    );
}

#[test]
fn an_empty_list_has_an_empty_answer() {
    let recommender = World::lively().ready();
    let answer = recommender.recommend(&Request {
        candidates: Some(&[]),
        ..request(1)
    });
    assert!(answer.unwrap().items.is_empty());
}
