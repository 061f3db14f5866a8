//! Alternates iALS one sweep at a time on request, for a comparison with other programs.
//!
//! `cargo run --release -p nowcast-models --example ials_speed -- FILE UNOBSERVED_WEIGHT RIDGE [factors]`
//!
//! FILE holds pairs of user and item, each a little-endian `u32`; `docs/compare/implicit_als.py`
//! makes one and drives this program. It answers the line `step` with the CPU and wall seconds of
//! one sweep over users and items, and `write USERS ITEMS` with factors as little-endian `f32`:
//! those of the items after the last sweep and of the users that they were solved for.
#![allow(clippy::print_stdout)]

#[path = "measuring/cpu.rs"]
mod cpu;
#[path = "measuring/factors.rs"]
mod factors;

use cpu::cpu_s;
use nowcast_models::{
    HistoryItem, Interactions, InteractionsBuilder, Model, ModelQuery, Params, Prepared, Progress,
    Trainer, trainer,
};
use std::io::{BufRead, Write};
use std::sync::Mutex;
use std::time::Instant;

/// CPU and wall seconds at each report.
struct Clock(Instant, Mutex<Vec<(f64, f64)>>);

impl Clock {
    /// From the first to the last report.
    fn sweep(&self) -> (f64, f64) {
        let reports = self.1.lock().expect("no panic");
        let (first, last) = (reports[0], reports[reports.len() - 1]);
        (last.0 - first.0, last.1 - first.1)
    }
}

impl Progress for Clock {
    fn report(&self, _: u64, _: u64, _: &str) {
        let now = (cpu_s(), self.0.elapsed().as_secs_f64());
        self.1.lock().expect("no panic").push(now);
    }
}

fn read(path: &str) -> Interactions {
    let bytes = std::fs::read(path).expect("a readable file");
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let pairs = bytes.chunks_exact(8);
    let pairs = pairs.map(|pair| (number(&pair[..4]), number(&pair[4..])));
    let items = pairs.clone().map(|(_, item)| item).max().expect("a pair");
    let mut builder = InteractionsBuilder::new((0..=items).map(|i| i.to_string()).collect());
    for (user, item) in pairs {
        builder.push(user, item, 1.0, 0);
    }
    builder.build()
}

fn user_factors(model: &dyn Model, data: &Interactions, factors: usize) -> Vec<f32> {
    let mut all = vec![0.0; data.users_len() * factors];
    for (row, out) in data.rows().zip(all.chunks_exact_mut(factors)) {
        let entry = |&item| HistoryItem {
            item,
            weight: 1.0,
            age_s: 0,
        };
        let history: Vec<HistoryItem> = row.items.iter().map(entry).collect();
        if let Prepared::Vector(user) = model.prepare(&ModelQuery::new(&history)) {
            out.copy_from_slice(&user[..factors]);
        }
    }
    all
}

fn write(path: &str, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path, bytes).expect("a writable file");
}

fn next(trainer: &dyn Trainer, earlier: Option<&dyn Model>, with: &Given) -> Box<dyn Model> {
    let clock = Clock(Instant::now(), Mutex::default());
    let model = match earlier {
        None => trainer.fit(&with.data, &with.params, 1, &clock),
        Some(earlier) => {
            let mut artifact = Vec::new();
            earlier.encode(&mut artifact);
            let refreshed = trainer.refresh(&artifact, &with.data, &with.params, &clock);
            refreshed.map(|model| model.expect("the same factors"))
        }
    };
    let (cpu, wall) = clock.sweep();
    println!("{cpu:.2} {wall:.2}");
    model.expect("the data are usable")
}

struct Given {
    data: Interactions,
    params: Params,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let factors: usize = args.get(3).map_or(64, |f| f.parse().expect("a number"));
    let params = Params::new()
        .with("factors", factors)
        .with("sweeps", 1)
        .with("unobserved_weight", &args[1])
        .with("regularisation", 0)
        .with("ridge", &args[2])
        .with("weight_exponent", 0);
    let data = read(&args[0]);
    let given = Given { data, params };
    let trainer = trainer("ials").expect("it exists");
    let mut before: Option<Box<dyn Model>> = None;
    let mut model: Option<Box<dyn Model>> = None;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("text");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["step"] => {
                let after = next(trainer, model.as_deref(), &given);
                before = model.replace(after);
            }
            ["write", users, items] => {
                let (Some(before), Some(model)) = (&before, &model) else {
                    panic!("two steps come first");
                };
                write(users, &user_factors(&**before, &given.data, factors));
                write(items, &factors::of_items(&**model, factors));
                println!("written");
            }
            _ => panic!("step or write"),
        }
        std::io::stdout().flush().expect("a reader");
    }
}
