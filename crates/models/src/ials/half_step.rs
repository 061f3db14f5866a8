//! Half a sweep: every row of one side solved against the vectors of the other.
//!
//! Rows with many observations are solved one by one (`solver`). Where rows with few are many,
//! the vectors are turned into the basis in which what rows share is a diagonal (`basis`), and those
//! rows are solved sixteen at a time, each as a system as large as it has observations. Both are
//! exact, and neither depends on the number of threads.

use super::basis::Basis;
use super::solver::{Gathered, Observed, Queue, Ridge, RowSystem, scaled_gram, solve_equations};
use crate::kernels::Isa;
use crate::kernels::rows::weighted_rows;
use crate::kernels::short_systems::{SYSTEMS, ShortScratch, ShortSystems, solve_short};
use crate::kernels::table::Table;
use rayon::prelude::*;

/// Short rows from which the turn pays: finding eigenvectors costs as much as hundreds of rows.
const SHORT_ROWS_MIN: usize = 4096;

/// Observations of the longest rows that are solved by their observations; beyond, the full system
/// is cheaper or the small ones outgrow the cache.
const fn short_max(side: usize) -> usize {
    let share = side / 4 * 3;
    if share < 64 { share } else { 64 }
}

/// The rows of one side.
pub(super) trait Rows: Sync {
    /// Number of observations of a row.
    fn len_of(&self, row: usize) -> usize;
    /// Appends the observations of a row.
    fn observe(&self, row: usize, to: &mut Observed);
}

/// Solves rows against the vectors of the other side.
pub(super) struct HalfStep<'a> {
    system: RowSystem<'a>,
    /// The shared part's diagonal if it has nothing else.
    spectrum: Option<&'a [f32]>,
}

/// What a half step reads besides the vectors.
pub(super) struct Shared {
    base: Vec<f32>,
    spectrum: Option<Vec<f32>>,
}

impl Shared {
    /// Prepares for `rows` that observe `others`, and may turn `others`.
    pub(super) fn new(
        rows: &dyn Rows,
        rows_len: usize,
        others: &mut [f32],
        ridge: Ridge,
        basis: &mut Basis,
    ) -> Self {
        let side = basis.side();
        let mut base = scaled_gram(Isa::detect(), others, side, ridge.unobserved_weight);
        let is_short = |row: &usize| (1..=short_max(side)).contains(&rows.len_of(*row));
        if (0..rows_len).filter(is_short).count() < SHORT_ROWS_MIN {
            return Self {
                base,
                spectrum: None,
            };
        }
        let spectrum = basis.turn(&base, others);
        base.fill(0.0);
        for (diagonal, value) in base.iter_mut().step_by(side + 1).zip(&spectrum) {
            *diagonal = *value;
        }
        Self {
            base,
            spectrum: Some(spectrum),
        }
    }

    pub(super) fn step<'a>(&'a self, others: &'a [f32], side: usize, ridge: Ridge) -> HalfStep<'a> {
        HalfStep {
            system: RowSystem {
                isa: Isa::detect(),
                side,
                others,
                base: &self.base,
                ridge,
            },
            spectrum: self.spectrum.as_deref(),
        }
    }
}

impl HalfStep<'_> {
    /// Solves every row of `out`; `false` if a system was singular or a solution not finite.
    pub(super) fn solve_all(&self, rows: &dyn Rows, out: &mut [f32]) -> bool {
        let side = self.system.side;
        // Many rows in a task let short rows of about the same length find each other.
        let rows_per_task = (out.len() / side / 256).clamp(32, 1024);
        let tasks = out.par_chunks_mut(side * rows_per_task).enumerate();
        let solved = tasks.map_init(
            || Memory::new(side),
            |memory, (task, out)| self.solve_task(rows, task * rows_per_task, memory, out),
        );
        solved.reduce(|| true, |a, b| a & b)
    }

    fn solve_task(
        &self,
        rows: &dyn Rows,
        first: usize,
        memory: &mut Memory,
        out: &mut [f32],
    ) -> bool {
        let side = self.system.side;
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for (at, out) in out.chunks_exact_mut(side).enumerate() {
            match rows.len_of(first + at) {
                0 => out.fill(0.0),
                len if self.spectrum.is_some() && len <= short_max(side) => short.push((len, at)),
                len => long.push((len, at)),
            }
        }
        short.sort_unstable();
        let mut observed = std::mem::take(&mut memory.observed);
        observed.clear();
        for (_, at) in long.iter().chain(&short) {
            rows.observe(first + at, &mut observed);
        }
        let mut queue = observed.queue(self.system.others, side);
        let mut all_solved = true;
        for (len, at) in long {
            let (gathered, matrix) = (&mut memory.gathered, &mut memory.matrix);
            let row = &mut out[at * side..][..side];
            let ridge = self
                .system
                .write_equations(&mut queue, len, gathered, matrix, row);
            all_solved &= solve_equations(self.system.isa, matrix, ridge, row);
        }
        if let Some(spectrum) = self.spectrum {
            let mut later = short.as_slice();
            while !later.is_empty() {
                let (batch, rest) = later.split_at(SYSTEMS.min(later.len()));
                later = rest;
                let reach = later.iter().take(SYSTEMS).map(|(len, _)| len).sum();
                all_solved &= self.solve_batch(spectrum, batch, (&mut queue, reach), memory, out);
            }
        }
        memory.observed = observed;
        all_solved
    }

    /// Solves the rows of a batch, whose last is the longest.
    fn solve_batch(
        &self,
        spectrum: &[f32],
        batch: &[(usize, usize)],
        (queue, reach): (&mut Queue<'_>, usize),
        memory: &mut Memory,
        out: &mut [f32],
    ) -> bool {
        let (side, isa) = (self.system.side, self.system.isa);
        let mut ridges = [1.0; SYSTEMS];
        memory.make_room(batch.last().map_or(0, |(len, _)| *len));
        let all = batch.iter().map(|(len, _)| len).sum();
        let (mut seen, mut confidences, ahead) = queue.take(all, reach);
        let others = self.system.others.len() / side;
        for (lane, (len, _)) in batch.iter().enumerate() {
            let (own, rest) = seen.split_at(*len);
            let (own_confidences, rest_confidences) = confidences.split_at(*len);
            let mut frequency = self.system.ridge.frequency_of_none(others);
            for (n, (row, confidence)) in own.iter().zip(own_confidences).enumerate() {
                let root = confidence.abs().sqrt();
                frequency += confidence.abs();
                memory.rows[n][lane] = *row;
                memory.roots[n][lane] = root;
                memory.wanted[n][lane] = if *confidence > 0.0 { root } else { 0.0 };
            }
            ridges[lane] = self.system.ridge.of_frequency(frequency);
            (seen, confidences) = (rest, rest_confidences);
        }
        let systems = ShortSystems {
            table: self.system.others,
            spectrum,
            ridges,
            rows: &memory.rows,
            roots: &memory.roots,
            wanted: &memory.wanted,
            ahead,
        };
        solve_short(isa, systems, &mut memory.short, &mut memory.weights);
        let mut all_solved = true;
        for (lane, (len, at)) in batch.iter().enumerate() {
            memory.own_rows.clear();
            memory.own_weights.clear();
            for n in 0..*len {
                memory.own_rows.push(memory.rows[n][lane]);
                memory.own_weights.push(memory.weights[n][lane]);
            }
            let row = &mut out[at * side..][..side];
            weighted_rows(
                isa,
                row,
                &memory.own_rows,
                &memory.own_weights,
                self.system.others,
            );
            let mut is_finite = true;
            for (value, shared) in row.iter_mut().zip(spectrum) {
                *value /= shared + ridges[lane];
                is_finite &= value.is_finite();
            }
            if !is_finite {
                row.fill(0.0);
            }
            all_solved &= is_finite;
        }
        all_solved
    }
}

/// Memory of one thread.
struct Memory {
    observed: Observed,
    gathered: Gathered,
    matrix: Table,
    short: ShortScratch,
    rows: Vec<[u32; SYSTEMS]>,
    roots: Vec<[f32; SYSTEMS]>,
    wanted: Vec<[f32; SYSTEMS]>,
    weights: Vec<[f32; SYSTEMS]>,
    own_rows: Vec<u32>,
    own_weights: Vec<f32>,
}

impl Memory {
    fn new(side: usize) -> Self {
        Self {
            observed: Observed::default(),
            gathered: Gathered::default(),
            matrix: Table::zeros(side * side),
            short: ShortScratch::default(),
            rows: Vec::new(),
            roots: Vec::new(),
            wanted: Vec::new(),
            weights: Vec::new(),
            own_rows: Vec::new(),
            own_weights: Vec::new(),
        }
    }

    /// Makes room for a batch of rows of at most `longest` observations.
    fn make_room(&mut self, longest: usize) {
        self.rows.clear();
        self.rows.resize(longest, [0; SYSTEMS]);
        for table in [&mut self.roots, &mut self.wanted, &mut self.weights] {
            table.clear();
            table.resize(longest, [0.0; SYSTEMS]);
        }
    }
}
