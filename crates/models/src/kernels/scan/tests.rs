//! The scan against plain sums, on every instruction set.

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
