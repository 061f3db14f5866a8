//! The map against its definition, inverted densely in double precision.

use super::*;
use crate::interactions::InteractionsBuilder;
use crate::model::{HistoryItem, ModelQuery};
use crate::seeded::Seeded;

const USERS: usize = 80;
const ITEMS: usize = 75;

fn random_data() -> Interactions {
    random_data_of(USERS, ITEMS)
}

fn random_data_of(users: usize, items: usize) -> Interactions {
    let mut builder = InteractionsBuilder::new((0..items).map(|i| i.to_string()).collect());
    let mut random = Seeded::new(4, 4);
    for user in 0..users as u32 {
        for _ in 0..3 + random.below(12) {
            let item = random.below(items).min(random.below(items)) as u32;
            builder.push(user, item, 1.0, 0);
        }
    }
    builder.build()
}

/// `(AᵀA + λI)⁻¹` by Gauss-Jordan elimination.
fn naive_inverse(data: &Interactions, scale: &WeightScale, ridge: f64) -> Vec<Vec<f64>> {
    let mut a = vec![vec![0.0; 2 * ITEMS]; ITEMS];
    for row in data.rows() {
        for (i, wi) in row.items.iter().zip(row.weights) {
            for (j, wj) in row.items.iter().zip(row.weights) {
                let (wi, wj) = (scale.signed_confidence(*wi), scale.signed_confidence(*wj));
                a[*i as usize][*j as usize] += f64::from(wi) * f64::from(wj);
            }
        }
    }
    for (i, row) in a.iter_mut().enumerate() {
        row[i] += ridge;
        row[ITEMS + i] = 1.0;
    }
    for i in 0..ITEMS {
        let pivot = a[i][i];
        a[i].iter_mut().for_each(|value| *value /= pivot);
        let row = a[i].clone();
        for (other, values) in a.iter_mut().enumerate() {
            let factor = values[i];
            if other != i {
                values
                    .iter_mut()
                    .zip(&row)
                    .for_each(|(v, r)| *v -= factor * r);
            }
        }
    }
    a.into_iter().map(|row| row[ITEMS..].to_vec()).collect()
}

fn scores(model: &dyn Model, history: &[u32]) -> Vec<f32> {
    let entry = |&item: &u32| HistoryItem {
        item,
        weight: 1.0,
        age_s: 0,
    };
    let history: Vec<HistoryItem> = history.iter().map(entry).collect();
    let prepared = model.prepare(&ModelQuery::new(&history));
    let items: Vec<u32> = (0..ITEMS as u32).collect();
    let mut out = vec![0.0; ITEMS];
    model.score(&prepared, &items, &mut out);
    out
}

#[test]
fn any_history_gets_the_scores_of_the_closed_form() {
    let data = random_data();
    let scale = WeightScale::of(&data, 0.5);
    let params = Params::new()
        .with("regularisation", 5)
        .with("neighbours", ITEMS)
        .with("negative_support", 0)
        .with("tolerance", 1e-6);
    let model = EaseTrainer.fit(&data, &params, 1, &()).unwrap();
    let inverse = naive_inverse(&data, &scale, 5.0);
    let unit = f64::from(scale.signed_confidence(1.0));
    // A training user's history, and one that nobody has.
    for history in [data.row(3).items.to_vec(), vec![0, 70, 33]] {
        let got = scores(&*model, &history);
        for i in (0..ITEMS).filter(|i| !history.contains(&(*i as u32))) {
            let weight = |j: &u32| -inverse[*j as usize][i] / inverse[i][i];
            let wanted: f64 = unit * history.iter().map(weight).sum::<f64>();
            assert!(
                (f64::from(got[i]) - wanted).abs() < 1e-4,
                "{i}: {} {wanted}",
                got[i]
            );
        }
    }
}

#[test]
fn each_item_keeps_its_largest_weights() {
    let data = random_data();
    let fit = |neighbours: usize| {
        let params = Params::new()
            .with("regularisation", 5)
            .with("neighbours", neighbours)
            .with("negative_support", 0);
        EaseTrainer.fit(&data, &params, 1, &()).unwrap()
    };
    let (full, cut) = (fit(ITEMS), fit(6));
    let mut kept_of = vec![Vec::new(); ITEMS];
    for j in 0..ITEMS as u32 {
        let (all, kept) = (scores(&*full, &[j]), scores(&*cut, &[j]));
        for i in 0..ITEMS {
            assert!(kept[i] == 0.0 || kept[i] == all[i]);
            kept_of[i].push((all[i].abs(), kept[i] != 0.0));
        }
    }
    for of_item in &mut kept_of {
        of_item.sort_by(|a, b| b.0.total_cmp(&a.0));
        let count = of_item.iter().filter(|(_, kept)| *kept).count();
        assert!(count <= 6);
        assert!(of_item[..count].iter().all(|(_, kept)| *kept));
    }
}

#[test]
fn negative_weights_are_kept_where_chance_would_bring_the_items_together() {
    let data = random_data();
    let fit = |support: f64| {
        let params = Params::new()
            .with("regularisation", 5)
            .with("neighbours", ITEMS)
            .with("negative_support", support);
        EaseTrainer.fit(&data, &params, 1, &()).unwrap()
    };
    const SUPPORT: f64 = 2.0;
    let (full, cut) = (fit(0.0), fit(SUPPORT));
    let by_item = data.transposed();
    let users = |item: u32| by_item.row(item as usize).0.len() as f64;
    let (mut kept, mut dropped) = (0, 0);
    for j in 0..ITEMS as u32 {
        let (all, some) = (scores(&*full, &[j]), scores(&*cut, &[j]));
        for i in (0..ITEMS as u32).filter(|i| *i != j) {
            let (all, some) = (all[i as usize], some[i as usize]);
            let by_chance = users(i) * users(j) / data.users_len() as f64;
            if all < 0.0 && by_chance < SUPPORT {
                assert_eq!(some, 0.0, "{j} {i}");
                dropped += 1;
            } else {
                assert_eq!(some, all, "{j} {i}");
                kept += i32::from(all < 0.0);
            }
        }
    }
    assert!(kept > 0 && dropped > 0, "{kept} kept, {dropped} dropped");
}

#[test]
fn both_solvers_give_the_same_columns() {
    let data = random_data();
    let matrix = Bipartite::new(&data, &WeightScale::of(&data, 0.5));
    let solver = Solver::new(&matrix, 5.0, 1e-6);
    let inverse = Inverse::new(&matrix, 5.0, &()).unwrap();
    let mut scratch = solver.scratch();
    for first in [0, COLUMNS] {
        let mut blocks = [(); 2].map(|()| vec![0.0; ITEMS * COLUMNS]);
        solver.columns(&mut scratch, first, &mut blocks[0]);
        inverse.columns(first, &mut blocks[1]);
        for (a, b) in blocks[0].iter().zip(&blocks[1]) {
            assert!((a - b).abs() < 1e-5, "{first}: {a} {b}");
        }
    }
}

#[test]
fn an_inverse_of_many_blocks_times_its_system_is_the_identity() {
    const MANY: usize = 700;
    let data = random_data_of(2_000, MANY);
    let matrix = Bipartite::new(&data, &WeightScale::of(&data, 0.5));
    let inverse = Inverse::new(&matrix, 5.0, &()).unwrap();
    let mut block = vec![0.0; MANY * COLUMNS];
    let (mut users, mut image) = (vec![0.0; 2_000 * COLUMNS], block.clone());
    for first in (0..MANY).step_by(COLUMNS) {
        inverse.columns(first, &mut block);
        matrix.gram(&block, COLUMNS, &mut users, &mut image);
        for (item, (row, image)) in block.chunks(COLUMNS).zip(image.chunks(COLUMNS)).enumerate() {
            for column in 0..COLUMNS.min(MANY - first) {
                let got = image[column] + 5.0 * row[column];
                let wanted = f32::from(u8::from(item == first + column));
                assert!(
                    (got - wanted).abs() < 1e-4,
                    "{item} {first} {column}: {got}"
                );
            }
        }
    }
}

#[test]
fn equal_data_gives_equal_bits_on_any_number_of_threads() {
    let data = random_data_of(2_000, 700);
    let matrix = Bipartite::new(&data, &WeightScale::of(&data, 0.5));
    let columns = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let inverse = Inverse::new(&matrix, 5.0, &()).unwrap();
            let mut block = vec![0.0; 700 * COLUMNS];
            inverse.columns(320, &mut block);
            block.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    assert_eq!(columns(1), columns(3));
}
