//! `distinct`: about how many different keys, by HyperLogLog (Flajolet, Fusy, Gandouet, Meunier,
//! AofA 2007) with Ertl's estimator ("New cardinality estimation algorithms for HyperLogLog
//! sketches", arXiv 1702.01284, section 4), which needs no bias tables.
//!
//! 512 registers of 6 bits: a standard error of 4.6 %. A register that is zero is not stored until
//! 204 of them are set: the sparse form is a sorted list of 16-bit (register, rank) pairs.
//! Both forms keep only 16 bits of a key, so no key can be read back.

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width};
use crate::config::Operand;

const INDEX_BITS: u32 = 9;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Ranks run from 1 to 55; 6 bits hold them.
const RANK_MAX: usize = 64 - INDEX_BITS as usize + 1;
/// Words of the dense form: 5 registers of 6 bits in each.
const DENSE_WORDS: usize = REGISTERS.div_ceil(5);

/// Words: sparse, 16-bit entries `register << 6 | rank` in ascending order, two a word, the last
/// upper half 0 if their number is odd; or dense, [`DENSE_WORDS`] of them.
#[derive(Debug)]
pub(super) struct Distinct;

impl Aggregation for Distinct {
    fn name(&self) -> &'static str {
        "distinct"
    }

    fn operands(&self) -> &'static [Operand] {
        &[
            Operand::User,
            Operand::Item,
            Operand::Category,
            Operand::Session,
        ]
    }

    fn width(&self, _params: &Params) -> Width {
        Width::UpTo(DENSE_WORDS)
    }

    fn update(&self, _params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        let (register, rank) = observe(sample.key);
        if partial.len() == DENSE_WORDS {
            raise(partial.words_mut(), register, rank);
            return;
        }
        let entry = (register << 6 | rank) as u16;
        let n = sparse_len(partial.words());
        let at = lower_bound(partial.words(), n, (register << 6) as u16);
        if at < n && usize::from(sparse_get(partial.words(), at)) >> 6 == register {
            if sparse_get(partial.words(), at) < entry {
                sparse_put(partial.words_mut(), at, entry);
            }
            return;
        }
        if n + 1 > 2 * (DENSE_WORDS - 1) {
            let mut dense = to_dense(partial.words());
            raise(&mut dense, register, rank);
            partial.replace(&dense);
            return;
        }
        if n.is_multiple_of(2) {
            partial.insert_zeros(partial.len(), 1);
        }
        let words = partial.words_mut();
        for i in (at..n).rev() {
            let moved = sparse_get(words, i);
            sparse_put(words, i + 1, moved);
        }
        sparse_put(words, at, entry);
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        let mut merged = to_dense(into);
        let other = to_dense(from);
        for register in 0..REGISTERS {
            raise(&mut merged, register, rank_of(&other, register));
        }
        *into = from_dense(merged);
    }

    fn value(&self, _params: &Params, words: &[u32], _as_of_s: u32) -> AggregateValue {
        AggregateValue::Number(estimate(&to_dense(words)))
    }
}

/// The register a key falls into and the rank it shows: one more than the zeros that follow.
fn observe(key: u64) -> (usize, usize) {
    // Keys may be small local numbers: spread them first (the finaliser of MurmurHash3).
    let mut hash = key;
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    let register = (hash >> (64 - INDEX_BITS)) as usize;
    let rest = hash << INDEX_BITS;
    let rank = (rest.leading_zeros() as usize + 1).min(RANK_MAX);
    (register, rank)
}

fn sparse_get(words: &[u32], at: usize) -> u16 {
    (words[at / 2] >> (16 * (at % 2))) as u16
}

fn sparse_put(words: &mut [u32], at: usize, entry: u16) {
    let shift = 16 * (at % 2);
    let word = &mut words[at / 2];
    *word = *word & !(0xffff << shift) | u32::from(entry) << shift;
}

/// Entries have a rank of at least 1, so an upper half of 0 is no entry.
fn sparse_len(words: &[u32]) -> usize {
    match words.last() {
        Some(last) if last >> 16 == 0 => 2 * words.len() - 1,
        _ => 2 * words.len(),
    }
}

fn lower_bound(words: &[u32], n: usize, entry: u16) -> usize {
    let mut below = 0;
    let mut above = n;
    while below < above {
        let middle = usize::midpoint(below, above);
        if sparse_get(words, middle) < entry {
            below = middle + 1;
        } else {
            above = middle;
        }
    }
    below
}

fn rank_of(dense: &[u32], register: usize) -> usize {
    (dense[register / 5] >> (6 * (register % 5)) & 63) as usize
}

fn raise(dense: &mut [u32], register: usize, rank: usize) {
    if rank > rank_of(dense, register) {
        let shift = 6 * (register % 5);
        let word = &mut dense[register / 5];
        *word = *word & !(63 << shift) | (rank as u32) << shift;
    }
}

fn to_dense(words: &[u32]) -> Vec<u32> {
    if words.len() == DENSE_WORDS {
        return words.to_vec();
    }
    let mut dense = vec![0; DENSE_WORDS];
    for at in 0..sparse_len(words) {
        let entry = usize::from(sparse_get(words, at));
        raise(&mut dense, entry >> 6, entry & 63);
    }
    dense
}

/// The smaller of the two forms: the same registers always give the same words.
fn from_dense(dense: Vec<u32>) -> Vec<u32> {
    let entries: Vec<u16> = (0..REGISTERS)
        .map(|register| (register, rank_of(&dense, register)))
        .filter(|&(_, rank)| rank > 0)
        .map(|(register, rank)| (register << 6 | rank) as u16)
        .collect();
    if entries.len() > 2 * (DENSE_WORDS - 1) {
        return dense;
    }
    entries
        .chunks(2)
        .map(|pair| u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 16)
        .collect()
}

/// Ertl 2017, algorithm 6: the improved raw estimator.
fn estimate(dense: &[u32]) -> f64 {
    let mut histogram = [0_u32; RANK_MAX + 1];
    for register in 0..REGISTERS {
        histogram[rank_of(dense, register).min(RANK_MAX)] += 1;
    }
    let m = REGISTERS as f64;
    let mut z = m * tau(1.0 - f64::from(histogram[RANK_MAX]) / m);
    for rank in (1..RANK_MAX).rev() {
        z = 0.5 * (z + f64::from(histogram[rank]));
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let mut y = 1.0;
    let mut z = x;
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let mut y = 1.0;
    let mut z = 1.0 - x;
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregations::tests::params;

    fn sketch(keys: impl Iterator<Item = u64>) -> Vec<u32> {
        let mut words = Vec::new();
        for key in keys {
            let sample = crate::aggregations::Sample {
                time_s: 0,
                quantity: 1.0,
                key,
                is_denominator: false,
            };
            Distinct.update(&params(), &mut Partial::whole(&mut words), &sample);
        }
        words
    }

    #[test]
    fn estimates_stay_within_four_standard_errors() {
        for n in [0_u64, 1, 2, 10, 100, 1_000, 10_000, 300_000] {
            let AggregateValue::Number(estimate) = Distinct.value(&params(), &sketch(1..=n), 0)
            else {
                panic!("a number")
            };
            let error = (estimate - n as f64).abs();
            assert!(error <= 0.13 * n as f64, "{n}: {estimate}");
        }
    }

    #[test]
    fn few_keys_take_half_a_word_each() {
        assert_eq!(sketch(0..10).len(), 5);
        assert_eq!(sketch(0..1_000_000).len(), DENSE_WORDS);
    }
}
