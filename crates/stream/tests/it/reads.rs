//! Merged reads over partitions, and the trending tables.

use crate::rig::{PARTITIONS, Rig, lazy};
use crate::traffic::{START, click, user};
use nowcast_disk::{Pacer, SimFs};
use nowcast_stream::{Feature, FeatureEntity};
use nowcast_types::{Record, UserChange};

/// Users 0 to 29 click items: everybody "a", every second one "b" after it, user 0 "c".
fn clicked() -> Rig {
    let rig = Rig::open(&SimFs::new(1), lazy()).unwrap();
    rig.put_item("a", Some(r#"{"categories":["news"]}"#));
    rig.put_item("b", Some(r#"{"categories":["news","sport"]}"#));
    rig.put_item("c", Some(r#"{"available":false}"#));
    let mut partitions = std::collections::BTreeSet::new();
    for n in 0..30 {
        let who = user(n);
        rig.append_one(&Record::User(UserChange {
            user: who,
            at: START,
            is_patch: false,
            segment: Some(if n < 10 { "free" } else { "premium" }),
            attributes: None,
        }));
        let mut send = |item: &str, at_ms: i64| {
            let id = format!("{n}-{item}");
            let mut event = click(&id, who, item, at_ms);
            event.categories.push("news");
            partitions.insert(rig.append_one(&Record::Event(event)).0);
        };
        send("a", 0);
        if n % 2 == 0 {
            send("b", 1_000);
        }
        if n == 0 {
            send("c", 2_000);
        }
    }
    assert_eq!(
        partitions.len(),
        usize::from(PARTITIONS),
        "all partitions take part"
    );
    rig.settle().unwrap();
    rig
}

#[test]
fn popularity_is_the_sum_over_partitions() {
    let rig = clicked();
    let items: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|id| rig.catalog.find(id).unwrap())
        .collect();
    let as_of = START.plus_ms(2_000);
    let found = rig.processor.popularity(&items, as_of);
    let clicks = [30.0, 15.0, 1.0];
    for (popularity, clicks) in found.iter().zip(clicks) {
        let expected = clicks * 1.5;
        assert!(
            (popularity.popular - expected).abs() < 0.01 * expected,
            "{popularity:?}"
        );
    }
    let news = rig.processor.category_popularity("news", as_of);
    assert!((news.popular - 46.0 * 1.5).abs() < 0.1);
    assert_eq!(
        rig.processor.category_popularity("none", as_of).popular,
        0.0
    );
}

#[test]
fn neighbours_come_from_all_partitions_heaviest_first() {
    let rig = clicked();
    let find = |id: &str| rig.catalog.find(id).unwrap();
    let found = rig.processor.neighbours(find("b"), START.plus_ms(2_000));
    let items: Vec<_> = found.iter().map(|(item, _)| *item).collect();
    assert_eq!(items, [find("a"), find("c")]);
    assert!(found[0].1 > 2.0 * found[1].1);
}

#[test]
fn features_of_items_are_merged_before_they_are_read() {
    let rig = clicked();
    let view = rig.processor.plan().find_view("item_clicks_10m").unwrap();
    let (a, b) = (
        rig.catalog.find("a").unwrap(),
        rig.catalog.find("b").unwrap(),
    );
    let as_of = START.plus_ms(2_000);
    let value = rig.processor.feature(view, FeatureEntity::Item(a), as_of);
    assert_eq!(value, Feature::Number(30.0));
    let unknown = rig.catalog.intern("nobody clicked this");
    let values = rig.processor.item_features(view, &[b, unknown, a], as_of);
    assert_eq!(values, [Some(15.0), None, Some(30.0)]);
    let category = rig
        .processor
        .plan()
        .find_view("category_clicks_1h")
        .unwrap();
    let value = rig
        .processor
        .feature(category, FeatureEntity::Category("news"), as_of);
    assert_eq!(value, Feature::Number(46.0));
    let of_user = rig.processor.plan().find_view("user_clicks_1h").unwrap();
    let value = rig
        .processor
        .feature(of_user, FeatureEntity::User(user(0)), as_of);
    assert_eq!(value, Feature::Number(3.0));
    let value = rig
        .processor
        .feature(of_user, FeatureEntity::Item(a), as_of);
    assert_eq!(
        value,
        Feature::Missing,
        "a view of users says nothing of items"
    );
}

#[test]
fn trending_tables_rank_live_items_overall_by_category_and_by_segment() {
    let rig = clicked();
    let find = |id: &str| rig.catalog.find(id).unwrap();
    let ids = |list: &[(nowcast_store::ItemIdx, f32)]| -> Vec<String> {
        let id = |item| rig.catalog.id(item).unwrap().to_string();
        list.iter().map(|(item, _)| id(*item)).collect()
    };
    // Long after the last event: the order must not fade away.
    let tables = rig
        .processor
        .trending(START.plus_ms(400 * 86_400_000), &mut Pacer::new(1.0));
    assert_eq!(tables.as_of, rig.processor.watermark());
    assert_eq!(ids(&tables.global), ["a", "b"], "c is not available");
    let category = |name: &str| &tables.categories[&rig.catalog.category(name).unwrap()];
    assert_eq!(ids(category("news")), ["a", "b"]);
    assert_eq!(ids(category("sport")), ["b"]);
    assert_eq!(ids(&tables.segments["premium"]), ["a", "b"]);
    let ratio = tables.segments["premium"][0].1 / tables.segments["free"][0].1;
    assert!((ratio - 2.0).abs() < 0.01, "{ratio}");
    assert!(tables.popular[find("a").0 as usize] > tables.popular[find("b").0 as usize]);
    assert!(
        tables.trending[find("c").0 as usize] > 0.0,
        "scores are kept of all items"
    );
}

#[test]
fn trending_tables_of_nothing_are_empty() {
    let rig = Rig::open(&SimFs::new(1), lazy()).unwrap();
    let tables = rig.processor.trending(START, &mut Pacer::new(1.0));
    assert!(tables.global.is_empty() && tables.segments.is_empty());
}
