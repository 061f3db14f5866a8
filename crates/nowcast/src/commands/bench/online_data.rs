//! The examples of `bench online`: made from a seed, written as text, read back.

use anyhow::Context;
use nowcast_models::online::Feature;
use nowcast_models::seeded::Seeded;
use std::io::Write;
use std::path::Path;

/// Categorical features of an example.
const FIELDS: usize = 30;
/// Values of the smallest and of the largest field; those between grow by a constant factor.
const VALUES: (f64, f64) = (4.0, 1_000_000.0);
/// Spread of the true weights, and the true intercept.
const SPREAD: f32 = 0.25;
const INTERCEPT: f32 = -1.2;
/// The namespace of all features in the text.
const NAMESPACE: u32 = 0;

/// Hashed examples in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Examples {
    features: Vec<Feature>,
    /// End of each example in `features`.
    ends: Vec<usize>,
    labels: Vec<bool>,
}

impl Examples {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The features of an example; none beyond the end.
    #[inline]
    pub(super) fn features(&self, at: usize) -> &[Feature] {
        let Some(end) = self.ends.get(at) else {
            return &[];
        };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.features[start..*end]
    }

    pub(super) fn is_positive(&self, at: usize) -> bool {
        self.labels[at]
    }

    fn finish(&mut self, is_positive: bool) {
        self.features.push(Feature::CONSTANT);
        self.ends.push(self.features.len());
        self.labels.push(is_positive);
    }
}

/// Calls `row(values, is positive)` for each example.
fn for_each(seed: u64, count: usize, mut row: impl FnMut(&[u32; FIELDS], bool)) {
    let growth = (VALUES.1 / VALUES.0).powf(1.0 / (FIELDS - 1) as f64);
    let sizes: Vec<f64> = (0..FIELDS)
        .map(|field| (VALUES.0 * growth.powi(field as i32)).floor())
        .collect();
    let mut random = Seeded::new(seed, 1);
    for _ in 0..count {
        let mut values = [0_u32; FIELDS];
        let mut margin = INTERCEPT;
        for (field, (value, size)) in values.iter_mut().zip(&sizes).enumerate() {
            // Uniform in the logarithm: value 0 is the most frequent.
            let drawn = size.powf(random.uniform()).floor() - 1.0;
            *value = drawn.clamp(0.0, size - 1.0) as u32;
            let stream = (field as u64) << 32 | u64::from(*value);
            margin += SPREAD * Seeded::new(seed ^ 0x57, stream).normal();
        }
        let probability = 1.0 / (1.0 + f64::from(-margin).exp());
        row(&values, random.uniform() < probability);
    }
}

/// The text of one feature.
fn name(field: usize, value: u32) -> String {
    let letter = (b'a' + (field % 26) as u8) as char;
    format!("{letter}{}_{value}", field / 26)
}

fn hash(name: &[u8]) -> Feature {
    Feature::text(NAMESPACE, name)
}

/// Makes examples.
pub(super) fn generate(seed: u64, count: usize) -> Examples {
    let mut examples = Examples::default();
    for_each(seed, count, |values, is_positive| {
        for (field, value) in values.iter().enumerate() {
            examples.features.push(hash(name(field, *value).as_bytes()));
        }
        examples.finish(is_positive);
    });
    examples
}

/// Writes the same examples as text.
pub(super) fn write_text(path: &Path, seed: u64, count: usize) -> anyhow::Result<()> {
    let file =
        std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = std::io::BufWriter::new(file);
    let mut line = String::new();
    let mut outcome = Ok(());
    for_each(seed, count, |values, is_positive| {
        line.clear();
        line.push_str(if is_positive { "1 |a" } else { "-1 |a" });
        for (field, value) in values.iter().enumerate() {
            line.push(' ');
            line.push_str(&name(field, *value));
        }
        line.push('\n');
        if outcome.is_ok() {
            outcome = out.write_all(line.as_bytes());
        }
    });
    outcome
        .and_then(|()| out.flush())
        .context("cannot write the examples")
}

/// Reads text: a label, a namespace that is left out, features separated by spaces.
pub(super) fn read_text(text: &[u8]) -> anyhow::Result<Examples> {
    let mut examples = Examples::default();
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let mut words = line.split(|byte| *byte == b' ');
        let is_positive = match words.next() {
            Some(b"1") => true,
            Some(b"-1") => false,
            _ => anyhow::bail!("a line does not begin with 1 or -1"),
        };
        let features = words.filter(|word| !word.is_empty() && word[0] != b'|');
        examples.features.extend(features.map(hash));
        examples.finish(is_positive);
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_the_examples_it_was_made_from() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("examples.txt");
        write_text(&path, 3, 50).unwrap();
        let (made, read) = (
            generate(3, 50),
            read_text(&std::fs::read(&path).unwrap()).unwrap(),
        );
        assert_eq!((made.len(), read.len()), (50, 50));
        for at in 0..50 {
            assert_eq!(made.features(at), read.features(at));
            assert_eq!(made.is_positive(at), read.is_positive(at));
        }
        assert_eq!(made.features(0).len(), FIELDS + 1);
        assert!(made.features(50).is_empty());
        assert!(read_text(b"2 |a x").is_err());
    }
}
