//! The output layer: cross entropy of the next item among all items, or among a sample of them.
//!
//! Half of a training is spent here. Rows are taken 256 at a time; their scores stay in blocks of
//! items that fit the second-level cache, each power is computed once, and both gradients are
//! products with the unnormalised powers, whose sums divide the small sides instead.
//!
//! With a sample, a candidate that is drawn with probability π stands for 1/π items, which keeps
//! the sum of the powers unbiased; the row's own target always counts once.

use super::network::Shape;
use crate::kernels::Isa;
use crate::kernels::product::{Left, Out, Packed, multiply, multiply_add};
use crate::kernels::softmax::{exp_row, row_max};

/// Positions at a time.
const ROWS: usize = 256;
/// Items at a time; an odd number of cache lines, so that columns do not share cache sets.
const BLOCK: usize = 272;

/// The items that targets are told from in one step.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Dense items in ascending order; empty when all items are candidates.
    pub(super) items: Vec<u32>,
    /// For each item its place among the candidates; only right for those.
    places: Vec<u32>,
    /// ln 1/π of each candidate; empty when all items are candidates.
    log_weights: Vec<f32>,
    count: usize,
    /// Candidates' vectors, as stored.
    rows: Vec<f32>,
    packed: Packed,
    turned: Packed,
}

impl Candidates {
    /// All items.
    pub(super) fn all(&mut self, shape: &Shape, vectors: &[f32]) {
        self.count = shape.items;
        self.pack(shape.width, vectors);
    }

    /// A sample: distinct items, ascending, with ln 1/π each.
    pub(super) fn sample(&mut self, shape: &Shape, vectors: &[f32], drawn: Vec<(u32, f32)>) {
        self.count = drawn.len();
        self.places.resize(shape.items, 0);
        for (place, (item, _)) in (0_u32..).zip(&drawn) {
            self.places[*item as usize] = place;
        }
        (self.items, self.log_weights) = drawn.into_iter().unzip();
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        for &item in &self.items {
            rows.extend_from_slice(&vectors[item as usize * shape.width..][..shape.width]);
        }
        self.pack(shape.width, &rows);
        self.rows = rows;
    }

    fn pack(&mut self, width: usize, rows: &[f32]) {
        self.packed.pack(rows, width, self.count, width);
        self.turned.pack_transposed(rows, width, width, self.count);
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    const fn is_sample(&self) -> bool {
        !self.items.is_empty()
    }

    fn place(&self, item: u32) -> usize {
        if self.is_sample() {
            self.places[item as usize] as usize
        } else {
            item as usize
        }
    }
}

/// What the loss reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) isa: Isa,
    pub(super) shape: &'a Shape,
    pub(super) candidates: &'a Candidates,
    /// All items' vectors.
    pub(super) vectors: &'a [f32],
    /// One target per row.
    pub(super) targets: &'a [u32],
    /// What each row's loss counts, 1 over the rows of the step.
    pub(super) share: f32,
}

/// Places that the loss works in, and the gradient of the candidates' vectors, added to.
#[derive(Debug, Default)]
pub(super) struct Loss {
    pub(super) vectors: Vec<f32>,
    scores: Vec<f32>,
    scaled: Vec<f32>,
    packed: Packed,
    shares: Vec<f32>,
}

impl Loss {
    /// Sets the gradient of the candidates' vectors, `len` values, to 0.
    pub(super) fn begin(&mut self, len: usize) {
        self.vectors.clear();
        self.vectors.resize(len, 0.0);
    }

    /// Writes the gradients of `hidden`, a row per target, to `back`; returns the summed loss.
    pub(super) fn run(&mut self, task: Task<'_>, hidden: &[f32], back: &mut [f32]) -> f64 {
        let width = task.shape.width;
        let rows = hidden
            .chunks(ROWS * width)
            .zip(back.chunks_mut(ROWS * width));
        let mut sum = 0.0;
        for ((hidden, back), targets) in rows.zip(task.targets.chunks(ROWS)) {
            sum += self.powers(&Task { targets, ..task }, hidden);
            self.gradients(&Task { targets, ..task }, hidden, back);
        }
        sum
    }

    /// Scores, then powers in their place and each row's share over their sum.
    fn powers(&mut self, task: &Task<'_>, hidden: &[f32]) -> f64 {
        let Task {
            isa, candidates, ..
        } = *task;
        let (width, rows) = (task.shape.width, task.targets.len());
        let columns = candidates.turned.columns();
        let blocks = columns.div_ceil(BLOCK);
        self.scores.resize(blocks * ROWS * BLOCK, 0.0);
        self.shares.clear();
        let mut largest = vec![f32::MIN; rows];
        let by_block = self.scores.chunks_exact_mut(ROWS * BLOCK);
        for (scores, start) in by_block.zip((0..columns).step_by(BLOCK)) {
            let end = (start + BLOCK).min(columns);
            let right = candidates.turned.part(width, start..end);
            let left = Left::rows(hidden, width);
            multiply(isa, Out::rows(scores, BLOCK), rows, left, right);
            let known = end.min(candidates.count) - start;
            for (row, largest) in scores.chunks_exact_mut(BLOCK).zip(&mut largest) {
                let row = &mut row[..end - start];
                if candidates.is_sample() {
                    let weights = &candidates.log_weights[start..start + known];
                    row.iter_mut()
                        .zip(weights)
                        .for_each(|(score, weight)| *score += weight);
                }
                row[known..].fill(f32::MIN);
                *largest = row_max(isa, row, *largest);
            }
        }
        let mut sum = 0.0;
        for (row, (&target, &largest)) in task.targets.iter().zip(&largest).enumerate() {
            let place = candidates.place(target);
            let own = &mut self.scores[Self::at(row, place)];
            if candidates.is_sample() {
                *own -= candidates.log_weights[place];
            }
            let own = *own;
            let mut total = 0.0;
            let by_block = self.scores.chunks_exact_mut(ROWS * BLOCK);
            for (scores, start) in by_block.zip((0..columns).step_by(BLOCK)) {
                let end = (start + BLOCK).min(columns);
                total += exp_row(isa, &mut scores[row * BLOCK..][..end - start], largest);
            }
            self.shares.push(task.share / total);
            sum += f64::from(largest - own) + f64::from(total).ln();
        }
        sum
    }

    const fn at(row: usize, place: usize) -> usize {
        place / BLOCK * ROWS * BLOCK + row * BLOCK + place % BLOCK
    }

    fn gradients(&mut self, task: &Task<'_>, hidden: &[f32], back: &mut [f32]) {
        let Task {
            isa, candidates, ..
        } = *task;
        let (width, rows) = (task.shape.width, task.targets.len());
        self.scaled.clear();
        for (hidden, share) in hidden.chunks_exact(width).zip(&self.shares) {
            self.scaled.extend(hidden.iter().map(|value| value * share));
        }
        self.packed.pack(&self.scaled, width, rows, width);
        back.fill(0.0);
        let by_block = self.scores.chunks_exact(ROWS * BLOCK);
        for (powers, start) in by_block.zip((0..candidates.count).step_by(BLOCK)) {
            let count = BLOCK.min(candidates.count - start);
            let right = candidates.packed.rows_from(start, count);
            let left = Left::rows(powers, BLOCK);
            multiply_add(isa, Out::rows(back, width), rows, left, right);
            let to = &mut self.vectors[start * width..(start + count) * width];
            let left = Left::transposed(powers, BLOCK);
            multiply_add(isa, Out::rows(to, width), count, left, self.packed.whole());
        }
        let per_row = back.chunks_exact_mut(width).zip(hidden.chunks_exact(width));
        for (((back, hidden), share), target) in per_row.zip(&self.shares).zip(task.targets) {
            let vector = &task.vectors[*target as usize * width..][..width];
            for (back, vector) in back.iter_mut().zip(vector) {
                *back = *back * share - task.share * vector;
            }
            let to = &mut self.vectors[candidates.place(*target) * width..][..width];
            for (to, hidden) in to.iter_mut().zip(hidden) {
                *to -= task.share * hidden;
            }
        }
    }
}
