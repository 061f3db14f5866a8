//! An inverted index of sparse TF-IDF vectors that grows item by item.
//!
//! A query walks the posting lists of its strongest features up to a budget of postings, then
//! computes the exact cosine for the best candidates. Norms use the document frequencies of the
//! last refresh, which happens by itself whenever the index has grown by an eighth.

use super::features::ItemContent;
use crate::model::{HistoryItem, Scored};
use crate::top_k::TopK;
use std::collections::HashMap;

/// Most features kept of a history's profile.
const PROFILE_FEATURES_MAX: usize = 64;

/// Postings a query reads at most; bounds a request whatever the catalogue looks like.
const POSTINGS_MAX: usize = 32_768;

/// What a history is about: features with weights, of unit length. Valid for the index that made
/// it, until items change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContentProfile {
    /// Ascending by feature.
    terms: Vec<(u32, f32)>,
}

impl ContentProfile {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row {
    /// Feature and term frequency, ascending by feature.
    pub(super) terms: Vec<(u32, f32)>,
    /// 1 over the length of the TF-IDF vector at the last refresh; 0 for an empty one.
    inverse_norm: f32,
}

/// Content vectors of items under `u32` keys of the caller's choice (small and dense is best).
#[derive(Debug, Clone, Default)]
pub struct ContentIndex {
    features: HashMap<u64, u32>,
    pub(super) hashes: Vec<u64>,
    pub(super) rows: Vec<Option<Row>>,
    /// Feature to items, each with its term frequency.
    postings: Vec<Vec<(u32, f32)>>,
    len: usize,
    len_at_refresh: usize,
}

impl ContentIndex {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether an item is there.
    #[must_use]
    pub fn contains(&self, key: u32) -> bool {
        self.row(key).is_some()
    }

    /// Heap bytes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let terms: usize = self.rows.iter().flatten().map(|row| row.terms.len()).sum();
        self.rows.len() * size_of::<Option<Row>>()
            + terms * 16
            + self.hashes.len() * (8 + 24 + size_of::<(u64, u32)>() * 2)
    }

    /// Adds an item or replaces what is known of it.
    pub fn upsert(&mut self, key: u32, content: &ItemContent) {
        let terms = content.features();
        self.upsert_features(key, &terms);
    }

    pub(super) fn upsert_features(&mut self, key: u32, features: &[(u64, f32)]) {
        self.remove(key);
        let mut terms: Vec<(u32, f32)> = Vec::with_capacity(features.len());
        for &(hash, frequency) in features {
            let next = self.hashes.len() as u32;
            let feature = *self.features.entry(hash).or_insert(next);
            if feature == next {
                self.hashes.push(hash);
                self.postings.push(Vec::new());
            }
            self.postings[feature as usize].push((key, frequency));
            terms.push((feature, frequency));
        }
        terms.sort_unstable_by_key(|(feature, _)| *feature);
        let at = key as usize;
        if self.rows.len() <= at {
            self.rows.resize(at + 1, None);
        }
        self.len += 1;
        let inverse_norm = self.inverse_norm(&terms);
        self.rows[at] = Some(Row {
            terms,
            inverse_norm,
        });
        if self.len > self.len_at_refresh + self.len_at_refresh / 8 + 16 {
            self.refresh();
        }
    }

    /// Forgets an item.
    pub fn remove(&mut self, key: u32) {
        let Some(row) = self.rows.get_mut(key as usize).and_then(Option::take) else {
            return;
        };
        self.len -= 1;
        for (feature, _) in row.terms {
            let list = &mut self.postings[feature as usize];
            if let Some(at) = list.iter().position(|(other, _)| *other == key) {
                list.swap_remove(at);
            }
        }
    }

    /// Recomputes all norms from the present document frequencies.
    pub fn refresh(&mut self) {
        self.len_at_refresh = self.len;
        let mut rows = std::mem::take(&mut self.rows);
        for row in rows.iter_mut().flatten() {
            row.inverse_norm = self.inverse_norm(&row.terms);
        }
        self.rows = rows;
    }

    /// What [`Self::refresh`] would make of the norms, by key: for callers that must not hold up
    /// readers while it is computed. Put into use by [`Self::set_norms`].
    #[must_use]
    pub fn norms(&self) -> Vec<f32> {
        let norm = |row: &Option<Row>| {
            row.as_ref()
                .map_or(0.0, |row| self.inverse_norm(&row.terms))
        };
        self.rows.iter().map(norm).collect()
    }

    /// Puts norms into use that were computed since the last change of an item.
    pub fn set_norms(&mut self, norms: &[f32]) {
        self.len_at_refresh = self.len;
        for (row, norm) in self.rows.iter_mut().zip(norms) {
            if let Some(row) = row {
                row.inverse_norm = *norm;
            }
        }
    }

    fn row(&self, key: u32) -> Option<&Row> {
        self.rows.get(key as usize)?.as_ref()
    }

    /// Smoothed inverse document frequency, `ln(1 + (n + 1) / (df + 1))`.
    fn idf(&self, feature: u32) -> f32 {
        let df = self.postings[feature as usize].len();
        ((self.len as f32 + 1.0) / (df as f32 + 1.0)).ln_1p()
    }

    fn inverse_norm(&self, terms: &[(u32, f32)]) -> f32 {
        let squares = terms.iter().map(|(f, tf)| (tf * self.idf(*f)).powi(2));
        let norm = squares.sum::<f32>().sqrt();
        if norm > 0.0 { 1.0 / norm } else { 0.0 }
    }

    /// The weighted sum of the vectors of a history, cut to its strongest features.
    #[must_use]
    pub fn profile(&self, history: &[HistoryItem]) -> ContentProfile {
        let mut terms: Vec<(u32, f32)> = Vec::new();
        for entry in history.iter().filter(|entry| entry.weight.is_finite()) {
            if let Some(row) = self.row(entry.item) {
                // Clamped so that sums of any history stay finite.
                let share = entry.weight.clamp(-1e6, 1e6) * row.inverse_norm;
                terms.extend(row.terms.iter().map(|(f, tf)| (*f, share * tf)));
            }
        }
        // Stable, so equal features are summed in the order of the history.
        terms.sort_by_key(|(feature, _)| *feature);
        terms.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
        for (feature, weight) in &mut terms {
            *weight *= self.idf(*feature);
        }
        terms.retain(|(_, weight)| *weight != 0.0);
        if terms.len() > PROFILE_FEATURES_MAX {
            terms.sort_unstable_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
            terms.truncate(PROFILE_FEATURES_MAX);
            terms.sort_unstable_by_key(|(feature, _)| *feature);
        }
        let norm = terms.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
        if norm > 0.0 && norm.is_finite() {
            terms.iter_mut().for_each(|(_, weight)| *weight /= norm);
        } else {
            terms.clear();
        }
        ContentProfile { terms }
    }

    /// Writes the cosine of profile and item, -1 to 1, to `out`; 0 for unknown items.
    pub fn score(&self, profile: &ContentProfile, items: &[u32], out: &mut [f32]) {
        for (&item, out) in items.iter().zip(out) {
            *out = self.row(item).map_or(0.0, |row| self.cosine(profile, row));
        }
    }

    fn cosine(&self, profile: &ContentProfile, row: &Row) -> f32 {
        let (mut wanted, mut dot) = (profile.terms.iter().peekable(), 0.0);
        for (feature, frequency) in &row.terms {
            while wanted.next_if(|(other, _)| other < feature).is_some() {}
            if let Some((_, weight)) = wanted.next_if(|(other, _)| other == feature) {
                dot += weight * frequency * self.idf(*feature);
            }
        }
        dot * row.inverse_norm
    }

    /// Replaces `out` by the at most `k` items nearest to the profile that `admit` accepts and
    /// whose score is positive, best first.
    pub fn retrieve(
        &self,
        profile: &ContentProfile,
        k: usize,
        admit: &dyn Fn(u32) -> bool,
        out: &mut Vec<Scored>,
    ) {
        out.clear();
        let candidates = self.candidates(profile);
        let mut roughly = TopK::new(k.saturating_mul(2).saturating_add(64));
        for (item, partial) in candidates {
            if partial >= roughly.threshold() && admit(item) {
                roughly.push(item, partial);
            }
        }
        let mut rough = Vec::new();
        roughly.finish_into(&mut rough);
        let mut best = TopK::new(k);
        for candidate in rough {
            let row = self.row(candidate.item).expect("postings name live items");
            let score = self.cosine(profile, row);
            if score > 0.0 {
                best.push(candidate.item, score);
            }
        }
        best.finish_into(out);
    }

    /// Items that share strong features with the profile, with the part of the cosine that the
    /// posting budget allows.
    fn candidates(&self, profile: &ContentProfile) -> Vec<(u32, f32)> {
        let mut strongest: Vec<&(u32, f32)> = profile.terms.iter().collect();
        strongest.sort_by(|a, b| {
            let strength = |term: &(u32, f32)| term.1 * self.idf(term.0);
            strength(b).total_cmp(&strength(a)).then(a.0.cmp(&b.0))
        });
        let mut partial = vec![0.0_f32; self.rows.len()];
        let mut touched: Vec<u32> = Vec::new();
        let mut budget = POSTINGS_MAX;
        for &&(feature, weight) in &strongest {
            let list = &self.postings[feature as usize];
            if weight <= 0.0 || (list.len() > budget && !touched.is_empty()) {
                continue;
            }
            let read = list.len().min(budget);
            budget -= read;
            let gain = weight * self.idf(feature);
            for &(item, frequency) in &list[..read] {
                let sum = &mut partial[item as usize];
                if *sum == 0.0 {
                    touched.push(item);
                }
                *sum += gain * frequency;
            }
        }
        let inverse_norm = |item: u32| self.row(item).map_or(0.0, |row| row.inverse_norm);
        let finished = |item| (item, partial[item as usize] * inverse_norm(item));
        touched.into_iter().map(finished).collect()
    }

    /// The at most `k` items most like `key`, best first, without itself.
    #[must_use]
    pub fn similar(&self, key: u32, k: usize) -> Vec<Scored> {
        let alone = [HistoryItem {
            item: key,
            weight: 1.0,
            age_s: 0,
        }];
        let mut out = Vec::new();
        self.retrieve(&self.profile(&alone), k, &|item| item != key, &mut out);
        out
    }
}
