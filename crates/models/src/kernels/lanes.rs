//! Sixteen `f32` as one value, for each instruction set. Equal operations give equal bits.
//!
//! The methods are `inline(always)` and are only ever called below a function that enables the
//! instruction set (see `dispatch!`), which is what makes the intrinsics inline and sound.

use super::transpose;

/// Sixteen lanes.
pub(super) const LANES: usize = 16;

/// Arithmetic on sixteen `f32` at once.
///
/// # Safety
/// Callers of the unsafe methods run on a processor with the instruction set of the type, and pass
/// pointers to at least sixteen readable (or writable) values.
pub(super) trait Lanes: Copy {
    /// Whether 24 values fit into registers beside their operands.
    const HAS_32_REGISTERS: bool;

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self;
    /// Sixteen values from memory, unaligned.
    unsafe fn load(from: *const f32) -> Self;
    /// Sixteen values to memory, unaligned.
    unsafe fn store(self, to: *mut f32);
    /// `self + a * b`, rounded once.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// `self - a * b`, rounded once.
    unsafe fn fnma(self, a: Self, b: Self) -> Self;
    /// Lane by lane product.
    unsafe fn mul(self, other: Self) -> Self;

    /// Lane by lane sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane by lane quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// Lane by lane maximum of numbers that are not NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// Lane by lane square root.
    unsafe fn sqrt(self) -> Self;
    /// 2 to the power of whole numbers from -126 to 127.
    unsafe fn pow2(self) -> Self;

    /// Sum of all lanes in one fixed order.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        // SAFETY: the array holds sixteen values.
        unsafe { self.store(lanes.as_mut_ptr()) };
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }

    /// `to[16 d + lane] = from[lane][d]` for sixteen values of each of sixteen places.
    unsafe fn transpose(from: &[*const f32; LANES], to: *mut f32);

    /// Bit `i` says whether lane `i` is at least `bound`; NaN is not.
    unsafe fn at_least(self, bound: f32) -> u16;

    /// `biases[q] + Σ weights[q][g] · codes[g]` for 16 items and `Q` queries, as `f32`. `codes` holds
    /// for each of `groups` the four codes of each of the 16 items (64 bytes a group), none above
    /// 127; `weights` four bytes a group, none below -127; so two products fit into 16 bits. The
    /// result must do so too; sums on the way there may wrap.
    unsafe fn dot_codes<const Q: usize>(
        weights: [*const i8; Q],
        biases: [i32; Q],
        codes: *const u8,
        groups: usize,
    ) -> [Self; Q];
}

/// One register of AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512(std::arch::x86_64::__m512);

/// Two registers of AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2(std::arch::x86_64::__m256, std::arch::x86_64::__m256);

/// An array, left to the compiler.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Avx2, Avx512, LANES, Lanes, transpose};
    use std::arch::x86_64::*;

    // SAFETY: the trait's contract gives the instruction set and valid pointers.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lanes for Avx512 {
        const HAS_32_REGISTERS: bool = true;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { Self(_mm512_set1_ps(value)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Self(_mm512_loadu_ps(from)) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            unsafe { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
        }
        #[inline(always)]
        unsafe fn fnma(self, a: Self, b: Self) -> Self {
            unsafe { Self(_mm512_fnmadd_ps(a.0, b.0, self.0)) }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { Self(_mm512_add_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            unsafe { Self(_mm512_div_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            unsafe { Self(_mm512_max_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            unsafe { Self(_mm512_sqrt_ps(self.0)) }
        }
        #[inline(always)]
        unsafe fn pow2(self) -> Self {
            unsafe {
                let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
                Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
            }
        }
        #[inline(always)]
        unsafe fn transpose(from: &[*const f32; LANES], to: *mut f32) {
            // AVX-512 includes AVX2.
            unsafe { transpose::avx2(from, to) }
        }
        #[inline(always)]
        unsafe fn at_least(self, bound: f32) -> u16 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, _mm512_set1_ps(bound)) }
        }
        #[inline(always)]
        unsafe fn dot_codes<const Q: usize>(
            weights: [*const i8; Q],
            biases: [i32; Q],
            codes: *const u8,
            groups: usize,
        ) -> [Self; Q] {
            unsafe {
                let mut sums = [_mm512_setzero_si512(); Q];
                for q in 0..Q {
                    sums[q] = _mm512_set1_epi32(biases[q]);
                }
                for g in 0..groups {
                    let c = _mm512_loadu_si512(codes.add(64 * g).cast());
                    for q in 0..Q {
                        let word = weights[q].add(4 * g).cast::<i32>().read_unaligned();
                        sums[q] = _mm512_dpbusd_epi32(sums[q], c, _mm512_set1_epi32(word));
                    }
                }
                let mut out = [Self(_mm512_setzero_ps()); Q];
                for q in 0..Q {
                    out[q] = Self(_mm512_cvtepi32_ps(sums[q]));
                }
                out
            }
        }
    }

    // SAFETY: the trait's contract gives the instruction set and valid pointers.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lanes for Avx2 {
        const HAS_32_REGISTERS: bool = false;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            unsafe {
                Self(
                    _mm256_fmadd_ps(a.0, b.0, self.0),
                    _mm256_fmadd_ps(a.1, b.1, self.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn fnma(self, a: Self, b: Self) -> Self {
            unsafe {
                Self(
                    _mm256_fnmadd_ps(a.0, b.0, self.0),
                    _mm256_fnmadd_ps(a.1, b.1, self.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_mul_ps(self.0, other.0),
                    _mm256_mul_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_add_ps(self.0, other.0),
                    _mm256_add_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_sub_ps(self.0, other.0),
                    _mm256_sub_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_div_ps(self.0, other.0),
                    _mm256_div_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_max_ps(self.0, other.0),
                    _mm256_max_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            unsafe { Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)) }
        }
        #[inline(always)]
        unsafe fn pow2(self) -> Self {
            unsafe {
                let half = |exponent: __m256| {
                    let whole = _mm256_cvtps_epi32(exponent);
                    let biased = _mm256_add_epi32(whole, _mm256_set1_epi32(127));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
                };
                Self(half(self.0), half(self.1))
            }
        }
        #[inline(always)]
        unsafe fn transpose(from: &[*const f32; LANES], to: *mut f32) {
            unsafe { transpose::avx2(from, to) }
        }
        #[inline(always)]
        unsafe fn at_least(self, bound: f32) -> u16 {
            unsafe {
                let bound = _mm256_set1_ps(bound);
                let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, bound));
                let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.1, bound));
                (low | high << 8) as u16
            }
        }
        /// Sums of 16 bits wrap; since the result fits, so does what is left of it.
        #[inline(always)]
        unsafe fn dot_codes<const Q: usize>(
            weights: [*const i8; Q],
            biases: [i32; Q],
            codes: *const u8,
            groups: usize,
        ) -> [Self; Q] {
            unsafe {
                // Two 16-bit sums an item; the bias is in the lower one.
                let mut sums = [[_mm256_setzero_si256(); 2]; Q];
                for q in 0..Q {
                    sums[q] = [_mm256_set1_epi32(biases[q] & 0xFFFF); 2];
                }
                for g in 0..groups {
                    let low = _mm256_loadu_si256(codes.add(64 * g).cast());
                    let high = _mm256_loadu_si256(codes.add(64 * g + 32).cast());
                    for q in 0..Q {
                        let word = weights[q].add(4 * g).cast::<i32>().read_unaligned();
                        let w = _mm256_set1_epi32(word);
                        sums[q][0] = _mm256_add_epi16(sums[q][0], _mm256_maddubs_epi16(low, w));
                        sums[q][1] = _mm256_add_epi16(sums[q][1], _mm256_maddubs_epi16(high, w));
                    }
                }
                let mut out = [Self(_mm256_setzero_ps(), _mm256_setzero_ps()); Q];
                for q in 0..Q {
                    for sum in &mut sums[q] {
                        let both = _mm256_add_epi16(*sum, _mm256_slli_epi32::<16>(*sum));
                        *sum = _mm256_srai_epi32::<16>(both);
                    }
                    let [low, high] = sums[q];
                    out[q] = Self(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high));
                }
                out
            }
        }
    }
}

// SAFETY: any processor will do; pointers are valid by the trait's contract.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Portable {
    const HAS_32_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's contract gives sixteen readable values.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's contract gives sixteen writable values.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn fma(mut self, a: Self, b: Self) -> Self {
        for i in 0..LANES {
            self.0[i] = a.0[i].mul_add(b.0[i], self.0[i]);
        }
        self
    }
    #[inline(always)]
    unsafe fn fnma(mut self, a: Self, b: Self) -> Self {
        for i in 0..LANES {
            self.0[i] = (-a.0[i]).mul_add(b.0[i], self.0[i]);
        }
        self
    }
    #[inline(always)]
    unsafe fn mul(mut self, other: Self) -> Self {
        for i in 0..LANES {
            self.0[i] *= other.0[i];
        }
        self
    }
    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for i in 0..LANES {
            self.0[i] += other.0[i];
        }
        self
    }
    #[inline(always)]
    unsafe fn sub(mut self, other: Self) -> Self {
        for i in 0..LANES {
            self.0[i] -= other.0[i];
        }
        self
    }
    #[inline(always)]
    unsafe fn div(mut self, other: Self) -> Self {
        for i in 0..LANES {
            self.0[i] /= other.0[i];
        }
        self
    }
    #[inline(always)]
    unsafe fn max(mut self, other: Self) -> Self {
        for i in 0..LANES {
            if self.0[i] <= other.0[i] {
                self.0[i] = other.0[i];
            }
        }
        self
    }
    #[inline(always)]
    unsafe fn sqrt(mut self) -> Self {
        for value in &mut self.0 {
            *value = value.sqrt();
        }
        self
    }
    #[inline(always)]
    unsafe fn pow2(mut self) -> Self {
        for value in &mut self.0 {
            *value = f32::from_bits(((*value as i32 + 127) as u32) << 23);
        }
        self
    }
    #[inline(always)]
    unsafe fn transpose(from: &[*const f32; LANES], to: *mut f32) {
        // SAFETY: the trait's contract.
        unsafe { transpose::plain(from, to) }
    }
    #[inline(always)]
    unsafe fn at_least(self, bound: f32) -> u16 {
        let bits = self.0.iter().enumerate();
        bits.fold(0, |mask, (i, value)| mask | u16::from(*value >= bound) << i)
    }
    #[inline(always)]
    unsafe fn dot_codes<const Q: usize>(
        weights: [*const i8; Q],
        biases: [i32; Q],
        codes: *const u8,
        groups: usize,
    ) -> [Self; Q] {
        let mut sums = biases.map(|bias| [bias; LANES]);
        for g in 0..groups {
            // SAFETY: the caller passes `groups` groups of 64 codes.
            let c = unsafe { codes.add(64 * g).cast::<[[u8; 4]; LANES]>().read() };
            for (sums, weights) in sums.iter_mut().zip(weights) {
                // SAFETY: the caller passes `groups` groups of 4 weights.
                let w = unsafe { weights.add(4 * g).cast::<[i8; 4]>().read() };
                for (sum, item) in sums.iter_mut().zip(c) {
                    for (weight, code) in w.iter().zip(item) {
                        *sum += i32::from(*weight) * i32::from(code);
                    }
                }
            }
        }
        sums.map(|sums| Self(sums.map(|sum| sum as f32)))
    }
}
