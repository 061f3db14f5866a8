//! One step of gradient descent with moments: AdamW (Loshchilov and Hutter, 2019), and the moving
//! average of the weights that is what a training gives in the end.

use super::dispatch;
use super::lanes::{LANES, Lanes};

/// The numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    /// Step length, the corrections of the young moments included.
    pub(crate) step: f32,
    /// Share of each weight that is taken away.
    pub(crate) decay: f32,
    /// Share that the first moment keeps.
    pub(crate) first: f32,
    /// Share that the second moment keeps.
    pub(crate) second: f32,
    /// Added to the root of the second moment, its correction included.
    pub(crate) floor: f32,
    /// How far the average moves towards the weights.
    pub(crate) average: f32,
}

/// Weights with what belongs to each of them; equally long slices.
#[derive(Debug)]
pub(crate) struct Weights<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) average: &'a mut [f32],
    pub(crate) first: &'a mut [f32],
    pub(crate) second: &'a mut [f32],
}

dispatch! {
    /// Moves the weights against `gradient`; the slices are equally long, a multiple of 16.
    descend => descend_body(weights: Weights<'_>, gradient: &[f32], rates: Rates)
}

#[inline(always)]
fn descend_body<L: Lanes>(weights: Weights<'_>, gradient: &[f32], rates: Rates) {
    let count = gradient.len();
    assert!(count.is_multiple_of(LANES) && weights.values.len() == count);
    assert!(weights.average.len() == count);
    assert!(weights.first.len() == count && weights.second.len() == count);
    // SAFETY: all slices hold `count` values, a multiple of 16.
    unsafe {
        for at in (0..count).step_by(LANES) {
            let gradient = L::load(gradient.as_ptr().add(at));
            let (first, second) = (
                weights.first.as_mut_ptr().add(at),
                weights.second.as_mut_ptr().add(at),
            );
            let (value, average) = (
                weights.values.as_mut_ptr().add(at),
                weights.average.as_mut_ptr().add(at),
            );
            let one = L::load(first)
                .mul(L::splat(rates.first))
                .fma(gradient, L::splat(1.0 - rates.first));
            one.store(first);
            let two = L::load(second)
                .mul(L::splat(rates.second))
                .fma(gradient.mul(gradient), L::splat(1.0 - rates.second));
            two.store(second);
            let step = one
                .mul(L::splat(rates.step))
                .div(two.sqrt().add(L::splat(rates.floor)));
            let old = L::load(value);
            let new = old.fnma(old, L::splat(rates.decay)).sub(step);
            new.store(value);
            let behind = L::load(average);
            behind
                .fma(new.sub(behind), L::splat(rates.average))
                .store(average);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;

    #[test]
    fn descent_finds_the_minimum_of_a_bowl_on_every_instruction_set() {
        for isa in Isa::available() {
            let mut values = vec![3.0_f32; 16];
            let (mut average, mut first, mut second) =
                (values.clone(), vec![0.0; 16], vec![0.0; 16]);
            for _ in 0..400 {
                let gradient: Vec<f32> = values.iter().map(|x| 2.0 * (x - 1.0)).collect();
                let weights = Weights {
                    values: &mut values,
                    average: &mut average,
                    first: &mut first,
                    second: &mut second,
                };
                let rates = Rates {
                    step: 0.05,
                    decay: 0.0,
                    first: 0.9,
                    second: 0.99,
                    floor: 1e-8,
                    average: 0.05,
                };
                descend(isa, weights, &gradient, rates);
            }
            assert!((values[0] - 1.0).abs() < 0.01, "{isa:?} {values:?}");
            assert!((average[15] - 1.0).abs() < 0.05, "{isa:?} {average:?}");
        }
    }
}
