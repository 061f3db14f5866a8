//! Sixteen small least-squares systems at once, one in each lane.
//!
//! A row with few observations has a system of full size but of low rank. With the columns of `G`
//! its observed vectors, scaled by the roots of their weights and in a basis where the shared part
//! is the diagonal `D`, `(D + G Gᵀ)⁻¹ G b = D⁻¹ G (I + Gᵀ D⁻¹ G)⁻¹ b` (Woodbury): a system as large
//! as there are observations. A lane takes no notice of its neighbours, so the order and the company
//! of systems change no bit of a result.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use super::prefetch::{Ahead, prefetch};
use super::table::Table;

/// Systems that are solved at once.
pub(crate) const SYSTEMS: usize = LANES;

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
    /// What is wanted of the observation, times the root.
    pub(crate) wanted: &'a [[f32; SYSTEMS]],
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
    /// Writes to `out` the weights of the observed vectors: a system's solution is their weighted
    /// sum, divided by the diagonal.
    solve_short => solve_short_body(
        systems: ShortSystems<'_>,
        scratch: &mut ShortScratch,
        out: &mut [[f32; SYSTEMS]],
    )
}

#[inline(always)]
fn solve_short_body<L: Lanes>(
    systems: ShortSystems<'_>,
    scratch: &mut ShortScratch,
    out: &mut [[f32; SYSTEMS]],
) {
    let (count, side) = (systems.rows.len(), systems.spectrum.len());
    assert!(side.is_multiple_of(LANES) && side > 0);
    assert!(systems.roots.len() == count && systems.wanted.len() == count && out.len() == count);
    let rows = systems.table.len() / side;
    let is_inside = |row: &u32| (*row as usize) < rows;
    assert!(systems.rows.iter().flatten().all(is_inside));
    // Tiles are two by two; an odd row more keeps the columns of the factor out of each other's
    // way in the cache.
    let even = count.next_multiple_of(2);
    scratch.scales.room(side * LANES);
    scratch.gathered.room(even * side * LANES);
    scratch.factor.room(even * (even + 1) * LANES);
    scratch.inverse.room(even * LANES);
    // SAFETY: the scratch was sized for `count` rows rounded up to an even number, and all rows
    // lie inside the table.
    unsafe {
        gather::<L>(&systems, scratch);
        let at = Factor {
            gathered: scratch.gathered.as_ptr(),
            values: scratch.factor.as_mut_ptr(),
            inverse: scratch.inverse.as_mut_ptr(),
            side,
            stride: (even + 1) * LANES,
        };
        let pairs = even / 2;
        let mut ahead = systems.ahead.over(pairs * (pairs + 1) / 2);
        for i in (0..even).step_by(2) {
            at.diagonal::<L>(i);
            ahead.step();
            for j in (i + 2..even).step_by(2) {
                at.beside::<L>(i, j);
                ahead.step();
            }
        }
        at.substitute::<L>(systems.wanted, out);
        for (out, roots) in out.iter_mut().zip(systems.roots) {
            let scaled = L::load(out.as_ptr()).mul(L::load(roots.as_ptr()));
            scaled.store(out.as_mut_ptr());
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

/// The upper triangle of the factor `U` of `I + Gᵀ D⁻¹ G`, a row after the other.
#[derive(Clone, Copy)]
struct Factor {
    gathered: *const f32,
    values: *mut f32,
    /// 1 over the diagonal.
    inverse: *mut f32,
    side: usize,
    stride: usize,
}

impl Factor {
    /// The place of an element.
    ///
    /// # Safety
    /// `i` and `j` are rows of the factor.
    #[inline(always)]
    unsafe fn at(&self, i: usize, j: usize) -> *mut f32 {
        // SAFETY: callers stay below the number of rows.
        unsafe { self.values.add(i * self.stride + j * LANES) }
    }

    /// The elements (i, j), (i, j + 1), (i + 1, j), (i + 1, j + 1) of the matrix, less what the rows
    /// before i explain of them.
    #[inline(always)]
    unsafe fn tile<L: Lanes>(&self, i: usize, j: usize) -> [[L; 2]; 2] {
        // SAFETY: i + 1 and j + 1 are rows.
        unsafe {
            let mut sums = [[L::splat(0.0); 2]; 2];
            let row = self.side * LANES;
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
            for k in 0..i {
                let right = [L::load(self.at(k, j)), L::load(self.at(k, j + 1))];
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = L::load(self.at(k, i + r));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = sum.fnma(left, right);
                    }
                }
            }
            sums
        }
    }

    /// Finishes the tile on the diagonal from row `i` on.
    ///
    /// # Safety
    /// `i + 1` is a row, and the rows before `i` are done.
    #[inline(always)]
    unsafe fn diagonal<L: Lanes>(&self, i: usize) {
        // SAFETY: i + 1 is a row.
        unsafe {
            let one = L::splat(1.0);
            let [[first, beside], [_, last]] = self.tile::<L>(i, i);
            let inverse = one.div(first.add(one).sqrt());
            let beside = beside.mul(inverse);
            beside.store(self.at(i, i + 1));
            inverse.store(self.inverse.add(i * LANES));
            let last = last.add(one).fnma(beside, beside);
            one.div(last.sqrt())
                .store(self.inverse.add((i + 1) * LANES));
        }
    }

    /// Finishes the tile of the rows from `i` and the columns from `j` on.
    ///
    /// # Safety
    /// `i + 1` and `j + 1` are rows, and the diagonal of `i` is done.
    #[inline(always)]
    unsafe fn beside<L: Lanes>(&self, i: usize, j: usize) {
        // SAFETY: i + 1 and j + 1 are rows, and the diagonal of i is done.
        unsafe {
            let [first, second] = self.tile::<L>(i, j);
            let within = L::load(self.at(i, i + 1));
            let inverse = L::load(self.inverse.add(i * LANES));
            let next = L::load(self.inverse.add((i + 1) * LANES));
            for (c, (first, second)) in first.into_iter().zip(second).enumerate() {
                let done = first.mul(inverse);
                done.store(self.at(i, j + c));
                let second = second.fnma(within, done).mul(next);
                second.store(self.at(i + 1, j + c));
            }
        }
    }

    /// Solves `Uᵀ U x = wanted`.
    ///
    /// # Safety
    /// The factor has a row for each of `wanted` and `out`.
    #[inline(always)]
    unsafe fn substitute<L: Lanes>(&self, wanted: &[[f32; LANES]], out: &mut [[f32; LANES]]) {
        // SAFETY: the factor has a row for each of `wanted` and `out`.
        unsafe {
            for i in 0..out.len() {
                let mut sum = L::load(wanted[i].as_ptr());
                for (k, done) in out[..i].iter().enumerate() {
                    sum = sum.fnma(L::load(self.at(k, i)), L::load(done.as_ptr()));
                }
                let inverse = L::load(self.inverse.add(i * LANES));
                sum.mul(inverse).store(out[i].as_mut_ptr());
            }
            for i in (0..out.len()).rev() {
                let mut sum = L::load(out[i].as_ptr());
                for (j, done) in out.iter().enumerate().skip(i + 1) {
                    sum = sum.fnma(L::load(self.at(i, j)), L::load(done.as_ptr()));
                }
                let inverse = L::load(self.inverse.add(i * LANES));
                sum.mul(inverse).store(out[i].as_mut_ptr());
            }
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
            wanted: &wanted,
            ahead: Ahead::default(),
        };
        let solve = |isa| {
            let mut out = vec![[9.0; SYSTEMS]; count];
            solve_short(isa, systems, &mut ShortScratch::default(), &mut out);
            out
        };
        let out = solve(Isa::detect());
        assert!(Isa::available().into_iter().all(|isa| solve(isa) == out));
        for lane in 0..SYSTEMS {
            let vector = |n: usize| &table[rows[n][lane] as usize * side..][..side];
            let solution: Vec<f32> = (0..side)
                .map(|d| {
                    let sum: f32 = (0..count).map(|n| out[n][lane] * vector(n)[d]).sum();
                    sum / (spectrum[d] + systems.ridges[lane])
                })
                .collect();
            // The gradient of the full system vanishes.
            for d in 0..side {
                let mut gradient = (spectrum[d] + systems.ridges[lane]) * solution[d];
                for n in 0..count {
                    let root = roots[n][lane];
                    let dot: f32 = vector(n).iter().zip(&solution).map(|(a, b)| a * b).sum();
                    gradient += (root * dot - wanted[n][lane]) * root * vector(n)[d];
                }
                assert!(gradient.abs() < 1e-4, "{lane} {d}: {gradient}");
            }
        }
    }
}
