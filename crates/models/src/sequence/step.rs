//! One step of the training: passes side by side, their gradients added in order, then a descent.
//!
//! The passes of a step and the order of every sum are fixed by the data alone, so the number of
//! threads changes the time and nothing else.

use super::backward::Back;
use super::forward::{Dropout, Ready, Tape};
use super::loss::{Candidates, Loss, Task};
use super::network::{PackedBlock, Parameters, Shape};
use super::windows::Window;
use crate::kernels::Isa;
use crate::kernels::descent::{Rates, Weights, descend};
use crate::seeded::Seeded;
use rayon::prelude::*;

/// Values that one thread adds up and moves at a time.
const CHUNK: usize = 16 * 512;

/// The numbers that a step needs from the settings and the schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) dropout: f32,
    pub(super) learning_rate: f32,
    pub(super) weight_decay: f32,
    /// How far the average moves towards the weights.
    pub(super) average: f32,
}

/// What one pass works in.
#[derive(Debug, Default)]
struct Lane {
    tape: Tape,
    back: Back,
    loss: Loss,
    targets: Vec<u32>,
    sum: f64,
}

/// The state of a training.
#[derive(Debug)]
pub(super) struct Descent {
    isa: Isa,
    shape: Shape,
    pub(super) weights: Parameters,
    pub(super) average: Parameters,
    first: Parameters,
    second: Parameters,
    /// Gradient of the item vectors.
    gradient: Vec<f32>,
    packed: Vec<PackedBlock>,
    pub(super) candidates: Candidates,
    lanes: Vec<Lane>,
    steps: u64,
    seed: u64,
}

impl Descent {
    pub(super) fn new(shape: Shape, seed: u64) -> Self {
        let weights = Parameters::initial(&shape, seed);
        Self {
            isa: Isa::detect(),
            shape,
            average: weights.clone(),
            weights,
            first: Parameters::zeros(&shape),
            second: Parameters::zeros(&shape),
            gradient: vec![0.0; shape.items * shape.width],
            packed: Vec::new(),
            candidates: Candidates::default(),
            lanes: Vec::new(),
            steps: 0,
            seed,
        }
    }

    /// Steps so far.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }

    /// Learns from the windows of `passes`; returns the mean loss of a position. `drawn` is a
    /// sample of candidates with ln 1/π each, or all items are candidates.
    pub(super) fn step(
        &mut self,
        sequences: &[Vec<u32>],
        passes: &[&[Window]],
        drawn: Option<Vec<(u32, f32)>>,
        pace: Pace,
    ) -> f64 {
        let loss = self.gradients(sequences, passes, drawn, pace.dropout);
        self.descend(passes.len(), pace);
        loss
    }

    /// The gradients of a step, left in the lanes and in `gradient`.
    pub(super) fn gradients(
        &mut self,
        sequences: &[Vec<u32>],
        passes: &[&[Window]],
        drawn: Option<Vec<(u32, f32)>>,
        dropout: f32,
    ) -> f64 {
        let shape = self.shape;
        self.packed.resize_with(shape.blocks, PackedBlock::default);
        for (number, packed) in self.packed.iter_mut().enumerate() {
            packed.both(&shape, number, &self.weights.rest);
        }
        match drawn {
            Some(drawn) => self.candidates.sample(&shape, &self.weights.items, drawn),
            None => self.candidates.all(&shape, &self.weights.items),
        }
        if self.lanes.len() < passes.len() {
            self.lanes.resize_with(passes.len(), Lane::default);
        }
        let positions: usize = passes.iter().copied().flatten().map(Window::len).sum();
        let ready = Ready {
            isa: self.isa,
            shape: &self.shape,
            vectors: &self.weights.items,
            rest: &self.weights.rest,
            packed: &self.packed,
        };
        let (candidates, step, seed) = (&self.candidates, self.steps, self.seed);
        let lanes = self.lanes[..passes.len()].par_iter_mut().enumerate();
        lanes.zip(passes).for_each(|((number, lane), windows)| {
            let mut dropout = Dropout {
                rate: dropout,
                random: Seeded::new(seed ^ (step << 16), 1000 + number as u64),
            };
            lane.targets.clear();
            for window in *windows {
                lane.targets.extend_from_slice(window.targets(sequences));
            }
            let inputs = windows.iter().map(|window| window.inputs(sequences));
            lane.tape.load(inputs);
            let task = Task {
                isa: ready.isa,
                shape: ready.shape,
                candidates,
                vectors: ready.vectors,
                targets: &lane.targets,
                share: 1.0 / positions as f32,
            };
            lane.tape.forward(ready, &mut dropout);
            let hidden = &lane.tape.last.out;
            lane.back.begin(hidden.len(), ready.shape.rest_len());
            lane.loss.begin(candidates.len() * ready.shape.width);
            lane.sum = lane.loss.run(task, hidden, &mut lane.back.out);
            lane.back.backward(ready, &mut lane.tape, dropout.scale());
        });
        self.gather(passes.len());
        let sum: f64 = self.lanes[..passes.len()].iter().map(|lane| lane.sum).sum();
        sum / positions as f64
    }

    /// Adds up the gradients of the item vectors, as candidates and as inputs.
    fn gather(&mut self, lanes: usize) {
        let width = self.shape.width;
        let lanes = &self.lanes[..lanes];
        if self.candidates.items.is_empty() {
            let chunks = self.gradient.par_chunks_mut(CHUNK).enumerate();
            chunks.for_each(|(number, to)| {
                let range = number * CHUNK..number * CHUNK + to.len();
                sum_lanes(
                    to,
                    lanes.iter().map(|lane| &lane.loss.vectors[range.clone()]),
                );
            });
        } else {
            self.gradient.fill(0.0);
            for (place, item) in self.candidates.items.iter().enumerate() {
                let to = &mut self.gradient[*item as usize * width..][..width];
                let range = place * width..(place + 1) * width;
                sum_lanes(
                    to,
                    lanes.iter().map(|lane| &lane.loss.vectors[range.clone()]),
                );
            }
        }
        for lane in lanes {
            for (item, from) in lane
                .tape
                .inputs
                .iter()
                .zip(lane.back.inputs.chunks_exact(width))
            {
                let to = &mut self.gradient[*item as usize * width..][..width];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
    }

    /// The gradient of all parameters but the item vectors.
    fn rest_gradient(&self, lanes: usize) -> Vec<f32> {
        let mut rest = vec![0.0; self.shape.rest_len()];
        let lanes = &self.lanes[..lanes];
        rest.par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(number, to)| {
                let range = number * CHUNK..number * CHUNK + to.len();
                sum_lanes(to, lanes.iter().map(|lane| &lane.back.rest[range.clone()]));
            });
        rest
    }

    /// The gradients of the item vectors and of the rest after [`Descent::gradients`].
    #[cfg(test)]
    pub(super) fn summed(&self, lanes: usize) -> (Vec<f32>, Vec<f32>) {
        (self.gradient.clone(), self.rest_gradient(lanes))
    }

    fn descend(&mut self, lanes: usize, pace: Pace) {
        self.steps += 1;
        let (first, second) = (0.9_f64, 0.999_f64);
        let young = |share: f64| 1.0 - share.powi(self.steps.min(100_000) as i32);
        let root = young(second).sqrt();
        let rates = Rates {
            step: (f64::from(pace.learning_rate) * root / young(first)) as f32,
            decay: pace.learning_rate * pace.weight_decay,
            first: first as f32,
            second: second as f32,
            floor: (1e-8 * root) as f32,
            average: pace.average,
        };
        let isa = self.isa;
        let rest = self.rest_gradient(lanes);
        let halves = [
            (
                [&mut self.weights.items, &mut self.average.items],
                [&mut self.first.items, &mut self.second.items],
                &self.gradient,
            ),
            (
                [&mut self.weights.rest, &mut self.average.rest],
                [&mut self.first.rest, &mut self.second.rest],
                &rest,
            ),
        ];
        for ([values, average], [first, second], gradient) in halves {
            let values = values
                .par_chunks_mut(CHUNK)
                .zip(average.par_chunks_mut(CHUNK));
            let moments = first
                .par_chunks_mut(CHUNK)
                .zip(second.par_chunks_mut(CHUNK));
            let all = values.zip(moments).zip(gradient.par_chunks(CHUNK));
            all.for_each(|(((values, average), (first, second)), gradient)| {
                let weights = Weights {
                    values,
                    average,
                    first,
                    second,
                };
                descend(isa, weights, gradient, rates);
            });
        }
    }
}

/// `to` becomes the sum of what the lanes have, in the order of the lanes.
fn sum_lanes<'a>(to: &mut [f32], mut lanes: impl Iterator<Item = &'a [f32]>) {
    match lanes.next() {
        Some(first) => to.copy_from_slice(first),
        None => to.fill(0.0),
    }
    for from in lanes {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    }
}
