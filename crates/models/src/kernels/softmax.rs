//! Exponentials and what is made of them: cross entropy over a wide row, causal attention, a gate.
//!
//! The exponential is a polynomial of fused operations, good to about 2 units in the last place,
//! and the same bits on every instruction set.

use super::dispatch;
use super::lanes::{LANES, Lanes};

/// Lane by lane e to the power of `x`, for x of at most 88; below -87 it is e to the -87.
///
/// # Safety
/// The processor has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(x: L) -> L {
    // Adding and taking away 1.5 · 2^23 rounds to the nearest whole number.
    const ROUNDER: f32 = 12_582_912.0;
    const COEFFICIENTS: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    // SAFETY: as the caller guarantees.
    unsafe {
        let x = x.max(L::splat(-87.0));
        let rounder = L::splat(ROUNDER);
        let whole = rounder
            .fma(x, L::splat(std::f32::consts::LOG2_E))
            .sub(rounder);
        // ln 2 in two parts, of which the first is exact in few bits.
        let rest = x
            .fnma(whole, L::splat(355.0 / 512.0))
            .fma(whole, L::splat(2.121_944_4e-4));
        let mut sum = L::splat(COEFFICIENTS[0]);
        for coefficient in &COEFFICIENTS[1..] {
            sum = L::splat(*coefficient).fma(sum, rest);
        }
        let square = rest.mul(rest);
        let value = rest.add(L::splat(1.0)).fma(sum, square);
        value.mul(whole.pow2())
    }
}

dispatch! {
    /// The largest of `row` and of `largest`; `row` is a multiple of 16 long and has no NaN.
    row_max => row_max_body(row: &[f32], largest: f32) -> f32
}

#[inline(always)]
fn row_max_body<L: Lanes>(row: &[f32], largest: f32) -> f32 {
    assert!(row.len().is_multiple_of(LANES));
    let mut lanes = [0.0_f32; LANES];
    // SAFETY: the row holds a multiple of 16 values.
    unsafe {
        let mut best = L::splat(largest);
        for at in (0..row.len()).step_by(LANES) {
            best = best.max(L::load(row.as_ptr().add(at)));
        }
        best.store(lanes.as_mut_ptr());
    }
    lanes.into_iter().fold(largest, f32::max)
}

dispatch! {
    /// Replaces each x of `row` by e to the power of `x - shift` and returns their sum; `row` is
    /// a multiple of 16 long.
    exp_row => exp_row_body(row: &mut [f32], shift: f32) -> f32
}

#[inline(always)]
fn exp_row_body<L: Lanes>(row: &mut [f32], shift: f32) -> f32 {
    assert!(row.len().is_multiple_of(LANES));
    // SAFETY: the row holds a multiple of 16 values.
    unsafe {
        let shift = L::splat(shift);
        let mut sum = L::splat(0.0);
        for at in (0..row.len()).step_by(LANES) {
            let value = row.as_mut_ptr().add(at);
            let power = exp(L::load(value).sub(shift));
            power.store(value);
            sum = sum.add(power);
        }
        sum.sum()
    }
}

/// Rows of attention scores of one sequence and head.
#[derive(Debug)]
pub(crate) struct Causal<'a> {
    /// Rows of `row` values, of which the first belongs to position `first`.
    pub(crate) scores: &'a mut [f32],
    pub(crate) row: usize,
    pub(crate) first: usize,
    /// Columns from `first + 1` of a row up to this are set to 0; a multiple of 16.
    pub(crate) columns: usize,
    pub(crate) scale: f32,
}

dispatch! {
    /// Each row i becomes the softmax of `scale · score + bias` over its columns up to i; the
    /// bias of a distance d is `bias[bias.len() - 1 - d]`, so that a row's biases are contiguous.
    causal_softmax => causal_softmax_body(at: Causal<'_>, bias: &[f32])
}

#[inline(always)]
fn causal_softmax_body<L: Lanes>(at: Causal<'_>, bias: &[f32]) {
    let Causal {
        scores,
        row,
        first,
        columns,
        scale,
    } = at;
    for (position, scores) in (first..).zip(scores.chunks_mut(row)) {
        let scores = &mut scores[..columns];
        // Up to the end of its last sixteen, wherever the others end: a row's weights depend on
        // nothing behind it.
        let own = (position + 1).next_multiple_of(LANES);
        let bias = &bias[bias.len() - 1 - position..];
        for (score, bias) in scores[..=position].iter_mut().zip(bias) {
            *score = score.mul_add(scale, *bias);
        }
        scores[position + 1..own].fill(f32::MIN);
        let largest = row_max_body::<L>(&scores[..own], f32::MIN);
        let sum = exp_row_body::<L>(&mut scores[..own], largest);
        // What stands beyond the position added less than a bit to the sum.
        let inverse = 1.0 / sum;
        for score in &mut scores[..=position] {
            *score *= inverse;
        }
        scores[position + 1..].fill(0.0);
    }
}

dispatch! {
    /// Backwards through [`causal_softmax`]: `at.scores` holds the gradients of the weights and
    /// becomes those of the raw scores; `weights` are the softmax's results, rows as in `at`.
    /// The gradients of the biases are added to `bias`.
    causal_softmax_back => causal_softmax_back_body(
        at: Causal<'_>,
        weights: &[f32],
        bias: &mut [f32],
    )
}

#[inline(always)]
fn causal_softmax_back_body<L: Lanes>(at: Causal<'_>, weights: &[f32], bias: &mut [f32]) {
    let Causal {
        scores,
        row,
        first,
        columns,
        scale,
    } = at;
    assert!(columns.is_multiple_of(LANES) && columns <= row);
    let last = bias.len() - 1;
    for ((position, scores), weights) in (first..)
        .zip(scores.chunks_mut(row))
        .zip(weights.chunks(row))
    {
        let (scores, weights) = (&mut scores[..columns], &weights[..columns]);
        // SAFETY: both slices are `columns` long, a multiple of 16.
        let inner = unsafe {
            let mut sum = L::splat(0.0);
            for at in (0..columns).step_by(LANES) {
                let weight = L::load(weights.as_ptr().add(at));
                sum = sum.fma(weight, L::load(scores.as_ptr().add(at)));
            }
            sum.sum()
        };
        let bias = &mut bias[last - position..];
        let both = scores.iter_mut().zip(weights);
        for ((score, weight), bias) in both.zip(bias) {
            let gradient = weight * (*score - inner);
            *bias += gradient;
            *score = scale * gradient;
        }
        scores[position + 1..].fill(0.0);
    }
}

dispatch! {
    /// `out = x · σ(1.702 x)`, the fast form of the Gaussian error linear unit (Hendrycks and
    /// Gimpel, 2016); the slices are equally long, a multiple of 16.
    gelu => gelu_body(x: &[f32], out: &mut [f32])
}

const GATE: f32 = 1.702;

#[inline(always)]
fn gelu_body<L: Lanes>(x: &[f32], out: &mut [f32]) {
    assert!(x.len() == out.len() && x.len().is_multiple_of(LANES));
    // SAFETY: both slices hold a multiple of 16 values.
    unsafe {
        for at in (0..x.len()).step_by(LANES) {
            let x = L::load(x.as_ptr().add(at));
            x.mul(gate(x)).store(out.as_mut_ptr().add(at));
        }
    }
}

/// σ(1.702 x).
///
/// # Safety
/// As [`exp`].
#[inline(always)]
unsafe fn gate<L: Lanes>(x: L) -> L {
    // SAFETY: as the caller guarantees; `max` of the negative keeps the power finite.
    unsafe {
        let bounded = x.mul(L::splat(GATE)).max(L::splat(-80.0));
        let power = exp(L::splat(0.0).sub(bounded));
        L::splat(1.0).div(L::splat(1.0).add(power))
    }
}

dispatch! {
    /// Backwards through [`gelu`]: multiplies `gradient` by the derivative at `x`.
    gelu_back => gelu_back_body(x: &[f32], gradient: &mut [f32])
}

#[inline(always)]
fn gelu_back_body<L: Lanes>(x: &[f32], gradient: &mut [f32]) {
    assert!(x.len() == gradient.len() && x.len().is_multiple_of(LANES));
    // SAFETY: both slices hold a multiple of 16 values.
    unsafe {
        for at in (0..x.len()).step_by(LANES) {
            let x = L::load(x.as_ptr().add(at));
            let gate = gate(x);
            // g + 1.702 x g (1 - g)
            let slope = gate.fma(x.mul(L::splat(GATE)), gate.mul(L::splat(1.0).sub(gate)));
            let gradient = gradient.as_mut_ptr().add(at);
            L::load(gradient).mul(slope).store(gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;

    #[test]
    fn powers_are_right_and_the_same_on_every_instruction_set() {
        let x: Vec<f32> = (0..1600).map(|n| n as f32 * 0.11 - 88.0).collect();
        for isa in Isa::available() {
            let mut out = x.clone();
            let sum = exp_row(isa, &mut out, 0.0);
            let mut portable = x.clone();
            assert_eq!(sum, exp_row(Isa::Portable, &mut portable, 0.0));
            assert_eq!(out, portable, "{isa:?}");
            for (x, got) in x.iter().zip(&out) {
                let wanted = x.max(-87.0).exp();
                assert!((got - wanted).abs() <= 4e-7 * wanted, "{x}: {got} {wanted}");
            }
        }
    }

    #[test]
    fn a_causal_row_sums_to_one_and_never_looks_ahead() {
        for isa in Isa::available() {
            let mut scores: Vec<f32> = (0..3 * 16).map(|n| (n % 7) as f32).collect();
            let at = Causal {
                scores: &mut scores,
                row: 16,
                first: 4,
                columns: 16,
                scale: 0.5,
            };
            causal_softmax(isa, at, &[0.1, -0.2, 0.3, 0.0, 0.5, -1.0, 2.0, 0.0]);
            for (position, row) in (4..).zip(scores.chunks(16)) {
                let sum: f32 = row[..=position].iter().sum();
                assert!((sum - 1.0).abs() < 1e-6, "{isa:?} {row:?}");
                assert!(row[position + 1..].iter().all(|weight| *weight == 0.0));
            }
        }
    }

    #[test]
    fn the_gate_and_its_slope_fit_each_other() {
        let x: Vec<f32> = (0..16).map(|n| n as f32 * 0.5 - 4.0).collect();
        let value = |shift: f32| {
            let moved: Vec<f32> = x.iter().map(|x| x + shift).collect();
            let mut out = vec![0.0; 16];
            gelu(Isa::detect(), &moved, &mut out);
            out
        };
        let mut slope = vec![1.0; 16];
        gelu_back(Isa::detect(), &x, &mut slope);
        for ((above, below), slope) in value(0.01).iter().zip(value(-0.01)).zip(&slope) {
            assert!(((above - below) / 0.02 - slope).abs() < 1e-3);
        }
    }
}
