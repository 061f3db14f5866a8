//! The way back: from the gradient of each position's vector to that of every parameter, by hand.

use super::attention::{Attention, weights_len};
use super::forward::{BlockTape, NormalisedTape, Ready, Tape};
use super::network::BlockAt;
use crate::kernels::layers;
use crate::kernels::product::{Left, Out, Packed, multiply, multiply_add};
use crate::kernels::softmax::gelu_back;
use std::ops::Range;

/// Places that a way back works in, and its results.
#[derive(Debug, Default)]
pub(super) struct Back {
    /// Gradient of each position's result, set by the loss.
    pub(super) out: Vec<f32>,
    /// Gradients of all parameters but the item vectors; added to.
    pub(super) rest: Vec<f32>,
    /// Gradient of each row's item vector as input.
    pub(super) inputs: Vec<f32>,
    stream: Vec<f32>,
    small: Vec<f32>,
    other: Vec<f32>,
    large: Vec<f32>,
    packed: Packed,
}

/// A matrix of the way back: where its gradient goes, its transpose, its input.
struct Linear<'a> {
    matrix: &'a Range<usize>,
    bias: &'a Range<usize>,
    back: &'a Packed,
    input: &'a [f32],
}

/// Gradients of a linear layer's parameters from those of its output.
fn linear_parameters(ready: Ready<'_>, layer: &Linear<'_>, out: &[f32], sums: Sums<'_>) {
    let columns = layer.bias.len();
    let rows = out.len() / columns;
    let inputs = layer.matrix.len() / columns;
    sums.packed.pack(out, columns, rows, columns);
    let left = Left::transposed(layer.input, inputs);
    let to = Out::rows(&mut sums.rest[layer.matrix.clone()], columns);
    multiply_add(ready.isa, to, inputs, left, sums.packed.whole());
    layers::add_rows(ready.isa, &mut sums.rest[layer.bias.clone()], out);
}

/// Where parameters' gradients are added, with a place to pack in.
struct Sums<'a> {
    rest: &'a mut [f32],
    packed: &'a mut Packed,
}

/// Gradient of a linear layer's input.
fn linear_input(ready: Ready<'_>, layer: &Linear<'_>, out: &[f32], input: &mut Vec<f32>) {
    let columns = layer.bias.len();
    let rows = out.len() / columns;
    let inputs = layer.matrix.len() / columns;
    input.resize(rows * inputs, 0.0);
    let to = Out::rows(input, inputs);
    multiply(
        ready.isa,
        to,
        rows,
        Left::rows(out, columns),
        layer.back.whole(),
    );
}

impl Back {
    /// Makes room for `out` and sets the sums of `rest` to 0.
    pub(super) fn begin(&mut self, out: usize, rest: usize) {
        self.out.resize(out, 0.0);
        self.rest.clear();
        self.rest.resize(rest, 0.0);
    }

    /// Goes back over `tape`, from `out` to `rest` (added to) and `inputs` (replaced).
    pub(super) fn backward(&mut self, ready: Ready<'_>, tape: &mut Tape, scale: f32) {
        let Ready { isa, shape, .. } = ready;
        self.stream.clear();
        self.stream.resize(self.out.len(), 0.0);
        let [gain, bias] = shape.last();
        let out = std::mem::take(&mut self.out);
        self.normalised(ready, &tape.last, (&gain, &bias), &out);
        self.out = out;
        for number in (0..shape.blocks).rev() {
            let at = shape.block(number);
            let block = &tape.blocks[number];
            self.small.resize(self.stream.len(), 0.0);
            layers::keep(isa, &mut self.small, &self.stream, &block.kept_2, scale);
            self.feed(ready, number, &at, block);
            layers::keep(isa, &mut self.small, &self.stream, &block.kept_1, scale);
            self.attend(ready, number, &at, tape);
        }
        self.inputs.resize(self.stream.len(), 0.0);
        layers::keep(isa, &mut self.inputs, &self.stream, &tape.kept, scale);
    }

    /// Backwards through a normalisation, onto the stream.
    fn normalised(
        &mut self,
        ready: Ready<'_>,
        tape: &NormalisedTape,
        (gain, bias): (&Range<usize>, &Range<usize>),
        out: &[f32],
    ) {
        let (before, after) = self.rest.split_at_mut(bias.start);
        let sums = layers::GainAndBias {
            gain: &mut before[gain.clone()],
            bias: &mut after[..bias.len()],
        };
        let kept = (tape.rows.as_slice(), tape.inverse.as_slice());
        let gain = &ready.rest[gain.clone()];
        layers::normalise_back(ready.isa, out, gain, kept, sums, &mut self.stream);
    }

    /// The second half of a block; `small` holds the gradient of what it added.
    fn feed(&mut self, ready: Ready<'_>, number: usize, at: &BlockAt, block: &BlockTape) {
        let [_, _, up, down] = &ready.packed[number].back;
        let down = Linear {
            matrix: &at.down,
            bias: &at.down_bias,
            back: down,
            input: &block.gated,
        };
        let up = Linear {
            matrix: &at.up,
            bias: &at.up_bias,
            back: up,
            input: &block.second.out,
        };
        linear_parameters(
            ready,
            &down,
            &self.small,
            Sums {
                rest: &mut self.rest,
                packed: &mut self.packed,
            },
        );
        linear_input(ready, &down, &self.small, &mut self.large);
        gelu_back(ready.isa, &block.before_gate, &mut self.large);
        let large = std::mem::take(&mut self.large);
        linear_parameters(
            ready,
            &up,
            &large,
            Sums {
                rest: &mut self.rest,
                packed: &mut self.packed,
            },
        );
        linear_input(ready, &up, &large, &mut self.small);
        self.large = large;
        let small = std::mem::take(&mut self.small);
        self.normalised(ready, &block.second, (&at.gain_2, &at.bias_2), &small);
        self.small = small;
    }

    /// The first half of a block; `small` holds the gradient of what it added.
    fn attend(&mut self, ready: Ready<'_>, number: usize, at: &BlockAt, tape: &mut Tape) {
        let [qkv, mix, ..] = &ready.packed[number].back;
        let block = &tape.blocks[number];
        let mix = Linear {
            matrix: &at.mix,
            bias: &at.mix_bias,
            back: mix,
            input: &block.mixed,
        };
        let qkv = Linear {
            matrix: &at.qkv,
            bias: &at.qkv_bias,
            back: qkv,
            input: &block.convolved,
        };
        linear_parameters(
            ready,
            &mix,
            &self.small,
            Sums {
                rest: &mut self.rest,
                packed: &mut self.packed,
            },
        );
        linear_input(ready, &mix, &self.small, &mut self.other);
        let Ready { isa, shape, .. } = ready;
        let (width, row) = (shape.width, 3 * shape.width);
        self.large.resize(block.qkv.len(), 0.0);
        let mut start = 0;
        for rows in &tape.sequences {
            let attention = Attention {
                isa,
                shape,
                distances: &ready.rest[at.distances.clone()],
                qkv: &block.qkv[rows.start * row..rows.end * row],
            };
            let end = start + weights_len(shape, rows.len());
            let to = (
                &mut self.large[rows.start * row..rows.end * row],
                &mut self.rest[at.distances.clone()],
            );
            let mixed = &self.other[rows.start * width..rows.end * width];
            attention.backward(&mut tape.head, &block.weights[start..end], mixed, to);
            start = end;
        }
        let large = std::mem::take(&mut self.large);
        linear_parameters(
            ready,
            &qkv,
            &large,
            Sums {
                rest: &mut self.rest,
                packed: &mut self.packed,
            },
        );
        linear_input(ready, &qkv, &large, &mut self.other);
        self.large = large;
        let taps = &ready.rest[at.taps.clone()];
        for rows in &tape.sequences {
            let range = rows.start * width..rows.end * width;
            let forward = (&block.first.out[range.clone()], taps);
            let sums = &mut self.rest[at.taps.clone()];
            let out = &self.other[range.clone()];
            layers::convolve_back(isa, out, forward, width, sums, &mut self.small[range]);
        }
        let small = std::mem::take(&mut self.small);
        self.normalised(ready, &block.first, (&at.gain_1, &at.bias_1), &small);
        self.small = small;
    }
}
