//! The cheap layers of a network, forwards and backwards: normalisation, a short causal
//! convolution, dropout. Rows are positions; their width is a multiple of 16.

use super::dispatch;
use super::lanes::{LANES, Lanes};

/// Added to a variance so that a constant row can be normalised.
const VARIANCE_FLOOR: f32 = 1e-6;

/// What [`normalise`] leaves for the way back.
#[derive(Debug)]
pub(crate) struct Normalised<'a> {
    /// Each row less its mean, divided by its deviation.
    pub(crate) rows: &'a mut [f32],
    /// 1 over each row's deviation.
    pub(crate) inverse: &'a mut [f32],
}

dispatch! {
    /// Layer normalisation (Ba, Kiros and Hinton, 2016): `out = gain · (x - mean) / deviation +
    /// bias` for each row of `x`.
    normalise => normalise_body(
        x: &[f32],
        gain: &[f32],
        bias: &[f32],
        kept: Normalised<'_>,
        out: &mut [f32],
    )
}

#[inline(always)]
fn normalise_body<L: Lanes>(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    kept: Normalised<'_>,
    out: &mut [f32],
) {
    let width = gain.len();
    assert!(width.is_multiple_of(LANES) && bias.len() == width && width > 0);
    assert!(x.len() == out.len() && x.len() == kept.rows.len());
    assert!(x.len() == kept.inverse.len() * width);
    let share = 1.0 / width as f32;
    for (at, inverse) in kept.inverse.iter_mut().enumerate() {
        // SAFETY: row `at` of `width` values lies inside all three tables, as asserted.
        unsafe {
            let from = x.as_ptr().add(at * width);
            let (rows, out) = (
                kept.rows.as_mut_ptr().add(at * width),
                out.as_mut_ptr().add(at * width),
            );
            let mut sum = L::splat(0.0);
            for i in (0..width).step_by(LANES) {
                sum = sum.add(L::load(from.add(i)));
            }
            let mean = L::splat(sum.sum() * share);
            let mut squares = L::splat(0.0);
            for i in (0..width).step_by(LANES) {
                let centred = L::load(from.add(i)).sub(mean);
                squares = squares.fma(centred, centred);
            }
            *inverse = 1.0 / squares.sum().mul_add(share, VARIANCE_FLOOR).sqrt();
            for i in (0..width).step_by(LANES) {
                let row = L::load(from.add(i)).sub(mean).mul(L::splat(*inverse));
                row.store(rows.add(i));
                let gained = L::load(bias.as_ptr().add(i)).fma(row, L::load(gain.as_ptr().add(i)));
                gained.store(out.add(i));
            }
        }
    }
}

/// Where [`normalise_back`] adds the gradients of gain and bias.
#[derive(Debug)]
pub(crate) struct GainAndBias<'a> {
    pub(crate) gain: &'a mut [f32],
    pub(crate) bias: &'a mut [f32],
}

dispatch! {
    /// Backwards through [`normalise`]: adds to `x` the gradient of its input, given `out`, the
    /// gradient of its result. `rows` and `inverse` are what it kept.
    normalise_back => normalise_back_body(
        out: &[f32],
        gain: &[f32],
        kept: (&[f32], &[f32]),
        sums: GainAndBias<'_>,
        x: &mut [f32],
    )
}

#[inline(always)]
fn normalise_back_body<L: Lanes>(
    out: &[f32],
    gain: &[f32],
    kept: (&[f32], &[f32]),
    sums: GainAndBias<'_>,
    x: &mut [f32],
) {
    let (rows, inverse) = kept;
    let width = gain.len();
    assert!(width.is_multiple_of(LANES) && width > 0);
    assert!(sums.gain.len() == width && sums.bias.len() == width);
    assert!(x.len() == out.len() && x.len() == rows.len() && x.len() == inverse.len() * width);
    let share = 1.0 / width as f32;
    for (at, inverse) in inverse.iter().enumerate() {
        // SAFETY: row `at` of `width` values lies inside all tables, as asserted.
        unsafe {
            let (out, row) = (out.as_ptr().add(at * width), rows.as_ptr().add(at * width));
            let x = x.as_mut_ptr().add(at * width);
            let (mut sum, mut along) = (L::splat(0.0), L::splat(0.0));
            for i in (0..width).step_by(LANES) {
                let (out, row) = (L::load(out.add(i)), L::load(row.add(i)));
                let (to_gain, to_bias) =
                    (sums.gain.as_mut_ptr().add(i), sums.bias.as_mut_ptr().add(i));
                L::load(to_gain).fma(out, row).store(to_gain);
                L::load(to_bias).add(out).store(to_bias);
                let gained = out.mul(L::load(gain.as_ptr().add(i)));
                sum = sum.add(gained);
                along = along.fma(gained, row);
            }
            let (mean, along) = (L::splat(sum.sum() * share), L::splat(along.sum() * share));
            for i in (0..width).step_by(LANES) {
                let gained = L::load(out.add(i)).mul(L::load(gain.as_ptr().add(i)));
                let centred = gained.sub(mean).fnma(along, L::load(row.add(i)));
                let to = x.add(i);
                L::load(to).fma(centred, L::splat(*inverse)).store(to);
            }
        }
    }
}

dispatch! {
    /// Within one sequence, `out[t] = z[t] + Σ taps[s] · z[t - 1 - s]` column by column; `taps`
    /// holds a row of `width` values for each step back.
    convolve => convolve_body(z: &[f32], taps: &[f32], width: usize, out: &mut [f32])
}

#[inline(always)]
fn convolve_body<L: Lanes>(z: &[f32], taps: &[f32], width: usize, out: &mut [f32]) {
    assert!(z.len() == out.len());
    out.copy_from_slice(z);
    for (step, tap) in (1..).zip(taps.chunks_exact(width)) {
        for (out, z) in out
            .chunks_exact_mut(width)
            .skip(step)
            .zip(z.chunks_exact(width))
        {
            for ((out, z), tap) in out.iter_mut().zip(z).zip(tap) {
                *out = z.mul_add(*tap, *out);
            }
        }
    }
}

dispatch! {
    /// Backwards through [`convolve`]: adds the taps' gradients to `tap_sums` and writes those of
    /// `z` to `back`.
    convolve_back => convolve_back_body(
        out: &[f32],
        forward: (&[f32], &[f32]),
        width: usize,
        tap_sums: &mut [f32],
        back: &mut [f32],
    )
}

#[inline(always)]
fn convolve_back_body<L: Lanes>(
    out: &[f32],
    forward: (&[f32], &[f32]),
    width: usize,
    tap_sums: &mut [f32],
    back: &mut [f32],
) {
    let (z, taps) = forward;
    back.copy_from_slice(out);
    let steps = taps
        .chunks_exact(width)
        .zip(tap_sums.chunks_exact_mut(width));
    for (step, (tap, tap_sum)) in (1..).zip(steps) {
        let later = out.chunks_exact(width).skip(step);
        let earlier = z.chunks_exact(width).zip(back.chunks_exact_mut(width));
        for (out, (z, back)) in later.zip(earlier) {
            for (column, out) in out.iter().enumerate() {
                back[column] = out.mul_add(tap[column], back[column]);
                tap_sum[column] = out.mul_add(z[column], tap_sum[column]);
            }
        }
    }
}

dispatch! {
    /// `x += scale · y` where `kept` is not 0, and nothing elsewhere; equally long slices.
    add_kept => add_kept_body(x: &mut [f32], y: &[f32], kept: &[u8], scale: f32)
}

#[inline(always)]
fn add_kept_body<L: Lanes>(x: &mut [f32], y: &[f32], kept: &[u8], scale: f32) {
    for ((x, y), kept) in x.iter_mut().zip(y).zip(kept) {
        *x = y.mul_add(scale * f32::from(*kept), *x);
    }
}

dispatch! {
    /// `x = scale · y` where `kept` is not 0, and 0 elsewhere; equally long slices.
    keep => keep_body(x: &mut [f32], y: &[f32], kept: &[u8], scale: f32)
}

#[inline(always)]
fn keep_body<L: Lanes>(x: &mut [f32], y: &[f32], kept: &[u8], scale: f32) {
    for ((x, y), kept) in x.iter_mut().zip(y).zip(kept) {
        *x = y * (scale * f32::from(*kept));
    }
}

dispatch! {
    /// `sums += Σ rows`, column by column.
    add_rows => add_rows_body(sums: &mut [f32], rows: &[f32])
}

#[inline(always)]
fn add_rows_body<L: Lanes>(sums: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::seeded::Seeded;

    fn random(count: usize, stream: u64) -> Vec<f32> {
        let mut random = Seeded::new(6, stream);
        (0..count).map(|_| random.normal()).collect()
    }

    #[test]
    fn a_normalised_row_has_mean_0_and_deviation_1_on_every_instruction_set() {
        let x = random(3 * 48, 1);
        let run = |isa| {
            let (mut rows, mut inverse, mut out) = (vec![0.0; 144], vec![0.0; 3], vec![0.0; 144]);
            let kept = Normalised {
                rows: &mut rows,
                inverse: &mut inverse,
            };
            normalise(isa, &x, &[2.0; 48], &[0.5; 48], kept, &mut out);
            (rows, out)
        };
        let (rows, out) = run(Isa::detect());
        for (row, out) in rows.chunks(48).zip(out.chunks(48)) {
            let mean: f32 = row.iter().sum::<f32>() / 48.0;
            let square: f32 = row.iter().map(|v| v * v).sum::<f32>() / 48.0;
            assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-4);
            assert!((out[3] - (2.0 * row[3] + 0.5)).abs() < 1e-6);
        }
        assert!(
            Isa::available()
                .into_iter()
                .all(|isa| run(isa) == (rows.clone(), out.clone()))
        );
    }

    #[test]
    fn a_convolution_looks_back_only() {
        let z: Vec<f32> = (0..4 * 16).map(|at| (at / 16) as f32 + 1.0).collect();
        let taps = [vec![10.0; 16], vec![100.0; 16]].concat();
        let mut out = vec![0.0; 64];
        convolve(Isa::detect(), &z, &taps, 16, &mut out);
        let firsts: Vec<f32> = out.iter().copied().step_by(16).collect();
        assert_eq!(firsts, [1.0, 12.0, 123.0, 234.0]);
    }
}
