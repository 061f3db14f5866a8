//! `top_k`: the most frequent keys, with their counts.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and top-k
//! elements in data streams", ICDT 2005) with two counters per reported key in each tile: exact
//! while a tile sees at most 2k distinct keys, beyond that an overestimate by at most the smallest
//! counter. Merging adds counters and cuts nothing; only the answer is cut to k.

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width, refuse_without_k};
use crate::config::{FeatureViewConfig, Operand};

/// Counters kept for each key reported.
const COUNTERS_PER_KEY: usize = 2;

/// Words: (key, count) pairs in ascending order of keys.
#[derive(Debug)]
pub(super) struct TopK;

impl Aggregation for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::Category, Operand::Item, Operand::EventType]
    }

    fn width(&self, params: &Params) -> Width {
        Width::UpTo(2 * COUNTERS_PER_KEY * params.k)
    }

    fn update(&self, params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        let key = sample.key as u32;
        let at = match find(partial.words(), key) {
            Ok(at) => {
                let count = &mut partial.words_mut()[2 * at + 1];
                *count = count.saturating_add(1);
                return;
            }
            Err(at) => at,
        };
        if partial.len() < 2 * COUNTERS_PER_KEY * params.k {
            partial.insert_zeros(2 * at, 2);
            partial.words_mut()[2 * at..2 * at + 2].copy_from_slice(&[key, 1]);
            return;
        }
        let mut pairs = partial.words().to_vec();
        replace_smallest(&mut pairs, key);
        partial.replace(&pairs);
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        for pair in from.chunks_exact(2) {
            match find(into, pair[0]) {
                Ok(at) => into[2 * at + 1] = into[2 * at + 1].saturating_add(pair[1]),
                Err(at) => {
                    into.splice(2 * at..2 * at, [pair[0], pair[1]]);
                }
            }
        }
    }

    fn value(&self, params: &Params, words: &[u32], _as_of_s: u32) -> AggregateValue {
        let mut ranked: Vec<_> = words.chunks_exact(2).map(|p| (p[0], p[1])).collect();
        if ranked.is_empty() {
            return AggregateValue::Missing;
        }
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(params.k);
        AggregateValue::Ranked(ranked.into_iter().map(|(k, n)| (k, f64::from(n))).collect())
    }

    fn check(&self, view: &FeatureViewConfig) -> Result<(), String> {
        refuse_without_k(view)
    }
}

/// The pair of `key`, or where it belongs.
fn find(pairs: &[u32], key: u32) -> Result<usize, usize> {
    let mut below = 0;
    let mut above = pairs.len() / 2;
    while below < above {
        let middle = usize::midpoint(below, above);
        match pairs[2 * middle].cmp(&key) {
            std::cmp::Ordering::Equal => return Ok(middle),
            std::cmp::Ordering::Less => below = middle + 1,
            std::cmp::Ordering::Greater => above = middle,
        }
    }
    Err(below)
}

/// The newcomer takes the smallest counter's place and inherits its count.
fn replace_smallest(pairs: &mut Vec<u32>, key: u32) {
    let Some((smallest, count)) = pairs
        .chunks_exact(2)
        .enumerate()
        .map(|(at, pair)| (at, pair[1]))
        .min_by_key(|&(_, count)| count)
    else {
        return;
    };
    pairs.drain(2 * smallest..2 * smallest + 2);
    let at = find(pairs, key).unwrap_or_else(|at| at);
    pairs.splice(2 * at..2 * at, [key, count.saturating_add(1)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_tile_keeps_the_frequent_keys() {
        let mut pairs = vec![1, 10, 2, 3, 3, 7];
        replace_smallest(&mut pairs, 9);
        assert_eq!(pairs, [1, 10, 3, 7, 9, 4]);
    }
}
