//! The way forward: items in, one vector per position out, and the tape that the way back reads.

use super::attention::{Attention, HeadScratch, weights_len};
use super::network::{PackedBlock, Shape};
use crate::kernels::product::{Left, Out, Packed, multiply_add};
use crate::kernels::softmax::gelu;
use crate::kernels::{Isa, layers};
use crate::seeded::Seeded;
use std::ops::Range;

/// A network ready to run: parameters and what was packed of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready<'a> {
    pub(super) isa: Isa,
    pub(super) shape: &'a Shape,
    /// A row of `width` values per item.
    pub(super) vectors: &'a [f32],
    /// All other parameters.
    pub(super) rest: &'a [f32],
    pub(super) packed: &'a [PackedBlock],
}

/// Which values are dropped, and how often.
#[derive(Debug, Clone)]
pub(super) struct Dropout {
    pub(super) rate: f32,
    pub(super) random: Seeded,
}

impl Dropout {
    /// Nothing is dropped.
    pub(super) fn none() -> Self {
        Self {
            rate: 0.0,
            random: Seeded::new(0, 0),
        }
    }

    /// What the kept values are multiplied by.
    pub(super) fn scale(&self) -> f32 {
        1.0 / (1.0 - f32::from(self.threshold()) / 256.0)
    }

    /// Of 256 equally likely bytes those below this drop their value.
    fn threshold(&self) -> u8 {
        (self.rate * 256.0).round().clamp(0.0, 255.0) as u8
    }

    /// Draws 1 for each value kept and 0 for each dropped.
    fn draw(&mut self, kept: &mut [u8]) {
        let threshold = self.threshold();
        if threshold == 0 {
            kept.fill(1);
            return;
        }
        for kept in kept.chunks_mut(8) {
            let bytes = self.random.next_u64().to_le_bytes();
            for (kept, byte) in kept.iter_mut().zip(bytes) {
                *kept = u8::from(byte >= threshold);
            }
        }
    }
}

/// A normalisation's result and what its way back needs.
#[derive(Debug, Default)]
pub(super) struct NormalisedTape {
    pub(super) rows: Vec<f32>,
    pub(super) inverse: Vec<f32>,
    pub(super) out: Vec<f32>,
}

impl NormalisedTape {
    pub(super) fn run(&mut self, ready: Ready<'_>, x: &[f32], [gain, bias]: [&Range<usize>; 2]) {
        self.rows.resize(x.len(), 0.0);
        self.out.resize(x.len(), 0.0);
        self.inverse.resize(x.len() / ready.shape.width, 0.0);
        let rest = ready.rest;
        let kept = layers::Normalised {
            rows: &mut self.rows,
            inverse: &mut self.inverse,
        };
        let (gain, bias) = (&rest[gain.clone()], &rest[bias.clone()]);
        layers::normalise(ready.isa, x, gain, bias, kept, &mut self.out);
    }
}

/// What one block leaves behind.
#[derive(Debug, Default)]
pub(super) struct BlockTape {
    pub(super) first: NormalisedTape,
    pub(super) convolved: Vec<f32>,
    pub(super) qkv: Vec<f32>,
    /// Attention weights, sequence after sequence.
    pub(super) weights: Vec<f32>,
    pub(super) mixed: Vec<f32>,
    pub(super) kept_1: Vec<u8>,
    pub(super) second: NormalisedTape,
    pub(super) before_gate: Vec<f32>,
    pub(super) gated: Vec<f32>,
    pub(super) kept_2: Vec<u8>,
}

/// What a pass over several sequences leaves behind; used again and again.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// Rows of each sequence.
    pub(super) sequences: Vec<Range<usize>>,
    /// The item of each row.
    pub(super) inputs: Vec<u32>,
    pub(super) kept: Vec<u8>,
    pub(super) blocks: Vec<BlockTape>,
    pub(super) last: NormalisedTape,
    stream: Vec<f32>,
    added: Vec<f32>,
    pub(super) head: HeadScratch,
}

impl Tape {
    /// Takes the sequences of a pass.
    pub(super) fn load<'a>(&mut self, sequences: impl Iterator<Item = &'a [u32]>) {
        self.sequences.clear();
        self.inputs.clear();
        for items in sequences {
            let start = self.inputs.len();
            self.inputs.extend_from_slice(items);
            self.sequences.push(start..self.inputs.len());
        }
    }

    /// Runs the network over the loaded sequences; the result is `last.out`.
    pub(super) fn forward(&mut self, ready: Ready<'_>, dropout: &mut Dropout) {
        let width = ready.shape.width;
        let (rows, scale) = (self.inputs.len(), dropout.scale());
        self.stream.resize(rows * width, 0.0);
        self.added.resize(rows * width, 0.0);
        self.kept.resize(rows * width, 1);
        dropout.draw(&mut self.kept);
        let per_row = self.stream.chunks_exact_mut(width);
        for ((x, item), kept) in per_row.zip(&self.inputs).zip(self.kept.chunks_exact(width)) {
            let vector = &ready.vectors[*item as usize * width..][..width];
            layers::keep(ready.isa, x, vector, kept, scale);
        }
        self.blocks
            .resize_with(ready.shape.blocks, BlockTape::default);
        for (number, block) in self.blocks.iter_mut().enumerate() {
            let mut pass = Pass {
                ready,
                packed: &ready.packed[number],
                stream: &mut self.stream,
                added: &mut self.added,
            };
            pass.attend(number, block, &self.sequences, &mut self.head);
            pass.add(&mut block.kept_1, dropout);
            pass.feed(number, block);
            pass.add(&mut block.kept_2, dropout);
        }
        let [gain, bias] = ready.shape.last();
        self.last.run(ready, &self.stream, [&gain, &bias]);
    }
}

/// `out = x · matrix + bias` for `rows` rows.
pub(super) fn linear(
    ready: Ready<'_>,
    (x, rows): (&[f32], usize),
    matrix: &Packed,
    bias: &Range<usize>,
    out: &mut Vec<f32>,
) {
    let bias = &ready.rest[bias.clone()];
    out.resize(rows * bias.len(), 0.0);
    for row in out.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
    let left = Left::rows(x, x.len() / rows.max(1));
    let out = Out::rows(out, bias.len());
    multiply_add(ready.isa, out, rows, left, matrix.whole());
}

/// One block on its way: the residual stream and what will be added to it.
pub(super) struct Pass<'a> {
    pub(super) ready: Ready<'a>,
    pub(super) packed: &'a PackedBlock,
    pub(super) stream: &'a mut Vec<f32>,
    pub(super) added: &'a mut Vec<f32>,
}

impl Pass<'_> {
    fn rows(&self) -> usize {
        self.stream.len() / self.ready.shape.width
    }

    fn attend(
        &mut self,
        number: usize,
        block: &mut BlockTape,
        sequences: &[Range<usize>],
        scratch: &mut HeadScratch,
    ) {
        let Ready { isa, shape, .. } = self.ready;
        let (at, rest) = (shape.block(number), self.ready.rest);
        let width = shape.width;
        block
            .first
            .run(self.ready, self.stream, [&at.gain_1, &at.bias_1]);
        block.convolved.resize(self.stream.len(), 0.0);
        for rows in sequences {
            let range = rows.start * width..rows.end * width;
            let z = &block.first.out[range.clone()];
            let out = &mut block.convolved[range];
            layers::convolve(isa, z, &rest[at.taps.clone()], width, out);
        }
        let convolved = (&block.convolved[..], self.rows());
        let qkv = &self.packed.qkv;
        linear(self.ready, convolved, qkv, &at.qkv_bias, &mut block.qkv);
        block.mixed.resize(self.stream.len(), 0.0);
        let total = sequences
            .iter()
            .map(|rows| weights_len(shape, rows.len()))
            .sum();
        block.weights.resize(total, 0.0);
        let mut start = 0;
        for rows in sequences {
            let attention = Attention {
                isa,
                shape,
                distances: &rest[at.distances.clone()],
                qkv: &block.qkv[rows.start * 3 * width..rows.end * 3 * width],
            };
            let end = start + weights_len(shape, rows.len());
            let mixed = &mut block.mixed[rows.start * width..rows.end * width];
            attention.forward(scratch, &mut block.weights[start..end], mixed);
            start = end;
        }
        self.mix(number, &block.mixed);
    }

    /// What attention adds to the stream, given the mixed values.
    pub(super) fn mix(&mut self, number: usize, mixed: &[f32]) {
        let at = self.ready.shape.block(number);
        let mixed = (mixed, self.rows());
        linear(
            self.ready,
            mixed,
            &self.packed.mix,
            &at.mix_bias,
            self.added,
        );
    }

    pub(super) fn feed(&mut self, number: usize, block: &mut BlockTape) {
        let at = self.ready.shape.block(number);
        block
            .second
            .run(self.ready, self.stream, [&at.gain_2, &at.bias_2]);
        let (up, down) = (&self.packed.up, &self.packed.down);
        let second = (&block.second.out[..], self.rows());
        linear(self.ready, second, up, &at.up_bias, &mut block.before_gate);
        block.gated.resize(block.before_gate.len(), 0.0);
        gelu(self.ready.isa, &block.before_gate, &mut block.gated);
        let gated = (&block.gated[..], self.rows());
        linear(self.ready, gated, down, &at.down_bias, self.added);
    }

    /// Adds to the stream what survives the dropout.
    pub(super) fn add(&mut self, kept: &mut Vec<u8>, dropout: &mut Dropout) {
        kept.resize(self.stream.len(), 1);
        dropout.draw(kept);
        layers::add_kept(
            self.ready.isa,
            self.stream,
            self.added,
            kept,
            dropout.scale(),
        );
    }
}
