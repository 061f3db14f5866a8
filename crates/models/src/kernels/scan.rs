//! Scores items against one or more queries in 8-bit integers.
//!
//! Each item vector has its own scale, so large norms do not coarsen small ones. Codes of sixteen
//! items are interleaved four dimensions at a time, which is what one VNNI instruction eats; the
//! sums come out as sixteen item scores with nothing left to add across lanes. Codes are short
//! enough for the inner product of a chunk of dimensions to fit 16 bits (Cauchy-Schwarz), which is
//! what makes AVX2 fast; longer vectors add up chunks. The result is an approximation meant for a
//! re-rank in `f32`; it is the same on every instruction set.

#[cfg(test)]
mod tests;

use super::dispatch;
use super::lanes::{LANES, Lanes};
use super::prefetch::prefetch;
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

/// Queries that share what is loaded of the items, and blocks that all queries are asked for before
/// the next: they stay in the nearest cache.
const QUERIES_AT_ONCE: usize = 4;
const TILE: usize = 16;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Item vectors as 8-bit codes.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedItems {
    len: usize,
    groups: usize,
    /// Block of 16 items, group of 4 dimensions, item, dimension.
    codes: Vec<u8>,
    /// Value of one code step, by item; NaN for what is never found: padding and zero vectors.
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
    /// Place `p` of the codes is the vector `order[p]`, or empty where there is none such or it is
    /// zero.
    pub(crate) fn new(vectors: &[f32], side: usize, inverse_norms: &[f32], order: &[u32]) -> Self {
        assert!(side > 0 && vectors.len().is_multiple_of(side));
        let groups = side.div_ceil(GROUP);
        let blocks = order.len().div_ceil(LANES);
        let mut items = Self {
            len: order.len(),
            groups,
            codes: vec![ITEM_SHIFT as u8; blocks * groups * GROUP * LANES],
            scales: vec![f32::NAN; blocks * LANES],
            unit_scales: vec![f32::NAN; blocks * LANES],
        };
        for (place, &item) in order.iter().enumerate() {
            let inverse_norm = inverse_norms.get(item as usize).copied().unwrap_or(0.0);
            if inverse_norm == 0.0 {
                continue;
            }
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
    for query in queries {
        assert_eq!(query.codes.len(), pass.items.groups * GROUP);
    }
    let mut asked = Asked {
        queries,
        tops,
        admit,
    };
    let together = queries.len() - queries.len() % QUERIES_AT_ONCE;
    for (number, span) in pass.spans.iter().enumerate() {
        if let Some(next) = pass.spans.get(number + 1) {
            ask_for(pass.items, next);
        }
        for from in span.clone().step_by(TILE) {
            let tile = from..span.end.min(from + TILE);
            for first in (0..together).step_by(QUERIES_AT_ONCE) {
                score_tile::<L, QUERIES_AT_ONCE>(&pass, tile.clone(), first, &mut asked);
            }
            for first in together..queries.len() {
                score_tile::<L, 1>(&pass, tile.clone(), first, &mut asked);
            }
        }
    }
}

/// Asks for the memory of the first blocks of a span, which is not beside the one before.
#[inline(always)]
fn ask_for(items: &QuantizedItems, span: &Range<usize>) {
    let blocks = span.start..span.end.min(span.start + TILE);
    let block_bytes = items.groups * GROUP * LANES;
    for at in (blocks.start * block_bytes..blocks.end * block_bytes).step_by(LINE) {
        prefetch(&items.codes, at);
    }
    for block in blocks {
        prefetch(&items.scales, block * LANES);
    }
}

/// Queries with what they have found, each with as many codes as an item.
struct Asked<'a> {
    queries: &'a [QuantizedQuery],
    tops: &'a mut [TopK],
    admit: &'a dyn Fn(usize, u32) -> bool,
}

/// Offers the items of the blocks of `tile` to `Q` queries from the `first` on.
///
/// Plain loops throughout: a closure would not be compiled for the instruction set.
#[inline(always)]
fn score_tile<L: Lanes, const Q: usize>(
    pass: &Pass<'_>,
    tile: Range<usize>,
    first: usize,
    asked: &mut Asked<'_>,
) {
    let items = pass.items;
    let block_bytes = items.groups * GROUP * LANES;
    let scales = match pass.weighting {
        Weighting::InnerProduct => &items.scales,
        Weighting::Cosine => &items.unit_scales,
    };
    let queries = &asked.queries[first..first + Q];
    let mut thresholds = [0.0; Q];
    for (threshold, top) in thresholds.iter_mut().zip(&asked.tops[first..]) {
        *threshold = top.threshold();
    }
    for block in tile {
        let codes = &items.codes[block * block_bytes..][..block_bytes];
        let scales = &scales[block * LANES..][..LANES];
        let scores = dots::<L, Q>(queries, codes, items.groups);
        for q in 0..Q {
            // SAFETY: the instruction set is that of the caller; `scales` are sixteen values.
            let (score, mask) = unsafe {
                let score = scores[q].mul(L::load(scales.as_ptr()));
                (score, score.at_least(thresholds[q]))
            };
            if mask != 0 {
                let mut lanes = [0.0; LANES];
                // SAFETY: the array has room for sixteen values.
                unsafe { score.store(lanes.as_mut_ptr()) };
                let top = &mut asked.tops[first + q];
                let place = block * LANES;
                offer((&lanes, mask), place, top, &|item| {
                    (asked.admit)(first + q, item)
                });
                thresholds[q] = top.threshold();
            }
        }
    }
}

/// The inner products of the codes of each query with those of the items of a block.
#[inline(always)]
fn dots<L: Lanes, const Q: usize>(
    queries: &[QuantizedQuery],
    codes: &[u8],
    groups: usize,
) -> [L; Q] {
    // SAFETY: the instruction set is that of the caller.
    let mut sums = unsafe { [L::splat(0.0); Q] };
    let mut group = 0;
    while group < groups {
        let count = (groups - group).min(CHUNK / GROUP);
        let (mut weights, mut biases) = ([std::ptr::null(); Q], [0; Q]);
        for q in 0..Q {
            weights[q] = queries[q].codes[group * GROUP..][..count * GROUP].as_ptr();
            biases[q] = queries[q].biases[group / (CHUNK / GROUP)];
        }
        let codes = codes[group * GROUP * LANES..][..count * GROUP * LANES].as_ptr();
        // SAFETY: codes and weights are slices of `count` groups of 64 and of 4.
        unsafe {
            let chunk = L::dot_codes::<Q>(weights, biases, codes, count);
            for q in 0..Q {
                sums[q] = if group == 0 {
                    chunk[q]
                } else {
                    sums[q].add(chunk[q])
                };
            }
        }
        group += count;
    }
    sums
}

/// Offers what `mask` says of sixteen scores, the first of which is of `first`.
#[cold]
#[inline(never)]
fn offer(
    (scores, mut mask): (&[f32; LANES], u16),
    first: usize,
    top: &mut TopK,
    admit: &dyn Fn(u32) -> bool,
) {
    while mask != 0 {
        let lane = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let (place, score) = ((first + lane) as u32, scores[lane]);
        if score >= top.threshold() && admit(place) {
            top.push(place, score);
        }
    }
}
