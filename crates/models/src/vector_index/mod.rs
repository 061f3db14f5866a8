//! Nearest items by inner product: an 8-bit scan, then `f32` for the best candidates.
//!
//! Without cells the scan is exhaustive and there is nothing to build. With them, which is
//! for large catalogues, a query looks only at the cells that promise most; how many those are was
//! chosen by measured recall. A filter is asked inside the scan, and one that turns down most of
//! what comes near is answered by the exhaustive scan. Exhaustive scans of a large index are shared
//! by the queries of concurrent requests. Codes are coarse, hence more candidates than asked for are
//! scored again in `f32`.

mod cells;
mod lent;
mod shared_pass;
#[cfg(test)]
mod tests;

use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::kernels::prefetch::prefetch;
use crate::kernels::scan::{Pass, QuantizedItems, QuantizedQuery, Weighting, scan};
use crate::kernels::{Isa, dense};
use crate::model::{Admit, AdmitByUser, Scored};
use crate::params::ParamDef;
use crate::top_k::TopK;
use cells::Cells;
use shared_pass::{QUERIES_PER_PASS, Search, SharedPasses};
use std::cell::Cell;

/// Examples of queries that a model gives for the choice of cells.
const EXAMPLES: usize = 1024;

/// The users, of so many, whose queries are the examples.
pub(crate) fn example_users(users: usize) -> impl Iterator<Item = usize> {
    let step = (users / EXAMPLES).max(1);
    (0..users).step_by(step).take(EXAMPLES)
}

/// The parameter that says from which size on a catalogue is divided into cells.
pub(crate) const ITEMS_MIN: ParamDef = ParamDef {
    name: "index_items_min",
    default: "100000",
    doc: "items from which on answers come from an index of cells and not from a scan of all, at least 1",
};

/// Bytes of codes from which on concurrent queries share passes: a pass over less takes no longer
/// than handing a query over to another thread and its answer back.
const SHARED_BYTES_MIN: usize = 4 << 20;

/// How many candidates ahead of the one that is scored again memory is asked for, and the values in a
/// cache line.
const AHEAD: usize = 6;
const VALUES_PER_LINE: usize = 16;

/// How many candidates the scan keeps for `k` results: codes err by a few parts in a thousand, which
/// is a few places.
const fn candidates_for(k: usize) -> usize {
    let half_more = k.saturating_add(k / 2);
    let more = k.saturating_add(16);
    if half_more > more { half_more } else { more }
}

fn top_of(k: usize, kept: usize) -> TopK {
    TopK::new(if k == 0 { 0 } else { kept })
}

/// Item vectors with their 8-bit codes.
#[derive(Debug)]
pub struct VectorIndex {
    side: usize,
    vectors: Vec<f32>,
    /// 1 over the length of each vector; 0 for a zero vector, which is never found.
    inverse_norms: Vec<f32>,
    codes: QuantizedItems,
    cells: Option<Cells>,
    passes: SharedPasses,
}

/// A filter by query and item, which stays on its thread.
type AdmitHere<'a> = &'a dyn Fn(usize, u32) -> bool;

impl VectorIndex {
    /// Indexes `vectors` of `side` values each, a multiple of 16, for exhaustive scans.
    #[must_use]
    pub fn new(vectors: Vec<f32>, side: usize) -> Self {
        let inverse_norms = inverse_norms(&vectors, side);
        Self::assemble(vectors, side, inverse_norms, None)
    }

    /// Indexes `vectors` in cells. `queries` are examples of what will be asked, `side` values
    /// each: half of them choose how many cells a query looks at, the others measure the recall.
    /// Stays without cells where those would save too little at the recall wanted.
    #[must_use]
    pub fn with_cells(vectors: Vec<f32>, side: usize, queries: &[f32]) -> Self {
        let inverse_norms = inverse_norms(&vectors, side);
        if inverse_norms
            .iter()
            .all(|inverse_norm| *inverse_norm == 0.0)
        {
            return Self::assemble(vectors, side, inverse_norms, None);
        }
        let cells = Cells::divide(&vectors, side, &inverse_norms);
        let mut index = Self::assemble(vectors, side, inverse_norms, Some(cells));
        if index.choose_probes(queries) {
            return index;
        }
        Self::assemble(index.vectors, side, index.inverse_norms, None)
    }

    /// Indexes in cells if there are at least `items_min` vectors; `queries` makes the examples.
    pub(crate) fn for_catalogue(
        vectors: Vec<f32>,
        side: usize,
        items_min: usize,
        queries: impl FnOnce() -> Vec<f32>,
    ) -> Self {
        if vectors.len() / side < items_min {
            return Self::new(vectors, side);
        }
        Self::with_cells(vectors, side, &queries())
    }

    fn assemble(
        vectors: Vec<f32>,
        side: usize,
        inverse_norms: Vec<f32>,
        cells: Option<Cells>,
    ) -> Self {
        let all = 0..inverse_norms.len() as u32;
        let codes = match &cells {
            Some(cells) => QuantizedItems::new(&vectors, side, &inverse_norms, cells.places()),
            None => QuantizedItems::new(&vectors, side, &inverse_norms, &all.collect::<Vec<_>>()),
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            side,
            vectors,
            inverse_norms,
            codes,
            cells,
            passes: SharedPasses::new(processors),
        }
    }

    /// Writes the cells; nothing where there are none, as for an artifact of before them.
    pub(crate) fn encode_cells(&self, writer: &mut Writer<'_>) {
        if let Some(cells) = &self.cells {
            cells.encode(writer);
        }
    }

    /// Indexes `vectors` with the cells that [`VectorIndex::encode_cells`] wrote, if any.
    pub(crate) fn decode(
        vectors: Vec<f32>,
        side: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Self, ModelError> {
        if reader.is_at_end() {
            return Ok(Self::new(vectors, side));
        }
        let inverse_norms = inverse_norms(&vectors, side);
        let cells = Cells::decode(reader, &vectors, side, &inverse_norms)?;
        Ok(Self::assemble(vectors, side, inverse_norms, Some(cells)))
    }

    pub(crate) const fn has_cells(&self) -> bool {
        self.cells.is_some()
    }

    /// Share of the true ten best that the cells find, measured when they were made; none for an
    /// exhaustive scan.
    #[must_use]
    pub fn recall(&self) -> Option<f32> {
        self.cells.as_ref().map(Cells::recall)
    }

    /// Share of the cells that a query for ten items looks at.
    #[must_use]
    pub fn share_scanned(&self) -> f64 {
        self.cells.as_ref().map_or(1.0, |cells| cells.share(10))
    }

    pub(crate) const fn side(&self) -> usize {
        self.side
    }

    pub(crate) fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    pub(crate) fn bytes(&self) -> usize {
        let cells = self.cells.as_ref().map_or(0, Cells::bytes);
        (self.vectors.len() + self.inverse_norms.len()) * 4 + self.codes.bytes() + cells
    }

    /// Whether a query may wait for a pass that others lead.
    pub(crate) fn shares_passes(&self) -> bool {
        self.codes.bytes() >= SHARED_BYTES_MIN
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

    /// The at most `k` admitted items of largest inner product, for each query of `side` values.
    /// `admit` may be called by another thread while this one waits, and must not ask this index.
    pub fn nearest(
        &self,
        queries: &[&[f32]],
        k: usize,
        admit: AdmitByUser<'_>,
    ) -> Vec<Vec<Scored>> {
        let mut lists = vec![Vec::new(); queries.len()];
        let mut rest = Vec::new();
        for (at, query) in queries.iter().enumerate() {
            let near = self.cells.as_ref().and_then(|cells| {
                let admit = |item| admit(at, item);
                self.in_cells(cells, query, k, &admit)
            });
            match near {
                Some(near) => lists[at] = near,
                None => rest.push(at),
            }
        }
        for asked in rest.chunks(QUERIES_PER_PASS) {
            let found = match asked {
                &[at] if self.shares_passes() => {
                    vec![self.in_all_beside_others(queries[at], k, &|item| admit(at, item))]
                }
                _ => {
                    let queries: Vec<&[f32]> = asked.iter().map(|at| queries[*at]).collect();
                    self.in_all(&queries, k, &|number, item| admit(asked[number], item))
                }
            };
            for (at, list) in asked.iter().zip(found) {
                lists[*at] = list;
            }
        }
        lists
    }

    /// By a pass of their own.
    fn in_all(&self, queries: &[&[f32]], k: usize, admit: AdmitHere<'_>) -> Vec<Vec<Scored>> {
        let all = [self.codes.blocks()];
        let pass = self.pass(Weighting::InnerProduct, &all);
        let roughly = self.candidates(queries, (k, candidates_for(k)), pass, admit);
        let best = queries.iter().zip(roughly);
        best.map(|(query, rough)| self.rerank(query, k, &rough, |_| 1.0))
            .collect()
    }

    /// By a pass that queries of other threads share. Each scores again for itself.
    fn in_all_beside_others(&self, query: &[f32], k: usize, admit: Admit<'_>) -> Vec<Scored> {
        let all = [self.codes.blocks()];
        let pass = self.pass(Weighting::InnerProduct, &all);
        let search = Search {
            codes: self.codes.query(query),
            top: top_of(k, candidates_for(k)),
        };
        let scan = |codes: &[QuantizedQuery], tops: &mut [TopK], admit: AdmitHere<'_>| {
            self.scan(pass, codes, tops, admit);
        };
        match self.passes.join(search, admit, &scan) {
            Some(found) => self.rerank(query, k, &self.finish(found), |_| 1.0),
            None => self.in_all(&[query], k, &|_, item| admit(item)).remove(0),
        }
    }

    /// The best of the most promising cells; none where `admit` turns down so much of what is
    /// near that the best may be far.
    fn in_cells(
        &self,
        cells: &Cells,
        query: &[f32],
        k: usize,
        admit: &dyn Fn(u32) -> bool,
    ) -> Option<Vec<Scored>> {
        let (asked, admitted) = (Cell::new(0_usize), Cell::new(0_usize));
        let counted = |_: usize, item: u32| {
            asked.set(asked.get() + 1);
            let is_admitted = admit(item);
            admitted.set(admitted.get() + usize::from(is_admitted));
            is_admitted
        };
        let spans = cells.promising(query, k)?;
        let pass = self.pass(Weighting::InnerProduct, &spans);
        let kept = candidates_for(k);
        let roughly = self.candidates(&[query], (k, kept), pass, &counted);
        let is_tight = 2 * admitted.get() < asked.get();
        if is_tight || roughly[0].len() < k {
            return None;
        }
        Some(self.rerank(query, k, &roughly[0], |_| 1.0))
    }

    const fn pass<'a>(
        &'a self,
        weighting: Weighting,
        spans: &'a [std::ops::Range<usize>],
    ) -> Pass<'a> {
        Pass {
            items: &self.codes,
            weighting,
            spans,
        }
    }

    /// The at most `k` items of largest cosine with `item`, without itself; always exhaustive.
    pub(crate) fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        let Some(query) = self.vector(item) else {
            return Vec::new();
        };
        let inverse_norm = self.inverse_norms[item as usize];
        if inverse_norm == 0.0 {
            return Vec::new();
        }
        let all = [self.codes.blocks()];
        let pass = self.pass(Weighting::Cosine, &all);
        let roughly = self.candidates(&[query], (k, candidates_for(k)), pass, &|_, other| {
            other != item
        });
        self.rerank(query, k, &roughly[0], |other| {
            inverse_norm * self.inverse_norms[other as usize]
        })
    }

    fn candidates(
        &self,
        queries: &[&[f32]],
        (k, kept): (usize, usize),
        pass: Pass<'_>,
        admit: AdmitHere<'_>,
    ) -> Vec<Vec<Scored>> {
        let mut tops = vec![top_of(k, kept); queries.len()];
        let codes: Vec<_> = queries.iter().map(|q| self.codes.query(q)).collect();
        self.scan(pass, &codes, &mut tops, admit);
        tops.into_iter().map(|top| self.finish(top)).collect()
    }

    fn item_at(&self, place: u32) -> u32 {
        let places = self.cells.as_ref().map(Cells::places);
        places.map_or(place, |places| places[place as usize])
    }

    fn scan(
        &self,
        pass: Pass<'_>,
        queries: &[QuantizedQuery],
        tops: &mut [TopK],
        admit: AdmitHere<'_>,
    ) {
        scan(Isa::detect(), pass, queries, tops, &|at, place| {
            admit(at, self.item_at(place))
        });
    }

    /// What a scan has found, best first.
    fn finish(&self, found: TopK) -> Vec<Scored> {
        let mut rough = Vec::new();
        found.finish_into(&mut rough);
        for candidate in &mut rough {
            candidate.item = self.item_at(candidate.item);
        }
        rough
    }

    /// Asks for the memory of a vector that is needed soon.
    fn prefetch(&self, item: u32) {
        let start = item as usize * self.side;
        for at in (0..self.side).step_by(VALUES_PER_LINE) {
            prefetch(&self.vectors, start + at);
        }
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
        for (at, candidate) in rough.iter().enumerate() {
            if let Some(next) = rough.get(at + AHEAD) {
                self.prefetch(next.item);
            }
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

/// 1 over the length of each vector; 0 for a zero vector.
fn inverse_norms(vectors: &[f32], side: usize) -> Vec<f32> {
    let isa = Isa::detect();
    let inverse_norm = |vector: &[f32]| {
        let norm = dense::dot(isa, vector, vector).sqrt();
        if norm > 0.0 { 1.0 / norm } else { 0.0 }
    };
    vectors.chunks_exact(side).map(inverse_norm).collect()
}
