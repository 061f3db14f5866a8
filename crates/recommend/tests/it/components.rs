//! One suite over each registry: what every component promises, and what they find together.

use crate::world::{World, genre, ids, item_id, request, stranger, user};
use nowcast_models::online::OnlineConfig;
use nowcast_recommend::ranking::{Facts, ItemFacts, LiveRanker};
use nowcast_recommend::{
    HistoryInput, Request, Rung, SeenPolicy, SimilarRequest, Subject, TrendingRequest,
    TrendingScope, scorers, sources,
};
use std::collections::{BTreeMap, HashSet};

/// A recommender whose default slot has one source and no scorer.
fn only_source(mut world: World, name: &str, limit: usize) -> nowcast_recommend::Recommender {
    let slot = world.slot();
    slot.sources = BTreeMap::from([(name.to_owned(), limit)]);
    if name == "history" {
        slot.seen = SeenPolicy::Keep;
    }
    // Evidence is only looked up for components in use, which a source alone is.
    slot.scorers.clear();
    world.ready()
}

#[test]
fn every_source_finds_something_in_a_lively_world_within_its_limit_and_once() {
    for source in sources::registry() {
        for limit in [1, 3, 40] {
            let recommender = only_source(World::lively(), source.name(), limit);
            let answer = recommender.recommend(&request(40)).unwrap();
            let found = ids(&answer);
            assert!(!found.is_empty(), "{} found nothing", source.name());
            assert!(
                found.len() <= limit,
                "{}: {} items",
                source.name(),
                found.len()
            );
            let distinct: HashSet<&str> = found.iter().copied().collect();
            assert_eq!(distinct.len(), found.len(), "{} repeats", source.name());
            assert!(answer.items.iter().all(|item| item.source == source.name()));
            assert_eq!(answer.rung, source.rung());
        }
    }
}

#[test]
fn every_source_but_the_last_resort_is_empty_on_a_cold_start() {
    for source in sources::registry() {
        let recommender = only_source(World::empty(), source.name(), 10);
        let answer = recommender.recommend(&request(10)).unwrap();
        let is_last_resort = source.rung() == Rung::Static;
        assert_eq!(
            answer.items.len(),
            if is_last_resort { 10 } else { 0 },
            "{}",
            source.name()
        );
    }
}

#[test]
fn every_scorer_says_something_finite_that_does_not_depend_on_the_order_of_candidates() {
    for scorer in scorers::registry() {
        let mut world = World::lively();
        let alone = BTreeMap::from([(scorer.name().to_owned(), 1.0)]);
        world.slot().rerank.clone_from(&alone);
        world.slot().scorers = alone;
        world.ranker = taught_ranker();
        let recommender = world.ready();
        let space: Vec<String> = (0..8).map(|n| item_id("space", n)).collect();
        let poetry: Vec<String> = (0..8).map(|n| item_id("poetry", n)).collect();
        let mut list: Vec<&str> = space.iter().chain(&poetry).map(String::as_str).collect();
        list.push("unheard-of");
        let forward = score_list(&recommender, &list);
        assert!(
            forward
                .values()
                .all(|score| score.is_finite() && score.abs() <= 1.0)
        );
        assert!(
            forward.values().any(|score| *score != 0.0),
            "{} has nothing to say",
            scorer.name()
        );
        list.reverse();
        // Both judge the given list as a whole.
        if !["position", "online"].contains(&scorer.name()) {
            assert_eq!(
                forward,
                score_list(&recommender, &list),
                "{}",
                scorer.name()
            );
            assert_eq!(forward["unheard-of"], 0.0, "{}", scorer.name());
        }
    }
}

/// A ranker that has learnt from one choice.
fn taught_ranker() -> std::sync::Arc<LiveRanker> {
    let ranker = LiveRanker::new(OnlineConfig::default()).unwrap();
    let item = |item| ItemFacts {
        item,
        ..ItemFacts::default()
    };
    let facts = Facts {
        items: vec![item(1), item(2)],
        ..Facts::default()
    };
    ranker.learn_choice(&facts, 1);
    ranker.publish();
    std::sync::Arc::new(ranker)
}

fn score_list(
    recommender: &nowcast_recommend::Recommender,
    list: &[&str],
) -> BTreeMap<String, f32> {
    let answer = recommender.recommend(&Request {
        candidates: Some(list),
        ..request(1)
    });
    let items = answer.unwrap().items.into_iter();
    items
        .map(|item| (item.item_id.to_string(), item.score))
        .collect()
}

#[test]
fn a_reader_of_one_genre_is_recommended_the_rest_of_it() {
    let recommender = World::lively().ready();
    let answer = recommender.recommend(&request(10)).unwrap();
    let in_genre = ids(&answer)
        .iter()
        .filter(|id| genre(id) == "space")
        .count();
    assert!(in_genre >= 8, "{:?}", ids(&answer));
    assert_eq!(answer.rung, Rung::Personalized);
    assert!(
        !ids(&answer).contains(&"space-00"),
        "what was read is not offered again"
    );
    assert_eq!(answer.models[0].name, "ials");
    assert_eq!(answer.models[0].version, "v1");
}

#[test]
fn a_history_that_the_caller_brings_counts_like_one_that_is_stored() {
    let recommender = World::lively().ready();
    let stored = recommender.recommend(&request(10)).unwrap();
    let ids_read: Vec<String> = (0..3).map(|n| item_id("space", n)).collect();
    let times = [10, 9, 8].map(|minutes| crate::world::NOW.plus_ms(-minutes * 60_000));
    let history: Vec<HistoryInput<'_>> = ids_read
        .iter()
        .zip(times)
        .map(|(item_id, timestamp)| HistoryInput {
            item_id,
            strength: 1.0,
            timestamp,
        })
        .collect();
    let brought = recommender.recommend(&Request {
        subject: Subject::History(&history),
        ..request(10)
    });
    let brought = brought.unwrap();
    let in_genre = |answer| {
        ids(answer)
            .into_iter()
            .filter(|id| genre(id) == "space")
            .count()
    };
    assert_eq!(in_genre(&stored), in_genre(&brought));
    assert_eq!(brought.rung, Rung::Personalized);
}

#[test]
fn equal_requests_have_equal_answers() {
    let recommender = World::lively().ready();
    let first = recommender.recommend(&request(20)).unwrap();
    recommender.recommend(&stranger(7)).unwrap();
    assert_eq!(first, recommender.recommend(&request(20)).unwrap());
}

#[test]
fn a_new_item_is_a_candidate_as_soon_as_the_catalogue_has_it() {
    let world = World::lively();
    let like_the_last_read = world.catalog.item(world.idx("space-02")).unwrap();
    world.put("space-new", &like_the_last_read);
    let mut world = world;
    world.slot().scorers = BTreeMap::from([("content".to_owned(), 1.0)]);
    let answer = world.ready().recommend(&request(3)).unwrap();
    assert!(ids(&answer).contains(&"space-new"), "{:?}", ids(&answer));
}

#[test]
fn similar_items_share_the_genre_and_leave_out_the_item_itself() {
    let recommender = World::lively().ready();
    let similar = |item_id| {
        recommender.similar(&SimilarRequest {
            item_id,
            k: 5,
            now: crate::world::NOW,
            filter: None,
            context: None,
        })
    };
    let answer = similar("poetry-04").unwrap();
    assert!(
        ids(&answer)
            .iter()
            .all(|id| genre(id) == "poetry" && *id != "poetry-04")
    );
    assert!(similar("nobody-knows-me").is_err());
}

#[test]
fn trending_lists_are_in_order_of_popularity_within_their_scope() {
    let recommender = World::lively().ready();
    let trending = |scope| {
        recommender.trending(&TrendingRequest {
            scope,
            k: 3,
            now: crate::world::NOW,
            filter: None,
            context: None,
        })
    };
    let global = trending(TrendingScope::Global).unwrap();
    assert_eq!(ids(&global), ["crime-00", "crime-01", "crime-02"]);
    let category = trending(TrendingScope::Category("space")).unwrap();
    assert_eq!(ids(&category), ["space-00", "space-01", "space-02"]);
    let segment = trending(TrendingScope::Segment("students")).unwrap();
    assert_eq!(ids(&segment), ["poetry-00", "poetry-01", "poetry-02"]);
    assert!(
        trending(TrendingScope::Category("nothing"))
            .unwrap()
            .items
            .is_empty()
    );
}

#[test]
fn an_answer_says_what_made_it() {
    let recommender = World::lively().ready();
    let answer = recommender.recommend(&Request {
        explain: true,
        ..request(5)
    });
    let answer = answer.unwrap();
    let why = answer.explanation.as_ref().unwrap();
    assert_eq!((why.positions[0].offset, why.positions[1].offset), (41, 7));
    assert_eq!(
        (why.history_len, why.segment.as_deref()),
        (3, Some("students"))
    );
    let ran = why
        .sources
        .iter()
        .find(|source| source.source == "ials")
        .unwrap();
    assert!(ran.returned > 0 && ran.returned == ran.new, "{ran:?}");
    let seen = why
        .removals
        .iter()
        .find(|removal| removal.reason == "seen")
        .unwrap();
    assert_eq!(seen.count, 3, "each item once, however many sources met it");
    for (item, told) in answer.items.iter().zip(&why.items) {
        let sum: f32 = told
            .parts
            .iter()
            .map(|part| part.calibrated * part.weight)
            .sum();
        assert!((sum - item.score).abs() < 1e-5, "{told:?}");
        assert!(told.sources.contains(&item.source));
    }
    assert!(
        recommender
            .recommend(&request(5))
            .unwrap()
            .explanation
            .is_none()
    );
}

#[test]
fn the_last_interaction_changes_the_next_answer() {
    let mut world = World::lively();
    let before = World::lively().ready().recommend(&request(10)).unwrap();
    let poem = world.touch("poetry", 3, 3.0, 1_000);
    world
        .live
        .profiles
        .get_mut(&user(1))
        .unwrap()
        .history
        .push(poem);
    let after = world.ready().recommend(&request(10)).unwrap();
    let poems = |answer| {
        ids(answer)
            .into_iter()
            .filter(|id| genre(id) == "poetry")
            .count()
    };
    assert!(poems(&after) > poems(&before), "{:?}", ids(&after));
}
