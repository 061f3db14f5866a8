//! Sixteen values from each of sixteen places, turned so that a value of each lies side by side.
//! Moves data only, so every way to do it gives the same bits.

use super::lanes::LANES;

/// `to[16 d + lane] = from[lane][d]`.
///
/// # Safety
/// Each of `from` points to sixteen readable values, `to` to 256 writable ones.
#[inline(always)]
pub(super) unsafe fn plain(from: &[*const f32; LANES], to: *mut f32) {
    for (lane, from) in from.iter().enumerate() {
        for d in 0..LANES {
            // SAFETY: as the caller guarantees.
            unsafe { *to.add(LANES * d + lane) = *from.add(d) };
        }
    }
}

/// As [`plain`], in four squares of eight by eight.
///
/// # Safety
/// As [`plain`], on a processor with AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn avx2(from: &[*const f32; LANES], to: *mut f32) {
    // SAFETY: as the caller guarantees.
    unsafe {
        for first in [0, 8] {
            for d in [0, 8] {
                square(&from[first..], d, to.add(LANES * d + first));
            }
        }
    }
}

/// Turns the values `d..d + 8` of eight places.
///
/// # Safety
/// As [`avx2`]; `to` points to eight rows, sixteen values apart.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn square(from: &[*const f32], d: usize, to: *mut f32) {
    use std::arch::x86_64::*;
    // SAFETY: as the caller guarantees.
    unsafe {
        // Plain loops: a closure would not be compiled for the instruction set.
        // Pairs of lanes, then fours, then the halves of the registers.
        let mut low = [_mm256_setzero_ps(); 4];
        let mut high = [_mm256_setzero_ps(); 4];
        for p in 0..4 {
            let a = _mm256_loadu_ps(from[2 * p].add(d));
            let b = _mm256_loadu_ps(from[2 * p + 1].add(d));
            low[p] = _mm256_unpacklo_ps(a, b);
            high[p] = _mm256_unpackhi_ps(a, b);
        }
        let mut fours = [[_mm256_setzero_ps(); 4]; 2];
        for (half, four) in fours.iter_mut().enumerate() {
            let (p, q) = (2 * half, 2 * half + 1);
            four[0] = _mm256_shuffle_ps::<0x44>(low[p], low[q]);
            four[1] = _mm256_shuffle_ps::<0xEE>(low[p], low[q]);
            four[2] = _mm256_shuffle_ps::<0x44>(high[p], high[q]);
            four[3] = _mm256_shuffle_ps::<0xEE>(high[p], high[q]);
        }
        let [first, last] = fours;
        for k in 0..4 {
            let early = _mm256_permute2f128_ps::<0x20>(first[k], last[k]);
            let late = _mm256_permute2f128_ps::<0x31>(first[k], last[k]);
            _mm256_storeu_ps(to.add(LANES * k), early);
            _mm256_storeu_ps(to.add(LANES * (k + 4)), late);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_turn_like_single_values() {
        let values: Vec<f32> = (0..LANES * 20).map(|at| at as f32).collect();
        let from: [*const f32; LANES] = std::array::from_fn(|lane| &raw const values[20 * lane]);
        let mut turned = [0.0_f32; LANES * LANES];
        // SAFETY: each place has twenty values, and the array sixteen times sixteen.
        unsafe { plain(&from, turned.as_mut_ptr()) };
        assert_eq!(turned[LANES * 3 + 5], values[20 * 5 + 3]);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            let mut other = [0.0_f32; LANES * LANES];
            // SAFETY: as above, and the processor was asked.
            unsafe { avx2(&from, other.as_mut_ptr()) };
            assert_eq!(turned, other);
        }
    }
}
