//! `nowcast bench retrieval`: the ten best of many vectors, on one core, and what hnswlib and
//! faiss need for the same queries where a command for them is given.
//!
//! Ours is timed twice, by the CPU clock of its thread: in cells, one query at a time, and as the
//! exhaustive 8-bit scan of sixteen queries a pass. Recall is against the inner products in `f32`.
//! Cells are chosen on queries of their own, not on those measured. Rounds of all are interleaved.

use super::retrieval_data::{SIDE, Shape, vectors, write};
use super::{BenchOptions, median};
use crate::cli::Shared;
use crate::measure::child::run as run_child;
use crate::measure::cpu::this_thread;
use crate::measure::scratch::Scratch;
use crate::progress;
use anyhow::Context;
use clap::Args;
use nowcast_models::Scored;
use nowcast_models::top_k::TopK;
use nowcast_models::vector_index::VectorIndex;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

const K: usize = 10;
/// Queries that choose and measure the cells.
const EXAMPLES: usize = 1024;

/// Flags of `bench retrieval`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  nowcast bench retrieval --items 100000 --compare 'python3 docs/compare/retrieval.py'")]
pub struct RetrievalArgs {
    /// Vectors to search.
    #[arg(long, default_value_t = 100_000)]
    items: usize,
    /// How they are distributed.
    #[arg(long, value_enum, default_value_t = Shape::Clustered)]
    shape: Shape,
    /// Command that asks hnswlib and faiss, such as `python3 docs/compare/retrieval.py`.
    #[arg(long, value_name = "COMMAND")]
    compare: Option<String>,
}

#[derive(Debug, Serialize)]
struct RetrievalResult {
    items: usize,
    shape: Shape,
    queries: usize,
    rounds: usize,
    /// None where cells would save too little.
    share_of_cells: Option<f64>,
    recall_at_build: Option<f32>,
    recall: f64,
    queries_per_cpu_second: f64,
    exhaustive_recall: f64,
    exhaustive_queries_per_cpu_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Compared>,
}

#[derive(Debug, Serialize)]
struct Compared {
    hnsw: Option<serde_json::Value>,
    faiss_flat: serde_json::Value,
    ratio_to_hnsw: Option<f64>,
    cpu_of_faiss_flat: f64,
}

/// Runs it.
///
/// # Errors
/// A scratch folder that cannot be written, or a command that fails.
pub fn run(shared: &Shared, options: &BenchOptions, args: &RetrievalArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.items >= K, "--items is at least {K}");
    let output = shared.output();
    let (rounds, count) = if options.quick { (3, 500) } else { (5, 2000) };
    let make = |stream, count| vectors(args.shape, options.seed, stream, count);
    let (items, examples, queries) = (make(1, args.items), make(2, EXAMPLES), make(3, count));
    let truth: Vec<Vec<Scored>> = queries.chunks(SIDE).map(|q| best(&items, q)).collect();
    let scratch = Scratch::new(&options.scratch, "retrieval")?;
    if args.compare.is_some() {
        leave(scratch.path(), &items, &queries, &truth)?;
    }
    let cells = VectorIndex::with_cells(items.clone(), SIDE, &examples);
    let all = VectorIndex::new(items, SIDE);
    let queries: Vec<&[f32]> = queries.chunks(SIDE).collect();
    let mut tally = Tally::default();
    let bar = progress::bar(output, rounds as u64, "rounds");
    for _ in 0..rounds {
        let (found, spent) = ask(&cells, &queries, 1)?;
        tally.cells.push(count as f64 / spent.as_secs_f64());
        tally.recall = recall(&found, &truth);
        if let Some(command) = &args.compare {
            tally.others(command, scratch.path())?;
        }
        let (found, spent) = ask(&all, &queries, 16)?;
        tally.all.push(count as f64 / spent.as_secs_f64());
        tally.recall_of_all = recall(&found, &truth);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let rate = median(&mut tally.cells);
    let result = RetrievalResult {
        items: args.items,
        shape: args.shape,
        queries: count,
        rounds,
        share_of_cells: cells.recall().map(|_| cells.share_scanned()),
        recall_at_build: cells.recall(),
        recall: tally.recall,
        queries_per_cpu_second: rate,
        exhaustive_recall: tally.recall_of_all,
        exhaustive_queries_per_cpu_second: median(&mut tally.all),
        compared: tally.compared(rate),
    };
    output.result(&result, describe)
}

fn describe(r: &RetrievalResult) -> String {
    let ours = format!(
        "retrieval of {K} among {} ({:?}): {:.0} queries per CPU second at recall {:.4}; exhaustive \
         {:.0} at {:.4}",
        r.items,
        r.shape,
        r.queries_per_cpu_second,
        r.recall,
        r.exhaustive_queries_per_cpu_second,
        r.exhaustive_recall
    );
    let Some(compared) = &r.compared else {
        return ours;
    };
    format!(
        "{ours}\nhnswlib: {}, ours {:.2}x as fast\nfaiss flat: {}, ours {:.3} of its CPU",
        compared
            .hnsw
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        compared.ratio_to_hnsw.unwrap_or(0.0),
        compared.faiss_flat,
        compared.cpu_of_faiss_flat
    )
}

/// Queries per CPU second of each round.
#[derive(Default)]
struct Tally {
    cells: Vec<f64>,
    all: Vec<f64>,
    recall: f64,
    recall_of_all: f64,
    hnsw: Vec<f64>,
    flat: Vec<f64>,
    last: Option<serde_json::Value>,
}

impl Tally {
    fn others(&mut self, command: &str, folder: &Path) -> anyhow::Result<()> {
        let done = run_child(command, &[&folder.to_string_lossy()])?;
        let line = done.output.lines().find(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("no result in:\n{}", done.output))?;
        let said: serde_json::Value = serde_json::from_str(line).context("not JSON")?;
        let rate = |name: &str| said[name]["queries_per_cpu_second"].as_f64();
        self.hnsw.extend(rate("hnsw"));
        self.flat
            .push(rate("faiss_flat").context("no rate of faiss")?);
        self.last = Some(said);
        Ok(())
    }

    /// The others' last answers with their median rates beside ours.
    fn compared(&mut self, ours: f64) -> Option<Compared> {
        let mut said = self.last.take()?;
        let (hnsw, flat) = (median(&mut self.hnsw), median(&mut self.flat));
        said["faiss_flat"]["queries_per_cpu_second"] = flat.into();
        let has_hnsw = !self.hnsw.is_empty();
        if has_hnsw {
            said["hnsw"]["queries_per_cpu_second"] = hnsw.into();
        }
        Some(Compared {
            hnsw: has_hnsw.then(|| said["hnsw"].take()),
            faiss_flat: said["faiss_flat"].take(),
            ratio_to_hnsw: has_hnsw.then(|| ours / hnsw),
            cpu_of_faiss_flat: flat / ours,
        })
    }
}

/// The true best, by sums in `f32`.
fn best(items: &[f32], query: &[f32]) -> Vec<Scored> {
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
    best
}

fn leave(
    folder: &Path,
    items: &[f32],
    queries: &[f32],
    truth: &[Vec<Scored>],
) -> anyhow::Result<()> {
    write(
        &folder.join("items.f32"),
        items.iter().map(|v| v.to_le_bytes()),
    )?;
    write(
        &folder.join("queries.f32"),
        queries.iter().map(|v| v.to_le_bytes()),
    )?;
    let numbers = truth.iter().flatten().map(|one| one.item.to_le_bytes());
    write(&folder.join("truth.u32"), numbers)
}

fn ask(
    index: &VectorIndex,
    queries: &[&[f32]],
    at_once: usize,
) -> anyhow::Result<(Vec<Vec<Scored>>, Duration)> {
    let started = this_thread()?;
    let parts = queries.chunks(at_once);
    let found = parts
        .flat_map(|part| index.nearest(part, K, &|_, _| true))
        .collect();
    Ok((found, this_thread()? - started))
}

fn recall(found: &[Vec<Scored>], truth: &[Vec<Scored>]) -> f64 {
    let hits: usize = found
        .iter()
        .zip(truth)
        .map(|(found, truth)| {
            let is_found = |item: u32| found.iter().any(|one| one.item == item);
            truth.iter().filter(|one| is_found(one.item)).count()
        })
        .sum();
    hits as f64 / (truth.len() * K).max(1) as f64
}
