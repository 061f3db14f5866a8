//! The filter against its definition, computed densely and in double precision.

use super::*;
use crate::interactions::InteractionsBuilder;
use crate::kernels::Isa;
use crate::kernels::spectrum::spectrum;
use crate::model::{HistoryItem, ModelQuery};
use crate::seeded::Seeded;

const USERS: usize = 90;
const ITEMS: usize = 70;

fn random_data() -> Interactions {
    let mut builder = InteractionsBuilder::new((0..ITEMS).map(|i| i.to_string()).collect());
    let mut random = Seeded::new(9, 9);
    for user in 0..USERS as u32 {
        for _ in 0..3 + random.below(12) {
            let item = random.below(ITEMS).min(random.below(ITEMS)) as u32;
            builder.push(user, item, 1.0 + random.below(3) as f32, 0);
        }
    }
    builder.build()
}

/// The same matrix from items to items, by plain loops: entry `(i, j)` is the weight of history
/// item `j` for item `i`.
fn naive(data: &Interactions, dimensions: usize) -> Vec<Vec<f64>> {
    let scale = WeightScale::of(data, 0.5);
    let mut r = vec![vec![0.0_f64; ITEMS]; USERS];
    for (user, row) in data.rows().enumerate() {
        for (&item, &weight) in row.items.iter().zip(row.weights) {
            r[user][item as usize] = f64::from(scale.signed_confidence(weight));
        }
    }
    let users: Vec<f64> = r.iter().map(|row| row.iter().sum()).collect();
    let items: Vec<f64> = (0..ITEMS)
        .map(|i| r.iter().map(|row| row[i]).sum())
        .collect();
    let product = |a: &[Vec<f64>], b: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let cell = |i: usize, j: usize| (0..b.len()).map(|k| a[i][k] * b[k][j]).sum();
        (0..a.len())
            .map(|i| (0..b[0].len()).map(|j| cell(i, j)).collect())
            .collect()
    };
    let cell = |i: usize, j: usize| -> f64 {
        let pairs = (0..USERS).map(|u| r[u][i] * r[u][j] / users[u]);
        let sum: f64 = pairs.sum();
        if sum > 0.0 {
            sum / (items[i] * items[j]).sqrt()
        } else {
            0.0
        }
    };
    let p: Vec<Vec<f64>> = (0..ITEMS)
        .map(|i| (0..ITEMS).map(|j| cell(i, j)).collect())
        .collect();
    let found = spectrum(Isa::detect(), &p.concat(), ITEMS);
    let leading = &found.largest_first()[..dimensions];
    let vector = |at: &usize| &found.vectors[at * ITEMS..][..ITEMS];
    let low = |i: usize, j: usize| -> f64 {
        let inner: f64 = leading.iter().map(vector).map(|v| v[i] * v[j]).sum();
        if items[j] > 0.0 {
            inner * (items[i] / items[j]).sqrt()
        } else {
            0.0
        }
    };
    let mut term: Vec<Vec<f64>> = (0..ITEMS)
        .map(|i| (0..ITEMS).map(|j| p[i][j] + 0.2 * low(i, j)).collect())
        .collect();
    let mut out = term.clone();
    let mut factor = 1.0;
    for n in 1..=4 {
        term = product(&p, &term);
        factor *= -2.5 / f64::from(n);
        for (out, term) in out.iter_mut().flatten().zip(term.iter().flatten()) {
            *out += factor * term;
        }
    }
    out
}

fn scores(model: &dyn Model, history: &[(u32, f32)]) -> Vec<f32> {
    let entry = |&(item, weight): &(u32, f32)| HistoryItem {
        item,
        weight,
        age_s: 0,
    };
    let history: Vec<HistoryItem> = history.iter().map(entry).collect();
    let prepared = model.prepare(&ModelQuery::new(&history));
    let items: Vec<u32> = (0..model.items().len() as u32).collect();
    let mut out = vec![0.0; items.len()];
    model.score(&prepared, &items, &mut out);
    out
}

#[test]
fn the_model_is_the_polynomial_of_its_definition() {
    let data = random_data();
    let params = Params::new()
        .with("dimensions", 12)
        .with("neighbours", ITEMS);
    let model = GraphTrainer.fit(&data, &params, 1, &()).unwrap();
    let expected = naive(&data, 12);
    let scale = WeightScale::of(&data, 0.5);
    for j in [0_usize, 3, 20, 64, 69] {
        let got = scores(&*model, &[(j as u32, 1.0)]);
        let unit = f64::from(scale.signed_confidence(1.0));
        for i in (0..ITEMS).filter(|i| *i != j) {
            let wanted = expected[i][j] * unit;
            let close = (f64::from(got[i]) - wanted).abs() < 2e-4;
            assert!(close, "{i} {j}: {} {wanted}", got[i]);
        }
    }
}

#[test]
fn an_unseen_user_gets_what_the_training_user_with_the_same_history_gets() {
    let data = random_data();
    let params = Params::new()
        .with("dimensions", 12)
        .with("neighbours", ITEMS);
    let model = GraphTrainer.fit(&data, &params, 1, &()).unwrap();
    let expected = naive(&data, 12);
    let scale = WeightScale::of(&data, 0.5);
    let row = data.row(5);
    let history: Vec<(u32, f32)> = row
        .items
        .iter()
        .copied()
        .zip(row.weights.iter().copied())
        .collect();
    let got = scores(&*model, &history);
    for i in (0..ITEMS).filter(|i| !row.items.contains(&(*i as u32))) {
        let say = |(item, weight): &(u32, f32)| {
            expected[i][*item as usize] * f64::from(scale.signed_confidence(*weight))
        };
        let wanted: f64 = history.iter().map(say).sum();
        assert!(
            (f64::from(got[i]) - wanted).abs() < 1e-3,
            "{i}: {} {wanted}",
            got[i]
        );
    }
}

#[test]
fn truncation_keeps_the_largest_weights() {
    let data = random_data();
    let fit = |neighbours: usize| {
        let params = Params::new()
            .with("dimensions", 12)
            .with("neighbours", neighbours);
        GraphTrainer.fit(&data, &params, 1, &()).unwrap()
    };
    let (full, cut) = (fit(ITEMS), fit(5));
    let (all, kept) = (scores(&*full, &[(7, 1.0)]), scores(&*cut, &[(7, 1.0)]));
    assert_eq!(kept.iter().filter(|score| **score != 0.0).count(), 5);
    let smallest = kept
        .iter()
        .filter(|s| **s != 0.0)
        .map(|s| s.abs())
        .fold(f32::MAX, f32::min);
    for (all, kept) in all.iter().zip(&kept) {
        assert!(if *kept == 0.0 {
            all.abs() <= smallest
        } else {
            all == kept
        });
    }
}

#[test]
fn the_low_pass_spans_the_leading_eigenvectors() {
    let data = random_data();
    let mut matrix = Bipartite::new(&data, &WeightScale::of(&data, 0.5));
    matrix.normalise([0.5, 0.5]);
    let low = LowPass::of(&matrix, 10, 3, &()).unwrap();
    let column = |d: usize| (0..ITEMS).map(move |i| (i, d));
    let at = |(i, d): (usize, usize)| f64::from(low.vectors[i * low.width + d]);
    for a in 0..10 {
        for b in 0..10 {
            let product: f64 = column(a).zip(column(b)).map(|(x, y)| at(x) * at(y)).sum();
            let wanted = f64::from(u8::from(a == b));
            assert!((product - wanted).abs() < 1e-3, "{a} {b}: {product}");
        }
    }
}
