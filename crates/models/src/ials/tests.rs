//! Whole trainings with many short rows, so that both ways to solve a row take part.

use super::*;
use crate::interactions::InteractionsBuilder;

const ITEMS: usize = 300;
const USERS: u32 = 6_000;

/// Users of 10 groups, each with 30 items of its own; some users are long rows, and every seventh
/// entry is a dislike.
fn grouped() -> Interactions {
    let mut builder = InteractionsBuilder::new((0..ITEMS).map(|i| i.to_string()).collect());
    for user in 0..USERS {
        let mut random = Seeded::new(3, u64::from(user));
        let count = if user % 50 == 0 {
            60
        } else {
            1 + random.below(9)
        };
        for n in 0..count {
            let own = 30 * (user % 10) + random.below(30) as u32;
            let any = random.below(ITEMS) as u32;
            let is_liked = n % 7 != 6;
            let item = if random.below(5) > 0 { own } else { any };
            builder.push(
                user,
                item,
                if is_liked { 1.0 + (n % 3) as f32 } else { -1.0 },
                0,
            );
        }
    }
    builder.build()
}

fn settings(items: usize, factors: usize) -> Settings {
    let params = Params::new().with("factors", factors).with("sweeps", 3);
    let resolved = params.resolve(NAME, PARAMS).expect("good parameters");
    Settings::read(&resolved, items).expect("good parameters")
}

/// The objective of the module's opening, in double precision.
fn objective(data: &Interactions, settings: &Settings, users: &[f32], items: &[f32]) -> f64 {
    let side = padded(settings.factors);
    let weights = WeightScale::of(data, settings.weight_exponent);
    let ridge = settings.ridge;
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let by_item = data.transposed();
    let lambda = |strengths: &[f32], others: usize| {
        let total = |sum: f32, w: &f32| sum + weights.signed_confidence(*w).abs();
        let frequency = strengths
            .iter()
            .fold(ridge.frequency_of_none(others), total);
        f64::from(ridge.of_frequency(frequency))
    };
    let mut sum = 0.0;
    for (row, user) in data.rows().zip(users.chunks_exact(side)) {
        for vector in items.chunks_exact(side) {
            sum += f64::from(ridge.unobserved_weight) * dot(user, vector).powi(2);
        }
        for (item, strength) in row.items.iter().zip(row.weights) {
            let confidence = weights.signed_confidence(*strength);
            let wanted = if confidence > 0.0 { 1.0 } else { 0.0 };
            let error = wanted - dot(user, &items[*item as usize * side..][..side]);
            sum += f64::from(confidence.abs()) * error * error;
        }
        sum += lambda(row.weights, data.items_len()) * dot(user, user);
    }
    for (item, vector) in items.chunks_exact(side).enumerate() {
        sum += lambda(by_item.row(item).1, data.users_len()) * dot(vector, vector);
    }
    sum
}

/// The user vectors that belong to item vectors, one full system a user.
fn users_of(data: &Interactions, settings: &Settings, items: &[f32]) -> Vec<f32> {
    let (isa, side) = (Isa::detect(), padded(settings.factors));
    let weights = WeightScale::of(data, settings.weight_exponent);
    let rows = ByUser(data, &weights);
    let mut users = vec![0.0; data.users_len() * side];
    let system = solver::RowSystem {
        isa,
        side,
        others: items,
        base: &scaled_gram(isa, items, side, settings.ridge.unobserved_weight),
        ridge: settings.ridge,
    };
    for (user, out) in users.chunks_exact_mut(side).enumerate() {
        let mut seen = Observed::default();
        rows.observe(user, &mut seen);
        assert!(solver::solve_row(system, &seen, out));
    }
    users
}

#[test]
fn every_way_to_solve_a_row_gives_what_its_full_system_does() {
    // Long rows of 32 factors are solved sixteen at a time, those of 80 one by one.
    for factors in [32, 80] {
        check_half_step(factors);
    }
}

fn check_half_step(factors: usize) {
    let data = grouped();
    let settings = settings(data.items_len(), factors);
    let weights = WeightScale::of(&data, settings.weight_exponent);
    let side = padded(settings.factors);
    let mut items = start(data.items_len(), settings.factors, 1);
    let mut users = Table::zeros(data.users_len() * side);
    let mut basis = Basis::new(side);
    let rows = ByUser(&data, &weights);
    half_step(&rows, settings.ridge, &mut basis, &mut items, &mut users).expect("solvable");
    let start = start(data.items_len(), settings.factors, 1);
    assert_ne!(items, start, "the short rows are enough for a turn");
    basis.undo(&mut users);
    let full = users_of(&data, &settings, &start);
    let largest = full.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
    for (at, (short, full)) in users.iter().zip(&full).enumerate() {
        assert!(
            (short - full).abs() < 2e-5 * largest,
            "{at}: {short} {full}"
        );
    }
}

#[test]
fn training_lowers_the_objective_with_every_sweep_as_full_systems_do() {
    let data = grouped();
    let settings = settings(data.items_len(), 32);
    let weights = WeightScale::of(&data, settings.weight_exponent);
    let mut items = start(data.items_len(), settings.factors, 1);
    let mut last = f64::INFINITY;
    for _ in 0..4 {
        let one = Settings {
            sweeps: 1,
            ..settings
        };
        let users = users_of(&data, &settings, &items);
        let after = alternate(&data, &one, &weights, items, &()).expect("solvable");
        let (next, mut own) = (after.items, after.users);
        after.basis.undo(&mut own);
        let apart = users.iter().zip(own.iter()).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-3);
        let reached = objective(&data, &settings, &users, &next);
        assert!(reached < last, "{reached} after {last}");
        // What full systems reach from the same users.
        let full = full_items(&data, &settings, &users);
        let reference = objective(&data, &settings, &users, &full);
        assert!(
            (reached / reference - 1.0).abs() < 1e-5,
            "{reached} {reference}"
        );
        (items, last) = (next, reached);
    }
}

fn full_items(data: &Interactions, settings: &Settings, users: &[f32]) -> Vec<f32> {
    let (isa, side) = (Isa::detect(), padded(settings.factors));
    let weights = WeightScale::of(data, settings.weight_exponent);
    let rows = ByItem(data.transposed(), &weights);
    let mut items = vec![0.0; data.items_len() * side];
    let system = solver::RowSystem {
        isa,
        side,
        others: users,
        base: &scaled_gram(isa, users, side, settings.ridge.unobserved_weight),
        ridge: settings.ridge,
    };
    for (item, out) in items.chunks_exact_mut(side).enumerate() {
        let mut seen = Observed::default();
        rows.observe(item, &mut seen);
        assert!(solver::solve_row(system, &seen, out));
    }
    items
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let data = grouped();
    let settings = settings(data.items_len(), 32);
    let weights = WeightScale::of(&data, settings.weight_exponent);
    let train = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let first = start(data.items_len(), settings.factors, 1);
        let run = || alternate(&data, &settings, &weights, first, &()).expect("solvable");
        pool.expect("a pool").install(run)
    };
    assert_eq!(train(1), train(3));
}
