//! From content into the space of another model's item vectors, so that an item that nobody has
//! met stands where items of like content stand.
//!
//! A linear map, fitted by ridge regression to the vectors of the items that have interactions.

use super::features::ItemContent;
use super::least_squares::{SparseRows, solve};
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::kernels::{Isa, dense};
use crate::model::Prepared;
use std::collections::HashMap;

/// Fewest known items that have a feature of which the map can learn anything.
const ITEMS_PER_FEATURE_MIN: u32 = 2;

/// Most labels and words, those of the most items; bounds the artifact and the memory that serves it,
/// 32 MiB at 256 factors.
const TERMS_MAX: usize = 32_768;

/// Standard deviations beyond which a number says no more.
const NUMBER_MAX: f32 = 3.0;

/// What the map knows of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Feature {
    hash: u64,
    /// Inverse document frequency of a label or word; 1 over the deviation of a number.
    scale: f32,
    /// Mean of a number; 0 for the others.
    centre: f32,
}

/// The map.
#[derive(Debug, Clone, Default)]
pub struct ContentMap {
    side: usize,
    numbers_from: usize,
    features: Vec<Feature>,
    places: HashMap<u64, u32>,
    /// One row of `side` values for each feature, and one more that every item has.
    weights: Vec<f32>,
}

/// What to fit the map to.
pub(crate) struct MapTargets<'a> {
    /// One of each item.
    pub(crate) contents: &'a [ItemContent],
    /// One of each item, `side` values long.
    pub(crate) vectors: &'a [f32],
    pub(crate) side: usize,
    /// Whether each item has a vector to fit to.
    pub(crate) is_known: &'a [bool],
    pub(crate) ridge: f32,
}

impl ContentMap {
    /// Fits the map; `None` if no feature is shared by two known items.
    pub(crate) fn fit(targets: &MapTargets<'_>, is_cancelled: &dyn Fn() -> bool) -> Option<Self> {
        let known: Vec<usize> = (0..targets.contents.len())
            .filter(|item| targets.is_known[*item])
            .collect();
        let contents: Vec<&ItemContent> =
            known.iter().map(|item| &targets.contents[*item]).collect();
        let (mut features, numbers) = (shared_terms(&contents), shared_numbers(&contents));
        let numbers_from = features.len();
        features.extend(numbers);
        if features.is_empty() {
            return None;
        }
        let places = (0_u32..).zip(&features);
        let mut map = Self {
            side: targets.side,
            numbers_from,
            places: places.map(|(at, feature)| (feature.hash, at)).collect(),
            features,
            weights: Vec::new(),
        };
        let side = targets.side;
        let vectors = known
            .iter()
            .flat_map(|item| &targets.vectors[item * side..][..side]);
        let vectors: Vec<f32> = vectors.copied().collect();
        let rows = contents.iter().map(|content| map.row(content)).collect();
        let rows = SparseRows::new(rows, map.features.len() + 1);
        map.weights = solve(&rows, (&vectors, side), targets.ridge, is_cancelled);
        map.weights
            .iter()
            .all(|weight| weight.is_finite())
            .then_some(map)
    }

    /// The features of a content that the map knows, ascending, and at last the one of all items.
    fn row(&self, content: &ItemContent) -> Vec<(u32, f32)> {
        let mut row: Vec<(u32, f32)> = Vec::new();
        for (hash, frequency) in content.features() {
            if let Some(&at) = self
                .places
                .get(&hash)
                .filter(|at| (**at as usize) < self.numbers_from)
            {
                row.push((at, frequency * self.features[at as usize].scale));
            }
        }
        let squares: f32 = row.iter().map(|(_, value)| value * value).sum();
        if squares > 0.0 {
            let inverse = 1.0 / squares.sqrt();
            row.iter_mut().for_each(|(_, value)| *value *= inverse);
        }
        for number in content.numbers() {
            let known = self.places.get(&number.hash);
            let Some(&at) = known.filter(|at| (**at as usize) >= self.numbers_from) else {
                continue;
            };
            let feature = &self.features[at as usize];
            let deviations = (number.value - feature.centre) * feature.scale;
            let deviations = deviations.clamp(-NUMBER_MAX, NUMBER_MAX);
            if deviations.is_finite() {
                row.push((at, number.share * deviations));
            }
        }
        row.sort_unstable_by_key(|(at, _)| *at);
        row.push((self.features.len() as u32, 1.0));
        row
    }

    /// Where an item of this content stands; `None` if the map knows nothing of what it has.
    #[must_use]
    pub fn place(&self, content: &ItemContent) -> Option<Vec<f32>> {
        let row = self.row(content);
        if row.len() < 2 {
            return None;
        }
        let isa = Isa::detect();
        let mut vector = vec![0.0; self.side];
        for (at, value) in row {
            let start = at as usize * self.side;
            dense::add_scaled(
                isa,
                &mut vector,
                value,
                &self.weights[start..start + self.side],
            );
        }
        vector
            .iter()
            .all(|value| value.is_finite())
            .then_some(vector)
    }

    /// The score of a placed item, comparable with those of the model that the map belongs to; 0 for
    /// a subject of another shape.
    #[must_use]
    pub fn score(&self, prepared: &Prepared, vector: &[f32]) -> f32 {
        match prepared {
            Prepared::Vector(user) if user.len() == self.side && vector.len() == self.side => {
                dense::dot(Isa::detect(), user, vector)
            }
            _ => 0.0,
        }
    }

    /// Heap bytes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.weights.len() * 4 + self.features.len() * (size_of::<Feature>() + 24)
    }

    /// Puts the map, of whose vectors the first `width` values are not 0.
    pub(crate) fn encode(&self, width: usize, writer: &mut Writer<'_>) {
        writer.u32(self.numbers_from as u32);
        writer.u64s(&self.features.iter().map(|f| f.hash).collect::<Vec<_>>());
        writer.f32s(&self.features.iter().map(|f| f.scale).collect::<Vec<_>>());
        writer.f32s(&self.features.iter().map(|f| f.centre).collect::<Vec<_>>());
        writer.padded_rows(&self.weights, self.side, width);
    }

    /// Takes what [`Self::encode`] put.
    pub(crate) fn decode(
        width: usize,
        side: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Self, ModelError> {
        let numbers_from = reader.u32()? as usize;
        let hashes = reader.u64s()?;
        let (scales, centres) = (reader.f32s()?, reader.f32s()?);
        let is_even = scales.len() == hashes.len() && centres.len() == hashes.len();
        reader.require(is_even, "a scale and a centre per feature")?;
        reader.require(numbers_from <= hashes.len(), "numbers are features")?;
        let rows = (hashes.len() + 1, side, width);
        let weights = reader.padded_rows(rows, "a row per feature")?;
        let feature = |((hash, scale), centre)| Feature {
            hash,
            scale,
            centre,
        };
        let features: Vec<Feature> = hashes
            .into_iter()
            .zip(scales)
            .zip(centres)
            .map(feature)
            .collect();
        let places = (0_u32..).zip(&features);
        Ok(Self {
            side,
            numbers_from,
            places: places.map(|(at, feature)| (feature.hash, at)).collect(),
            features,
            weights,
        })
    }
}

/// Labels and words that enough items share, ascending by hash.
fn shared_terms(contents: &[&ItemContent]) -> Vec<Feature> {
    let mut counts: HashMap<u64, u32> = HashMap::new();
    for content in contents {
        for (hash, _) in content.features() {
            *counts.entry(hash).or_default() += 1;
        }
    }
    let shared = counts.into_iter();
    let mut shared: Vec<(u64, u32)> = shared
        .filter(|(_, n)| *n >= ITEMS_PER_FEATURE_MIN)
        .collect();
    shared.sort_unstable_by_key(|(hash, count)| (std::cmp::Reverse(*count), *hash));
    shared.truncate(TERMS_MAX);
    let items = contents.len() as f32;
    let feature = |(hash, count): (u64, u32)| Feature {
        hash,
        scale: ((items + 1.0) / (count as f32 + 1.0)).ln_1p(),
        centre: 0.0,
    };
    let mut terms: Vec<Feature> = shared.into_iter().map(feature).collect();
    terms.sort_unstable_by_key(|feature| feature.hash);
    terms
}

/// Numbers that enough items have and that differ, ascending by hash.
fn shared_numbers(contents: &[&ItemContent]) -> Vec<Feature> {
    let mut values: HashMap<u64, Vec<f32>> = HashMap::new();
    for content in contents {
        for number in content.numbers() {
            values.entry(number.hash).or_default().push(number.value);
        }
    }
    let feature = |(hash, values): (u64, Vec<f32>)| {
        let len = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / len;
        let squares = values.iter().map(|v| (f64::from(*v) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / len).sqrt();
        let scale = (1.0 / deviation) as f32;
        let is_known = values.len() >= ITEMS_PER_FEATURE_MIN as usize;
        let is_usable = is_known && scale.is_finite() && scale > 0.0 && mean.is_finite();
        is_usable.then_some(Feature {
            hash,
            scale,
            centre: mean as f32,
        })
    };
    let mut numbers: Vec<Feature> = values.into_iter().filter_map(feature).collect();
    numbers.sort_unstable_by_key(|feature| feature.hash);
    numbers
}
