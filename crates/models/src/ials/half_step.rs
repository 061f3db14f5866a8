//! Half a sweep: every row of one side solved against the vectors of the other.
//!
//! Rows with many observations get their full systems (`solver`). Where rows with few are many, the
//! vectors are turned into the basis in which what rows share is a diagonal (`basis`), and those rows
//! become systems as large as they have observations. Both are exact, mostly solved sixteen at a time,
//! and neither depends on the number of threads. The order of rows within a task is known from its
//! beginning, so the vectors that come next are asked for while the present ones are computed with.

use super::basis::Basis;
use super::solver::{Gathered, Observed, Queue, Ridge, RowSystem, scaled_gram, solve_equations};
use crate::kernels::Isa;
use crate::kernels::long_systems::{LongScratch, solve_long};
use crate::kernels::short_systems::{ShortScratch, ShortSystems, solve_short};
use crate::kernels::systems::SYSTEMS;
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

/// Sides up to which long rows are solved sixteen at a time: more memory than the second-level cache
/// has would lose what the lanes gain.
const LANES_SIDE_MAX: usize = 64;

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
        let solved = tasks.map_init(Memory::default, |memory, (task, out)| {
            self.solve_task(rows, task * rows_per_task, memory, out)
        });
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
        for batch in long.chunks(SYSTEMS) {
            all_solved &= self.solve_long_batch(batch, &mut queue, memory, out);
        }
        if let Some(spectrum) = self.spectrum {
            let mut later = short.as_slice();
            while !later.is_empty() {
                let (batch, rest) = later.split_at(SYSTEMS.min(later.len()));
                later = rest;
                let reach = later.iter().take(SYSTEMS).map(|(len, _)| len).sum();
                let queue = (&mut queue, reach);
                all_solved &= self.solve_short_batch(spectrum, batch, queue, memory, out);
            }
        }
        memory.observed = observed;
        all_solved
    }

    /// Solves the rows of a batch by their full systems.
    fn solve_long_batch(
        &self,
        batch: &[(usize, usize)],
        queue: &mut Queue<'_>,
        memory: &mut Memory,
        out: &mut [f32],
    ) -> bool {
        let RowSystem { side, isa, .. } = self.system;
        if side > LANES_SIDE_MAX {
            return self.solve_one_by_one(batch, queue, memory, out);
        }
        let mut ridges = [1.0; SYSTEMS];
        let matrices = memory.matrices.room(side * side * SYSTEMS);
        let solutions = memory.solutions.room(side * SYSTEMS);
        let matrix = matrices.chunks_exact_mut(side * side);
        let systems = matrix
            .zip(solutions.chunks_exact_mut(side))
            .zip(&mut ridges);
        for ((len, _), ((matrix, right), ridge)) in batch.iter().zip(systems) {
            let gathered = &mut memory.gathered;
            *ridge = self
                .system
                .write_equations(queue, *len, gathered, matrix, right);
        }
        solve_long(isa, matrices, &ridges, solutions, &mut memory.long);
        write_solutions(solutions, batch, out)
    }

    fn solve_one_by_one(
        &self,
        batch: &[(usize, usize)],
        queue: &mut Queue<'_>,
        memory: &mut Memory,
        out: &mut [f32],
    ) -> bool {
        let RowSystem { side, isa, .. } = self.system;
        let matrix = memory.matrices.room(side * side);
        let mut all_solved = true;
        for (len, at) in batch {
            let (gathered, row) = (&mut memory.gathered, &mut out[at * side..][..side]);
            let ridge = self
                .system
                .write_equations(queue, *len, gathered, matrix, row);
            all_solved &= solve_equations(isa, matrix, ridge, row);
        }
        all_solved
    }

    /// Solves the rows of a batch, whose last is the longest.
    fn solve_short_batch(
        &self,
        spectrum: &[f32],
        batch: &[(usize, usize)],
        (queue, reach): (&mut Queue<'_>, usize),
        memory: &mut Memory,
        out: &mut [f32],
    ) -> bool {
        let RowSystem { side, isa, .. } = self.system;
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
            ahead,
        };
        let solutions = memory.solutions.room(side * SYSTEMS);
        solve_short(
            isa,
            systems,
            &mut memory.wanted,
            &mut memory.short,
            solutions,
        );
        write_solutions(solutions, batch, out)
    }
}

/// Copies solutions to the places of their rows; `false` if one was not finite, it becomes zeros.
fn write_solutions(solutions: &[f32], batch: &[(usize, usize)], out: &mut [f32]) -> bool {
    let side = solutions.len() / SYSTEMS;
    let mut all_finite = true;
    for (solution, (_, at)) in solutions.chunks_exact(side).zip(batch) {
        let out = &mut out[at * side..][..side];
        if solution.iter().all(|value| value.is_finite()) {
            out.copy_from_slice(solution);
        } else {
            out.fill(0.0);
            all_finite = false;
        }
    }
    all_finite
}

/// Memory of one thread.
#[derive(Default)]
struct Memory {
    observed: Observed,
    gathered: Gathered,
    matrices: Table,
    solutions: Table,
    long: LongScratch,
    short: ShortScratch,
    rows: Vec<[u32; SYSTEMS]>,
    roots: Vec<[f32; SYSTEMS]>,
    wanted: Vec<[f32; SYSTEMS]>,
}

impl Memory {
    /// Makes room for a batch of rows of at most `longest` observations.
    fn make_room(&mut self, longest: usize) {
        self.rows.clear();
        self.rows.resize(longest, [0; SYSTEMS]);
        for table in [&mut self.roots, &mut self.wanted] {
            table.clear();
            table.resize(longest, [0.0; SYSTEMS]);
        }
    }
}
