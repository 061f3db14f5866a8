//! What concurrent queries gain by sharing passes over the codes of a large index.
//!
//! `cargo run --release -p nowcast-models --example shared_passes [ITEMS]`
//!
//! Threads ask for the ten nearest of ITEMS gaussian vectors of 64 values, each one query after the
//! other by the call that a request makes, with a filter that turns down a tenth. Prints a JSON
//! object for each number of threads: queries a second, queries per second of CPU, and how long one
//! waits. One thread has nobody to share with.
#![allow(clippy::print_stdout)]

use nowcast_models::seeded::Seeded;
use nowcast_models::vector_index::VectorIndex;
use std::thread;
use std::time::{Duration, Instant};

const SIDE: usize = 64;
const K: usize = 10;
const THREADS: [u64; 5] = [1, 2, 4, 8, 32];
const DURATION: Duration = Duration::from_secs(4);

fn main() {
    let items = std::env::args().nth(1);
    let items = items.map_or(1_000_000, |items| items.parse().expect("ITEMS is a number"));
    let index = VectorIndex::new(vectors(0, items), SIDE);
    for threads in THREADS {
        let start = Instant::now();
        let asked: Vec<Asked> = thread::scope(|scope| {
            let ask = |number| {
                let index = &index;
                scope.spawn(move || ask(index, &vectors(number, 100)))
            };
            let asking: Vec<_> = (1..=threads).map(ask).collect();
            let joined = asking.into_iter().map(|one| one.join().expect("no panic"));
            joined.collect()
        });
        let elapsed_s = start.elapsed().as_secs_f64();
        let cpu_s: f64 = asked.iter().map(|asked| asked.cpu_s).sum();
        let mut waits_ms: Vec<f64> = asked.into_iter().flat_map(|asked| asked.waits_ms).collect();
        waits_ms.sort_by(f64::total_cmp);
        let (queries, last) = (waits_ms.len() as f64, waits_ms.len() - 1);
        println!(
            "{{\"items\": {items}, \"threads\": {threads}, \"per_second\": {:.0}, \
             \"per_cpu_second\": {:.0}, \"p50_ms\": {:.2}, \"p99_ms\": {:.2}}}",
            queries / elapsed_s,
            queries / cpu_s,
            waits_ms[last / 2],
            waits_ms[last * 99 / 100],
        );
    }
}

struct Asked {
    waits_ms: Vec<f64>,
    cpu_s: f64,
}

fn ask(index: &VectorIndex, queries: &[f32]) -> Asked {
    let (start, cpu_start_s) = (Instant::now(), cpu_s());
    let mut waits_ms = Vec::new();
    for query in queries.chunks(SIDE).cycle() {
        let begun = Instant::now();
        let found = index.nearest(&[query], K, &|_, item| item % 10 != 0);
        waits_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(found[0].len(), K);
        if start.elapsed() > DURATION {
            break;
        }
    }
    let cpu_s = cpu_s() - cpu_start_s;
    Asked { waits_ms, cpu_s }
}

/// Equal `stream`s are equal vectors.
fn vectors(stream: u64, count: usize) -> Vec<f32> {
    let mut random = Seeded::new(1, stream);
    (0..count * SIDE).map(|_| random.normal()).collect()
}

/// What this thread has had of a CPU; Linux keeps it.
fn cpu_s() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let first = line.split_whitespace().next();
    let ns: u64 = first
        .and_then(|n| n.parse().ok())
        .expect("it begins with a number");
    ns as f64 / 1e9
}
