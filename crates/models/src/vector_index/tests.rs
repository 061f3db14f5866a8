//! What an index finds against what there is, with cells and without.

use super::*;
use crate::seeded::Seeded;

const SIDE: usize = 16;

/// Vectors around 40 directions, of lengths that vary.
fn clustered(count: usize, stream: u64) -> Vec<f32> {
    let mut random = Seeded::new(11, stream);
    let mut vectors = Vec::with_capacity(count * SIDE);
    for _ in 0..count {
        let mut centre = Seeded::new(12, random.below(40) as u64);
        let length = 0.3 + random.uniform() as f32;
        vectors.extend((0..SIDE).map(|_| length * (centre.normal() + 0.5 * random.normal())));
    }
    vectors
}

fn best(index: &VectorIndex, query: &[f32], admit: Admit<'_>) -> Vec<Scored> {
    index
        .nearest(&[query], 10, &|_, item| admit(item))
        .remove(0)
}

#[test]
fn cells_find_nearly_all_of_the_exhaustive_scan_and_say_how_much() {
    let (vectors, queries) = (clustered(8_000, 1), clustered(200, 2));
    let exact = VectorIndex::new(vectors.clone(), SIDE);
    let index = VectorIndex::with_cells(vectors, SIDE, &queries);
    assert!(index.recall().unwrap() > 0.95, "{:?}", index.recall());
    assert!(index.share_scanned() < 0.5, "{}", index.share_scanned());
    let (mut hits, fresh) = (0, clustered(100, 3));
    for query in fresh.chunks(SIDE) {
        let found = best(&index, query, &|_| true);
        let truth = best(&exact, query, &|_| true);
        hits += truth.iter().filter(|item| found.contains(item)).count();
    }
    assert!(hits > 950, "{hits} of 1000");
}

#[test]
fn a_tight_filter_is_answered_as_by_the_exhaustive_scan() {
    let (vectors, queries) = (clustered(8_000, 1), clustered(200, 2));
    let exact = VectorIndex::new(vectors.clone(), SIDE);
    let index = VectorIndex::with_cells(vectors, SIDE, &queries);
    assert!(index.recall().is_some());
    for query in queries.chunks(SIDE).take(20) {
        let rare = |item: u32| item % 97 == 5;
        assert_eq!(best(&index, query, &rare), best(&exact, query, &rare));
        assert!(best(&index, query, &|_| false).is_empty());
    }
}

#[test]
fn cells_are_the_same_each_time_and_come_back_from_an_artifact() {
    let (vectors, queries) = (clustered(3_000, 1), clustered(100, 2));
    let ids = crate::item_ids::ItemIds::default();
    let encode = |index: &VectorIndex| {
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(&mut bytes, "cells", &ids);
        index.encode_cells(&mut writer);
        writer.finish();
        bytes
    };
    let one = VectorIndex::with_cells(vectors.clone(), SIDE, &queries);
    let single = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let two = single.install(|| VectorIndex::with_cells(vectors.clone(), SIDE, &queries));
    let bytes = encode(&one);
    assert_eq!(bytes, encode(&two));

    let mut reader = crate::artifact::open(&bytes).unwrap();
    reader.text().unwrap();
    reader.item_ids().unwrap();
    let back = VectorIndex::decode(vectors, SIDE, &mut reader).unwrap();
    assert_eq!(back.recall(), one.recall());
    for query in queries.chunks(SIDE).take(20) {
        assert_eq!(best(&back, query, &|_| true), best(&one, query, &|_| true));
    }
}

#[test]
fn no_item_and_zero_vectors_are_no_trouble() {
    let none = VectorIndex::with_cells(Vec::new(), SIDE, &[1.0; SIDE]);
    assert!(best(&none, &[1.0; SIDE], &|_| true).is_empty());
    let zeros = VectorIndex::with_cells(vec![0.0; 50 * SIDE], SIDE, &[1.0; SIDE]);
    assert!(best(&zeros, &[1.0; SIDE], &|_| true).is_empty());
}

#[test]
fn vectors_without_structure_stay_with_the_exhaustive_scan() {
    let mut random = Seeded::new(13, 1);
    let mut gaussian =
        |count: usize| -> Vec<f32> { (0..count * 64).map(|_| random.normal()).collect() };
    let index = VectorIndex::with_cells(gaussian(3_000), 64, &gaussian(100));
    assert_eq!(index.recall(), None);
    assert!(!index.has_cells());
}
