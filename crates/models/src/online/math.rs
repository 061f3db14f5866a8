//! The arithmetic of steps: an exponential that is the same on every machine, and how far a step
//! goes when its importance is to count exactly.

use std::f32::consts::LOG2_E;

/// `e^x` to seven digits, from additions and multiplications alone, so that equal input gives equal
/// bits whatever the platform's library. Saturates far outside of what margins reach.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let power = (x * LOG2_E).round_ties_even();
    // ln 2 in two parts, the first exact in few bits, so that the rest of x loses nothing.
    let rest = (x - power * 0.693_359_4) - power * -2.121_944_4e-4;
    let mut sum = 1.0 / 5040.0;
    for term in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        sum = sum * rest + 1.0 / term;
    }
    f32::from_bits(((power as i32 + 127) as u32) << 23) * sum
}

/// The probability that belongs to a margin.
#[inline]
pub(super) fn sigmoid(margin: f32) -> f32 {
    1.0 / (1.0 + exp(-margin))
}

/// Most corrections of an inner solution; two are usual.
const SOLVER_STEPS_MAX: usize = 12;

/// How far the margin `u` of the true answer moves under logistic loss, when a flow of `amount`
/// (rate times importance times squared size of the features) runs its course: the end of
/// `du/dh = amount / (1 + e^u)` after `h = 1`, which satisfies `u + e^u = amount + u0 + e^u0`.
///
/// It never overshoots, whatever the importance, and two runs of half the amount end where one of
/// the whole does.
#[inline]
pub(super) fn logistic_flow(u0: f32, amount: f32) -> f32 {
    let e0 = exp(u0);
    let target = amount + u0 + e0;
    // The left side is convex: from the right Newton's steps only go left, so start at the nearest
    // of three places that lie beyond the end.
    let mut u = (u0 + amount / (1.0 + e0)).min(log_above(target));
    for _ in 0..SOLVER_STEPS_MAX {
        let e = exp(u);
        let step = (u + e - target) / (1.0 + e);
        u -= step;
        if step.abs() <= 1e-6 * (1.0 + u.abs()) {
            break;
        }
    }
    // Rounding must not turn a tiny step round.
    (u - u0).max(0.0)
}

/// A little more than what `u` can be when `u + e^u` is `target`: the logarithm rounded up to a
/// whole power of two, or below 1 the target itself.
#[inline]
fn log_above(target: f32) -> f32 {
    if target < 1.0 {
        return target;
    }
    (i64::from(target.to_bits() >> 23) - 126) as f32 * std::f32::consts::LN_2
}

/// Replaces scores by their softmax.
pub(super) fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = exp(*score - largest);
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}

/// Parts of a list's flow.
const FLOW_PARTS: usize = 8;

/// How far to go along `-direction` from `scores` under the softmax loss of `chosen`, when a flow
/// of `amount` runs its course: `dt/dh = amount * slope(t) / slope(0)`, where `slope` is the fall
/// of the loss along the direction. The same idea as [`logistic_flow`], solved by midpoints.
pub(super) fn softmax_flow(
    scores: &[f32],
    direction: &[f32],
    chosen: usize,
    amount: f32,
    scratch: &mut Vec<f32>,
) -> f32 {
    let mut fall = |t: f32| {
        scratch.clear();
        let moved = scores.iter().zip(direction).map(|(s, d)| s - t * d);
        scratch.extend(moved);
        softmax(scratch);
        let mean: f32 = scratch.iter().zip(direction).map(|(p, d)| p * d).sum();
        mean - direction[chosen]
    };
    let first = fall(0.0);
    if first <= 0.0 || !first.is_finite() {
        return 0.0;
    }
    let part = amount / FLOW_PARTS as f32;
    let mut t = 0.0;
    for _ in 0..FLOW_PARTS {
        let half = t + 0.5 * part * (fall(t) / first).max(0.0);
        t += part * (fall(half) / first).max(0.0);
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_six_digits() {
        for x in (-800..=800).map(|x| x as f32 * 0.1) {
            let right = f64::from(x).exp();
            let error = (f64::from(exp(x)) - right).abs() / right;
            assert!(error < 1e-6, "{x}: {error}");
        }
        assert!(exp(f32::MAX).is_finite() && exp(f32::MIN) >= 0.0);
    }

    #[test]
    fn a_flow_ends_where_its_halves_end() {
        for u0 in [-30.0_f32, -4.0, -0.5, 0.0, 2.0, 9.0] {
            for amount in [1e-4_f32, 0.1, 3.0, 40.0] {
                let whole = logistic_flow(u0, amount);
                let half = logistic_flow(u0, amount * 0.5);
                let halves = half + logistic_flow(u0 + half, amount * 0.5);
                assert!(
                    (whole - halves).abs() < 2e-4 * (1.0 + whole),
                    "{u0} {amount}"
                );
                let end = f64::from(u0 + whole);
                let error = end + end.exp() - f64::from(amount + u0) - f64::from(u0).exp();
                assert!(
                    error.abs() < 1e-2 * (1.0 + end.exp()),
                    "{u0} {amount}: {error}"
                );
            }
        }
    }

    #[test]
    fn a_list_is_never_overshot() {
        let (scores, direction) = ([0.3_f32, -1.0, 0.2], [0.5_f32, 0.2, -0.7]);
        let mut scratch = Vec::new();
        let small = softmax_flow(&scores, &direction, 2, 0.01, &mut scratch);
        assert!((small - 0.01).abs() < 1e-4, "{small}");
        let huge = softmax_flow(&scores, &direction, 2, 50.0, &mut scratch);
        assert!(huge > 1.0 && huge < 50.0, "{huge}");
        let wrong = softmax_flow(&scores, &direction, 0, 1.0, &mut scratch);
        assert_eq!(wrong, 0.0, "uphill is not gone");
    }
}
