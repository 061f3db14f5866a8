//! Order, ties, diversity and exploration.

use crate::world::{World, genre, ids, request, stranger};
use nowcast_recommend::{Recommender, Request};
use std::collections::{HashMap, HashSet};

#[test]
fn equal_scores_are_in_the_order_of_ids_whatever_the_numbers_of_the_items() {
    let order = |ids_in_order: &[&str]| {
        let mut world = World::empty();
        world.catalog = std::sync::Arc::default();
        for id in ids_in_order {
            let _ = world.catalog.intern(id);
        }
        world.catalog.publish();
        world.slot().sources = [("trending_global".to_owned(), 10)].into();
        let mut trending = nowcast_recommend::Trending::default();
        trending.tables.trending = vec![1.0; ids_in_order.len()];
        let all = ids_in_order.iter().map(|id| (world.idx(id), 1.0));
        trending.tables.global = all.collect();
        world.live.trending = std::sync::Arc::new(trending);
        let answer = world.ready().recommend(&stranger(3)).unwrap();
        ids(&answer).join(" ")
    };
    assert_eq!(order(&["b", "d", "a", "c"]), "a b c");
    assert_eq!(order(&["c", "a", "d", "b"]), "a b c");
}

#[test]
fn more_diversity_means_more_genres_at_the_top() {
    let genres_at = |mmr: f32| {
        let mut world = World::lively();
        world.slot().diversity.mmr = mmr;
        let answer = world.ready().recommend(&request(6)).unwrap();
        let genres: HashSet<&str> = ids(&answer).into_iter().map(genre).collect();
        genres.len()
    };
    assert_eq!(genres_at(0.0), 1);
    assert_eq!(genres_at(0.9), 3);
}

#[test]
fn a_cap_on_categories_holds_while_others_are_left() {
    let mut world = World::lively();
    world.slot().diversity.category_max = 2;
    let recommender = world.ready();
    let answer = recommender.recommend(&request(6)).unwrap();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for id in ids(&answer) {
        *counts.entry(genre(id)).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count == 2), "{counts:?}");
    let all = recommender.recommend(&request(50)).unwrap();
    assert_eq!(all.items.len(), 50, "the cap never shortens an answer");
}

fn exploring(share: f32) -> Recommender {
    let mut world = World::lively();
    world.slot().exploration_share = share;
    world.ready()
}

fn asked(recommender: &Recommender, request_id: &str) -> nowcast_recommend::Answer {
    let asked = Request {
        request_id,
        ..request(10)
    };
    recommender.recommend(&asked).unwrap()
}

#[test]
fn exploration_is_decided_by_the_request_id_and_told() {
    let recommender = exploring(0.3);
    assert_eq!(asked(&recommender, "a"), asked(&recommender, "a"));
    let orders: HashSet<Vec<String>> = (0..20)
        .map(|n| {
            let answer = asked(&recommender, &format!("request {n}"));
            let distinct: HashSet<&str> = ids(&answer).into_iter().collect();
            assert_eq!(distinct.len(), 10, "nothing twice");
            ids(&answer).into_iter().map(str::to_owned).collect()
        })
        .collect();
    assert!(orders.len() > 10, "requests explore differently");
    let quiet = asked(&exploring(0.0), "a");
    assert!(
        quiet
            .items
            .iter()
            .all(|item| item.propensity == 1.0 && !item.is_exploration)
    );
}

#[test]
fn propensities_are_the_frequencies_with_which_places_are_given() {
    let recommender = exploring(0.3);
    let best = asked(&exploring(0.0), "any").items[0].item_id.clone();
    let requests = 4_000;
    let (mut times_best, mut propensity_best) = (0, 0.0);
    for n in 0..requests {
        let answer = asked(&recommender, &format!("request {n}"));
        let first = &answer.items[0];
        if first.item_id == best {
            times_best += 1;
            propensity_best = first.propensity;
        } else {
            assert!(first.is_exploration);
            assert!(
                (first.propensity - 0.3 / 40.0).abs() < 1e-6,
                "one of 40 ranked"
            );
        }
    }
    // Four standard deviations of a share near 0.7 over 4,000 draws are 0.029.
    let share = times_best as f32 / requests as f32;
    assert!(
        (share - propensity_best).abs() < 0.029,
        "{share} against {propensity_best}"
    );
}

#[test]
fn a_longer_answer_begins_with_the_shorter_one() {
    let recommender = World::lively().ready();
    let long = recommender.recommend(&request(30)).unwrap();
    let short = recommender.recommend(&request(10)).unwrap();
    assert_eq!(ids(&long)[..10], ids(&short)[..]);
}
