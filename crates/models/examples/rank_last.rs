//! Trains a model on a file of `user item item ...` lines and ranks one item near each line's end.
//!
//! `zstdcat F | cargo run --release -p nowcast-models --example rank_last -- MODEL BACK SEED [name=value ...]`
//!
//! With BACK 1 the last item is ranked and training sees all but the last two; with BACK 2 the last
//! but one is ranked and training sees all but the last three, for choosing parameters. Items that
//! the user had before are masked.
#![allow(clippy::print_stdout)]

#[path = "measuring/lines.rs"]
mod lines;

use nowcast_models::{
    HistoryItem, InteractionsBuilder, Model, ModelQuery, Params, Progress, trainer,
};
use rayon::prelude::*;
use std::time::Instant;

struct Steps(Instant);

impl Progress for Steps {
    fn report(&self, done: u64, total: u64, what: &str) {
        if done == total {
            let seconds = self.0.elapsed().as_secs_f64();
            println!("{seconds:7.1} s  {total} {what}");
        }
    }
}

/// The place of the last item of `row` in the list of the others, if it is among the first ten.
fn place(model: &dyn Model, row: &[u32]) -> Option<usize> {
    let (target, before) = row.split_last()?;
    let entry = |item: &u32| HistoryItem {
        item: *item,
        weight: 1.0,
        age_s: 0,
    };
    let history: Vec<HistoryItem> = before.iter().map(entry).collect();
    let prepared = model.prepare(&ModelQuery::new(&history));
    let mut list = Vec::new();
    model.retrieve(&prepared, 10, &|item| !before.contains(&item), &mut list);
    list.iter().position(|scored| scored.item == *target)
}

fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("MODEL BACK SEED");
    let (name, back, seed) = (word(), word(), word());
    let back: usize = back.parse().expect("BACK is 1 or 2");
    let seed: u64 = seed.parse().expect("SEED is a number");
    let pairs: Vec<String> = words.collect();
    let params = Params::from_pairs(&pairs).expect("name=value");

    let (ids, mut rows) = lines::read();
    for row in &mut rows {
        row.truncate((row.len() + 1).saturating_sub(back));
    }
    rows.retain(|row| row.len() >= 2);
    let mut builder = InteractionsBuilder::new(ids).with_repeats();
    for (user, row) in (0_u32..).zip(&rows) {
        for &item in &row[..row.len() - 2] {
            builder.push(user, item, 1.0, 0);
        }
    }
    let data = builder.build();
    let steps = Steps(Instant::now());
    let fitted = trainer(&name).and_then(|t| t.fit(&data, &params, seed, &steps));
    let model = fitted.expect("the data are usable");
    let seconds = steps.0.elapsed().as_secs_f64();
    println!(
        "trained in {seconds:.1} s, {} MB",
        model.bytes() / 1_000_000
    );

    let start = Instant::now();
    let places: Vec<Option<usize>> = rows.par_iter().map(|row| place(&*model, row)).collect();
    let seconds = start.elapsed().as_secs_f64();
    let found = || places.iter().flatten();
    let mean = |sum: f64| sum / places.len() as f64;
    let at_five = found().filter(|place| **place < 5).count();
    let gain: f64 = found()
        .map(|place| 1.0 / (*place as f64 + 2.0).log2())
        .sum();
    println!(
        "{name} {} seed {seed}: HR@5 {:.4} HR@10 {:.4} NDCG@10 {:.4}, {} users in {seconds:.1} s",
        pairs.join(" "),
        mean(at_five as f64),
        mean(found().count() as f64),
        mean(gain),
        places.len()
    );
}
