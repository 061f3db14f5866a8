//! A ranker as bytes and back: everything that learning goes on from, rows without a trace left
//! out. The envelope, with its checksums, is that of all artifacts.
//!
//! Payload after the name and an empty list of items, little endian: number of objectives `u32`;
//! for each its name, weight `f32`, configuration, progress, then the rows that are not zero as
//! places and values, and the factors with their energies.

use super::config::OnlineConfig;
use super::learner::{OnlineLearner, Progress};
use super::ranker::{Objective, OnlineRanker, check};
use super::rows::{NumberRow, Row};
use crate::artifact::{Reader, Writer, open};
use crate::error::ModelError;
use crate::item_ids::ItemIds;

impl OnlineRanker {
    /// Appends the whole artifact.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, super::NAME, &ItemIds::default());
        writer.u32(self.objectives.len() as u32);
        for (objective, learner) in &self.objectives {
            writer.text(&objective.name);
            writer.f32(objective.weight);
            write_learner(&mut writer, learner);
        }
        writer.finish();
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] or [`ModelError::UnsupportedFormat`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut reader = open(bytes)?;
        let is_own = reader.text()? == super::NAME && reader.item_ids()?.is_empty();
        reader.require(is_own, "it is not an online ranker")?;
        let count = reader.u32()?;
        let mut objectives = Vec::new();
        for _ in 0..count {
            let name = reader.text()?.to_owned();
            let weight = reader.f32()?;
            objectives.push((Objective { name, weight }, read_learner(&mut reader)?));
        }
        let names: Vec<Objective> = objectives.iter().map(|(o, _)| o.clone()).collect();
        let is_sound = check(&names).is_ok() && reader.is_at_end();
        reader.require(is_sound, "its objectives are not sound")?;
        Ok(Self { objectives })
    }
}

fn write_learner(writer: &mut Writer<'_>, learner: &OnlineLearner) {
    let config = &learner.config;
    writer.u32(config.indicator_bits);
    writer.u32(config.number_bits);
    writer.u32(config.factors as u32);
    for value in [config.learning_rate, config.evidence, config.factor_rate] {
        writer.f32(value);
    }
    writer.u64(config.seed);
    let progress = &learner.progress;
    writer.u64(progress.importance.to_bits());
    writer.u64(progress.squared_size.to_bits());
    writer.u64(progress.examples);
    let used = (0_u32..).zip(&learner.rows.indicators);
    let used: Vec<(u32, &Row)> = used.filter(|(_, row)| **row != Row::default()).collect();
    writer.u32s(&used.iter().map(|(at, _)| *at).collect::<Vec<_>>());
    writer.f32s(&used.iter().map(|(_, row)| row.weight).collect::<Vec<_>>());
    writer.f32s(&used.iter().map(|(_, row)| row.energy).collect::<Vec<_>>());
    let used = (0_u32..).zip(&learner.rows.numbers);
    let used: Vec<(u32, &NumberRow)> = used
        .filter(|(_, row)| **row != NumberRow::default())
        .collect();
    writer.u32s(&used.iter().map(|(at, _)| *at).collect::<Vec<_>>());
    writer.f32s(&used.iter().map(|(_, row)| row.weight).collect::<Vec<_>>());
    writer.f32s(&used.iter().map(|(_, row)| row.energy).collect::<Vec<_>>());
    writer.f32s(&used.iter().map(|(_, row)| row.scale).collect::<Vec<_>>());
    writer.f32s(&learner.factors.values);
    writer.f32s(&learner.factors.energies);
}

fn read_learner(reader: &mut Reader<'_>) -> Result<OnlineLearner, ModelError> {
    let (indicator_bits, number_bits) = (reader.u32()?, reader.u32()?);
    let factors = reader.u32()? as usize;
    let [learning_rate, evidence, factor_rate] = [reader.f32()?, reader.f32()?, reader.f32()?];
    let config = OnlineConfig {
        indicator_bits,
        number_bits,
        learning_rate,
        evidence,
        factors,
        factor_rate,
        seed: reader.u64()?,
    };
    let progress = Progress {
        importance: f64::from_bits(reader.u64()?),
        squared_size: f64::from_bits(reader.u64()?),
        examples: reader.u64()?,
    };
    let is_sound = progress.importance.is_finite() && progress.squared_size.is_finite();
    reader.require(is_sound, "its progress is not a number")?;
    let damaged = |error: ModelError| ModelError::Damaged(error.to_string());
    let mut learner = OnlineLearner::new(config).map_err(damaged)?;
    learner.progress = progress;
    let places = reader.u32s()?;
    let [weights, energies] = [reader.f32s()?, reader.f32s()?];
    let lens = [weights.len(), energies.len()];
    let rows = &mut learner.rows.indicators;
    check_places(reader, &places, rows.len(), &lens)?;
    for ((at, weight), energy) in places.iter().zip(weights).zip(energies) {
        rows[*at as usize] = Row { weight, energy };
    }
    let places = reader.u32s()?;
    let [weights, energies, scales] = [reader.f32s()?, reader.f32s()?, reader.f32s()?];
    let lens = [weights.len(), energies.len(), scales.len()];
    let rows = &mut learner.rows.numbers;
    check_places(reader, &places, rows.len(), &lens)?;
    for (((at, weight), energy), scale) in places.iter().zip(weights).zip(energies).zip(scales) {
        rows[*at as usize] = NumberRow {
            weight,
            energy,
            scale,
        };
    }
    let (values, energies) = (reader.f32s()?, reader.f32s()?);
    let own = &mut learner.factors;
    let is_whole = values.len() == own.values.len() && energies.len() == own.energies.len();
    reader.require(is_whole, "its factors have another shape")?;
    own.values = values;
    own.energies = energies;
    Ok(learner)
}

fn check_places(
    reader: &Reader<'_>,
    places: &[u32],
    rows: usize,
    lens: &[usize],
) -> Result<(), ModelError> {
    let is_ascending = places.is_sorted_by(|a, b| a < b);
    let is_inside = places.last().is_none_or(|last| (*last as usize) < rows);
    let is_whole = lens.iter().all(|len| *len == places.len());
    reader.require(
        is_ascending && is_inside && is_whole,
        "its rows do not fit together",
    )
}
