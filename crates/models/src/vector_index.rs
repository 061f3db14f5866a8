//! Exact nearest items by inner product or cosine: 8-bit scan, then `f32` for the best candidates.
//!
//! The scan is exhaustive, so filters are free and there is nothing to build. Its codes are
//! coarse, hence more candidates than asked for are scored again in `f32`.

use crate::kernels::scan::{QuantizedItems, QuantizedQuery, Weighting, scan};
use crate::kernels::{Isa, dense};
use crate::model::Scored;
use crate::top_k::TopK;

/// Queries that share one pass over the codes; more would push each other out of the cache.
const QUERIES_PER_PASS: usize = 16;

/// How many candidates the scan keeps for `k` results.
const fn candidates_for(k: usize) -> usize {
    let twice = k.saturating_mul(2);
    let more = k.saturating_add(64);
    if twice > more { twice } else { more }
}

/// Item vectors with their 8-bit codes.
#[derive(Debug, Clone)]
pub(crate) struct VectorIndex {
    side: usize,
    vectors: Vec<f32>,
    /// 1 over the length of each vector; 0 for a zero vector, which is never found.
    inverse_norms: Vec<f32>,
    codes: QuantizedItems,
}

impl VectorIndex {
    /// Indexes `vectors` of `side` values each, a multiple of 16.
    pub(crate) fn new(vectors: Vec<f32>, side: usize) -> Self {
        let isa = Isa::detect();
        let inverse_norm = |vector: &[f32]| {
            let norm = dense::dot(isa, vector, vector).sqrt();
            if norm > 0.0 { 1.0 / norm } else { 0.0 }
        };
        let inverse_norms: Vec<f32> = vectors.chunks_exact(side).map(inverse_norm).collect();
        let codes = QuantizedItems::new(&vectors, side, &inverse_norms);
        Self {
            side,
            vectors,
            inverse_norms,
            codes,
        }
    }

    pub(crate) const fn side(&self) -> usize {
        self.side
    }

    pub(crate) fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.vectors.len() + self.inverse_norms.len()) * 4 + self.codes.bytes()
    }

    fn vector(&self, item: u32) -> Option<&[f32]> {
        let start = (item as usize).checked_mul(self.side)?;
        self.vectors.get(start..start + self.side)
    }

    /// Writes inner products; 0 for unknown items.
    pub(crate) fn score(&self, query: &[f32], items: &[u32], out: &mut [f32]) {
        let isa = Isa::detect();
        let query = if query.len() == self.side { query } else { &[] };
        for (&item, out) in items.iter().zip(out) {
            *out = match self.vector(item) {
                Some(vector) if !query.is_empty() => dense::dot(isa, query, vector),
                _ => 0.0,
            };
        }
    }

    /// The at most `k` admitted items of largest inner product, for each query.
    pub(crate) fn nearest(
        &self,
        queries: &[&[f32]],
        k: usize,
        admit: &dyn Fn(usize, u32) -> bool,
    ) -> Vec<Vec<Scored>> {
        let mut lists = Vec::with_capacity(queries.len());
        for (pass, chunk) in queries.chunks(QUERIES_PER_PASS).enumerate() {
            let first = pass * QUERIES_PER_PASS;
            let admit = |at: usize, item: u32| admit(first + at, item);
            let roughly = self.candidates(chunk, k, Weighting::InnerProduct, &admit);
            for (query, rough) in chunk.iter().zip(roughly) {
                lists.push(self.rerank(query, k, &rough, |_| 1.0));
            }
        }
        lists
    }

    /// The at most `k` items of largest cosine with `item`, without itself.
    pub(crate) fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        let Some(query) = self.vector(item) else {
            return Vec::new();
        };
        let inverse_norm = self.inverse_norms[item as usize];
        if inverse_norm == 0.0 {
            return Vec::new();
        }
        let roughly = self.candidates(&[query], k, Weighting::Cosine, &|_, other| other != item);
        self.rerank(query, k, &roughly[0], |other| {
            inverse_norm * self.inverse_norms[other as usize]
        })
    }

    fn candidates(
        &self,
        queries: &[&[f32]],
        k: usize,
        weighting: Weighting,
        admit: &dyn Fn(usize, u32) -> bool,
    ) -> Vec<Vec<Scored>> {
        let is_known = |item: u32| self.inverse_norms[item as usize] > 0.0;
        let mut tops = vec![TopK::new(if k == 0 { 0 } else { candidates_for(k) }); queries.len()];
        let codes: Vec<QuantizedQuery> = queries.iter().map(|q| self.codes.query(q)).collect();
        scan(
            Isa::detect(),
            (&self.codes, weighting),
            &codes,
            &mut tops,
            &|at, item| is_known(item) && admit(at, item),
        );
        let finish = |top: TopK| {
            let mut rough = Vec::new();
            top.finish_into(&mut rough);
            rough
        };
        tops.into_iter().map(finish).collect()
    }

    fn rerank(
        &self,
        query: &[f32],
        k: usize,
        rough: &[Scored],
        weight: impl Fn(u32) -> f32,
    ) -> Vec<Scored> {
        let isa = Isa::detect();
        let mut best = TopK::new(k);
        for candidate in rough {
            let vector = self.vector(candidate.item);
            let vector = vector.expect("the scan names items of this index");
            let score = dense::dot(isa, query, vector) * weight(candidate.item);
            best.push(candidate.item, score);
        }
        let mut out = Vec::new();
        best.finish_into(&mut out);
        out
    }
}
