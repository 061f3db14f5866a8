//! Cells of items that point in similar directions, and how many of them a query looks at.
//!
//! The division is spherical k-means: items go to the direction they have the largest cosine with.
//! Cells are looked at in the order of the query's inner product with their direction, at the
//! typical length of their items, since long items win. Everything is a function of the vectors
//! alone, in a fixed order, whatever the threads.

use super::VectorIndex;
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::kernels::scan::{BLOCK, Pass, QuantizedItems, Weighting, scan};
use crate::kernels::{Isa, dense};
use crate::model::Scored;
use crate::seeded::Seeded;
use crate::top_k::TopK;
use rayon::prelude::*;
use std::collections::HashSet;
use std::ops::Range;

/// Cells for each root of the number of items.
const CELLS_PER_ROOT: f64 = 4.0;
/// Items for each cell that the division learns from, and how often it is improved.
const SAMPLE_PER_CELL: usize = 32;
const ROUNDS: usize = 6;
/// Recall that the number of probes is chosen for; a little above what is promised, since it is
/// chosen on a sample.
const RECALL_WANTED: f64 = 0.985;
/// Lengths of lists it is chosen for. Longer ones look at more in proportion, which is more than
/// they need.
const DEPTHS: [usize; 2] = [10, 100];
/// Share of the items above which looking at cells is not worth its trouble: a scan of all shares
/// what it loads among queries and costs a third as much an item.
const SHARE_MAX: f64 = 0.25;
/// An empty place, which fills a block.
const NOBODY: u32 = u32::MAX;

/// Items divided into cells.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    /// The cell of each item.
    cell_of: Vec<u32>,
    /// The blocks of each cell.
    spans: Vec<Range<usize>>,
    /// The item of each place; a cell fills whole blocks.
    places: Vec<u32>,
    /// Directions of the cells at the length of their items.
    routes: QuantizedItems,
    /// How many cells are looked at for each depth.
    probes: [usize; DEPTHS.len()],
    /// What was measured for the first depth.
    recall: f32,
}

impl Cells {
    /// Divides all vectors.
    pub(super) fn divide(vectors: &[f32], side: usize, inverse_norms: &[f32]) -> Self {
        let items = inverse_norms.len();
        let count = ((items as f64).sqrt() * CELLS_PER_ROOT) as usize;
        let count = count.clamp(1, items.max(1));
        let unit = Unit {
            vectors,
            side,
            inverse_norms,
        };
        let mut random = Seeded::new(0, count as u64);
        let sample_len = (count * SAMPLE_PER_CELL).min(items);
        // Evenly spaced with a random phase: no item twice.
        let sample: Vec<u32> = (0..sample_len)
            .map(|at| ((at as f64 + random.uniform()) * items as f64 / sample_len as f64) as u32)
            .collect();
        let mut directions = vec![0.0; count * side];
        for (at, direction) in directions.chunks_exact_mut(side).enumerate() {
            let item = sample.get(at * sample_len / count).copied().unwrap_or(0);
            unit.add_to(direction, item);
        }
        for _ in 0..ROUNDS {
            let cell_of = assign(&unit, &sample, &directions);
            directions = unit.means(&sample, &cell_of, &directions);
        }
        let all: Vec<u32> = (0..items as u32).collect();
        let cell_of = assign(&unit, &all, &directions);
        Self::arrange(&unit, cell_of, count)
    }

    /// Puts the items of each cell side by side.
    fn arrange(unit: &Unit<'_>, cell_of: Vec<u32>, count: usize) -> Self {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); count];
        for (item, cell) in cell_of.iter().enumerate() {
            if unit.inverse_norms[item] > 0.0 {
                members[*cell as usize].push(item as u32);
            }
        }
        let mut routes = vec![0.0; count * unit.side];
        let (mut spans, mut places) = (Vec::with_capacity(count), Vec::new());
        for (members, route) in members.iter().zip(routes.chunks_exact_mut(unit.side)) {
            let first = places.len() / BLOCK;
            places.extend_from_slice(members);
            places.resize(places.len().next_multiple_of(BLOCK), NOBODY);
            spans.push(first..places.len() / BLOCK);
            unit.route(members, route);
        }
        let order: Vec<u32> = (0..count as u32).collect();
        Self {
            cell_of,
            spans,
            places,
            routes: QuantizedItems::new(&routes, unit.side, &vec![1.0; count], &order),
            probes: [1; DEPTHS.len()],
            recall: 0.0,
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.spans.len() as u32);
        for probes in self.probes {
            writer.u32(probes as u32);
        }
        writer.f32(self.recall);
        writer.u32s(&self.cell_of);
    }

    pub(super) fn decode(
        reader: &mut Reader<'_>,
        vectors: &[f32],
        side: usize,
        inverse_norms: &[f32],
    ) -> Result<Self, ModelError> {
        let count = reader.u32()? as usize;
        let mut probes = [0; DEPTHS.len()];
        for probes in &mut probes {
            *probes = reader.u32()? as usize;
        }
        let recall = reader.f32()?;
        let cell_of = reader.u32s()?;
        let items = inverse_norms.len();
        reader.require(cell_of.len() == items, "a cell for each item")?;
        reader.require(count <= items, "no more cells than items")?;
        let is_known = cell_of.iter().all(|cell| (*cell as usize) < count);
        reader.require(is_known, "cells that exist")?;
        let is_sound = probes.iter().all(|probes| (1..=count).contains(probes));
        reader.require(is_sound, "probes among the cells")?;
        let unit = Unit {
            vectors,
            side,
            inverse_norms,
        };
        let cells = Self::arrange(&unit, cell_of, count);
        Ok(Self {
            probes,
            recall,
            ..cells
        })
    }

    pub(super) fn places(&self) -> &[u32] {
        &self.places
    }

    pub(super) const fn recall(&self) -> f32 {
        self.recall
    }

    /// How many cells a list of `k` looks at.
    fn probes(&self, k: usize) -> usize {
        let longest = DEPTHS.len() - 1;
        let at = DEPTHS.iter().position(|depth| k <= *depth);
        let probes = self.probes[at.unwrap_or(longest)];
        let more = k.div_ceil(DEPTHS[longest]).max(1);
        probes.saturating_mul(more).min(self.spans.len())
    }

    /// The share of the cells that is.
    pub(super) fn share(&self, k: usize) -> f64 {
        self.probes(k) as f64 / self.spans.len().max(1) as f64
    }

    pub(super) fn bytes(&self) -> usize {
        let spans = self.spans.len() * size_of::<Range<usize>>();
        (self.cell_of.len() + self.places.len()) * 4 + spans + self.routes.bytes()
    }

    /// The blocks of the cells that a query for `k` looks at, the most promising first; none where
    /// looking at everything costs no more.
    pub(super) fn promising(&self, query: &[f32], k: usize) -> Option<Vec<Range<usize>>> {
        if self.share(k) > SHARE_MAX {
            return None;
        }
        let best = best_routes(&self.routes, &[query], self.probes(k));
        let cells = best.iter().flatten();
        let span_of = |cell: &Scored| self.spans[cell.item as usize].clone();
        Some(cells.map(span_of).collect())
    }
}

impl VectorIndex {
    /// Looks at as few cells as find what is wanted for every second of `queries`, and measures on
    /// the others what they find. `false` where that is no better than looking at all items.
    pub(super) fn choose_probes(&mut self, queries: &[f32]) -> bool {
        let queries: Vec<&[f32]> = queries.chunks_exact(self.side).collect();
        let best = self.true_best(&queries);
        let pairs = || queries.iter().copied().zip(&best);
        let choosing: Vec<_> = pairs().step_by(2).collect();
        let measuring: Vec<_> = pairs().skip(1).step_by(2).collect();
        let mut probes = 1;
        for (level, depth) in DEPTHS.into_iter().enumerate() {
            loop {
                let Some(cells) = &mut self.cells else {
                    return false;
                };
                cells.probes[level] = probes.min(cells.spans.len());
                if cells.share(depth) > SHARE_MAX {
                    cells.probes[level] = cells.spans.len();
                    break;
                }
                if self.recall_of(&choosing, depth) >= RECALL_WANTED {
                    break;
                }
                probes += 1 + probes / 8;
            }
        }
        let recall = self.recall_of(&measuring, DEPTHS[0]);
        let Some(cells) = &mut self.cells else {
            return false;
        };
        cells.recall = recall as f32;
        !measuring.is_empty() && cells.share(DEPTHS[0]) <= SHARE_MAX
    }

    /// The best by `f32` alone.
    fn true_best(&self, queries: &[&[f32]]) -> Vec<Vec<Scored>> {
        let isa = Isa::detect();
        let of_query = |query: &&[f32]| {
            let mut top = TopK::new(DEPTHS[DEPTHS.len() - 1]);
            for (item, vector) in self.vectors.chunks_exact(self.side).enumerate() {
                if self.inverse_norms[item] > 0.0 {
                    top.push(item as u32, dense::dot(isa, query, vector));
                }
            }
            let mut best = Vec::new();
            top.finish_into(&mut best);
            best
        };
        queries.par_iter().map(of_query).collect()
    }

    fn recall_of(&self, asked: &[(&[f32], &Vec<Scored>)], depth: usize) -> f64 {
        let of_query = |(query, best): &(&[f32], &Vec<Scored>)| {
            let found = self.nearest(&[query], depth, &|_, _| true);
            let found: HashSet<u32> = found[0].iter().map(|scored| scored.item).collect();
            let best = &best[..best.len().min(depth)];
            let hits = best.iter().filter(|scored| found.contains(&scored.item));
            (hits.count(), best.len())
        };
        let counts: Vec<(usize, usize)> = asked.par_iter().map(of_query).collect();
        let add = |sum: (usize, usize), one: &(usize, usize)| (sum.0 + one.0, sum.1 + one.1);
        let (hits, all) = counts.iter().fold((0, 0), add);
        hits as f64 / all.max(1) as f64
    }
}

/// Vectors as directions.
#[derive(Clone, Copy)]
struct Unit<'a> {
    vectors: &'a [f32],
    side: usize,
    inverse_norms: &'a [f32],
}

impl Unit<'_> {
    fn vector(&self, item: u32) -> &[f32] {
        &self.vectors[item as usize * self.side..][..self.side]
    }

    fn add_to(&self, sum: &mut [f32], item: u32) {
        let inverse_norm = self.inverse_norms[item as usize];
        dense::add_scaled(Isa::detect(), sum, inverse_norm, self.vector(item));
    }

    /// The mean direction of each cell; an empty one keeps the one it had.
    fn means(&self, items: &[u32], cell_of: &[u32], before: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0; before.len()];
        for (item, cell) in items.iter().zip(cell_of) {
            let sum = &mut sums[*cell as usize * self.side..][..self.side];
            self.add_to(sum, *item);
        }
        let rows = sums.chunks_exact_mut(self.side);
        for (sum, before) in rows.zip(before.chunks_exact(self.side)) {
            if !normalise(sum) {
                sum.copy_from_slice(before);
            }
        }
        sums
    }

    /// Writes the mean direction of `members` at their quadratic mean length.
    fn route(&self, members: &[u32], route: &mut [f32]) {
        let mut squares = 0.0_f32;
        for &item in members {
            self.add_to(route, item);
            let norm = match self.inverse_norms[item as usize] {
                0.0 => 0.0,
                inverse_norm => 1.0 / inverse_norm,
            };
            squares += norm * norm;
        }
        normalise(route);
        let length = (squares / members.len().max(1) as f32).sqrt();
        route.iter_mut().for_each(|value| *value *= length);
    }
}

/// Brings to unit length; `false` for no length at all.
fn normalise(vector: &mut [f32]) -> bool {
    let norm = dense::dot(Isa::detect(), vector, vector).sqrt();
    let is_sound = norm > 0.0 && norm.is_finite();
    if is_sound {
        vector.iter_mut().for_each(|value| *value /= norm);
    }
    is_sound
}

/// The cell of each of `items`.
fn assign(unit: &Unit<'_>, items: &[u32], directions: &[f32]) -> Vec<u32> {
    let count = directions.len() / unit.side;
    let order: Vec<u32> = (0..count as u32).collect();
    let routes = QuantizedItems::new(directions, unit.side, &vec![1.0; count], &order);
    let parts: Vec<Vec<u32>> = items
        .par_chunks(64)
        .map(|items| {
            let queries: Vec<&[f32]> = items.iter().map(|item| unit.vector(*item)).collect();
            let best = best_routes(&routes, &queries, 1);
            let first = |list: &Vec<Scored>| list.first().map_or(0, |cell| cell.item);
            best.iter().map(first).collect()
        })
        .collect();
    parts.concat()
}

/// The `k` routes of largest inner product with each query, best first.
fn best_routes(routes: &QuantizedItems, queries: &[&[f32]], k: usize) -> Vec<Vec<Scored>> {
    let codes: Vec<_> = queries.iter().map(|query| routes.query(query)).collect();
    let mut tops = vec![TopK::new(k); queries.len()];
    let all = Pass {
        items: routes,
        weighting: Weighting::InnerProduct,
        spans: &[routes.blocks()],
    };
    scan(Isa::detect(), all, &codes, &mut tops, &|_, _| true);
    let finish = |top: TopK| {
        let mut best = Vec::new();
        top.finish_into(&mut best);
        best
    };
    tops.into_iter().map(finish).collect()
}
