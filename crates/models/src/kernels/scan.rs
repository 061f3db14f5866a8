//! Scores all items against one or more queries in 8-bit integers.
//!
//! Each item vector has its own scale, so large norms do not coarsen small ones. Codes of sixteen
//! items are interleaved four dimensions at a time, which is what one VNNI instruction eats; the
//! sums come out as sixteen item scores with nothing left to add across lanes. The result is an
//! approximation meant for a re-rank in `f32`; it is the same on every instruction set.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use crate::top_k::TopK;

/// Dimensions per instruction step.
const GROUP: usize = 4;

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
    /// What the query's shift by 128 adds to the integer sum, by item.
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

/// A query vector as unsigned 8-bit codes: signed codes plus 128.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedQuery {
    codes: Vec<u8>,
}

fn scale_of(vector: &[f32]) -> f32 {
    let largest = vector.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
    largest / 127.0
}

fn code(value: f32, scale: f32) -> i8 {
    if scale > 0.0 {
        (value / scale).round().clamp(-127.0, 127.0) as i8
    } else {
        0
    }
}

impl QuantizedItems {
    /// Quantises `vectors`, which are `side` values each; `inverse_norms` has one value a vector.
    pub(crate) fn new(vectors: &[f32], side: usize, inverse_norms: &[f32]) -> Self {
        assert!(side > 0 && vectors.len().is_multiple_of(side));
        let len = vectors.len() / side;
        let groups = side.div_ceil(GROUP);
        let blocks = len.div_ceil(LANES);
        let mut items = Self {
            len,
            groups,
            codes: vec![0; blocks * groups * GROUP * LANES],
            scales: vec![0.0; blocks * LANES],
            unit_scales: vec![0.0; blocks * LANES],
            shifts: vec![0; blocks * LANES],
        };
        for (item, vector) in vectors.chunks_exact(side).enumerate() {
            let scale = scale_of(vector);
            let (block, lane) = (item / LANES, item % LANES);
            let mut sum = 0_i32;
            for (at, &value) in vector.iter().enumerate() {
                let code = code(value, scale);
                sum += i32::from(code);
                let group = block * groups + at / GROUP;
                items.codes[(group * LANES + lane) * GROUP + at % GROUP] = code;
            }
            items.scales[item] = scale;
            items.unit_scales[item] = scale * inverse_norms[item];
            items.shifts[item] = 128 * sum;
        }
        items
    }

    /// Quantises a query of the same dimension.
    pub(crate) fn query(&self, vector: &[f32]) -> QuantizedQuery {
        let scale = scale_of(vector);
        let mut codes = vec![128_u8; self.groups * GROUP];
        for (code_out, &value) in codes.iter_mut().zip(vector) {
            *code_out = (i16::from(code(value, scale)) + 128) as u8;
        }
        QuantizedQuery { codes }
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len() * 12
    }
}

dispatch! {
    /// Offers every item to each query's `tops` by its approximate score (up to a positive factor
    /// per query), where `admit(query, item)` holds. `admit` is asked only for items that would
    /// enter.
    scan => scan_body(
        items: (&QuantizedItems, Weighting),
        queries: &[QuantizedQuery],
        tops: &mut [TopK],
        admit: &dyn Fn(usize, u32) -> bool,
    )
}

#[inline(always)]
fn scan_body<L: Lanes>(
    (items, weighting): (&QuantizedItems, Weighting),
    queries: &[QuantizedQuery],
    tops: &mut [TopK],
    admit: &dyn Fn(usize, u32) -> bool,
) {
    assert_eq!(queries.len(), tops.len());
    let block_bytes = items.groups * GROUP * LANES;
    let by_block = items.codes.chunks_exact(block_bytes);
    let scales = match weighting {
        Weighting::InnerProduct => items.scales.chunks_exact(LANES),
        Weighting::Cosine => items.unit_scales.chunks_exact(LANES),
    };
    let shifts = items.shifts.chunks_exact(LANES);
    for (block, ((codes, scales), shifts)) in by_block.zip(scales).zip(shifts).enumerate() {
        for (number, (query, top)) in queries.iter().zip(tops.iter_mut()).enumerate() {
            assert_eq!(query.codes.len(), items.groups * GROUP);
            // SAFETY: the query holds `groups` groups of 4 bytes (asserted), the chunk of codes
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
        let items = QuantizedItems::new(&vectors(1003, side), side, &[1.0; 1003]);
        let queries: Vec<QuantizedQuery> = vectors(3, side)
            .chunks(side)
            .map(|query| items.query(query))
            .collect();
        let mut tops = vec![TopK::new(k); 3];
        let all = (&items, Weighting::InnerProduct);
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
        let items = QuantizedItems::new(&[1.0; 256], 256, &[1.0 / 16.0]);
        let query = items.query(&[1.0; 256]);
        for isa in Isa::available() {
            let mut tops = [TopK::new(1)];
            let all = (&items, Weighting::InnerProduct);
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
            let expected = 127.0 * 127.0 * 256.0 / 127.0;
            assert!(
                (out[0].score - expected).abs() < 0.5,
                "{isa:?} {}",
                out[0].score
            );
        }
    }
}
