//! What of the log becomes training data.

use crate::world::{user, view};
use nowcast_training::{Dataset, DatasetBuilder, TrainingConfig};
use nowcast_types::{Consent, EventTypeCode, EventTypes, Record, Timestamp};
use std::sync::Arc;

fn builder(config: &TrainingConfig) -> DatasetBuilder {
    DatasetBuilder::new(Arc::new(EventTypes::default()), config)
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
