//! Every rung is reached, and time running out costs components and not answers.

use crate::world::{NOW, World, genre, ids, request, stranger, user};
use nowcast_recommend::{ModelSet, Profile, Request, Rung, SourceOutcome, Subject};
use std::time::{Duration, Instant};

#[test]
fn a_reader_with_a_history_stands_on_the_first_rung() {
    let answer = World::lively().ready().recommend(&request(5)).unwrap();
    assert_eq!(answer.rung, Rung::Personalized);
}

#[test]
fn a_newcomer_of_a_segment_gets_what_the_segment_likes() {
    let mut world = World::lively();
    let newcomer = Profile {
        segment: Some("students".into()),
        ..Profile::default()
    };
    world.live.profiles.insert(user(2), newcomer);
    world
        .slot()
        .scorers
        .insert("segment_popularity".to_owned(), 1.0);
    let recommender = world.ready();
    let answer = recommender.recommend(&Request {
        subject: Subject::User(user(2)),
        ..request(5)
    });
    let answer = answer.unwrap();
    assert_eq!(answer.rung, Rung::Segment);
    assert!(
        ids(&answer).iter().all(|id| genre(id) == "poetry"),
        "{:?}",
        ids(&answer)
    );
    let told = recommender.recommend(&Request {
        segment: Some("students"),
        ..stranger(5)
    });
    assert_eq!(
        ids(&told.unwrap()),
        ids(&answer),
        "a segment told by the request counts alike"
    );
}

#[test]
fn a_stranger_gets_what_is_trending() {
    let answer = World::lively().ready().recommend(&stranger(5)).unwrap();
    assert_eq!(answer.rung, Rung::Trending);
    assert!(
        ids(&answer).iter().all(|id| genre(id) == "crime"),
        "{:?}",
        ids(&answer)
    );
}

#[test]
fn before_the_first_event_the_configured_list_comes_first_in_its_order() {
    let mut world = World::empty();
    let list = ["space-09", "nobody-knows-me", "crime-04", "space-09"];
    world.config.static_items = list.map(str::to_owned).to_vec();
    let answer = world.ready().recommend(&stranger(4)).unwrap();
    assert_eq!(answer.rung, Rung::Static);
    assert_eq!(ids(&answer)[..2], ["space-09", "crime-04"]);
    assert_eq!(answer.items.len(), 4, "the catalogue fills the rest");
}

#[test]
fn without_models_the_history_still_personalizes() {
    let mut world = World::lively();
    world.models = ModelSet::default();
    let answer = world.ready().recommend(&request(5)).unwrap();
    assert_eq!(answer.rung, Rung::Personalized);
    assert!(answer.models.is_empty());
}

#[test]
fn an_answer_is_filled_from_lower_rungs_and_named_after_the_highest() {
    let answer = World::lively().ready().recommend(&request(57)).unwrap();
    assert_eq!(answer.items.len(), 57, "all but the three that were read");
    assert_eq!(answer.rung, Rung::Personalized);
}

#[test]
fn past_the_deadline_the_static_rung_answers_and_the_late_ones_are_named() {
    let recommender = World::lively().ready();
    let answer = recommender.recommend(&Request {
        deadline: Some(Instant::now()),
        explain: true,
        ..request(5)
    });
    let answer = answer.unwrap();
    assert_eq!((answer.items.len(), answer.rung), (5, Rung::Static));
    assert!(answer.late.contains(&"ials") && answer.late.contains(&"trending_global"));
    let why = answer.explanation.unwrap();
    let outcome = |name| {
        why.sources
            .iter()
            .find(|s| s.source == name)
            .map(|s| s.outcome)
    };
    assert_eq!(outcome("ials"), Some(SourceOutcome::Late));
    assert_eq!(outcome("static"), Some(SourceOutcome::Ran));
}

#[test]
fn a_deadline_that_is_not_reached_changes_nothing() {
    let recommender = World::lively().ready();
    let relaxed = recommender.recommend(&Request {
        deadline: Some(Instant::now() + Duration::from_secs(600)),
        ..request(5)
    });
    assert_eq!(
        relaxed.unwrap(),
        recommender.recommend(&request(5)).unwrap()
    );
}

#[test]
fn an_empty_catalogue_has_an_empty_answer() {
    let mut world = World::empty();
    world.catalog = std::sync::Arc::default();
    let recommender = world.ready();
    let answer = recommender.recommend(&request(5)).unwrap();
    assert!(answer.items.is_empty());
    assert_eq!(answer.rung, Rung::Static);
    let nobody = Request::new(Subject::Anonymous, "default", 5, NOW);
    assert!(recommender.recommend(&nobody).unwrap().items.is_empty());
}
