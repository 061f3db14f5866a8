//! Eigenvalues and eigenvectors of a symmetric matrix without negative ones, by rotating its rows
//! until all are orthogonal (one-sided Jacobi; Golub and Van Loan, "Matrix Computations", 8.6).

use super::dispatch;
use super::lanes::Lanes;

/// Cosine of two rows below which they count as orthogonal.
const COSINE_MIN: f64 = 1e-11;

/// Passes over all pairs of rows; about ten are needed.
const PASSES_MAX: usize = 40;

/// `matrix = vectorsᵀ · diag(values) · vectors`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spectrum {
    pub(crate) values: Vec<f64>,
    /// A row for each eigenvector.
    pub(crate) vectors: Vec<f64>,
}

impl Spectrum {
    /// Places of the values, largest first.
    pub(crate) fn largest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        let value = |at: usize| self.values[at];
        order.sort_by(|i, j| value(*j).total_cmp(&value(*i)).then(i.cmp(j)));
        order
    }
}

dispatch! {
    /// The spectrum of a full symmetric matrix of `side` x `side` values.
    spectrum => spectrum_body(matrix: &[f64], side: usize) -> Spectrum
}

#[inline(always)]
fn spectrum_body<L: Lanes>(matrix: &[f64], side: usize) -> Spectrum {
    assert!(matrix.len() == side * side);
    let mut images = matrix.to_vec();
    let mut vectors = vec![0.0; side * side];
    for diagonal in vectors.iter_mut().step_by(side + 1) {
        *diagonal = 1.0;
    }
    // Rows this small are noise, in directions where the matrix is zero.
    let total: f64 = (0..side).map(|i| matrix[i * side + i]).sum();
    let square_min = (total * 1e-13).powi(2);
    for _ in 0..PASSES_MAX {
        let mut turned = false;
        for q in 1..side {
            for p in 0..q {
                let (first, second) = pair(&mut images, side, p, q);
                let (a, b) = (dot(first, first), dot(second, second));
                let along = dot(first, second);
                let limit = COSINE_MIN * (a * b).sqrt();
                if a <= square_min || b <= square_min || along.abs() <= limit {
                    continue;
                }
                turned = true;
                let cotangent = (b - a) / (2.0 * along);
                let tangent = cotangent.signum() / (cotangent.abs() + cotangent.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let turn = (cosine, cosine * tangent);
                rotate(first, second, turn);
                let (first, second) = pair(&mut vectors, side, p, q);
                rotate(first, second, turn);
            }
        }
        if !turned {
            break;
        }
    }
    let rows = images.chunks_exact(side).zip(vectors.chunks_exact(side));
    let values = rows.map(|(image, vector)| dot(image, vector).max(0.0));
    Spectrum {
        values: values.collect(),
        vectors,
    }
}

/// The rows `p` and `q > p`.
#[inline(always)]
fn pair(matrix: &mut [f64], side: usize, p: usize, q: usize) -> (&mut [f64], &mut [f64]) {
    let (before, behind) = matrix.split_at_mut(q * side);
    (&mut before[p * side..][..side], &mut behind[..side])
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0_f64; 16];
    let (a, b) = (a.chunks(16), b.chunks(16));
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    sums.iter().sum()
}

#[inline(always)]
fn rotate(first: &mut [f64], second: &mut [f64], (cosine, sine): (f64, f64)) {
    for (first, second) in first.iter_mut().zip(second) {
        let (x, y) = (*first, *second);
        *first = cosine.mul_add(x, -(sine * y));
        *second = sine.mul_add(x, cosine * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::seeded::Seeded;

    #[test]
    fn vectors_are_orthogonal_and_give_the_matrix_back() {
        // Of rank 11 in 18 dimensions, with two rows of zeros.
        let (side, rank) = (18, 11);
        let mut random = Seeded::new(8, 1);
        let mut rows = vec![0.0; rank * side];
        for row in rows.chunks_exact_mut(side) {
            row[..side - 2].fill_with(|| f64::from(random.normal()));
        }
        let product = |left: &[f64], i: usize, j: usize, scale: &dyn Fn(usize) -> f64| -> f64 {
            let rows = left.chunks_exact(side).enumerate();
            rows.map(|(k, row)| scale(k) * row[i] * row[j]).sum()
        };
        let cells = || (0..side * side).map(|at| (at / side, at % side));
        let matrix: Vec<f64> = cells()
            .map(|(i, j)| product(&rows, i, j, &|_| 1.0))
            .collect();
        let found = spectrum(Isa::detect(), &matrix, side);
        for (at, (i, j)) in cells().enumerate() {
            let again = product(&found.vectors, i, j, &|k| found.values[k]);
            assert!((again - matrix[at]).abs() < 1e-9, "{i} {j}");
            let unit = product(&found.vectors, i, j, &|_| 1.0);
            assert!(
                (unit - f64::from(u8::from(i == j))).abs() < 1e-12,
                "{i} {j}"
            );
        }
        let is_same = |isa| spectrum(isa, &matrix, side) == found;
        assert!(Isa::available().into_iter().all(is_same));
    }
}
