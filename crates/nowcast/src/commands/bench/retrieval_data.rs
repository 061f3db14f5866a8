//! The vectors of `bench retrieval`: made from a seed, written for other programs to read.

use anyhow::Context;
use nowcast_models::seeded::Seeded;
use std::io::Write;
use std::path::Path;

/// Length of the vectors.
pub(super) const SIDE: usize = 64;
/// Directions around which items and queries gather; a few have most of them.
const CENTRES: usize = 1000;
/// How far from their direction they stray, and how their lengths vary (log-normally).
const SPREAD: f32 = 0.7;
const LENGTHS: f32 = 0.3;

/// How vectors are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Around 1,000 directions of uneven size, with lengths that vary: what factors look like.
    Clustered,
    /// Independent normal values: the worst case, without any structure.
    Gaussian,
}

/// Makes `count` vectors; equal `stream`s are equal vectors.
pub(super) fn vectors(shape: Shape, seed: u64, stream: u64, count: usize) -> Vec<f32> {
    let mut random = Seeded::new(seed, stream);
    let mut centres = Seeded::new(seed, u64::MAX);
    let centres: Vec<f32> = (0..CENTRES * SIDE).map(|_| centres.normal()).collect();
    let mut all = Vec::with_capacity(count * SIDE);
    for _ in 0..count {
        if shape == Shape::Gaussian {
            all.extend((0..SIDE).map(|_| random.normal()));
            continue;
        }
        let length = (LENGTHS * random.normal()).exp() / (SIDE as f32).sqrt();
        // Uniform in the logarithm: the first direction is the most frequent.
        let drawn = (CENTRES as f64).powf(random.uniform()) as usize - 1;
        let centre = &centres[drawn * SIDE..][..SIDE];
        all.extend(
            centre
                .iter()
                .map(|value| length * (value + SPREAD * random.normal())),
        );
    }
    all
}

/// Writes 4 bytes a value, little endian.
pub(super) fn write(path: &Path, values: impl Iterator<Item = [u8; 4]>) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", path.display());
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).with_context(told)?);
    for value in values {
        out.write_all(&value).with_context(told)?;
    }
    out.flush().with_context(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_streams_are_equal_vectors_and_written_as_they_are() {
        for shape in [Shape::Clustered, Shape::Gaussian] {
            let one = vectors(shape, 1, 2, 50);
            assert_eq!(one, vectors(shape, 1, 2, 50));
            assert_ne!(one, vectors(shape, 1, 3, 50));
            assert!(one.len() == 50 * SIDE && one.iter().all(|value| value.is_finite()));
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("items.f32");
            write(&path, one.iter().map(|value| value.to_le_bytes())).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes[..4], one[0].to_le_bytes());
            assert_eq!(bytes.len(), one.len() * 4);
        }
    }
}
