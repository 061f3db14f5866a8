//! The hand-written gradients against finite differences, and structure that only order shows.

use super::forward::{Dropout, Ready, Tape};
use super::model::SequenceModel;
use super::network::{PackedBlock, Parameters, Shape};
use super::recent::RecentStates;
use super::state::State;
use super::step::Descent;
use super::windows::{Window, windows};
use crate::interactions::InteractionsBuilder;
use crate::kernels::Isa;
use crate::model::{HistoryItem, Model, ModelQuery, Prepared};
use crate::params::Params;
use crate::seeded::Seeded;
use crate::trainer::Trainer;
use std::ops::BitAnd;

const SHAPE: Shape = Shape {
    items: 23,
    width: 32,
    heads: 2,
    blocks: 2,
    length: 70,
    taps: 2,
};

fn sequences() -> Vec<Vec<u32>> {
    let mut random = Seeded::new(4, 0);
    let mut items = |count: usize| {
        (0..count)
            .map(|_| random.below(SHAPE.items) as u32)
            .collect()
    };
    vec![items(5), items(61), items(2)]
}

/// Every item, as a weighted sample that happens to hold them all.
fn sample() -> Vec<(u32, f32)> {
    (0..SHAPE.items as u32)
        .map(|item| (item, 0.1 * (item % 5) as f32))
        .collect()
}

/// Checks `probes` parameters of each half against the change of the loss.
fn check(drawn: Option<Vec<(u32, f32)>>, dropout: f32) {
    let sequences = sequences();
    let all: Vec<Window> = windows(&sequences, SHAPE.length, &mut Seeded::new(1, 0));
    let passes: Vec<&[Window]> = vec![&all[..1], &all[1..]];
    let mut descent = Descent::new(SHAPE, 9);
    // Larger weights than at the start, so that nothing is nearly linear.
    let mut random = Seeded::new(8, 0);
    for weight in descent
        .weights
        .items
        .iter_mut()
        .chain(&mut descent.weights.rest)
    {
        *weight += 0.2 * random.normal();
    }
    descent.gradients(&sequences, &passes, drawn.clone(), dropout);
    let (items, rest) = descent.summed(passes.len());
    let mut loss_at = |of_items: bool, at: usize, shift: f32| {
        let half = |weights: &'_ mut Parameters, shift: f32| {
            let values = if of_items {
                &mut weights.items
            } else {
                &mut weights.rest
            };
            values[at] += shift;
        };
        let before = descent.weights.clone();
        half(&mut descent.weights, shift);
        let loss = descent.gradients(&sequences, &passes, drawn.clone(), dropout);
        descent.weights = before;
        loss
    };
    for (of_items, gradient) in [(true, &items), (false, &rest)] {
        let largest = gradient.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
        for probe in 0..150 {
            let at = probe * gradient.len() / 150 + probe % 7;
            let step = 4e-3;
            let slope = (loss_at(of_items, at, step) - loss_at(of_items, at, -step))
                / f64::from(2.0 * step);
            let error = (slope as f32 - gradient[at]).abs();
            assert!(
                error <= 0.02 * gradient[at].abs() + 0.004 * largest,
                "items {of_items} {at}: {slope} {}",
                gradient[at]
            );
        }
    }
}

#[test]
fn gradients_against_all_items_equal_finite_differences() {
    check(None, 0.0);
}

#[test]
fn gradients_under_dropout_equal_finite_differences() {
    check(None, 0.3);
}

#[test]
fn gradients_against_a_weighted_sample_equal_finite_differences() {
    check(Some(sample()), 0.0);
}

fn history(items: &[u32]) -> Vec<HistoryItem> {
    let entry = |item: &u32| HistoryItem {
        item: *item,
        weight: 1.0,
        age_s: 0,
    };
    items.iter().map(entry).collect()
}

fn fit(rows: &[Vec<u32>], items: u32, params: &[&str]) -> Box<dyn Model> {
    let ids = (0..items).map(|item| item.to_string()).collect();
    let mut builder = InteractionsBuilder::new(ids).with_repeats();
    for (user, row) in (0_u32..).zip(rows) {
        for &item in row {
            builder.push(user, item, 1.0, 0);
        }
    }
    let params = Params::from_pairs(params).unwrap();
    super::SequenceTrainer
        .fit(&builder.build(), &params, 5, &())
        .unwrap()
}

/// The sum of the last two items, modulo 11, comes next: no single item tells it.
fn sums() -> Vec<Vec<u32>> {
    let mut random = Seeded::new(2, 0);
    let row = |_| {
        let mut row = vec![random.below(11) as u32, random.below(11) as u32];
        for at in 2..20 {
            row.push((row[at - 1] + row[at - 2]) % 11);
        }
        row
    };
    (0..300).map(row).collect()
}

#[test]
fn it_learns_a_rule_over_two_items_that_no_pair_shows() {
    let model = fit(&sums(), 11, &["width=32", "epochs=100", "dropout=0.1"]);
    let mut right = 0;
    for (a, b) in (0..11).flat_map(|a| (0..11).map(move |b| (a, b))) {
        let mut items = vec![a, b];
        while items.len() < 9 {
            items.push((items[items.len() - 1] + items[items.len() - 2]) % 11);
        }
        let wanted = (items[8] + items[7]) % 11;
        let items = history(&items);
        let prepared = model.prepare(&ModelQuery::new(&items));
        let mut best = Vec::new();
        model.retrieve(&prepared, 1, &|_| true, &mut best);
        right += usize::from(best[0].item == wanted);
    }
    assert!(right >= 110, "{right} of 121");
}

#[test]
fn a_sampled_loss_learns_the_order_too() {
    let cycle: Vec<Vec<u32>> = (0..80_u32)
        .map(|user| (0..12).map(|step| (user + step) % 40).collect())
        .collect();
    let params = ["width=32", "epochs=100", "full_items=1", "negatives=8"];
    let model = fit(&cycle, 40, &params);
    for item in 0..40 {
        let items = history(&[(item + 38) % 40, (item + 39) % 40, item]);
        let prepared = model.prepare(&ModelQuery::new(&items));
        let mut best = Vec::new();
        let is_new = |other| items.iter().all(|entry| entry.item != other);
        model.retrieve(&prepared, 1, &is_new, &mut best);
        assert_eq!(best[0].item, (item + 1) % 40);
    }
}

#[test]
fn only_the_newest_items_count() {
    let model = fit(&sums(), 11, &["width=32", "epochs=1", "length=4"]);
    let long = history(&[9, 8, 7, 1, 2, 3, 5]);
    let query = ModelQuery::new(&long);
    let short = ModelQuery::new(&long[3..]);
    assert_eq!(model.prepare(&query), model.prepare(&short));
}

/// A network of weights so large that nothing is nearly linear, in the form that serves.
struct Network {
    parameters: Parameters,
    packed: Vec<PackedBlock>,
}

impl Network {
    fn random() -> Self {
        let mut parameters = Parameters::initial(&SHAPE, 3);
        let mut random = Seeded::new(7, 0);
        let weights = parameters.items.iter_mut().chain(&mut parameters.rest);
        weights.for_each(|weight| *weight += 0.2 * random.normal());
        let mut packed = Vec::new();
        packed.resize_with(SHAPE.blocks, PackedBlock::default);
        for (number, block) in packed.iter_mut().enumerate() {
            block.forward(&SHAPE, number, &parameters.rest);
        }
        Self { parameters, packed }
    }

    fn ready(&self) -> Ready<'_> {
        Ready {
            isa: Isa::detect(),
            shape: &SHAPE,
            vectors: &self.parameters.items,
            rest: &self.parameters.rest,
            packed: &self.packed,
        }
    }

    /// What the training's pass makes of the newest of `items`.
    fn answer(&self, items: &[u32]) -> Vec<f32> {
        let newest = &items[items.len().saturating_sub(SHAPE.length)..];
        let mut tape = Tape::default();
        tape.load(std::iter::once(newest));
        tape.forward(self.ready(), &mut Dropout::none());
        tape.last.out[(newest.len() - 1) * SHAPE.width..].to_vec()
    }

    fn model(&self) -> SequenceModel {
        let ids = (0..SHAPE.items).map(|item| item.to_string()).collect();
        SequenceModel::new(ids, SHAPE, self.parameters.clone())
    }
}

fn random_items(random: &mut Seeded, count: usize) -> Vec<u32> {
    (0..count)
        .map(|_| random.below(SHAPE.items) as u32)
        .collect()
}

#[test]
fn a_history_that_grows_under_many_threads_gets_the_answers_of_whole_passes() {
    let network = Network::random();
    let model = network.model();
    // Threads in pairs ask for the same histories; some steps bring several items, and in the end
    // the window slides.
    let ask = |thread: u64| {
        let mut random = Seeded::new(11, thread / 2);
        for _ in 0..4 {
            let mut items = random_items(&mut random, 1 + 12 * (thread / 2) as usize);
            while items.len() < SHAPE.length + 10 {
                let asked = history(&items);
                let Prepared::Vector(answer) = model.prepare(&ModelQuery::new(&asked)) else {
                    panic!("no answer to {} items", items.len());
                };
                let pairs = answer.iter().zip(network.answer(&items));
                let is_same = pairs.map(|(got, wanted)| got.to_bits() == wanted.to_bits());
                assert!(is_same.fold(true, BitAnd::bitand), "{} items", items.len());
                let count = 1 + random.below(8) / 7 * 20;
                items.extend(random_items(&mut random, count));
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..6 {
            scope.spawn(move || ask(thread));
        }
    });
}

#[test]
fn a_state_serves_what_begins_like_it_and_nothing_else() {
    let network = Network::random();
    let recent = RecentStates::within(1 << 20);
    let state = |items: &[u32]| State::after(network.ready(), items, None);
    let found = |items: &[u32]| recent.longest(items).map(|state| state.items().to_vec());
    recent.hold(state(&[1, 2]), None);
    let short = recent.longest(&[1, 2, 3]);
    assert_eq!(found(&[1, 2]), Some(vec![1, 2]));
    assert_eq!(found(&[2, 1, 2]), None);
    assert_eq!(found(&[1, 3]), None);
    recent.hold(state(&[1, 2, 3]), short.as_deref());
    assert_eq!(found(&[1, 2, 3, 4]), Some(vec![1, 2, 3]));
    assert_eq!(
        found(&[1, 2]),
        None,
        "of what grows only the newest is held"
    );
}

#[test]
fn the_least_recently_used_states_go_when_the_bytes_are_full() {
    let network = Network::random();
    let state = |item: u32| State::after(network.ready(), &[item], None);
    let recent = RecentStates::within(3 * state(0).bytes());
    for item in [0, 1, 2, 0] {
        recent
            .longest(&[item])
            .is_none()
            .then(|| recent.hold(state(item), None));
    }
    recent.hold(state(3), None);
    let is_held = |item: &u32| recent.longest(&[*item]).is_some();
    assert_eq!((0..4).filter(is_held).collect::<Vec<u32>>(), [0, 2, 3]);
    assert_eq!(recent.bytes(), 3 * state(0).bytes());
}
