//! The training: epochs of steps until what is held out is no longer ranked better.

use super::network::{Parameters, Shape};
use super::step::{Descent, Pace};
use super::watch::{Seen, watch};
use super::windows::{self, HeldOut, PASS_POSITIONS, Window};
use super::{NAME, Settings};
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::seeded::Seeded;
use crate::trainer::Progress;
use rayon::prelude::*;

/// Positions of a step: an epoch should have some steps, and a step enough for both.
const STEP_POSITIONS: std::ops::RangeInclusive<usize> = 64..=4096;
/// Steps that an epoch should have at least, where the data are few.
const EPOCH_STEPS: usize = 64;
/// Steps over which the learning rate rises from 0.
const WARM_STEPS: u64 = 200;
/// Patience lasts this many steps at least, where epochs are short.
const PATIENCE_STEPS: u64 = 300;
/// Factor on the learning rate each time that patience ends.
const SLOWER: f32 = 0.3;
/// The training is over when that factor would fall below this.
const SLOWEST: f32 = 0.05;
/// Users that are watched at most.
const WATCHED: usize = 2000;

/// What a training gives.
pub(super) struct Trained {
    pub(super) shape: Shape,
    pub(super) parameters: Parameters,
}

/// A training between two epochs.
struct Training<'a> {
    settings: &'a Settings,
    shape: Shape,
    sequences: Vec<Vec<u32>>,
    held: HeldOut,
    descent: Descent,
    /// How often each item is a target.
    counts: Vec<u32>,
    positions: usize,
    dropout: f32,
    /// Factor on the learning rate.
    slowdown: f32,
    /// Floating-point operations that may still be spent.
    work_left: f64,
    seed: u64,
}

/// Trains from `data`.
///
/// # Errors
/// No sequence has two items; cancelled; the loss is no longer a number.
pub(super) fn train(
    data: &Interactions,
    settings: &Settings,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Trained, ModelError> {
    let mut training = Training::new(data, settings, seed)?;
    let total = settings.epochs as u64;
    let mut best = Best::default();
    for epoch in 0..settings.epochs {
        let loss = training.epoch(epoch, progress)?;
        let Training {
            shape,
            sequences,
            held,
            descent,
            ..
        } = &training;
        if held.pairs.is_empty() {
            progress.report(epoch as u64 + 1, total, &format!("epochs, loss {loss:.4}"));
            if training.work_left <= 0.0 {
                break;
            }
            continue;
        }
        let seen = watch(shape, &descent.average, sequences, held);
        progress.report(epoch as u64 + 1, total, &line(loss, &seen));
        best.offer(epoch, seen.gain, descent);
        if training.work_left <= 0.0 {
            break;
        }
        let steps = descent.steps() - best.since_steps;
        if epoch - best.since >= settings.patience && steps >= PATIENCE_STEPS {
            training.slowdown *= SLOWER;
            if training.slowdown < SLOWEST {
                break;
            }
            (best.since, best.since_steps) = (epoch, training.descent.steps());
        }
    }
    let average = training.descent.average;
    Ok(Trained {
        shape: training.shape,
        parameters: best.parameters.unwrap_or(average),
    })
}

/// The best epoch so far.
#[derive(Default)]
struct Best {
    gain: f64,
    parameters: Option<Parameters>,
    /// The epoch since which patience is counted.
    since: usize,
    /// The steps until then.
    since_steps: u64,
}

impl Best {
    /// Keeps the weights of the epoch unless an earlier one ranked better; patience starts again
    /// only where none ranked as well.
    fn offer(&mut self, epoch: usize, gain: f64, descent: &Descent) {
        let is_first = self.parameters.is_none();
        if is_first || gain >= self.gain {
            self.parameters = Some(descent.average.clone());
        }
        if is_first || gain > self.gain {
            self.gain = gain;
            (self.since, self.since_steps) = (epoch, descent.steps());
        }
    }
}

/// What to drop where items occur `occurrences` times on average: the rarer, the sooner a network
/// learns single users by heart. The two ends are what is published for sparse and dense data.
fn dropout_for(occurrences: f64) -> f32 {
    let (rare, common) = (20.0_f64, 100.0_f64);
    let share = (occurrences.clamp(rare, common) / rare).log2() / (common / rare).log2();
    (0.5 - 0.3 * share) as f32
}

fn line(loss: f64, seen: &Seen) -> String {
    let Seen {
        gain,
        recall_10,
        ndcg_10,
    } = seen;
    format!(
        "epochs, loss {loss:.4}, held out: gain {gain:.4}, Recall@10 {recall_10:.4}, \
         NDCG@10 {ndcg_10:.4}"
    )
}

impl<'a> Training<'a> {
    fn new(data: &Interactions, settings: &'a Settings, seed: u64) -> Result<Self, ModelError> {
        let mut sequences = windows::sequences(data);
        let mut random = Seeded::new(seed, 2);
        let held = HeldOut::take(&mut sequences, settings.held_out, WATCHED, &mut random);
        let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
        if longest < 2 {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "no user has two interactions in order".to_owned(),
            });
        }
        let shape = Shape {
            items: data.items_len(),
            width: settings.width,
            heads: settings.heads,
            blocks: settings.blocks,
            length: settings.length,
            taps: settings.taps,
        };
        let mut counts = vec![0_u32; shape.items];
        for item in sequences.iter().flat_map(|items| items.iter().skip(1)) {
            counts[*item as usize] += 1;
        }
        let positions: usize = counts.iter().map(|count| *count as usize).sum();
        let by_data = || dropout_for(positions as f64 / shape.items as f64);
        Ok(Self {
            dropout: settings.dropout.unwrap_or_else(by_data),
            settings,
            shape,
            held,
            descent: Descent::new(shape, seed),
            positions,
            counts,
            sequences,
            slowdown: 1.0,
            work_left: settings.work * 1e12,
            seed,
        })
    }

    /// One pass over all windows; returns the mean loss of a position.
    fn epoch(&mut self, epoch: usize, progress: &dyn Progress) -> Result<f64, ModelError> {
        let mut random = Seeded::new(self.seed, 100 + epoch as u64);
        let all = windows::windows(&self.sequences, self.shape.length, &mut random);
        let (fewest, most) = STEP_POSITIONS.into_inner();
        let size = (self.positions / EPOCH_STEPS).clamp(fewest, most);
        let steps = windows::steps(&all, PASS_POSITIONS, size);
        let average = 1.0 / (steps.len() as f32).clamp(50.0, 1000.0);
        let (mut sum, mut count) = (0.0, 0.0);
        for passes in &steps {
            if self.work_left <= 0.0 {
                break;
            }
            if progress.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            let done = self.descent.steps() as f32 + 1.0;
            let pace = Pace {
                dropout: self.dropout,
                learning_rate: self.settings.learning_rate * (done / WARM_STEPS as f32).min(1.0),
                weight_decay: self.settings.weight_decay,
                average: average.max(1.0 / (1.0 + 0.1 * done)),
            };
            let drawn = self.draw(passes, &mut random);
            let loss = self.descent.step(&self.sequences, passes, drawn, pace);
            if !loss.is_finite() {
                return Err(ModelError::Numeric {
                    model: NAME,
                    what: "the loss is no longer a number; lower the learning rate".to_owned(),
                });
            }
            self.work_left -= self.work(passes);
            sum += loss;
            count += 1.0;
        }
        Ok(sum / count)
    }

    /// Floating-point operations of a step.
    fn work(&self, passes: &[&[Window]]) -> f64 {
        let candidates = self.descent.candidates.len();
        let windows = passes.iter().copied().flatten();
        let of_window = |window: &Window| {
            window.len() as f64 * self.shape.work(window.len(), candidates) as f64
        };
        windows.map(of_window).sum()
    }

    /// A step's candidates where the catalogue is too large for all: its targets and as many
    /// items drawn evenly as the settings say, each with ln 1/π.
    fn draw(&self, passes: &[&[Window]], random: &mut Seeded) -> Option<Vec<(u32, f32)>> {
        let items = self.shape.items;
        if items <= self.settings.full_items {
            return None;
        }
        let windows = passes.iter().copied().flatten();
        let targets = windows.flat_map(|window| window.targets(&self.sequences));
        let mut drawn: Vec<u32> = targets.copied().collect();
        let positions = drawn.len() as f64;
        let negatives = self.settings.negatives;
        drawn.extend((0..negatives).map(|_| random.below(items) as u32));
        drawn.par_sort_unstable();
        drawn.dedup();
        let even = negatives as f64 * (-1.0 / items as f64).ln_1p();
        let weight = |item: u32| {
            let share = f64::from(self.counts[item as usize]) / self.positions as f64;
            let missed = positions * (-share).ln_1p() + even;
            (item, -(-missed.exp_m1()).ln() as f32)
        };
        Some(drawn.into_iter().map(weight).collect())
    }
}
