//! How each arm did hour by hour of event time, as a table that can be drawn.

use super::refresh::HOUR_MS;
use crate::error::EvaluationError;
use nowcast_models::Metric;
use nowcast_types::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// What was scored in each hour.
#[derive(Debug, Default)]
pub(super) struct Curve {
    hours: BTreeMap<i64, Hour>,
}

#[derive(Debug, Default)]
struct Hour {
    scored: u64,
    sums: Vec<f64>,
}

impl Curve {
    /// Counts one guess, with the value of each metric.
    pub(super) fn add(&mut self, time: Timestamp, values: &[f64]) {
        let hour = self.hours.entry(time.0.div_euclid(HOUR_MS)).or_default();
        hour.scored += 1;
        hour.sums.resize(values.len(), 0.0);
        for (sum, value) in hour.sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

/// Writes a line for each arm, mode and hour with a guess: the hour's start in seconds since 1970,
/// the number of guesses, and the mean of each metric.
pub(super) fn write<'a>(
    path: &Path,
    metrics: &[Metric],
    curves: impl Iterator<Item = (&'a str, &'a str, &'a Curve)>,
) -> Result<(), EvaluationError> {
    let failed = |error: std::io::Error| {
        EvaluationError::Options(format!("cannot write {}: {error}", path.display()))
    };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let names: Vec<String> = metrics.iter().map(Metric::to_string).collect();
    let header = names.join(",");
    writeln!(file, "model,refresh,hour,scored,{header}").map_err(failed)?;
    for (model, refresh, curve) in curves {
        for (hour, entry) in &curve.hours {
            let seconds = hour * (HOUR_MS / 1_000);
            write!(file, "{model},{refresh},{seconds},{}", entry.scored).map_err(failed)?;
            for sum in &entry.sums {
                write!(file, ",{:.6}", sum / entry.scored as f64).map_err(failed)?;
            }
            writeln!(file).map_err(failed)?;
        }
    }
    file.flush().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_hour_in_which_something_was_guessed() {
        let mut curve = Curve::default();
        curve.add(Timestamp(HOUR_MS - 1), &[1.0]);
        curve.add(Timestamp(3 * HOUR_MS), &[1.0]);
        curve.add(Timestamp(3 * HOUR_MS + 7), &[0.0]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curve.csv");
        let metrics = ["recall@10".parse().unwrap()];
        write(&path, &metrics, [("blend", "live", &curve)].into_iter()).unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "model,refresh,hour,scored,recall@10\n\
             blend,live,0,1,1.000000\n\
             blend,live,10800,2,0.500000\n"
        );
    }
}
