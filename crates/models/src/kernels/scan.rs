//! Scores items against one or more queries in 8-bit integers.
//!
//! Each item vector has its own scale, so large norms do not coarsen small ones. Codes of sixteen
//! items are interleaved four dimensions at a time, which is what one VNNI instruction eats; the
//! sums come out as sixteen item scores with nothing left to add across lanes. The result is an
//! approximation meant for a re-rank in `f32`; it is the same on every instruction set.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use crate::top_k::TopK;
use std::ops::Range;

/// Dimensions per instruction step.
const GROUP: usize = 4;

/// Items per block: those whose codes are interleaved.
pub(crate) const BLOCK: usize = LANES;

/// Largest code of an item's value, and of a query's: products of two dimensions fit 16 bits.
const ITEM_CODE_MAX: f32 = 127.0;
const QUERY_CODE_MAX: f32 = 63.0;

/// What is added to a query's codes so that none is negative.
const QUERY_SHIFT: i16 = 64;

/// Item vectors as 8-bit codes.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedItems {
    len: usize,
    groups: usize,
    /// Block of 16 items, group of 4 dimensions, item, dimension.
    codes: Vec<i8>,
    /// Value of one code step, by item; 0 for padding.
    scales: Vec<f32>,
    /// The same for vectors of unit length.
    unit_scales: Vec<f32>,
    /// What the query's shift adds to the integer sum, by item.
    shifts: Vec<i32>,
}

/// What the scan orders items by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weighting {
    /// The inner product with the item vector.
    InnerProduct,
    /// The inner product with the item vector at unit length.
    Cosine,
}

/// A query vector as unsigned 7-bit codes: signed codes plus a shift.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedQuery {
    codes: Vec<u8>,
}

fn scale_of(vector: &[f32], code_max: f32) -> f32 {
    let largest = vector.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
    largest / code_max
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
            codes: vec![0; blocks * groups * GROUP * LANES],
            scales: vec![0.0; blocks * LANES],
            unit_scales: vec![0.0; blocks * LANES],
            shifts: vec![0; blocks * LANES],
        };
        for (place, &item) in order.iter().enumerate() {
            let Some(&inverse_norm) = inverse_norms.get(item as usize) else {
                continue;
            };
            let vector = &vectors[item as usize * side..][..side];
            let scale = scale_of(vector, ITEM_CODE_MAX);
            let (block, lane) = (place / LANES, place % LANES);
            let mut sum = 0_i32;
            for (at, &value) in vector.iter().enumerate() {
                let code = code(value, scale, ITEM_CODE_MAX);
                sum += i32::from(code);
                let group = block * groups + at / GROUP;
                items.codes[(group * LANES + lane) * GROUP + at % GROUP] = code;
            }
            items.scales[place] = scale;
            items.unit_scales[place] = scale * inverse_norm;
            items.shifts[place] = i32::from(QUERY_SHIFT) * sum;
        }
        items
    }

    /// Quantises a query of the same dimension.
    pub(crate) fn query(&self, vector: &[f32]) -> QuantizedQuery {
        let scale = scale_of(vector, QUERY_CODE_MAX);
        let mut codes = vec![QUERY_SHIFT as u8; self.groups * GROUP];
        for (code_out, &value) in codes.iter_mut().zip(vector) {
            *code_out = (i16::from(code(value, scale, QUERY_CODE_MAX)) + QUERY_SHIFT) as u8;
        }
        QuantizedQuery { codes }
    }

    /// Blocks of all items.
    pub(crate) fn blocks(&self) -> Range<usize> {
        0..self.len.div_ceil(LANES)
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len() * 12
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
    /// Offers every item of the pass to each query's `tops` by its approximate score (up to a positive factor
    /// per query), where `admit(query, item)` holds. `admit` is asked only for items that would
    /// enter.
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
    let Pass {
        items, weighting, ..
    } = pass;
    let block_bytes = items.groups * GROUP * LANES;
    let all_scales = match weighting {
        Weighting::InnerProduct => &items.scales,
        Weighting::Cosine => &items.unit_scales,
    };
    for block in pass.spans.iter().flat_map(Clone::clone) {
        let codes = &items.codes[block * block_bytes..][..block_bytes];
        let scales = &all_scales[block * LANES..][..LANES];
        let shifts = &items.shifts[block * LANES..][..LANES];
        for (number, (query, top)) in queries.iter().zip(tops.iter_mut()).enumerate() {
            assert_eq!(query.codes.len(), items.groups * GROUP);
            // SAFETY: the query holds `groups` groups of 4 bytes (asserted), the slice of codes
            // `groups` groups of 64.
            let dots = unsafe { L::dot_codes(query.codes.as_ptr(), codes.as_ptr(), items.groups) };
            let mut scores = [0.0_f32; LANES];
            for lane in 0..LANES {
                scores[lane] = (dots[lane] - shifts[lane]) as f32 * scales[lane];
            }
            let threshold = top.threshold();
            let mut passes = 0_u32;
            for score in scores {
                passes += u32::from(score >= threshold);
            }
            if passes > 0 {
                offer(&scores, block, items.len, top, &|item| admit(number, item));
            }
        }
    }
}

#[cold]
#[inline(never)]
fn offer(
    scores: &[f32; LANES],
    block: usize,
    len: usize,
    top: &mut TopK,
    admit: &dyn Fn(u32) -> bool,
) {
    for (lane, &score) in scores.iter().enumerate() {
        let item = block * LANES + lane;
        if score >= top.threshold() && item < len && admit(item as u32) {
            top.push(item as u32, score);
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

    #[test]
    fn the_largest_codes_do_not_saturate() {
        let items = QuantizedItems::new(&[1.0; 256], 256, &[1.0 / 16.0], &[0]);
        let query = items.query(&[1.0; 256]);
        for isa in Isa::available() {
            let mut tops = [TopK::new(1)];
            let all = Pass {
                items: &items,
                weighting: Weighting::InnerProduct,
                spans: &[items.blocks()],
            };
            scan(
                isa,
                all,
                std::slice::from_ref(&query),
                &mut tops,
                &|_, _| true,
            );
            let [top] = tops;
            let mut out = Vec::new();
            top.finish_into(&mut out);
            let expected = 63.0 * 127.0 * 256.0 / 127.0;
            assert!(
                (out[0].score - expected).abs() < 0.5,
                "{isa:?} {}",
                out[0].score
            );
        }
    }
}
