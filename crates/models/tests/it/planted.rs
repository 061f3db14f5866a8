//! Data whose right answer is known by construction: users of a cluster want its items only.

use nowcast_models::seeded::Seeded;
use nowcast_models::{
    HistoryItem, Interactions, InteractionsBuilder, ItemContent, ModelQuery, Params, registry,
    trainer,
};

pub(crate) const CLUSTERS: u32 = 5;
pub(crate) const ITEMS_PER_CLUSTER: u32 = 20;
pub(crate) const ITEMS: u32 = CLUSTERS * ITEMS_PER_CLUSTER;

/// The cluster of an item.
pub(crate) fn cluster(item: u32) -> u32 {
    item % CLUSTERS
}

/// 200 users, each with 12 items of one cluster, one a minute; contents name the cluster.
pub(crate) fn clusters() -> Interactions {
    let ids = (0..ITEMS).map(|item| format!("item-{item}")).collect();
    let mut builder = InteractionsBuilder::new(ids);
    let mut random = Seeded::new(11, 0);
    for user in 0..200 {
        for step in 0..12 {
            let within = random.below(ITEMS_PER_CLUSTER as usize) as u32;
            let item = within * CLUSTERS + user % CLUSTERS;
            builder.push(user, item, 1.0, 1_000_000 + 60 * step);
        }
    }
    let contents = (0..ITEMS).map(|item| ItemContent {
        categories: vec![format!("topic {}", cluster(item))],
        tags: vec![format!("tag {}", item % 7)],
        text: format!("title number{item}"),
        numbers: vec![("price".to_owned(), f64::from(item % 11))],
        vectors: vec![("embedding".to_owned(), vec![1.0, (item % 3) as f32])],
    });
    builder.build().with_contents(contents.collect())
}

pub(crate) fn entry(item: u32, weight: f32) -> HistoryItem {
    HistoryItem {
        item,
        weight,
        age_s: 60,
    }
}

#[test]
fn personal_models_recommend_from_the_cluster_of_the_history() {
    let data = clusters();
    for name in [
        "covisit",
        "item_knn",
        "ials",
        "ease",
        "graph",
        "content",
        "transitions",
        "session_knn",
        "sequence",
        "blend",
    ] {
        let trainer = trainer(name).unwrap();
        let model = trainer.fit(&data, &Params::new(), 1, &()).unwrap();
        for wanted in 0..CLUSTERS {
            let history: Vec<HistoryItem> =
                (0..3).map(|n| entry(n * CLUSTERS + wanted, 1.0)).collect();
            let prepared = model.prepare(&ModelQuery::new(&history));
            assert!(prepared.is_personalized(), "{name}");
            let mut out = Vec::new();
            let is_new = |item| history.iter().all(|h| h.item != item);
            model.retrieve(&prepared, 10, &is_new, &mut out);
            assert_eq!(out.len(), 10, "{name}");
            let of_cluster = out.iter().filter(|s| cluster(s.item) == wanted).count();
            assert_eq!(of_cluster, 10, "{name}: {out:?}");
            // An item's tag is shared with two of its own cluster and with twelve others.
            let near = model.similar(wanted, if name == "content" { 2 } else { 8 });
            assert!(
                near.iter().all(|s| cluster(s.item) == wanted),
                "{name}: {near:?}"
            );
        }
    }
}

#[test]
fn one_more_interaction_changes_the_answer() {
    let data = clusters();
    let model = trainer("ials").unwrap();
    let model = model.fit(&data, &Params::new(), 1, &()).unwrap();
    let score = |history: &[HistoryItem]| {
        let mut out = [0.0];
        let prepared = model.prepare(&ModelQuery::new(history));
        model.score(&prepared, &[3 * CLUSTERS + 1], &mut out);
        out[0]
    };
    let before = score(&[entry(0, 1.0)]);
    let after = score(&[entry(0, 1.0), entry(1, 1.0)]);
    let disliked = score(&[entry(0, 1.0), entry(1, -1.0)]);
    assert!(after > before + 0.01, "{before} {after}");
    assert!(disliked < before + 0.001, "{before} {disliked}");
}

#[test]
fn popular_ranks_by_the_number_of_users() {
    let ids = ["a", "b", "c"].into_iter().collect();
    let mut builder = InteractionsBuilder::new(ids);
    for (user, item) in [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 0)] {
        builder.push(user, item, 1.0, 0);
    }
    builder.push(3, 0, -1.0, 0);
    let trainer = trainer("popular").unwrap();
    let model = trainer
        .fit(&builder.build(), &Params::new(), 0, &())
        .unwrap();
    let prepared = model.prepare(&ModelQuery::new(&[]));
    let mut out = Vec::new();
    model.retrieve(&prepared, 3, &|_| true, &mut out);
    let ranked: Vec<(u32, f32)> = out.iter().map(|s| (s.item, s.score)).collect();
    assert_eq!(ranked, [(1, 3.0), (2, 2.0), (0, 1.0)]);
}

#[test]
fn the_seed_matters_only_to_models_that_draw() {
    let data = clusters();
    for trainer in registry() {
        let bytes = |seed| {
            let model = trainer.fit(&data, &Params::new(), seed, &()).unwrap();
            let mut bytes = Vec::new();
            model.encode(&mut bytes);
            bytes
        };
        let differs = bytes(1) != bytes(2);
        let draws = ["ials", "graph", "sequence", "blend"].contains(&trainer.name());
        assert_eq!(differs, draws, "{}", trainer.name());
    }
}

#[test]
fn a_refresh_gives_new_items_their_place_and_keeps_that_of_the_others() {
    let trainer = trainer("ials").unwrap();
    let data = clusters();
    let is_new = |item: u32| item >= ITEMS - 2 * CLUSTERS;
    let ids = (0..ITEMS).filter(|&item| !is_new(item));
    let ids = ids.map(|item| format!("item-{item}")).collect();
    let mut before = InteractionsBuilder::new(ids);
    for (user, row) in data.rows().enumerate() {
        for (&item, &time_s) in row.items.iter().zip(row.times_s) {
            if !is_new(item) {
                before.push(user as u32, item, 1.0, time_s);
            }
        }
    }
    let params = Params::new();
    let mut earlier = Vec::new();
    let fitted = trainer.fit(&before.build(), &params, 1, &()).unwrap();
    fitted.encode(&mut earlier);

    let refresh = || trainer.refresh(&earlier, &data, &params, &()).unwrap();
    let refreshed = refresh().unwrap();
    assert_eq!(refreshed.items().len(), ITEMS as usize);
    for item in 0..ITEMS {
        let near = refreshed.similar(item, 8);
        assert!(
            near.iter().all(|s| cluster(s.item) == cluster(item)),
            "{item}: {near:?}"
        );
    }
    let (mut once, mut again) = (Vec::new(), Vec::new());
    refreshed.encode(&mut once);
    refresh().unwrap().encode(&mut again);
    assert_eq!(once, again);
}

#[test]
fn what_does_not_fit_is_not_refreshed() {
    let data = clusters();
    let fit = |name: &str| {
        let fitted = trainer(name).unwrap().fit(&data, &Params::new(), 1, &());
        let mut artifact = Vec::new();
        fitted.unwrap().encode(&mut artifact);
        artifact
    };
    let ials = trainer("ials").unwrap();
    let other = Params::new().with("factors", 4);
    let refreshed = ials.refresh(&fit("ials"), &data, &other, &()).unwrap();
    assert!(refreshed.is_none(), "another number of factors");
    let popular = fit("popular");
    assert!(ials.refresh(&popular, &data, &Params::new(), &()).is_err());
    let popular = trainer("popular")
        .unwrap()
        .refresh(&popular, &data, &Params::new(), &());
    assert!(popular.unwrap().is_none(), "it only begins anew");
}
