//! Trains `sequence` on a file of `user item item ...` lines, prints the curve epoch by epoch, and
//! ranks the last but one item or, with `test` first, the last.
//!
//! `zstdcat F | cargo run --release -p nowcast-models --example sequence_curve -- [test] [name=value ...]`
//!
//! Training never sees the last two items. With `watch` first, the trainer itself is given all but
//! the last and holds out the last but one of 2,000 users, which prints that item's curve.
#![allow(clippy::print_stdout)]

#[path = "measuring/lines.rs"]
mod lines;

use nowcast_models::{
    HistoryItem, InteractionsBuilder, Model, ModelQuery, Params, Progress, trainer,
};
use std::time::Instant;

struct Curve(Instant);

impl Progress for Curve {
    fn report(&self, done: u64, total: u64, what: &str) {
        println!(
            "{:7.1} s  {done}/{total} {what}",
            self.0.elapsed().as_secs_f64()
        );
    }
}

/// Hit rate and discounted gain at 10 of the item `back` from each end, by all before it, with and
/// without what the user had before masked.
fn rank(model: &dyn Model, rows: &[Vec<u32>], back: usize) {
    let items: Vec<u32> = (0..model.items().len() as u32).collect();
    let mut scores = vec![0.0; items.len()];
    let mut sums = [[0.0_f64; 2]; 2];
    let mut users = 0.0;
    for row in rows.iter().filter(|row| row.len() > back) {
        let (before, target) = (&row[..row.len() - back], row[row.len() - back]);
        let entry = |item: &u32| HistoryItem {
            item: *item,
            weight: 1.0,
            age_s: 0,
        };
        let history: Vec<HistoryItem> = before.iter().map(entry).collect();
        let prepared = model.prepare(&ModelQuery::new(&history));
        model.score(&prepared, &items, &mut scores);
        let own = scores[target as usize];
        users += 1.0;
        for sums in &mut sums {
            let rank = scores.iter().filter(|score| **score > own).count();
            if rank < 10 {
                sums[0] += 1.0;
                sums[1] += 1.0 / (rank as f64 + 2.0).log2();
            }
            for seen in before {
                scores[*seen as usize] = f32::MIN;
            }
        }
    }
    for (what, [hits, gain]) in ["nothing masked", "seen masked"].iter().zip(sums) {
        println!(
            "{what}: HR@10 {:.4} NDCG@10 {:.4}",
            hits / users,
            gain / users
        );
    }
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mode = args.first().filter(|arg| !arg.contains('=')).cloned();
    if mode.is_some() {
        args.remove(0);
    }
    let params = Params::from_pairs(&args).expect("parameters are name=value");
    let is_watching = mode.as_deref() == Some("watch");
    let (ids, rows) = lines::read();
    let mut builder = InteractionsBuilder::new(ids).with_repeats();
    for (user, row) in (0_u32..).zip(&rows) {
        let kept = row.len().saturating_sub(if is_watching { 1 } else { 2 });
        for &item in &row[..kept] {
            builder.push(user, item, 1.0, 0);
        }
    }
    let params = if is_watching {
        params.with("held_out", 1)
    } else {
        params
    };
    let data = builder.build();
    let curve = Curve(Instant::now());
    let fitted = trainer("sequence").and_then(|t| t.fit(&data, &params, 1, &curve));
    let model = fitted.expect("the data are usable");
    println!("trained in {:.1} s", curve.0.elapsed().as_secs_f64());
    let start = Instant::now();
    rank(
        &*model,
        &rows,
        if mode.as_deref() == Some("test") {
            1
        } else {
            2
        },
    );
    println!(
        "{} users ranked in {:.1} s",
        rows.len(),
        start.elapsed().as_secs_f64()
    );
}
