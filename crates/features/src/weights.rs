//! A few keys with decaying weights in a run of words: category affinity, popularity by segment,
//! co-visitation neighbours.
//!
//! Words: epoch, then (key, bits of an `f32`) pairs in order of arrival. Weights are relative to
//! the landmark of the epoch (see [`crate::decay`]), so adding touches one pair.

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
    let pairs = run.words_mut()[1..].as_chunks_mut::<2>().0;
    if let Some(pair) = pairs.iter_mut().find(|pair| pair[0] == key) {
        pair[1] = (f32::from_bits(pair[1]) + scaled).to_bits();
        return;
    }
    if pairs.len() < bounds.pairs_max {
        let at = run.len();
        run.insert_zeros(at, 2);
        run.words_mut()[at..].copy_from_slice(&[key, scaled.to_bits()]);
        return;
    }
    replace(pairs, bounds.when_full, key, scaled);
}

/// Moves the landmark by whole epochs.
fn age(words: &mut [u32], epochs: u32) {
    let worth = epochs_worth(epochs) as f32;
    words[0] += epochs;
    for pair in words[1..].as_chunks_mut::<2>().0 {
        pair[1] = (f32::from_bits(pair[1]) * worth).to_bits();
    }
}

fn replace(pairs: &mut [[u32; 2]], when_full: WhenFull, key: u32, scaled: f32) {
    let mut least = f32::INFINITY;
    let mut place = 0;
    for (at, pair) in pairs.iter().enumerate() {
        let magnitude = f32::from_bits(pair[1]).abs();
        if magnitude < least {
            least = magnitude;
            place = at;
        }
    }
    let Some(pair) = pairs.get_mut(place) else {
        return;
    };
    match when_full {
        WhenFull::Replace if scaled.abs() < least => {}
        WhenFull::Replace => *pair = [key, scaled.to_bits()],
        WhenFull::Inherit => *pair = [key, (least + scaled).to_bits()],
    }
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
    let pairs = words.get(1..).unwrap_or_default().as_chunks::<2>().0;
    pairs
        .iter()
        .map(move |pair| (pair[0], f64::from(f32::from_bits(pair[1])) * worth))
}

/// The keys of a run.
pub(crate) fn keys(words: &[u32]) -> impl Iterator<Item = u32> + '_ {
    words
        .get(1..)
        .unwrap_or_default()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| pair[0])
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
