//! Sixteen full least-squares systems at once, one in each lane.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use super::prefetch::Ahead;
use super::systems::{Elements, Factor, SYSTEMS, from_lanes, to_lanes};
use super::table::Table;

/// Memory of one thread.
#[derive(Debug, Default)]
pub(crate) struct LongScratch {
    factor: Table,
    inverse: Table,
    lanes: Table,
}

dispatch! {
    /// Solves sixteen systems in place of their right sides: `matrices` holds the upper triangles of
    /// side x side matrices, one after the other, `ridges` what their diagonals lack, `right` the
    /// right sides, one after the other. A singular system gets a solution that is not finite.
    solve_long => solve_long_body(
        matrices: &[f32],
        ridges: &[f32; SYSTEMS],
        right: &mut [f32],
        scratch: &mut LongScratch,
    )
}

#[inline(always)]
fn solve_long_body<L: Lanes>(
    matrices: &[f32],
    ridges: &[f32; SYSTEMS],
    right: &mut [f32],
    scratch: &mut LongScratch,
) {
    let side = right.len() / SYSTEMS;
    assert!(side > 0 && side.is_multiple_of(LANES) && right.len() == side * SYSTEMS);
    assert!(matrices.len() == side * side * SYSTEMS);
    let factor = Factor::new(side, &mut scratch.factor, &mut scratch.inverse);
    let lanes = scratch.lanes.room(side * LANES);
    // SAFETY: the factor has `side` rows; matrices and right sides are as large as asserted above.
    unsafe {
        for i in 0..side {
            let first = i - i % LANES;
            let from = matrices.as_ptr().add(i * side + first);
            to_lanes::<L>(from, side * side, side - first, factor.at(i, first));
        }
        to_lanes::<L>(right.as_ptr(), side, side, lanes.as_mut_ptr());
        factor.fill(InPlace(factor), L::load(ridges.as_ptr()), Ahead::default());
        factor.substitute::<L>(lanes);
        from_lanes::<L>(lanes.as_ptr(), side, right.as_mut_ptr());
    }
}

/// Matrices in the place of their factor.
#[derive(Clone, Copy)]
struct InPlace(Factor);

// SAFETY: by the contract of `Elements::tile`, i + 1 and j + 1 are rows.
impl Elements for InPlace {
    #[inline(always)]
    unsafe fn tile<L: Lanes>(self, i: usize, j: usize) -> [[L; 2]; 2] {
        // SAFETY: i + 1 and j + 1 are rows.
        unsafe {
            let (row, next) = (self.0.at(i, j), self.0.at(i + 1, j));
            [
                [L::load(row), L::load(row.add(LANES))],
                [L::load(next), L::load(next.add(LANES))],
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::kernels::gram::gram_add;
    use crate::seeded::Seeded;

    #[test]
    fn every_lane_solves_its_own_system_with_the_same_bits_everywhere() {
        for side in [16, 48, 64] {
            let mut random = Seeded::new(4, 1);
            let mut matrices = vec![0.0; side * side * SYSTEMS];
            for matrix in matrices.chunks_exact_mut(side * side) {
                let rows: Vec<f32> = (0..2 * side * side).map(|_| random.normal()).collect();
                gram_add(Isa::Portable, matrix, side, &rows);
            }
            let ridges: [f32; SYSTEMS] = std::array::from_fn(|lane| 0.5 * lane as f32);
            let wanted: Vec<f32> = (0..side * SYSTEMS).map(|_| random.normal()).collect();
            let systems = || matrices.chunks_exact(side * side).zip(ridges);
            let right: Vec<f32> = systems()
                .zip(wanted.chunks_exact(side))
                .flat_map(|((matrix, ridge), x)| {
                    let product = move |i: usize| {
                        let entry = |j: usize| matrix[i.min(j) * side + i.max(j)];
                        let all = x.iter().enumerate().map(|(j, x)| entry(j) * x);
                        all.sum::<f32>() + ridge * x[i]
                    };
                    (0..side).map(product).collect::<Vec<_>>()
                })
                .collect();
            let solve = |isa| {
                let mut x = right.clone();
                solve_long(isa, &matrices, &ridges, &mut x, &mut LongScratch::default());
                x
            };
            let solved = solve(Isa::detect());
            assert!(Isa::available().into_iter().all(|isa| solve(isa) == solved));
            for (got, wanted) in solved.iter().zip(&wanted) {
                assert!((got - wanted).abs() < 1e-3, "{side}: {got} {wanted}");
            }
        }
    }

    #[test]
    fn a_singular_system_is_seen_and_its_neighbours_are_not_disturbed() {
        let side = 16;
        let mut matrices = vec![0.0; side * side * SYSTEMS];
        let mut ridges = [1.0; SYSTEMS];
        ridges[3] = 0.0;
        matrices[7 * side * side] = -2.0;
        let mut x = vec![1.0; side * SYSTEMS];
        let isa = Isa::detect();
        solve_long(isa, &matrices, &ridges, &mut x, &mut LongScratch::default());
        for (lane, x) in x.chunks_exact(side).enumerate() {
            if lane == 3 || lane == 7 {
                assert!(x.iter().any(|value| !value.is_finite()));
            } else {
                assert!(x.iter().all(|value| *value == 1.0));
            }
        }
    }
}
