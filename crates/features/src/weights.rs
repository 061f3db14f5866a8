//! A few keys with decaying weights in a run of words: category affinity, popularity by segment,
//! co-visitation neighbours.
//!
//! Words: epoch, then the keys in order of arrival, then the bits of their `f32` weights. Keys lie
//! together because every update searches them. Weights are relative to the landmark of the epoch
//! (see [`crate::decay`]), so adding touches one of them.

use crate::decay::{DecayClock, Scale, epochs_worth};
use crate::words::Partial;

/// What happens when a new key comes and all places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It takes the place of the weight nearest to zero, if its own is not nearer.
    Replace,
    /// It takes the place of the smallest weight and inherits it (Space-Saving, Metwally et al.
    /// 2005): weights become overestimates, but a heavy key cannot stay out.
    Inherit,
}

/// Bounds of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) pairs_max: usize,
    pub(crate) when_full: WhenFull,
}

/// Adds `weight`, contributed at the time of `scale`, to `key`.
pub(crate) fn add(run: &mut Partial<'_>, bounds: &Bounds, scale: Scale, key: u32, weight: f32) {
    if run.is_empty() {
        run.insert_zeros(0, 1);
        run.words_mut()[0] = scale.epoch;
    }
    let epoch = run.words()[0];
    let mut factor = scale.factor as f32;
    if scale.epoch > epoch {
        age(run.words_mut(), scale.epoch - epoch);
    } else if scale.epoch < epoch {
        factor *= epochs_worth(epoch - scale.epoch) as f32;
    }
    let scaled = weight * factor;
    let (keys, weights) = split_mut(run.words_mut());
    if let Some(at) = position(keys, key) {
        weights[at] = (f32::from_bits(weights[at]) + scaled).to_bits();
        return;
    }
    let n = keys.len();
    if n < bounds.pairs_max {
        run.insert_zeros(1 + 2 * n, 2);
        let words = run.words_mut();
        words.copy_within(1 + n..1 + 2 * n, 2 + n);
        words[1 + n] = key;
        words[2 + 2 * n] = scaled.to_bits();
        return;
    }
    replace(keys, weights, bounds.when_full, (key, scaled));
}

/// Moves the landmark by whole epochs.
fn age(words: &mut [u32], epochs: u32) {
    let worth = epochs_worth(epochs) as f32;
    words[0] += epochs;
    for weight in split_mut(words).1 {
        *weight = (f32::from_bits(*weight) * worth).to_bits();
    }
}

fn split_mut(words: &mut [u32]) -> (&mut [u32], &mut [u32]) {
    let n = words.len() / 2;
    words[1..].split_at_mut(n)
}

fn split(words: &[u32]) -> (&[u32], &[u32]) {
    let n = words.len() / 2;
    words.get(1..).unwrap_or_default().split_at(n)
}

/// Words compared at once: two SSE registers, which every x86-64 has.
const LANES: usize = 8;

/// Where `wanted` is. Compares whole groups before looking closer, so that the compiler can use
/// vector instructions.
fn position(words: &[u32], wanted: u32) -> Option<usize> {
    let (groups, rest) = words.as_chunks::<LANES>();
    for (at, group) in groups.iter().enumerate() {
        if group
            .iter()
            .fold(false, |any, word| any | (*word == wanted))
        {
            let within = group.iter().position(|word| *word == wanted)?;
            return Some(at * LANES + within);
        }
    }
    let within = rest.iter().position(|word| *word == wanted)?;
    Some(groups.len() * LANES + within)
}

/// The smallest magnitude. Of numbers without their sign, bits are in the order of values.
fn least_magnitude(weights: &[u32]) -> u32 {
    const MAGNITUDE: u32 = 0x7fff_ffff;
    let (groups, rest) = weights.as_chunks::<LANES>();
    let mut least = [MAGNITUDE as i32; LANES];
    for group in groups {
        for (least, weight) in least.iter_mut().zip(group) {
            *least = (*least).min((weight & MAGNITUDE) as i32);
        }
    }
    let rest = rest.iter().map(|weight| (weight & MAGNITUDE) as i32);
    least.into_iter().chain(rest).min().unwrap_or(0) as u32
}

fn replace(keys: &mut [u32], weights: &mut [u32], when_full: WhenFull, (key, scaled): (u32, f32)) {
    const SIGN: u32 = 0x8000_0000;
    let bits = least_magnitude(weights);
    let place = position(weights, bits).or_else(|| position(weights, bits | SIGN));
    let Some(place) = place else {
        return;
    };
    let least = f32::from_bits(bits);
    let weight = match when_full {
        WhenFull::Replace if scaled.abs() < least => return,
        WhenFull::Replace => scaled,
        WhenFull::Inherit => least + scaled,
    };
    keys[place] = key;
    weights[place] = weight.to_bits();
}

/// Keys and weights as of a time, in the order of the run.
pub(crate) fn read<'a>(
    words: &'a [u32],
    clock: &DecayClock,
    as_of_s: u32,
) -> impl Iterator<Item = (u32, f64)> + use<'a> {
    let worth = words
        .first()
        .map_or(0.0, |epoch| clock.worth(*epoch, as_of_s));
    let (keys, weights) = split(words);
    let weights = weights
        .iter()
        .map(move |bits| f64::from(f32::from_bits(*bits)) * worth);
    keys.iter().copied().zip(weights)
}

/// The keys of a run.
pub(crate) fn keys(words: &[u32]) -> impl Iterator<Item = u32> + '_ {
    split(words).0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(when_full: WhenFull) -> Bounds {
        Bounds {
            pairs_max: 2,
            when_full,
        }
    }

    #[test]
    fn weights_halve_with_each_half_life_across_epochs() {
        let clock = DecayClock::new(60);
        let mut words = Vec::new();
        for time_s in [0, 60, 60 * 40] {
            let mut run = Partial::whole(&mut words);
            add(
                &mut run,
                &bounds(WhenFull::Replace),
                clock.at(time_s),
                5,
                1.0,
            );
        }
        let read: Vec<_> = read(&words, &clock, 60 * 40).collect();
        assert_eq!(read.len(), 1);
        assert!((read[0].1 - 1.0).abs() < 1e-6, "{read:?}");
    }

    #[test]
    fn a_full_run_replaces_or_inherits() {
        let clock = DecayClock::new(60);
        for (when_full, expected) in [
            (WhenFull::Replace, vec![(1, 5.0), (3, 3.0)]),
            (WhenFull::Inherit, vec![(1, 5.0), (3, 5.0)]),
        ] {
            let mut words = Vec::new();
            for (key, weight) in [(1, 5.0), (2, -2.0), (3, 3.0)] {
                let mut run = Partial::whole(&mut words);
                add(&mut run, &bounds(when_full), clock.at(0), key, weight);
            }
            assert_eq!(read(&words, &clock, 0).collect::<Vec<_>>(), expected);
        }
    }
}
