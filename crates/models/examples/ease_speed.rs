//! Trains `ease` on random interactions of so many items, for a comparison with LAPACK.
//!
//! `cargo run --release -p nowcast-models --example ease_speed -- ITEMS`
//!
//! Prints CPU and wall seconds of the inverse, and of all of it: the Gram matrix (a small part of it:
//! there are only as many interactions as make the dense inverse the cheaper way), the inverse, and
//! the choice of the largest weights of each item. `docs/compare/ease_inverse.py` drives it.
#![allow(clippy::print_stdout)]

#[path = "measuring/cpu.rs"]
mod cpu;

use cpu::cpu_s;
use nowcast_models::{InteractionsBuilder, Params, Progress, trainer};
use std::sync::Mutex;
use std::time::Instant;

/// Interactions of a user.
const EACH: usize = 20;

/// CPU and wall clocks when the first of so many columns was begun, and when all were there.
#[derive(Default)]
struct Inverse(Mutex<Vec<(&'static str, f64, Instant)>>);

impl Progress for Inverse {
    fn report(&self, done: u64, _total: u64, what: &str) {
        let phase = if what == "columns" {
            "inverse"
        } else {
            "choice"
        };
        if done == 0 {
            let mut begun = self.0.lock().expect("one thread reports");
            begun.push((phase, cpu_s(), Instant::now()));
        }
    }
}

fn main() {
    let items: usize = std::env::args()
        .nth(1)
        .and_then(|items| items.parse().ok())
        .expect("a number of items");
    let users = items * items / 90 / EACH + 1;
    let mut builder = InteractionsBuilder::new((0..items).map(|i| i.to_string()).collect());
    let mut state = 1_u64;
    for user in 0..users {
        for _ in 0..EACH {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let item = (state >> 33) as usize % items;
            builder.push(user as u32, item as u32, 1.0, 0);
        }
    }
    let data = builder.build();
    let ease = trainer("ease").expect("a known name");
    let (cpu, wall) = (cpu_s(), Instant::now());
    let inverse = Inverse::default();
    let model = ease
        .fit(&data, &Params::new(), 1, &inverse)
        .expect("usable data");
    let (all_cpu, all) = (cpu_s() - cpu, wall.elapsed().as_secs_f64());
    assert_eq!(model.items().len(), items);
    let begun = inverse.0.into_inner().expect("one thread reports");
    let [("inverse", from, start), ("choice", to, end)] = begun[..] else {
        panic!("the columns were solved otherwise");
    };
    let inverse = end.duration_since(start).as_secs_f64();
    println!("{:.2} {inverse:.2} {all_cpu:.2} {all:.2}", to - from);
}
