//! Items without interactions: placed by content, in training and afterwards alike.

use crate::planted::{CLUSTERS, ITEMS, cluster, entry};
use nowcast_models::seeded::Seeded;
use nowcast_models::{
    Interactions, InteractionsBuilder, ItemContent, Model, ModelQuery, Params, Prepared, decode,
    trainer,
};

/// What tells the clusters apart.
#[derive(Clone, Copy)]
enum Told {
    Tag,
    Number,
    Embedding,
}

fn content(item: u32, told: Told) -> ItemContent {
    let group = cluster(item);
    match told {
        Told::Tag => ItemContent {
            tags: vec![format!("topic {group}"), format!("colour {}", item % 7)],
            ..ItemContent::default()
        },
        Told::Embedding => ItemContent {
            tags: vec![format!("colour {}", item % 7)],
            vectors: vec![("made elsewhere".to_owned(), embedding(item))],
            ..ItemContent::default()
        },
        Told::Number => ItemContent {
            tags: vec![format!("colour {}", item % 7)],
            numbers: vec![(
                "size".to_owned(),
                f64::from(group / 3) + 0.01 * f64::from(item % 2),
            )],
            ..ItemContent::default()
        },
    }
}

/// A direction of its own for each cluster, with noise.
fn embedding(item: u32) -> Vec<f32> {
    let mut random = Seeded::new(8, u64::from(item));
    let mut towards = Seeded::new(9, u64::from(cluster(item)));
    (0..24)
        .map(|_| towards.normal() + 0.3 * random.normal())
        .collect()
}

/// The last tenth of the items, two of each cluster.
fn is_cold(item: u32) -> bool {
    item >= ITEMS - 2 * CLUSTERS
}

/// Users of a cluster met its items, but for the cold ones, which `has_cold` says are listed.
fn data(told: Told, has_cold: bool) -> Interactions {
    let listed = (0..ITEMS).filter(|item| has_cold || !is_cold(*item));
    let ids = listed.clone().map(|item| format!("item-{item}")).collect();
    let mut builder = InteractionsBuilder::new(ids);
    let mut random = Seeded::new(5, 0);
    for user in 0..200 {
        for _ in 0..12 {
            let item = random.below(18) as u32 * CLUSTERS + user % CLUSTERS;
            builder.push(user, item, 1.0, 0);
        }
    }
    let contents = listed.map(|item| content(item, told));
    builder.build().with_contents(contents.collect())
}

fn fit(data: &Interactions) -> Box<dyn Model> {
    let params = Params::new().with("factors", 16);
    trainer("ials").unwrap().fit(data, &params, 1, &()).unwrap()
}

fn reader_of(model: &dyn Model, group: u32) -> Prepared {
    let history: Vec<_> = (0..4).map(|n| entry(n * CLUSTERS + group, 1.0)).collect();
    model.prepare(&ModelQuery::new(&history))
}

fn score_of(model: &dyn Model, prepared: &Prepared, item: u32) -> f32 {
    let mut out = [f32::NAN];
    model.score(prepared, &[item], &mut out);
    out[0]
}

#[test]
fn an_item_that_nobody_met_stands_with_those_of_its_content() {
    for (told, group) in [Told::Tag, Told::Embedding]
        .into_iter()
        .flat_map(|told| (0..CLUSTERS).map(move |group| (told, group)))
    {
        let model = fit(&data(told, true));
        let reader = reader_of(&*model, group);
        let cold = (0..ITEMS).filter(|item| is_cold(*item));
        let (own, others): (Vec<u32>, Vec<u32>) = cold.partition(|item| cluster(*item) == group);
        let score = |item: &u32| score_of(&*model, &reader, *item);
        let worst = own.iter().map(score).fold(f32::INFINITY, f32::min);
        let best = others.iter().map(score).fold(f32::NEG_INFINITY, f32::max);
        assert!(worst > 0.05 && worst > 3.0 * best, "{worst} {best}");
    }
}

#[test]
fn numbers_tell_items_apart_as_words_do() {
    let model = fit(&data(Told::Number, true));
    let reader = reader_of(&*model, 4);
    let score = |item: u32| score_of(&*model, &reader, item);
    let cold = |group: u32| ITEMS - CLUSTERS + group;
    // Clusters 3 and 4 are large, the others small.
    let (large, small) = (score(cold(4)), score(cold(1)));
    assert!(large > 3.0 * small, "{large} {small}");
}

#[test]
fn an_item_that_comes_after_the_training_is_placed_as_if_it_had_been_there() {
    let (before, after) = (fit(&data(Told::Tag, true)), fit(&data(Told::Tag, false)));
    let map = after.content_map().unwrap();
    let reader = reader_of(&*after, 2);
    for item in (0..ITEMS).filter(|item| is_cold(*item)) {
        let vector = map.place(&content(item, Told::Tag)).unwrap();
        let later = map.score(&reader, &vector);
        let earlier = score_of(&*before, &reader_of(&*before, 2), item);
        // The default weight of what was not met depends on the number of items.
        assert!((later - earlier).abs() < 0.1, "{item}: {later} {earlier}");
    }
    let own = map.place(&content(ITEMS - 1, Told::Tag)).unwrap();
    let listed = before.content_map().unwrap();
    let own_before = listed.place(&content(ITEMS - 1, Told::Tag)).unwrap();
    assert_eq!(listed.score(&reader_of(&*before, 4), &own_before), {
        score_of(&*before, &reader_of(&*before, 4), ITEMS - 1)
    });
    assert_eq!(own.len(), own_before.len());
}

#[test]
fn nothing_known_of_the_content_is_no_place_and_odd_numbers_do_no_harm() {
    let model = fit(&data(Told::Number, true));
    let map = model.content_map().unwrap();
    assert_eq!(map.place(&ItemContent::default()), None);
    let tag = |tag: &str| ItemContent {
        tags: vec![tag.to_owned()],
        ..ItemContent::default()
    };
    assert_eq!(map.place(&tag("never seen")), None);
    for odd in [f64::NAN, f64::INFINITY, f64::MAX, -1e300] {
        let content = ItemContent {
            numbers: vec![("size".to_owned(), odd)],
            ..tag("colour 3")
        };
        let vector = map.place(&content).unwrap();
        assert!(map.score(&reader_of(&*model, 0), &vector).is_finite());
    }
    let vector = map.place(&tag("colour 3")).unwrap();
    assert_eq!(map.score(&Prepared::Unpersonalized, &vector), 0.0);
    assert_eq!(map.score(&Prepared::Vector(vec![1.0; 3]), &vector), 0.0);
}

#[test]
fn an_artifact_brings_map_and_placed_items_back_and_none_is_needed() {
    let model = fit(&data(Told::Tag, true));
    let mut bytes = Vec::new();
    model.encode(&mut bytes);
    let back = decode(&bytes).unwrap();
    let content = content(3, Told::Tag);
    let place = |model: &dyn Model| model.content_map().unwrap().place(&content);
    assert_eq!(place(&*model), place(&*back));
    let score = |model: &dyn Model| score_of(model, &reader_of(model, 1), ITEMS - 4);
    assert_eq!(score(&*model).to_bits(), score(&*back).to_bits());

    let bare = data(Told::Tag, true).with_contents(vec![ItemContent::default(); ITEMS as usize]);
    let bare = fit(&bare);
    assert!(
        bare.content_map().is_none(),
        "there is nothing to learn a map from"
    );
    assert_eq!(score(&*bare), 0.0);
    let mut bytes = Vec::new();
    bare.encode(&mut bytes);
    assert!(decode(&bytes).unwrap().content_map().is_none());
}

#[test]
fn cells_of_an_index_come_back_beside_a_map_and_without_one() {
    let without = data(Told::Tag, true).with_contents(vec![ItemContent::default(); ITEMS as usize]);
    for data in [data(Told::Tag, true), without] {
        let params = Params::new().with("factors", 16).with("index_items_min", 1);
        let model = trainer("ials").unwrap().fit(&data, &params, 1, &());
        let model = model.unwrap();
        assert!(model.index_recall().is_some_and(|recall| recall > 0.9));
        let mut bytes = Vec::new();
        model.encode(&mut bytes);
        let back = decode(&bytes).unwrap();
        assert_eq!(back.index_recall(), model.index_recall());
        assert_eq!(back.content_map().is_some(), model.content_map().is_some());
        let list = |model: &dyn Model| {
            let mut list = Vec::new();
            model.retrieve(&reader_of(model, 1), 10, &|item| item % 2 == 0, &mut list);
            list
        };
        assert_eq!(list(&*model).len(), 10);
        assert_eq!(list(&*model), list(&*back));
        let mut again = Vec::new();
        back.encode(&mut again);
        assert_eq!(bytes, again);
    }
}
