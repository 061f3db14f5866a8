//! What of the log becomes training data.

use crate::world::{WINDOW, impression, user, view};
use nowcast_training::{Dataset, DatasetBuilder, TrainingConfig};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Consent, Event, EventTypeCode, EventTypes, Record, Slate, SlateItem, SlateItems, Timestamp,
};
use std::sync::Arc;

fn builder(config: &TrainingConfig) -> DatasetBuilder {
    DatasetBuilder::new(Arc::new(EventTypes::default()), config, WINDOW)
}

/// A builder for a model that tells slots apart, with a first event of each of the users 0 to 2.
fn builder_for_slots() -> DatasetBuilder {
    let config = TrainingConfig {
        models: vec!["blend".to_owned()],
        ..TrainingConfig::default()
    };
    let mut builder = builder(&config);
    for number in 0..3 {
        let first = view(user(number), "first", "first", 100);
        builder.apply(&Record::Event(first));
    }
    builder
}

/// Outcomes as (slot, number of the user, item id, time).
fn outcomes(dataset: &Dataset) -> Vec<(&str, u32, &str, u32)> {
    let data = &dataset.interactions;
    let slots = data.slot_outcomes().slots();
    let of_slots = slots.flat_map(|(slot, outcomes)| outcomes.iter().map(move |o| (slot, o)));
    let named = of_slots.map(|(slot, outcome)| {
        let item_id = data.item_ids().get(outcome.item).unwrap();
        (slot, outcome.user, item_id, outcome.time_s)
    });
    named.collect()
}

/// A view of an item of the list that the answer `request` showed.
fn choice<'a>(number: u32, item: &'a str, request: &'a str, at_s: i64) -> Event<'a> {
    Event {
        request_id: Some(request),
        ..view(user(number), item, request, at_s)
    }
}

fn show_slate(builder: &mut DatasetBuilder, number: u32, slot: &str, request_id: &str, at_s: i64) {
    let mut items = Vec::new();
    for id in ["a", "b"] {
        let item = SlateItem {
            item: stable_hash(id.as_bytes(), 0),
            score: 0.0,
            facts: b"..",
        };
        SlateItems::push(&mut items, &item);
    }
    builder.apply(&Record::Slate(Slate {
        user: user(number),
        at: Timestamp::from_seconds(at_s),
        request_id,
        slot,
        situation: b"",
        items: SlateItems::new(&items, 2).unwrap(),
    }));
}

/// Rows as (item id, weight), by user in the order of their first event.
fn rows(dataset: &Dataset) -> Vec<Vec<(String, f32)>> {
    let data = &dataset.interactions;
    let name = |item: &u32| data.item_ids().get(*item).unwrap().to_owned();
    data.rows()
        .map(|row| {
            row.items
                .iter()
                .map(name)
                .zip(row.weights.iter().copied())
                .collect()
        })
        .collect()
}

#[test]
fn strengths_are_summed_with_their_signs() {
    let mut builder = builder(&TrainingConfig::default());
    let typed = |code, id, at| {
        let mut event = view(user(1), "a", id, at);
        event.event_type = code;
        Record::Event(event)
    };
    builder.apply(&typed(EventTypeCode::VIEW, "1", 10));
    builder.apply(&typed(EventTypeCode::LIKE, "2", 20));
    builder.apply(&typed(EventTypeCode::SKIP, "3", 30));
    builder.apply(&typed(EventTypeCode::IMPRESSION, "4", 40));
    let mut disliked = view(user(1), "b", "5", 50);
    disliked.event_type = EventTypeCode::DISLIKE;
    builder.apply(&Record::Event(disliked));
    let dataset = builder.build(None);
    assert_eq!(
        rows(&dataset),
        [[("a".to_owned(), 3.0), ("b".to_owned(), -3.0)]]
    );
    assert_eq!(dataset.interactions.row(0).times_s, &[30, 50]);
    assert_eq!(dataset.stats.without_taste, 1);
}

#[test]
fn consent_erasure_and_repeated_ids_are_respected() {
    let mut builder = builder(&TrainingConfig::default());
    builder.apply(&Record::Event(view(user(1), "secret", "1", 10)));
    builder.apply(&Record::Event(view(user(2), "a", "1", 11)));
    builder.apply(&Record::Event(view(user(2), "a", "1", 11)));
    let mut refused = view(user(2), "b", "2", 12);
    refused.consent = Consent::PERSONALIZE;
    builder.apply(&Record::Event(refused));
    builder.apply(&Record::Erase {
        user: user(1),
        at: Timestamp::from_seconds(20),
    });
    builder.apply(&Record::Event(view(user(1), "later", "9", 30)));
    let dataset = builder.build(None);
    let expected = [[("a".to_owned(), 1.0)], [("later".to_owned(), 1.0)]];
    assert_eq!(rows(&dataset), expected, "nothing from before the erasure");
    let stats = dataset.stats;
    assert_eq!(
        (stats.duplicate, stats.without_consent, stats.erasures),
        (1, 1, 1)
    );
    let sum = stats.used + stats.without_taste + stats.without_consent + stats.duplicate;
    assert_eq!(stats.records, sum + stats.other);
}

#[test]
fn caps_keep_the_newest() {
    let config = TrainingConfig {
        interactions_max: 20,
        interactions_per_user_max: 3,
        ..TrainingConfig::default()
    };
    let mut builder = builder(&config);
    for step in 0..100_u32 {
        let (item, id) = (format!("i{}", step % 50), format!("e{step}"));
        let event = view(user(step % 4), &item, &id, i64::from(step));
        builder.apply(&Record::Event(event));
    }
    let dataset = builder.build(None);
    assert_eq!(dataset.stats.over_cap, 80, "{:?}", dataset.stats);
    assert_eq!(dataset.interactions.users_len(), 4);
    for row in dataset.interactions.rows() {
        assert_eq!(row.items.len(), 3);
        assert!(row.times_s.iter().all(|time| *time >= 88), "{row:?}");
    }
}

#[test]
fn what_is_chosen_of_a_list_is_an_outcome_of_its_slot_once() {
    let mut builder = builder_for_slots();
    show_slate(&mut builder, 0, "home", "r1", 200);
    show_slate(&mut builder, 0, "basket", "r2", 205);
    let mut apply = |event: &Event<'_>| builder.apply(&Record::Event(event.clone()));
    apply(&choice(0, "a", "r1", 210));
    apply(&choice(0, "a", "r1", 210));
    apply(&choice(0, "c", "r2", 220));
    apply(&choice(0, "b", "r9", 230));
    apply(&view(user(0), "b", "unnamed", 240));
    for (number, at_s) in [(1, 300), (2, 4000)] {
        apply(&impression(user(number), "a", "home", 200));
        apply(&view(user(number), "a", "later", at_s));
    }
    let dataset = builder.build(None);
    let expected = [
        ("home", 0, "a", 210),
        ("home", 1, "a", 300),
        ("basket", 0, "b", 240),
    ];
    assert_eq!(
        outcomes(&dataset),
        expected,
        "neither what was not on the list, nor another answer, nor beyond the window"
    );
    assert_eq!(
        (dataset.stats.slot_outcomes, dataset.stats.duplicate),
        (3, 1)
    );
}

#[test]
fn only_the_newest_liked_outcome_of_a_user_who_allows_training_counts() {
    let mut builder = builder_for_slots();
    for number in 0..3 {
        show_slate(&mut builder, number, "home", "r1", 200);
    }
    let mut apply = |event: Event<'_>| builder.apply(&Record::Event(event));
    apply(choice(0, "a", "r1", 220));
    let second = Event {
        event_id: "second",
        ..choice(0, "b", "r1", 210)
    };
    apply(second);
    let disliked = Event {
        event_type: EventTypeCode::DISLIKE,
        ..choice(1, "a", "r1", 220)
    };
    apply(disliked);
    let refused = Event {
        consent: Consent::PERSONALIZE,
        ..choice(2, "a", "r1", 220)
    };
    apply(refused);
    assert_eq!(outcomes(&builder.build(None)), [("home", 0, "a", 220)]);
}

#[test]
fn an_erasure_takes_outcomes_along_and_what_was_shown_before_it() {
    let mut builder = builder_for_slots();
    for number in 0..2 {
        show_slate(&mut builder, number, "home", "r1", 200);
        builder.apply(&Record::Event(choice(number, "a", "r1", 210)));
    }
    builder.apply(&Record::Erase {
        user: user(0),
        at: Timestamp::from_seconds(220),
    });
    builder.apply(&Record::Event(view(user(0), "again", "again", 230)));
    let after = Event {
        event_id: "after",
        ..choice(0, "b", "r1", 240)
    };
    builder.apply(&Record::Event(after));
    let dataset = builder.build(None);
    assert_eq!(outcomes(&dataset), [("home", 0, "a", 210)]);
    let row = dataset.interactions.row(0);
    assert_eq!(
        row.times_s,
        &[100, 210],
        "the outcome is that of the user left"
    );
}

#[test]
fn without_a_model_that_tells_slots_apart_nothing_of_lists_is_kept() {
    let mut builder = builder(&TrainingConfig::default());
    builder.apply(&Record::Event(view(user(0), "first", "first", 100)));
    show_slate(&mut builder, 0, "home", "r1", 200);
    builder.apply(&Record::Event(choice(0, "a", "r1", 210)));
    assert!(outcomes(&builder.build(None)).is_empty());
}
