//! Scores items against one or more queries in 8-bit integers.
//!
//! Each item vector has its own scale, so large norms do not coarsen small ones. Codes of sixteen
//! items are interleaved four dimensions at a time, which is what one VNNI instruction eats; the
//! sums come out as sixteen item scores with nothing left to add across lanes. Codes are short
//! enough for the inner product of a chunk of dimensions to fit 16 bits (Cauchy-Schwarz), which is
//! what makes AVX2 fast; longer vectors add up chunks. The result is an approximation meant for a
//! re-rank in `f32`; it is the same on every instruction set.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use crate::top_k::TopK;
use std::ops::Range;

/// Dimensions per instruction step.
const GROUP: usize = 4;

/// Items per block: those whose codes are interleaved.
pub(crate) const BLOCK: usize = LANES;

/// Dimensions whose products are added in 16 bits.
const CHUNK: usize = 64;

/// Largest length of a chunk of codes before they are rounded, which adds 4 at most: the product of
/// two lengths of 181 fits 16 bits.
const CHUNK_LENGTH_MAX: f32 = 177.0;

/// Largest code of an item's value and of a query's.
const ITEM_CODE_MAX: f32 = 63.0;
const QUERY_CODE_MAX: f32 = 127.0;

/// What is added to an item's codes so that none is negative.
const ITEM_SHIFT: i16 = 64;

/// Queries that share what is loaded of the items.
const QUERIES_AT_ONCE: usize = 4;

/// Item vectors as 8-bit codes.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedItems {
    len: usize,
    groups: usize,
    /// Block of 16 items, group of 4 dimensions, item, dimension.
    codes: Vec<u8>,
    /// Value of one code step, by item; 0 for padding.
    scales: Vec<f32>,
    /// The same for vectors of unit length.
    unit_scales: Vec<f32>,
}

/// What the scan orders items by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weighting {
    /// The inner product with the item vector.
    InnerProduct,
    /// The inner product with the item vector at unit length.
    Cosine,
}

/// A query vector as signed 8-bit codes.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedQuery {
    codes: Vec<i8>,
    /// What undoes the shift of the items' codes, by chunk.
    biases: Vec<i32>,
}

/// Value of one code step.
fn scale_of(vector: &[f32], code_max: f32) -> f32 {
    let mut scale = 0.0_f32;
    for chunk in vector.chunks(CHUNK) {
        let largest = chunk.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
        if largest == 0.0 {
            continue;
        }
        // Of values divided by the largest, so that no square overflows or vanishes.
        let length = chunk.iter().map(|v| (v / largest) * (v / largest));
        let length = length.sum::<f32>().sqrt();
        scale = scale.max(largest * (1.0 / code_max).max(length / CHUNK_LENGTH_MAX));
    }
    scale
}

fn code(value: f32, scale: f32, code_max: f32) -> i8 {
    if scale > 0.0 {
        (value / scale).round().clamp(-code_max, code_max) as i8
    } else {
        0
    }
}

impl QuantizedItems {
    /// Quantises `vectors`, which are `side` values each; `inverse_norms` has one value a vector.
    /// Place `p` of the codes is the vector `order[p]`, or empty where there is none such.
    pub(crate) fn new(vectors: &[f32], side: usize, inverse_norms: &[f32], order: &[u32]) -> Self {
        assert!(side > 0 && vectors.len().is_multiple_of(side));
        let groups = side.div_ceil(GROUP);
        let blocks = order.len().div_ceil(LANES);
        let mut items = Self {
            len: order.len(),
            groups,
            codes: vec![ITEM_SHIFT as u8; blocks * groups * GROUP * LANES],
            scales: vec![0.0; blocks * LANES],
            unit_scales: vec![0.0; blocks * LANES],
        };
        for (place, &item) in order.iter().enumerate() {
            let Some(&inverse_norm) = inverse_norms.get(item as usize) else {
                continue;
            };
            let vector = &vectors[item as usize * side..][..side];
            let scale = scale_of(vector, ITEM_CODE_MAX);
            let (block, lane) = (place / LANES, place % LANES);
            for (at, &value) in vector.iter().enumerate() {
                let code = i16::from(code(value, scale, ITEM_CODE_MAX)) + ITEM_SHIFT;
                let group = block * groups + at / GROUP;
                items.codes[(group * LANES + lane) * GROUP + at % GROUP] = code as u8;
            }
            items.scales[place] = scale;
            items.unit_scales[place] = scale * inverse_norm;
        }
        items
    }

    /// Quantises a query of the same dimension.
    pub(crate) fn query(&self, vector: &[f32]) -> QuantizedQuery {
        let scale = scale_of(vector, QUERY_CODE_MAX);
        let mut codes = vec![0_i8; self.groups * GROUP];
        for (code_out, &value) in codes.iter_mut().zip(vector) {
            *code_out = code(value, scale, QUERY_CODE_MAX);
        }
        let bias = |chunk: &[i8]| {
            let sum: i32 = chunk.iter().map(|code| i32::from(*code)).sum();
            -i32::from(ITEM_SHIFT) * sum
        };
        let biases = codes.chunks(CHUNK).map(bias).collect();
        QuantizedQuery { codes, biases }
    }

    /// Blocks of all items.
    pub(crate) fn blocks(&self) -> Range<usize> {
        0..self.len.div_ceil(LANES)
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len() * 8
    }
}

/// The items that a pass looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) items: &'a QuantizedItems,
    pub(crate) weighting: Weighting,
    /// Blocks of items, in the order they are looked at.
    pub(crate) spans: &'a [Range<usize>],
}

dispatch! {
    /// Offers every item of the pass to each query's `tops` by its approximate score (up to a
    /// positive factor per query), where `admit(query, item)` holds. `admit` is asked only for
    /// items that would enter.
    scan => scan_body(
        pass: Pass<'_>,
        queries: &[QuantizedQuery],
        tops: &mut [TopK],
        admit: &dyn Fn(usize, u32) -> bool,
    )
}

#[inline(always)]
fn scan_body<L: Lanes>(
    pass: Pass<'_>,
    queries: &[QuantizedQuery],
    tops: &mut [TopK],
    admit: &dyn Fn(usize, u32) -> bool,
) {
    assert_eq!(queries.len(), tops.len());
    let mut asked = Asked {
        queries,
        tops,
        admit,
    };
    let together = queries.len() - queries.len() % QUERIES_AT_ONCE;
    for block in pass.spans.iter().flat_map(Clone::clone) {
        for first in (0..together).step_by(QUERIES_AT_ONCE) {
            score_block::<L, QUERIES_AT_ONCE>(&pass, block, first, &mut asked);
        }
        for first in together..queries.len() {
            score_block::<L, 1>(&pass, block, first, &mut asked);
        }
    }
}

struct Asked<'a> {
    queries: &'a [QuantizedQuery],
    tops: &'a mut [TopK],
    admit: &'a dyn Fn(usize, u32) -> bool,
}

/// Offers the items of a block to `Q` queries from the `first` on.
#[inline(always)]
fn score_block<L: Lanes, const Q: usize>(
    pass: &Pass<'_>,
    block: usize,
    first: usize,
    asked: &mut Asked<'_>,
) {
    let items = pass.items;
    let block_bytes = items.groups * GROUP * LANES;
    let codes = &items.codes[block * block_bytes..][..block_bytes];
    let scales = match pass.weighting {
        Weighting::InnerProduct => &items.scales[block * LANES..][..LANES],
        Weighting::Cosine => &items.unit_scales[block * LANES..][..LANES],
    };
    let queries = &asked.queries[first..first + Q];
    let sides = queries.iter().map(|query| query.codes.len());
    assert!(sides.into_iter().all(|side| side == items.groups * GROUP));
    // SAFETY: each query holds `groups` groups of 4 bytes (asserted) and a bias per chunk, the
    // slice of codes `groups` groups of 64, that of scales 16 values.
    let scores: [L; Q] = unsafe {
        let chunk = |number: usize| {
            let group = number * (CHUNK / GROUP);
            let weights = std::array::from_fn(|q| queries[q].codes.as_ptr().add(group * GROUP));
            let biases = std::array::from_fn(|q| queries[q].biases[number]);
            let groups = (items.groups - group).min(CHUNK / GROUP);
            let codes = codes.as_ptr().add(group * GROUP * LANES);
            L::dot_codes::<Q>(weights, biases, codes, groups)
        };
        let mut dots = chunk(0);
        for number in 1..items.groups.div_ceil(CHUNK / GROUP) {
            let more = chunk(number);
            dots = std::array::from_fn(|q| dots[q].add(more[q]));
        }
        let scales = L::load(scales.as_ptr());
        dots.map(|dot| dot.mul(scales))
    };
    for (q, scores) in scores.into_iter().enumerate() {
        let top = &mut asked.tops[first + q];
        // SAFETY: the instruction set is that of the caller; the array holds sixteen values.
        unsafe {
            let mask = scores.at_least(top.threshold());
            if mask != 0 {
                let mut lanes = [0.0; LANES];
                scores.store(lanes.as_mut_ptr());
                let places = block * LANES..items.len;
                offer((&lanes, mask), places, top, &|item| {
                    (asked.admit)(first + q, item)
                });
            }
        }
    }
}

/// Offers what `mask` says of sixteen scores, the first of which is of the first of `places`.
#[cold]
#[inline(never)]
fn offer(
    (scores, mut mask): (&[f32; LANES], u16),
    places: Range<usize>,
    top: &mut TopK,
    admit: &dyn Fn(u32) -> bool,
) {
    while mask != 0 {
        let lane = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let (place, score) = (places.start + lane, scores[lane]);
        if score >= top.threshold() && place < places.end && admit(place as u32) {
            top.push(place as u32, score);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::model::Scored;
    use crate::seeded::Seeded;

    fn vectors(count: usize, side: usize) -> Vec<f32> {
        let mut random = Seeded::new(3, 9);
        (0..count)
            .flat_map(|_| {
                let norm = 0.1 + random.uniform() as f32 * 5.0;
                (0..side)
                    .map(|_| norm * random.normal())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn run(isa: Isa, side: usize, k: usize) -> Vec<Vec<Scored>> {
        let order: Vec<u32> = (0..1003).collect();
        let items = QuantizedItems::new(&vectors(1003, side), side, &[1.0; 1003], &order);
        let queries: Vec<QuantizedQuery> = vectors(3, side)
            .chunks(side)
            .map(|query| items.query(query))
            .collect();
        let mut tops = vec![TopK::new(k); 3];
        let all = Pass {
            items: &items,
            weighting: Weighting::InnerProduct,
            spans: &[items.blocks()],
        };
        scan(isa, all, &queries, &mut tops, &|_, item| item % 7 != 0);
        let finish = |top: TopK| {
            let mut out = Vec::new();
            top.finish_into(&mut out);
            out
        };
        tops.into_iter().map(finish).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_same_scores() {
        for side in [5, 16, 64, 100] {
            let portable = run(Isa::Portable, side, 50);
            for isa in Isa::available() {
                assert_eq!(run(isa, side, 50), portable, "{isa:?} at {side}");
            }
        }
    }

    #[test]
    fn the_best_by_codes_contain_the_best_by_floats() {
        let side = 64;
        let (items, queries) = (vectors(1003, side), vectors(3, side));
        for (found, query) in run(Isa::detect(), side, 40)
            .iter()
            .zip(queries.chunks(side))
        {
            let mut exact = TopK::new(10);
            for (item, vector) in items.chunks(side).enumerate().filter(|(i, _)| i % 7 != 0) {
                let dot = vector.iter().zip(query).map(|(a, b)| a * b).sum();
                exact.push(item as u32, dot);
            }
            let mut best = Vec::new();
            exact.finish_into(&mut best);
            for scored in best {
                assert!(found.iter().any(|f| f.item == scored.item), "{scored:?}");
            }
        }
    }

    /// Vectors whose sums of products are as large as they can be: even, of one value, of two signs.
    fn extremes(side: usize) -> Vec<f32> {
        let mut all = vec![1.0; side];
        all.extend((0..side).map(|at| if at == side - 1 { 1e30 } else { 0.0 }));
        all.extend((0..side).map(|at| if at % 2 == 0 { -1e-30 } else { 1e-30 }));
        all.extend((0..side).map(|at| -((at % 5) as f32)));
        all.extend((0..side).map(|at| if at < 4 { 3.0 } else { 1.49 }));
        all
    }

    #[test]
    fn the_largest_sums_do_not_saturate_or_wrap() {
        for side in [4, 60, 64, 68, 256] {
            let vectors = extremes(side);
            let items = QuantizedItems::new(&vectors, side, &[1.0; 5], &[0, 1, 2, 3, 4]);
            for query in vectors.chunks(side) {
                let code = items.query(query);
                let step = scale_of(query, QUERY_CODE_MAX);
                for isa in Isa::available() {
                    let mut tops = [TopK::new(5)];
                    let all = Pass {
                        items: &items,
                        weighting: Weighting::InnerProduct,
                        spans: &[items.blocks()],
                    };
                    scan(isa, all, std::slice::from_ref(&code), &mut tops, &|_, _| {
                        true
                    });
                    let [top] = tops;
                    let mut out = Vec::new();
                    top.finish_into(&mut out);
                    assert_eq!(out.len(), 5);
                    for scored in out {
                        let item = &vectors[scored.item as usize * side..][..side];
                        let dot = |a: &[f32], b: &[f32]| -> f64 {
                            let both = a.iter().zip(b);
                            both.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                        };
                        let lengths = (dot(item, item) * dot(query, query)).sqrt();
                        let error = f64::from(scored.score) * f64::from(step) - dot(item, query);
                        assert!(
                            error.abs() < 0.05 * lengths,
                            "{isa:?} {side} {scored:?} {error}"
                        );
                    }
                }
            }
        }
    }
}
