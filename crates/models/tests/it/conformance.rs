//! What every model of the registry owes its callers.

use crate::planted::{ITEMS, clusters, entry};
use nowcast_models::{
    HistoryItem, Interactions, InteractionsBuilder, ItemIds, Model, ModelError, ModelQuery, Params,
    Progress, Scored, Trainer, decode, registry, trainer,
};

fn fit(trainer: &dyn Trainer, data: &Interactions) -> Box<dyn Model> {
    trainer.fit(data, &Params::new(), 7, &()).unwrap()
}

fn bytes_of(model: &dyn Model) -> Vec<u8> {
    let mut bytes = Vec::new();
    model.encode(&mut bytes);
    bytes
}

fn histories() -> Vec<Vec<HistoryItem>> {
    vec![
        vec![],
        vec![entry(3, 1.0)],
        vec![entry(3, 1.0), entry(8, 2.0), entry(3, 0.5), entry(14, -1.0)],
        vec![entry(3, 1.0), entry(3, -1.0)],
        vec![entry(u32::MAX, 1.0), entry(ITEMS, 1.0)],
        vec![
            entry(1, f32::NAN),
            entry(2, f32::INFINITY),
            entry(4, f32::NEG_INFINITY),
        ],
        vec![entry(5, f32::MAX), entry(6, f32::MAX), entry(7, f32::MIN)],
        (0..500)
            .map(|n| entry(n % ITEMS, (n as f32).sin()))
            .collect(),
        vec![entry(9, -3.0)],
    ]
}

fn retrieve(model: &dyn Model, history: &[HistoryItem], k: usize) -> Vec<Scored> {
    let prepared = model.prepare(&ModelQuery::new(history));
    let mut out = vec![Scored {
        item: 99,
        score: 9.0,
    }];
    model.retrieve(&prepared, k, &|item| item % 3 != 0, &mut out);
    out
}

#[test]
fn whatever_the_history_lists_are_admitted_distinct_sorted_and_finite() {
    for trainer in registry() {
        let model = fit(*trainer, &clusters());
        for (number, history) in histories().iter().enumerate() {
            for k in [0, 1, 10, 1000] {
                let out = retrieve(&*model, history, k);
                let name = format!("{} history {number} k {k}", model.name());
                assert!(out.len() <= k, "{name}");
                assert!(
                    out.iter().all(|s| s.item % 3 != 0 && s.item < ITEMS),
                    "{name}"
                );
                assert!(out.iter().all(|s| s.score.is_finite()), "{name}");
                let is_ordered = |pair: &[Scored]| {
                    let (a, b) = (pair[0], pair[1]);
                    a.score > b.score || (a.score == b.score && a.item < b.item)
                };
                assert!(out.windows(2).all(is_ordered), "{name}: {out:?}");
            }
        }
    }
}

#[test]
fn score_agrees_with_retrieve_and_knows_no_strangers() {
    for trainer in registry() {
        let model = fit(*trainer, &clusters());
        for history in histories() {
            let prepared = model.prepare(&ModelQuery::new(&history));
            let mut found = Vec::new();
            model.retrieve(&prepared, 20, &|_| true, &mut found);
            let mut items: Vec<u32> = found.iter().map(|s| s.item).collect();
            items.extend([ITEMS, u32::MAX]);
            let mut scores = vec![f32::NAN; items.len()];
            model.score(&prepared, &items, &mut scores);
            for (one, score) in found.iter().zip(&scores) {
                assert_eq!(one.score.to_bits(), score.to_bits(), "{}", model.name());
            }
            assert_eq!(&scores[found.len()..], &[0.0, 0.0], "{}", model.name());
            let mut short = [0.0; 1];
            model.score(&prepared, &[0, 1, 2], &mut short);
        }
    }
}

#[test]
fn a_batch_gives_the_lists_of_its_users_one_by_one() {
    for trainer in registry() {
        let model = fit(*trainer, &clusters());
        let histories: Vec<_> = std::iter::repeat_n(histories(), 4).flatten().collect();
        let prepared: Vec<_> = histories
            .iter()
            .map(|history| model.prepare(&ModelQuery::new(history)))
            .collect();
        let admit = |user: usize, item: u32| !(item as usize + user).is_multiple_of(3);
        let mut batch = Vec::new();
        model.retrieve_batch(&prepared, 15, &admit, &mut batch);
        assert_eq!(batch.len(), prepared.len());
        for (user, list) in batch.iter().enumerate() {
            let mut alone = Vec::new();
            model.retrieve(&prepared[user], 15, &|item| admit(user, item), &mut alone);
            assert_eq!(list, &alone, "{} user {user}", model.name());
        }
    }
}

#[test]
fn similar_items_exclude_the_item_and_strangers_have_none() {
    for trainer in registry() {
        let model = fit(*trainer, &clusters());
        let near = model.similar(4, 10);
        assert!(!near.is_empty() && near.len() <= 10, "{}", model.name());
        assert!(near.iter().all(|s| s.item != 4 && s.score.is_finite()));
        assert!(model.similar(4, 0).is_empty());
        let strangers = model.similar(u32::MAX, 10);
        assert!(strangers.is_empty() || model.name() == "popular");
    }
}

#[test]
fn an_artifact_comes_back_as_the_same_model() {
    for trainer in registry() {
        let model = fit(*trainer, &clusters());
        let bytes = bytes_of(&*model);
        let back = decode(&bytes).unwrap();
        assert_eq!(back.name(), model.name());
        assert_eq!(back.items(), model.items());
        assert_eq!(bytes_of(&*back), bytes, "{}", model.name());
        for history in histories() {
            let (a, b) = (
                retrieve(&*model, &history, 30),
                retrieve(&*back, &history, 30),
            );
            assert_eq!(a, b, "{}", model.name());
        }
        assert!(model.bytes() > 0);
    }
}

#[test]
fn the_artifact_does_not_depend_on_the_number_of_threads() {
    let data = clusters();
    for trainer in registry() {
        let with_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| bytes_of(&*fit(*trainer, &data)))
        };
        let one = with_threads(1);
        assert_eq!(one, with_threads(2), "{}", trainer.name());
        assert_eq!(one, with_threads(5), "{}", trainer.name());
        assert_eq!(one, with_threads(1), "{}", trainer.name());
    }
}

#[test]
fn unknown_names_and_parameters_are_refused_with_the_valid_ones() {
    let error = trainer("iasl").err().unwrap().to_string();
    assert!(
        error.contains("popular") && error.contains("ials"),
        "{error}"
    );
    for trainer in registry() {
        let params = Params::new().with("no_such", 1);
        let error = trainer.fit(&clusters(), &params, 1, &()).err().unwrap();
        for def in trainer.params() {
            assert!(error.to_string().contains(def.name), "{error}");
        }
        for def in trainer.params() {
            let params = Params::new().with(def.name, "nonsense");
            let error = trainer.fit(&clusters(), &params, 1, &()).err().unwrap();
            assert!(matches!(error, ModelError::BadParam { .. }), "{error}");
            let defaults = Params::new().with(def.name, def.default);
            assert!(trainer.fit(&clusters(), &defaults, 1, &()).is_ok());
        }
    }
}

#[test]
fn odd_data_is_learnt_from_or_refused_but_never_panics() {
    let empty = InteractionsBuilder::new(ItemIds::default()).build();
    let items_only = InteractionsBuilder::new(["a", "b"].into_iter().collect()).build();
    let mut one = InteractionsBuilder::new(["a"].into_iter().collect());
    one.push(0, 0, 1.0, 5);
    let mut disliked = InteractionsBuilder::new(["a", "b"].into_iter().collect());
    disliked.push(0, 0, -2.0, 5);
    let mut huge = InteractionsBuilder::new(["a", "b"].into_iter().collect());
    huge.push(0, 0, f32::MAX, u32::MAX);
    huge.push(0, 1, f32::MIN_POSITIVE, 0);
    for data in [
        empty,
        items_only,
        one.build(),
        disliked.build(),
        huge.build(),
    ] {
        for trainer in registry() {
            let Ok(model) = trainer.fit(&data, &Params::new(), 1, &()) else {
                continue;
            };
            let out = retrieve(&*model, &[entry(0, 1.0), entry(1, -1.0)], 5);
            assert!(
                out.iter().all(|s| s.score.is_finite()),
                "{}",
                trainer.name()
            );
            assert!(decode(&bytes_of(&*model)).is_ok(), "{}", trainer.name());
        }
    }
}

#[test]
fn a_cancelled_training_ends_early() {
    struct Impatient;
    impl Progress for Impatient {
        fn report(&self, _: u64, _: u64, _: &str) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
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
        let outcome = trainer.fit(&clusters(), &Params::new(), 1, &Impatient);
        assert_eq!(outcome.err(), Some(ModelError::Cancelled), "{name}");
    }
}
