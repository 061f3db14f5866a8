//! Sixteen small least-squares systems at once, one in each lane.
//!
//! A row with few observations has a system of full size but of low rank. With the columns of `G`
//! its observed vectors, scaled by the roots of their weights and in a basis where the shared part
//! is the diagonal `D`, `(D + G Gᵀ)⁻¹ G b = D⁻¹ G (I + Gᵀ D⁻¹ G)⁻¹ b` (Woodbury): a system as large
//! as there are observations.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use super::prefetch::{Ahead, prefetch};
use super::systems::{Elements, Factor, SYSTEMS, from_lanes};
use super::table::Table;

/// Sixteen systems of at most `rows.len()` observations. What a shorter one lacks has a root of 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortSystems<'a> {
    /// Vectors as long as `spectrum`.
    pub(crate) table: &'a [f32],
    /// The shared diagonal.
    pub(crate) spectrum: &'a [f32],
    /// What each system adds to the diagonal.
    pub(crate) ridges: [f32; SYSTEMS],
    /// Which vector each system observes n-th.
    pub(crate) rows: &'a [[u32; SYSTEMS]],
    /// The root of the observation's weight.
    pub(crate) roots: &'a [[f32; SYSTEMS]],
    /// What to ask for on the way.
    pub(crate) ahead: Ahead<'a>,
}

/// Memory of one thread.
#[derive(Debug, Default)]
pub(crate) struct ShortScratch {
    scales: Table,
    gathered: Table,
    factor: Table,
    inverse: Table,
}

dispatch! {
    /// Writes sixteen solutions, one after the other, each as long as the spectrum. `wanted` is
    /// spoilt.
    solve_short => solve_short_body(
        systems: ShortSystems<'_>,
        wanted: &mut [[f32; SYSTEMS]],
        scratch: &mut ShortScratch,
        out: &mut [f32],
    )
}

#[inline(always)]
fn solve_short_body<L: Lanes>(
    systems: ShortSystems<'_>,
    wanted: &mut [[f32; SYSTEMS]],
    scratch: &mut ShortScratch,
    out: &mut [f32],
) {
    let (count, side) = (systems.rows.len(), systems.spectrum.len());
    assert!(side.is_multiple_of(LANES) && side > 0 && out.len() == side * SYSTEMS);
    assert!(systems.roots.len() == count && wanted.len() == count);
    let rows = systems.table.len() / side;
    let is_inside = |row: &u32| (*row as usize) < rows;
    assert!(systems.rows.iter().flatten().all(is_inside));
    let even = count.next_multiple_of(2);
    scratch.scales.room(side * LANES);
    scratch.gathered.room(even * side * LANES);
    let factor = Factor::new(even, &mut scratch.factor, &mut scratch.inverse);
    // SAFETY: the scratch was sized for `count` rows rounded up to an even number, and all rows
    // lie inside the table.
    unsafe {
        gather::<L>(&systems, scratch);
        let gathered = Products {
            gathered: scratch.gathered.as_ptr(),
            row: side * LANES,
        };
        factor.fill(gathered, L::splat(1.0), systems.ahead);
        factor.substitute::<L>(wanted.as_flattened_mut());
        combine::<L>(wanted, side * LANES, scratch);
        from_lanes::<L>(scratch.scales.as_ptr(), side, out.as_mut_ptr());
    }
}

/// Inner products of the gathered vectors, each `row` long.
#[derive(Clone, Copy)]
struct Products {
    gathered: *const f32,
    row: usize,
}

// SAFETY: by the contract of `Elements::tile`, i + 1 and j + 1 are rows.
impl Elements for Products {
    #[inline(always)]
    unsafe fn tile<L: Lanes>(self, i: usize, j: usize) -> [[L; 2]; 2] {
        let row = self.row;
        // SAFETY: i + 1 and j + 1 are gathered.
        unsafe {
            let mut sums = [[L::splat(0.0); 2]; 2];
            let (left, right) = (self.gathered.add(i * row), self.gathered.add(j * row));
            for d in (0..row).step_by(LANES) {
                let right = [L::load(right.add(d)), L::load(right.add(row + d))];
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = L::load(left.add(r * row + d));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = sum.fma(left, right);
                    }
                }
            }
            sums
        }
    }
}

/// Replaces the scales by the solutions: sums of the gathered vectors with those weights, scaled.
///
/// # Safety
/// As in [`solve_short_body`].
#[inline(always)]
unsafe fn combine<L: Lanes>(weights: &[[f32; SYSTEMS]], row: usize, scratch: &mut ShortScratch) {
    const V: usize = 4;
    let gathered = scratch.gathered.as_ptr();
    for d in (0..row).step_by(V * LANES) {
        // SAFETY: as the caller guarantees; a row is a multiple of sixteen times sixteen.
        unsafe {
            let mut sums = [L::splat(0.0); V];
            for (n, weight) in weights.iter().enumerate() {
                let weight = L::load(weight.as_ptr());
                for (v, sum) in sums.iter_mut().enumerate() {
                    let vector = gathered.add(n * row + d + v * LANES);
                    *sum = sum.fma(L::load(vector), weight);
                }
            }
            for (v, sum) in sums.iter().enumerate() {
                let scale = scratch.scales.as_mut_ptr().add(d + v * LANES);
                sum.mul(L::load(scale)).store(scale);
            }
        }
    }
}

/// Fills `gathered` with the observed vectors, scaled, dimension by dimension.
///
/// # Safety
/// As in [`solve_short_body`].
#[inline(always)]
unsafe fn gather<L: Lanes>(systems: &ShortSystems<'_>, scratch: &mut ShortScratch) {
    let side = systems.spectrum.len();
    // SAFETY: as the caller guarantees.
    unsafe {
        let ridges = L::load(systems.ridges.as_ptr());
        for (value, scale) in systems
            .spectrum
            .iter()
            .zip(scratch.scales.chunks_exact_mut(LANES))
        {
            let root = L::splat(*value).add(ridges).sqrt();
            L::splat(1.0).div(root).store(scale.as_mut_ptr());
        }
        let table = systems.table.as_ptr();
        for (n, (rows, roots)) in systems.rows.iter().zip(systems.roots).enumerate() {
            let to = scratch.gathered.as_mut_ptr().add(n * side * LANES);
            let root = L::load(roots.as_ptr());
            for next in systems.rows.get(n + 1).into_iter().flatten() {
                for d in (0..side).step_by(LANES) {
                    prefetch(systems.table, *next as usize * side + d);
                }
            }
            for d in (0..side).step_by(LANES) {
                let from = rows.map(|row| table.add(row as usize * side + d));
                L::transpose(&from, to.add(d * LANES));
                for d in d..d + LANES {
                    let scale = L::load(scratch.scales.as_ptr().add(d * LANES)).mul(root);
                    let to = to.add(d * LANES);
                    L::load(to).mul(scale).store(to);
                }
            }
        }
        let count = systems.rows.len();
        if !count.is_multiple_of(2) {
            scratch.gathered[count * side * LANES..][..side * LANES].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::seeded::Seeded;

    #[test]
    fn every_lane_solves_its_own_system_with_the_same_bits_everywhere() {
        let (side, count) = (32, 5);
        let mut random = Seeded::new(4, 1);
        let table: Vec<f32> = (0..40 * side).map(|_| random.normal()).collect();
        let spectrum: Vec<f32> = (0..side).map(|d| 1.0 + d as f32).collect();
        let mut rows = vec![[0_u32; SYSTEMS]; count];
        let (mut roots, mut wanted) = (vec![[0.0; SYSTEMS]; count], vec![[0.0; SYSTEMS]; count]);
        for n in 0..count {
            for lane in 0..SYSTEMS {
                // Every third system has only three observations.
                if lane % 3 != 0 || n < 3 {
                    rows[n][lane] = random.below(40) as u32;
                    roots[n][lane] = 0.5 + random.uniform() as f32;
                    wanted[n][lane] = roots[n][lane];
                }
            }
        }
        let systems = ShortSystems {
            table: &table,
            spectrum: &spectrum,
            ridges: std::array::from_fn(|lane| 0.1 * (lane + 1) as f32),
            rows: &rows,
            roots: &roots,
            ahead: Ahead::default(),
        };
        let solve = |isa| {
            let (mut wanted, mut out) = (wanted.clone(), vec![9.0; side * SYSTEMS]);
            let scratch = &mut ShortScratch::default();
            solve_short(isa, systems, &mut wanted, scratch, &mut out);
            out
        };
        let out = solve(Isa::detect());
        assert!(Isa::available().into_iter().all(|isa| solve(isa) == out));
        for lane in 0..SYSTEMS {
            let vector = |n: usize| &table[rows[n][lane] as usize * side..][..side];
            let solution = &out[lane * side..][..side];
            // The gradient of the full system vanishes.
            for d in 0..side {
                let mut gradient = (spectrum[d] + systems.ridges[lane]) * solution[d];
                for n in 0..count {
                    let root = roots[n][lane];
                    let dot: f32 = vector(n).iter().zip(solution).map(|(a, b)| a * b).sum();
                    gradient += (root * dot - wanted[n][lane]) * root * vector(n)[d];
                }
                assert!(gradient.abs() < 1e-4, "{lane} {d}: {gradient}");
            }
        }
    }
}
