//! What the online ranker promises: invariance, determinism, equal scores in learner and server,
//! bytes that come back, and that it learns what is there to be learnt.

use super::*;
use crate::error::ModelError;
use crate::seeded::Seeded;

fn config() -> OnlineConfig {
    OnlineConfig {
        indicator_bits: 16,
        ..OnlineConfig::linear()
    }
}

fn learner() -> OnlineLearner {
    OnlineLearner::new(config()).unwrap()
}

fn feature(field: u32, value: u64) -> Feature {
    Feature::new(field, value)
}

/// Rows of three indicators and a number, whose outcome depends on one indicator and the number.
fn stream(seed: u64, len: usize) -> Vec<(Vec<Feature>, Vec<Number>, bool)> {
    let mut random = Seeded::new(seed, 0);
    (0..len)
        .map(|_| {
            let values = [random.below(4), random.below(50), random.below(3)];
            let fields = (0_u32..).zip(values);
            let indicators: Vec<Feature> = fields.map(|(f, v)| feature(f, v as u64)).collect();
            let size = random.normal();
            let margin = if values[0] == 1 { 2.0 } else { -1.0 } + size;
            let is_positive = random.uniform() < f64::from(1.0 / (1.0 + (-margin).exp()));
            let number = Number {
                feature: feature(9, 0),
                value: 1000.0 * size,
            };
            (indicators, vec![number], is_positive)
        })
        .collect()
}

fn example(row: &(Vec<Feature>, Vec<Number>, bool)) -> Example<'_> {
    Example {
        indicators: &row.0,
        numbers: &row.1,
        ..Example::default()
    }
}

fn loss(learner: &mut OnlineLearner, rows: &[(Vec<Feature>, Vec<Number>, bool)]) -> f64 {
    let losses = rows.iter().map(|row| {
        let margin = f64::from(learner.learn(&example(row), row.2, 1.0));
        let sign = if row.2 { 1.0 } else { -1.0 };
        (-sign * margin).exp().ln_1p()
    });
    losses.sum::<f64>() / rows.len() as f64
}

#[test]
fn it_comes_close_to_the_best_loss_there_is() {
    let rows = stream(1, 20_000);
    let best: f64 = {
        let mut random = Seeded::new(1, 0);
        let mut sum = 0.0;
        for row in &rows {
            let values = [random.below(4), random.below(50), random.below(3)];
            let size = f64::from(random.normal());
            random.uniform();
            let margin = if values[0] == 1 { 2.0 } else { -1.0 } + size;
            let sign = if row.2 { 1.0 } else { -1.0 };
            sum += (-sign * margin).exp().ln_1p();
        }
        sum / rows.len() as f64
    };
    let found = loss(&mut learner(), &rows);
    assert!(found < best + 0.02, "{found} against {best}");
}

#[test]
fn the_unit_of_a_number_changes_nothing() {
    let rows = stream(2, 2_000);
    let mut scaled = rows.clone();
    for row in &mut scaled {
        row.1[0].value *= 4096.0;
    }
    let plain = loss(&mut learner(), &rows);
    let other = loss(&mut learner(), &scaled);
    assert!((plain - other).abs() < 1e-5, "{plain} and {other}");
}

#[test]
fn importance_two_is_about_the_same_example_twice_and_never_overshoots() {
    let rows = stream(3, 500);
    let mut warm = learner();
    loss(&mut warm, &rows[..400]);
    for row in &rows[400..] {
        let (mut once, mut twice) = (warm.clone(), warm.clone());
        let before = once.learn(&example(row), row.2, 2.0);
        twice.learn(&example(row), row.2, 1.0);
        twice.learn(&example(row), row.2, 1.0);
        let (one, two) = (once.margin(&example(row)), twice.margin(&example(row)));
        let (moved, difference) = ((one - before).abs(), (one - two).abs());
        assert!(
            difference < 0.15 * moved + 1e-3,
            "{before}: {one} and {two}"
        );
        let mut heavy = warm.clone();
        heavy.learn(&example(row), row.2, 1e6);
        let after = heavy.margin(&example(row));
        assert!(after.is_finite() && after.abs() < 40.0, "{after}");
    }
}

/// Lists of eight whose third feature says which is chosen.
fn lists(seed: u64, len: usize) -> Vec<(Vec<[Feature; 3]>, usize)> {
    let mut random = Seeded::new(seed, 1);
    (0..len)
        .map(|_| {
            let chosen = random.below(8);
            let item = |at: usize| {
                let is_liked = at == chosen && random.uniform() < 0.8;
                [
                    feature(0, random.below(100) as u64),
                    feature(1, 7),
                    feature(2, u64::from(is_liked)),
                ]
            };
            let items = (0..8).map(item).collect();
            (items, chosen)
        })
        .collect()
}

fn learn_lists(learner: &mut OnlineLearner, lists: &[(Vec<[Feature; 3]>, usize)]) -> f32 {
    let learnt = lists.iter().map(|(items, chosen)| {
        let list: Vec<Example<'_>> = items.iter().map(|item| Example::of(item)).collect();
        learner.learn_list(&list, *chosen, 1.0)
    });
    learnt.sum::<f32>() / lists.len() as f32
}

#[test]
fn a_list_teaches_what_tells_the_chosen_from_the_others() {
    let mut learner = learner();
    learn_lists(&mut learner, &lists(4, 300));
    let later = learn_lists(&mut learner, &lists(5, 300));
    assert!(later > 0.6, "{later}");
    let common = learner.margin(&Example::of(&[feature(1, 7)]));
    assert!(common.abs() < 1e-3, "what all have says nothing: {common}");
}

#[test]
fn a_list_without_a_choice_changes_nothing() {
    let mut learner = learner();
    learn_lists(&mut learner, &lists(4, 20));
    let before = learner.clone();
    let items = [[feature(0, 1)], [feature(0, 2)]];
    let list: Vec<Example<'_>> = items.iter().map(|item| Example::of(item)).collect();
    learner.learn_list(&list, 2, 1.0);
    learner.learn_list(&list, 0, f32::NAN);
    learner.learn_list(&list[..1], 0, 1.0);
    learner.learn_list(&[], 0, 1.0);
    learner.learn(&list[0], true, 0.0);
    assert_eq!(learner.rows, before.rows);
    assert_eq!(learner.examples(), before.examples());
}

#[test]
fn the_place_explains_while_learning_and_is_left_out_when_serving() {
    let mut random = Seeded::new(6, 0);
    let (item_a, item_b) = ([feature(0, 1)], [feature(0, 2)]);
    let places = [[feature(5, 0)], [feature(5, 1)]];
    let mut learner = learner();
    for _ in 0..3_000 {
        // Item a is always on top, which is clicked more; the items are equally good.
        let (item, place) = if random.uniform() < 0.5 {
            (&item_a, &places[0])
        } else {
            (&item_b, &places[1])
        };
        let is_swapped = random.uniform() < 0.3;
        let place = match (is_swapped, place == &places[0]) {
            (false, _) => place,
            (true, top) => &places[usize::from(top)],
        };
        let rate = if place == &places[0] { 0.5 } else { 0.1 };
        let example = Example {
            indicators: item,
            shown: place,
            ..Example::default()
        };
        learner.learn(&example, random.uniform() < rate, 1.0);
    }
    let weights = learner.follow();
    let margin = |item| weights.margin(&Example::of(item));
    let difference = margin(&item_a) - margin(&item_b);
    assert!(difference.abs() < 0.5, "{difference}; naively it is 1.2");
}

#[test]
fn factors_learn_that_two_features_matter_only_together() {
    let run = |factors: usize| {
        let mut learner = OnlineLearner::new(OnlineConfig {
            factors,
            factor_rate: 0.1,
            ..config()
        })
        .unwrap();
        let mut random = Seeded::new(7, 0);
        let mut right = 0;
        for turn in 0..8_000 {
            let (a, b) = (random.below(2), random.below(2));
            let holds = [feature(0, a as u64), feature(1, b as u64)];
            let is_positive = a == b;
            let margin = learner.learn(&Example::of(&holds), is_positive, 1.0);
            right += u32::from(turn >= 6_000 && (margin > 0.0) == is_positive);
        }
        f64::from(right) / 2_000.0
    };
    assert!(run(0) < 0.7, "a linear margin cannot");
    assert!(run(4) > 0.95, "{}", run(4));
}

fn ranker() -> OnlineRanker {
    let objective = |name: &str, weight| Objective {
        name: name.to_owned(),
        weight,
    };
    let config = OnlineConfig {
        factors: 2,
        ..config()
    };
    OnlineRanker::new(
        config,
        vec![objective("click", 1.0), objective("dislike", -2.0)],
    )
    .unwrap()
}

#[test]
fn the_followers_score_is_the_learners_after_every_publication() {
    let mut ranker = ranker();
    let mut weights = ranker.follow();
    assert!(!weights.knows_something());
    for (turn, row) in stream(8, 300).iter().enumerate() {
        let click = ranker.learner_mut("click").unwrap();
        click.learn(&example(row), row.2, 1.0);
        let dislike = ranker.learner_mut("dislike").unwrap();
        dislike.learn(&example(row), !row.2, 0.5);
        if turn % 7 == 0 {
            assert!(ranker.publish(&mut weights) > 0);
            let click = ranker.learner("click").unwrap().margin(&example(row));
            let dislike = ranker.learner("dislike").unwrap().margin(&example(row));
            let score = weights.score(&example(row));
            assert_eq!(score.to_bits(), (click - 2.0 * dislike).to_bits());
        }
    }
    assert!(weights.knows_something());
}

#[test]
fn an_artifact_goes_on_learning_as_if_nothing_had_happened() {
    let rows = stream(9, 200);
    let mut ranker = ranker();
    for row in &rows[..100] {
        let click = ranker.learner_mut("click").unwrap();
        click.learn(&example(row), row.2, 1.0);
    }
    let mut bytes = Vec::new();
    ranker.encode(&mut bytes);
    let mut back = OnlineRanker::decode(&bytes).unwrap();
    for row in &rows[100..] {
        for ranker in [&mut ranker, &mut back] {
            let click = ranker.learner_mut("click").unwrap();
            click.learn(&example(row), row.2, 1.0);
        }
    }
    let (mut one, mut two) = (Vec::new(), Vec::new());
    ranker.encode(&mut one);
    back.encode(&mut two);
    assert_eq!(one, two);
}

#[test]
fn every_flipped_bit_of_an_artifact_is_found() {
    let mut ranker = ranker();
    let row = &stream(10, 1)[0];
    let click = ranker.learner_mut("click").unwrap();
    click.learn(&example(row), row.2, 1.0);
    let mut bytes = Vec::new();
    ranker.encode(&mut bytes);
    for at in (0..bytes.len()).step_by(997).chain(0..64) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(OnlineRanker::decode(&flipped).is_err(), "byte {at}");
    }
    assert!(OnlineRanker::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(matches!(crate::decode(&bytes), Err(ModelError::Damaged(_))));
}

#[test]
fn parameters_and_objectives_outside_their_range_are_refused() {
    let params = |name: &str, value: &str| {
        OnlineConfig::from_params(&crate::Params::new().with(name, value), 1)
    };
    assert_eq!(params("bits", "20").unwrap().indicator_bits, 20);
    assert!(params("bits", "40").is_err());
    assert!(params("learning_rate", "0").is_err());
    assert!(params("rate", "1").is_err());
    assert!(OnlineRanker::new(config(), Vec::new()).is_err());
    let twice = Objective {
        name: "click".to_owned(),
        weight: 1.0,
    };
    assert!(OnlineRanker::new(config(), vec![twice.clone(), twice]).is_err());
}
