//! Eigenvectors of a small symmetric matrix by cyclic Jacobi rotations: slow, exact, and only
//! square roots and divisions, so the same everywhere.

/// Sweeps after which the off-diagonal is at rounding level for any matrix of our sizes.
const SWEEPS_MAX: usize = 20;

/// Eigenvalues, largest first, and the eigenvector of each as a row, of the symmetric `a` of
/// `side` x `side` values, row-major.
pub(super) fn eigen(mut a: Vec<f64>, side: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut vectors: Vec<Vec<f64>> = (0..side)
        .map(|i| (0..side).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    let total: f64 = a.iter().map(|value| value * value).sum();
    for _ in 0..SWEEPS_MAX {
        let above = (0..side).flat_map(|i| &a[i * side + i + 1..(i + 1) * side]);
        let off_diagonal: f64 = above.map(|value| 2.0 * value * value).sum();
        if off_diagonal <= total * 1e-20 {
            break;
        }
        // A rotation below this changes no eigenvalue that a caller could tell.
        let negligible = (total * 1e-22).sqrt() / side as f64;
        for p in 0..side {
            for q in p + 1..side {
                if a[p * side + q].abs() > negligible {
                    rotate(&mut a, side, &mut vectors, (p, q));
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..side).collect();
    order.sort_by(|i, j| a[j * side + j].total_cmp(&a[i * side + i]).then(i.cmp(j)));
    let values = order.iter().map(|i| a[i * side + i]).collect();
    let sorted = order.iter().map(|i| std::mem::take(&mut vectors[*i]));
    (values, sorted.collect())
}

/// Makes the entry at `(p, q)` zero (Golub and Van Loan, "Matrix Computations", 8.5).
fn rotate(a: &mut [f64], side: usize, vectors: &mut [Vec<f64>], (p, q): (usize, usize)) {
    let tau = (a[q * side + q] - a[p * side + p]) / (2.0 * a[p * side + q]);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    // The matrix stays symmetric, so its rows serve as columns: rotate the rows, then mirror.
    let (head, tail) = a.split_at_mut(q * side);
    let (row_p, row_q) = (&mut head[p * side..(p + 1) * side], &mut tail[..side]);
    let (pp, pq, qq) = (row_p[p], row_p[q], row_q[q]);
    for (x, y) in row_p.iter_mut().zip(row_q.iter_mut()) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
    row_p[p] = pp - t * pq;
    row_q[q] = qq + t * pq;
    row_p[q] = 0.0;
    row_q[p] = 0.0;
    for k in 0..side {
        a[k * side + p] = a[p * side + k];
        a[k * side + q] = a[q * side + k];
    }
    let (head, tail) = vectors.split_at_mut(q);
    for (x, y) in head[p].iter_mut().zip(tail[0].iter_mut()) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn the_vectors_are_orthonormal_and_give_the_matrix_back() {
        for side in [1, 2, 5, 40] {
            let mut random = Seeded::new(5, side as u64);
            let mut a = vec![0.0; side * side];
            for i in 0..side {
                for j in 0..=i {
                    a[i * side + j] = f64::from(random.normal());
                    a[j * side + i] = a[i * side + j];
                }
            }
            let (values, vectors) = eigen(a.clone(), side);
            assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            for i in 0..side {
                for j in 0..side {
                    let back: f64 = (0..side)
                        .map(|k| values[k] * vectors[k][i] * vectors[k][j])
                        .sum();
                    assert!((back - a[i * side + j]).abs() < 1e-6, "{side} {i} {j}");
                    let product: f64 = (0..side).map(|k| vectors[i][k] * vectors[j][k]).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9);
                }
            }
        }
    }
}
