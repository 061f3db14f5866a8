//! Times what a request asks of iALS: fold-in of a 200-item history, and the scan of 40,000 items.
//! And of `sequence`: the network over a history never seen before, and over one that has grown by
//! an item since it was asked about; how well it was trained makes no difference.
//!
//! `cargo run --release -p nowcast-models --example serving_speed -- [factors] [items]`
#![allow(clippy::print_stdout)]

use nowcast_models::seeded::Seeded;
use nowcast_models::{
    HistoryItem, InteractionsBuilder, Model, ModelQuery, Params, Prepared, trainer,
};
use std::time::Instant;

fn median_us(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..301)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn random_history(random: &mut Seeded, len: usize, items: usize) -> Vec<HistoryItem> {
    let entry = |_| HistoryItem {
        item: random.below(items) as u32,
        weight: 1.0,
        age_s: 0,
    };
    (0..len).map(entry).collect()
}

fn sequence_model(items: usize) -> Box<dyn Model> {
    let ids = (0..items).map(|i| format!("item{i}")).collect();
    let mut builder = InteractionsBuilder::new(ids).with_repeats();
    let mut random = Seeded::new(2, 1);
    for user in 0..50 {
        for _ in 0..20 {
            builder.push(user, random.below(items) as u32, 1.0, 0);
        }
    }
    let params = Params::new().with("epochs", 1);
    let fitted = trainer("sequence").and_then(|t| t.fit(&builder.build(), &params, 1, &()));
    fitted.expect("the data are usable")
}

fn time_sequence() {
    let items = 4_000;
    let model = sequence_model(items);
    let mut random = Seeded::new(3, 1);
    for len in [20, 50, 100, 200] {
        let mut all: Vec<_> = (0..301)
            .map(|_| random_history(&mut random, len, items))
            .collect();
        let mut histories = all.iter_mut();
        let unseen = median_us(|| {
            let history = histories.next().expect("as many as runs");
            history.pop();
            std::hint::black_box(model.prepare(&ModelQuery::new(history)));
        });
        let mut histories = all.iter_mut();
        let grown = median_us(|| {
            let history = histories.next().expect("as many as runs");
            history.push(random_history(&mut random, 1, items)[0]);
            std::hint::black_box(model.prepare(&ModelQuery::new(history)));
        });
        println!("sequence {len:<4} {unseen:>9.1} us, after one more item {grown:>9.1} us");
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (factors, items) = (number(64), number(40_000));
    let ids = (0..items).map(|i| format!("item{i}")).collect();
    let mut builder = InteractionsBuilder::new(ids);
    let mut random = Seeded::new(1, 1);
    for user in 0..20_000_u32 {
        for _ in 0..25 {
            let skewed = random.uniform().powi(3);
            builder.push(user, (skewed * items as f64) as u32, 1.0, 0);
        }
    }
    let params = Params::new().with("factors", factors).with("sweeps", 2);
    let start = Instant::now();
    let fitted = trainer("ials").and_then(|t| t.fit(&builder.build(), &params, 1, &()));
    let model = fitted.expect("the data are usable");
    println!("fit           {:>9.2} s", start.elapsed().as_secs_f64());

    let history = random_history(&mut random, 200, items);
    let query = ModelQuery::new(&history);
    let fold_in = median_us(|| {
        std::hint::black_box(model.prepare(&query));
    });
    let prepared = model.prepare(&query);
    let mut out = Vec::new();
    let retrieve = median_us(|| model.retrieve(&prepared, 100, &|i| i % 50 != 0, &mut out));
    let batch: Vec<Prepared> = vec![prepared.clone(); 16];
    let mut lists = Vec::new();
    let batched = median_us(|| model.retrieve_batch(&batch, 100, &|_, i| i % 50 != 0, &mut lists));
    let candidates: Vec<u32> = (0..500).map(|_| random.below(items) as u32).collect();
    let mut scores = vec![0.0; 500];
    let score = median_us(|| model.score(&prepared, &candidates, &mut scores));
    println!("fold-in 200   {fold_in:>9.1} us");
    println!("retrieve 100  {retrieve:>9.1} us");
    println!("  of 16       {:>9.1} us each", batched / 16.0);
    println!("score 500     {score:>9.1} us");
    time_sequence();
}
