//! What is removed, why, and that the reason is told.

use crate::world::{DAY_MS, NOW, World, ids, item_id, request, stranger, user};
use nowcast_recommend::{Recommender, Request, SeenPolicy};
use nowcast_types::ItemChange;

/// Removals of an explained request: (filter, reason, count).
fn removals(
    recommender: &Recommender,
    plain: Request<'_>,
) -> Vec<(&'static str, &'static str, usize)> {
    let explained = Request {
        explain: true,
        ..plain
    };
    let why = recommender
        .recommend(&explained)
        .unwrap()
        .explanation
        .unwrap();
    why.removals
        .iter()
        .map(|r| (r.filter, r.reason, r.count))
        .collect()
}

#[test]
fn what_cannot_be_had_is_removed_with_the_reason() {
    let world = World::lively();
    world.change("crime-00", |item| item.available = false);
    world.change("crime-01", |item| item.published_at = Some(NOW.plus_ms(1)));
    world.change("crime-02", |item| item.expires_at = Some(NOW));
    let gone = ItemChange {
        item_id: "crime-03",
        at: NOW,
        item: None,
    };
    world.catalog.apply(&gone).unwrap();
    let recommender = world.ready();
    let told = removals(&recommender, stranger(60));
    for reason in ["unavailable", "not_published", "expired", "deleted"] {
        assert!(told.contains(&("live", reason, 1)), "{reason}: {told:?}");
    }
    let answer = recommender.recommend(&stranger(60)).unwrap();
    assert_eq!(answer.items.len(), 56);
}

#[test]
fn an_item_appears_with_its_publication_and_goes_with_its_expiry() {
    let world = World::lively();
    world.change("crime-00", |item| {
        item.published_at = Some(NOW.plus_ms(DAY_MS));
        item.expires_at = Some(NOW.plus_ms(2 * DAY_MS));
    });
    let recommender = world.ready();
    let is_offered = |days: i64| {
        let now = NOW.plus_ms(days * DAY_MS);
        let answer = recommender.recommend(&Request {
            now,
            ..stranger(60)
        });
        ids(&answer.unwrap()).contains(&"crime-00")
    };
    assert_eq!([0, 1, 2].map(is_offered), [false, true, false]);
}

#[test]
fn seen_items_are_removed_or_kept_as_the_slot_says_and_disliked_ones_always_go() {
    for (policy, is_kept) in [(SeenPolicy::Remove, false), (SeenPolicy::Keep, true)] {
        let mut world = World::lively();
        let disliked = world.touch("space", 7, -3.0, 500);
        world
            .live
            .profiles
            .get_mut(&user(1))
            .unwrap()
            .history
            .push(disliked);
        world.slot().seen = policy;
        let recommender = world.ready();
        let answer = recommender.recommend(&request(60)).unwrap();
        assert_eq!(ids(&answer).contains(&"space-00"), is_kept, "{policy:?}");
        assert!(!ids(&answer).contains(&"space-07"), "{policy:?}");
        let told = removals(&recommender, request(60));
        assert!(told.contains(&("seen", "disliked", 1)), "{told:?}");
    }
}

#[test]
fn a_skip_does_not_outweigh_what_was_liked_before() {
    let mut world = World::lively();
    let skipped = world.touch("space", 2, -0.5, 500);
    world
        .live
        .profiles
        .get_mut(&user(1))
        .unwrap()
        .history
        .push(skipped);
    world.slot().seen = SeenPolicy::Keep;
    let answer = world.ready().recommend(&request(60)).unwrap();
    assert!(ids(&answer).contains(&"space-02"));
}

#[test]
fn excluded_items_are_removed_and_unknown_ids_do_no_harm() {
    let recommender = World::lively().ready();
    let exclude = ["crime-00", "crime-05", "nobody-knows-me", "crime-00"];
    let plain = Request {
        exclude: &exclude,
        ..stranger(60)
    };
    let answer = recommender.recommend(&plain).unwrap();
    assert_eq!(answer.items.len(), 58);
    assert!(removals(&recommender, plain).contains(&("excluded", "excluded", 2)));
}

#[test]
fn an_item_that_only_events_know_can_be_recommended() {
    let mut world = World::lively();
    let implicit = world.catalog.intern("from-events");
    let near = world.idx("space-02");
    world
        .live
        .neighbours
        .get_mut(&near)
        .unwrap()
        .push((implicit, 50.0));
    world.slot().scorers = [("covisit".to_owned(), 1.0)].into();
    let answer = world.ready().recommend(&request(5)).unwrap();
    assert_eq!(ids(&answer)[0], "from-events");
}

#[test]
fn bounds_on_lists_and_k_are_errors_that_name_the_field() {
    let mut world = World::lively();
    world.config.list_len_max = 2;
    world.slot().k_max = 50;
    let recommender = world.ready();
    let message = |plain: Request<'_>| recommender.recommend(&plain).unwrap_err().to_string();
    assert!(message(request(0)).contains("between 1 and 50"));
    assert!(message(request(51)).contains("got 51"));
    let three = ["a", "b", "c"];
    assert!(
        message(Request {
            exclude: &three,
            ..request(1)
        })
        .contains("exclude")
    );
    assert!(
        message(Request {
            candidates: Some(&three),
            ..request(1)
        })
        .contains("candidates")
    );
    let unknown = message(Request {
        slot: "sidebar",
        ..request(1)
    });
    assert!(
        unknown.contains("`sidebar`") && unknown.contains("default"),
        "{unknown}"
    );
}

#[test]
fn nothing_is_removed_for_a_stranger_in_a_live_catalogue() {
    let recommender = World::lively().ready();
    assert!(removals(&recommender, stranger(60)).is_empty());
    let all = recommender.recommend(&stranger(60)).unwrap();
    assert_eq!(all.items.len(), 60);
    assert!(ids(&all).contains(&item_id("space", 19).as_str()));
}
