//! Times the ten nearest of many vectors on one thread, for `docs/compare/retrieval.py`, which asks
//! hnswlib and faiss for the same.
//!
//! `cargo run --release -p nowcast-models --example retrieval_speed -- FOLDER SHAPE ITEMS [FILE]`
//!
//! SHAPE is `gaussian` (independent normal values), `clustered` (around 1,000 directions of uneven
//! size, with lengths that vary) or `ials`: item and user vectors as iALS learns them from FILE, one
//! user a line, the user's number and then those of the items. Leaves `items.f32`, `queries.f32` and
//! `truth.u32` in FOLDER; then every line of standard input is one round, answered by a JSON object.
//! Recall is against inner products in `f32`. The queries that choose the cells are others than those
//! that are measured. Time is the thread's on the CPU.
#![allow(clippy::print_stdout)]

#[path = "measuring/factors.rs"]
mod factors;

use nowcast_models::seeded::Seeded;
use nowcast_models::top_k::TopK;
use nowcast_models::vector_index::VectorIndex;
use nowcast_models::{HistoryItem, InteractionsBuilder, ModelQuery, Params, Prepared, trainer};
use rayon::prelude::*;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

const SIDE: usize = 64;
const K: usize = 10;
/// Queries that choose and measure the cells, and those measured here.
const EXAMPLES: usize = 1024;
const QUERIES: usize = 1000;
/// Queries of a batch, as of concurrent requests.
const BATCH: usize = 16;
const CENTRES: usize = 1000;
/// How far clustered vectors stray from their direction, and how their lengths vary (log-normally).
const SPREAD: f32 = 0.7;
const LENGTHS: f32 = 0.3;

struct Data {
    items: Vec<f32>,
    examples: Vec<f32>,
    queries: Vec<f32>,
}

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, shape, items, file @ ..] = args.as_slice() else {
        panic!("FOLDER, SHAPE and ITEMS are needed");
    };
    let items = items.parse().expect("ITEMS is a number");
    let drawn = |stream, count| vectors(shape == "clustered", stream, count);
    let data = match shape.as_str() {
        "gaussian" | "clustered" => Data {
            items: drawn(1, items),
            examples: drawn(2, EXAMPLES),
            queries: drawn(3, QUERIES),
        },
        "ials" => learnt(&std::fs::read_to_string(
            file.first().expect("FILE is needed"),
        )?),
        _ => panic!("SHAPE is gaussian, clustered or ials"),
    };
    let queries: Vec<&[f32]> = data.queries.chunks(SIDE).collect();
    let truth: Vec<Vec<u32>> = queries
        .par_iter()
        .map(|query| best(&data.items, query))
        .collect();
    leave(Path::new(folder), &data, &truth)?;
    let start = Instant::now();
    let index = VectorIndex::with_cells(data.items.clone(), SIDE, &data.examples);
    let build_s = start.elapsed().as_secs_f64();
    let exhaustive = VectorIndex::new(data.items, SIDE);
    let share = index.share_scanned();
    let recall = index
        .recall()
        .map_or("null".to_owned(), |recall| recall.to_string());
    println!(
        "{{\"build_s\": {build_s:.1}, \"share_of_cells\": {share:.4}, \"recall_at_build\": {recall}}}"
    );
    for _ in std::io::stdin().lines() {
        let single = ask(&index, &queries, 1, &truth);
        let batched = ask(&index, &queries, BATCH, &truth);
        let scan = ask(&exhaustive, &queries, 1, &truth);
        let scan_batched = ask(&exhaustive, &queries, BATCH, &truth);
        println!(
            "{{\"index\": {single}, \"index_batched\": {batched}, \"scan\": {scan}, \
             \"scan_batched\": {scan_batched}}}"
        );
    }
    Ok(())
}

/// Equal `stream`s are equal vectors.
fn vectors(is_clustered: bool, stream: u64, count: usize) -> Vec<f32> {
    let mut random = Seeded::new(1, stream);
    let mut centres = Seeded::new(1, u64::MAX);
    let centres: Vec<f32> = (0..CENTRES * SIDE).map(|_| centres.normal()).collect();
    let mut all = Vec::with_capacity(count * SIDE);
    for _ in 0..count {
        if !is_clustered {
            all.extend((0..SIDE).map(|_| random.normal()));
            continue;
        }
        let length = (LENGTHS * random.normal()).exp() / (SIDE as f32).sqrt();
        // Uniform in the logarithm: the first direction is the most frequent.
        let drawn = (CENTRES as f64).powf(random.uniform()) as usize - 1;
        let centre = &centres[drawn * SIDE..][..SIDE];
        let strayed = centre
            .iter()
            .map(|v| length * (v + SPREAD * random.normal()));
        all.extend(strayed);
    }
    all
}

/// Item vectors of a model of `lines`, and vectors of its users.
fn learnt(lines: &str) -> Data {
    let rows: Vec<Vec<u32>> = lines
        .lines()
        .map(|line| {
            let numbers = line.split_whitespace().skip(1);
            numbers.map(|n| n.parse().expect("a number")).collect()
        })
        .collect();
    let items = 1 + rows.iter().flatten().max().copied().unwrap_or(0);
    let ids = (0..items).map(|item| item.to_string()).collect();
    let mut builder = InteractionsBuilder::new(ids);
    for (user, row) in (0_u32..).zip(&rows) {
        row.iter()
            .for_each(|item| builder.push(user, *item, 1.0, 0));
    }
    let params = Params::new().with("factors", SIDE);
    let fitted = trainer("ials").and_then(|t| t.fit(&builder.build(), &params, 1, &()));
    let model = fitted.expect("the data are usable");
    let vectors = factors::of_items(&*model, SIDE);
    let users = |first: usize, count: usize| -> Vec<f32> {
        let step = (rows.len() / 2 / count).max(1);
        let rows = rows.iter().skip(first).step_by(2 * step).take(count);
        let vector = |row: &Vec<u32>| {
            let entry = |item: &u32| HistoryItem {
                item: *item,
                weight: 1.0,
                age_s: 0,
            };
            let history: Vec<HistoryItem> = row.iter().map(entry).collect();
            match model.prepare(&ModelQuery::new(&history)) {
                Prepared::Vector(user) => user,
                _ => Vec::new(),
            }
        };
        rows.flat_map(vector).collect()
    };
    Data {
        items: vectors,
        examples: users(0, EXAMPLES),
        queries: users(1, QUERIES),
    }
}

/// The true best, by sums in `f32`.
fn best(items: &[f32], query: &[f32]) -> Vec<u32> {
    let mut top = TopK::new(K);
    for (item, vector) in items.chunks_exact(SIDE).enumerate() {
        let mut sums = [0.0_f32; 16];
        for (left, right) in vector.chunks_exact(16).zip(query.chunks_exact(16)) {
            for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
                *sum += left * right;
            }
        }
        top.push(item as u32, sums.iter().sum());
    }
    let mut best = Vec::new();
    top.finish_into(&mut best);
    best.iter().map(|scored| scored.item).collect()
}

fn leave(folder: &Path, data: &Data, truth: &[Vec<u32>]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    write(
        &folder.join("items.f32"),
        data.items.iter().map(|v| v.to_le_bytes()),
    )?;
    write(
        &folder.join("queries.f32"),
        data.queries.iter().map(|v| v.to_le_bytes()),
    )?;
    write(
        &folder.join("truth.u32"),
        truth.iter().flatten().map(|v| v.to_le_bytes()),
    )
}

fn write(path: &Path, values: impl Iterator<Item = [u8; 4]>) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    for value in values {
        out.write_all(&value)?;
    }
    out.flush()
}

/// Asks all, `at_once` at a time: `{"queries_per_cpu_second": …, "recall": …}`.
fn ask(index: &VectorIndex, queries: &[&[f32]], at_once: usize, truth: &[Vec<u32>]) -> String {
    let start = cpu_ns();
    let parts = queries.chunks(at_once);
    let found: Vec<_> = parts
        .flat_map(|part| index.nearest(part, K, &|_, _| true))
        .collect();
    let spent_s = (cpu_ns() - start) as f64 / 1e9;
    let hits = found.iter().zip(truth).map(|(found, truth)| {
        let is_true = |item: u32| truth.contains(&item);
        found.iter().filter(|scored| is_true(scored.item)).count()
    });
    let recall = hits.sum::<usize>() as f64 / (truth.len() * K) as f64;
    let rate = queries.len() as f64 / spent_s;
    format!("{{\"queries_per_cpu_second\": {rate:.1}, \"recall\": {recall:.4}}}")
}

/// What this thread has had of a CPU; Linux keeps it.
fn cpu_ns() -> u64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let first = line.split_whitespace().next();
    first
        .and_then(|n| n.parse().ok())
        .expect("it begins with a number")
}
