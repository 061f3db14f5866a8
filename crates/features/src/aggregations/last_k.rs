//! `last_k`: the latest distinct keys, newest first.

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width, refuse_without_k};
use crate::config::{FeatureViewConfig, Operand};

/// Words: (time in seconds, key) pairs in descending order, at most k of them.
#[derive(Debug)]
pub(super) struct LastK;

impl Aggregation for LastK {
    fn name(&self) -> &'static str {
        "last_k"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::Item, Operand::Category, Operand::EventType]
    }

    fn width(&self, params: &Params) -> Width {
        Width::UpTo(2 * params.k)
    }

    fn update(&self, params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        let mut pairs = partial.words().to_vec();
        put(&mut pairs, params.k, sample.time_s, sample.key as u32);
        partial.replace(&pairs);
    }

    fn merge(&self, params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        for pair in from.chunks_exact(2) {
            put(into, params.k, pair[0], pair[1]);
        }
    }

    fn value(&self, params: &Params, words: &[u32], as_of_s: u32) -> AggregateValue {
        let since_s = as_of_s.saturating_sub(params.window_s);
        let ranked: Vec<_> = words
            .chunks_exact(2)
            .filter(|pair| pair[0] > since_s && pair[0] <= as_of_s)
            .map(|pair| (pair[1], f64::from(pair[0])))
            .collect();
        if ranked.is_empty() {
            AggregateValue::Missing
        } else {
            AggregateValue::Ranked(ranked)
        }
    }

    fn is_tiled(&self) -> bool {
        false
    }

    fn check(&self, view: &FeatureViewConfig) -> Result<(), String> {
        refuse_without_k(view)
    }
}

/// Puts a key at its latest time and keeps the k greatest pairs. A total order (time, then key)
/// decides ties, so the result does not depend on the order of arrival.
fn put(pairs: &mut Vec<u32>, k: usize, time_s: u32, key: u32) {
    if let Some(at) = pairs.chunks_exact(2).position(|pair| pair[1] == key) {
        if pairs[2 * at] >= time_s {
            return;
        }
        pairs.drain(2 * at..2 * at + 2);
    }
    let at = pairs
        .chunks_exact(2)
        .position(|pair| (pair[0], pair[1]) < (time_s, key))
        .unwrap_or(pairs.len() / 2);
    pairs.splice(2 * at..2 * at, [time_s, key]);
    pairs.truncate(2 * k);
}
