//! The interactions as a sparse matrix with both of its row orders, and its products with blocks
//! of dense columns.

use crate::interactions::Interactions;
use crate::kernels::Isa;
use crate::kernels::rows::weighted_rows;
use crate::weight_scale::WeightScale;
use rayon::prelude::*;

/// Compressed sparse rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sparse {
    starts: Vec<usize>,
    columns: Vec<u32>,
    weights: Vec<f32>,
}

impl Sparse {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of entries.
    pub(crate) fn entries_len(&self) -> usize {
        self.columns.len()
    }

    /// Columns and weights of a row.
    pub(crate) fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.columns[range.clone()], &self.weights[range])
    }

    /// Sum of the weights of a row.
    pub(crate) fn row_sum(&self, row: usize) -> f64 {
        self.row(row)
            .1
            .iter()
            .map(|weight| f64::from(*weight))
            .sum()
    }

    /// `out = self · dense`, where both hold rows of `width` values, a multiple of 16.
    pub(crate) fn multiply(&self, dense: &[f32], width: usize, out: &mut [f32]) {
        let isa = Isa::detect();
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let (columns, weights) = self.row(row);
            weighted_rows(isa, out, columns, weights, dense);
        }
    }

    /// As [`Sparse::multiply`], on all threads; the same bits.
    pub(crate) fn multiply_parallel(&self, dense: &[f32], width: usize, out: &mut [f32]) {
        let isa = Isa::detect();
        let rows = out.par_chunks_exact_mut(width).enumerate();
        rows.with_min_len(64).for_each(|(row, out)| {
            let (columns, weights) = self.row(row);
            weighted_rows(isa, out, columns, weights, dense);
        });
    }

    fn map_weights(&mut self, map: impl Fn(usize, usize, f32) -> f32) {
        for row in 0..self.len() {
            for at in self.starts[row]..self.starts[row + 1] {
                let column = self.columns[at] as usize;
                self.weights[at] = map(row, column, self.weights[at]);
            }
        }
    }

    fn push_row(&mut self, row: impl Iterator<Item = (u32, f32)>) {
        for (column, weight) in row {
            self.columns.push(column);
            self.weights.push(weight);
        }
        self.starts.push(self.columns.len());
    }

    fn empty() -> Self {
        Self {
            starts: vec![0],
            ..Self::default()
        }
    }
}

/// What users liked, by user and by item.
#[derive(Debug, Clone)]
pub(crate) struct Bipartite {
    /// Rows are users, columns items.
    pub(crate) by_user: Sparse,
    /// Rows are items, columns users.
    pub(crate) by_item: Sparse,
}

impl Bipartite {
    /// The positive interactions, weighted by their confidence.
    pub(crate) fn new(data: &Interactions, scale: &WeightScale) -> Self {
        let transposed = data.transposed();
        let liked = |columns: &[u32], weights: &[f32]| -> Vec<(u32, f32)> {
            let pairs = columns.iter().zip(weights);
            let positive = pairs.filter(|(_, weight)| **weight > 0.0);
            positive
                .map(|(column, weight)| (*column, scale.signed_confidence(*weight)))
                .collect()
        };
        let (mut by_user, mut by_item) = (Sparse::empty(), Sparse::empty());
        for row in data.rows() {
            by_user.push_row(liked(row.items, row.weights).into_iter());
        }
        for item in 0..data.items_len() {
            let (users, weights) = transposed.row(item);
            by_item.push_row(liked(users, weights).into_iter());
        }
        Self { by_user, by_item }
    }

    /// Divides each entry by powers of its user's and its item's total weight, `[user, item]`.
    pub(crate) fn normalise(&mut self, exponents: [f64; 2]) {
        let of_users = inverse_powers(&self.by_user, exponents[0]);
        let of_items = inverse_powers(&self.by_item, exponents[1]);
        self.map_weights(|user, item, weight| {
            (f64::from(weight) * (of_users[user] * of_items[item])) as f32
        });
    }

    /// Replaces each weight by a function of its user, its item and itself.
    pub(crate) fn map_weights(&mut self, map: impl Fn(usize, usize, f32) -> f32) {
        self.by_user.map_weights(&map);
        self.by_item
            .map_weights(|item, user, weight| map(user, item, weight));
    }

    /// `out = Rᵀ R dense`; `users` is scratch of users x `width`.
    pub(crate) fn gram(&self, dense: &[f32], width: usize, users: &mut [f32], out: &mut [f32]) {
        self.by_user.multiply(dense, width, users);
        self.by_item.multiply(users, width, out);
    }
}

/// `total^-exponent` of each row; 0 for a row without weight.
fn inverse_powers(rows: &Sparse, exponent: f64) -> Vec<f64> {
    let power = |row| {
        let total = rows.row_sum(row);
        if total > 0.0 {
            total.powf(-exponent)
        } else {
            0.0
        }
    };
    (0..rows.len()).map(power).collect()
}
