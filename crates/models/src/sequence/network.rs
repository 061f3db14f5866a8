//! The network's shape and its parameters: where each matrix lies in one flat vector.
//!
//! Two blocks (by default) of what Kang and McAuley (SASRec, 2018) call self-attention, each
//! normalised before and added to a residual stream, with two differences. Positions are distances:
//! each head adds a learnt bias per distance to its scores, so that a window may start anywhere.
//! And before attention each position sees a learnt mix of the few before it, column by column.

use crate::kernels::product::Packed;
use crate::seeded::Seeded;
use std::ops::Range;

/// Sizes that define a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) items: usize,
    /// Values per position; a multiple of 16 and of `heads`.
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) blocks: usize,
    /// Newest positions that are looked at.
    pub(super) length: usize,
    /// Earlier positions mixed in before attention.
    pub(super) taps: usize,
}

/// Where a block's parameters lie.
#[derive(Debug, Clone)]
pub(super) struct BlockAt {
    pub(super) gain_1: Range<usize>,
    pub(super) bias_1: Range<usize>,
    pub(super) taps: Range<usize>,
    /// width x 3 width: queries, keys, values.
    pub(super) qkv: Range<usize>,
    pub(super) qkv_bias: Range<usize>,
    /// heads x length, the nearest last.
    pub(super) distances: Range<usize>,
    pub(super) mix: Range<usize>,
    pub(super) mix_bias: Range<usize>,
    pub(super) gain_2: Range<usize>,
    pub(super) bias_2: Range<usize>,
    pub(super) up: Range<usize>,
    pub(super) up_bias: Range<usize>,
    pub(super) down: Range<usize>,
    pub(super) down_bias: Range<usize>,
}

/// Hands out consecutive ranges whose starts are multiples of 16.
struct Cursor(usize);

impl Cursor {
    fn take(&mut self, count: usize) -> Range<usize> {
        let start = self.0;
        self.0 = (start + count).next_multiple_of(16);
        start..start + count
    }
}

impl Shape {
    /// Values per position inside a block's second half.
    pub(super) const fn hidden(&self) -> usize {
        4 * self.width
    }

    pub(super) const fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// What raw scores of attention are multiplied by.
    pub(super) fn attention_scale(&self) -> f32 {
        1.0 / (self.head_width() as f32).sqrt()
    }

    /// A head's biases among those of its block, by distance.
    pub(super) fn bias<'a>(&self, distances: &'a [f32], head: usize) -> &'a [f32] {
        &distances[head * self.length..(head + 1) * self.length]
    }

    /// Whether a network can have these sizes.
    pub(super) const fn is_sound(&self) -> bool {
        let has_all = self.width > 0 && self.heads > 0 && self.blocks > 0 && self.length > 0;
        has_all && self.width.is_multiple_of(16 * self.heads)
    }

    fn layout(&self) -> (Vec<BlockAt>, [Range<usize>; 2], usize) {
        let (width, hidden) = (self.width, self.hidden());
        let mut cursor = Cursor(0);
        let block = |_| BlockAt {
            gain_1: cursor.take(width),
            bias_1: cursor.take(width),
            taps: cursor.take(self.taps * width),
            qkv: cursor.take(width * 3 * width),
            qkv_bias: cursor.take(3 * width),
            distances: cursor.take(self.heads * self.length),
            mix: cursor.take(width * width),
            mix_bias: cursor.take(width),
            gain_2: cursor.take(width),
            bias_2: cursor.take(width),
            up: cursor.take(width * hidden),
            up_bias: cursor.take(hidden),
            down: cursor.take(hidden * width),
            down_bias: cursor.take(width),
        };
        let blocks = (0..self.blocks).map(block).collect();
        let last = [cursor.take(width), cursor.take(width)];
        (blocks, last, cursor.0)
    }

    pub(super) fn block(&self, number: usize) -> BlockAt {
        self.layout().0.swap_remove(number)
    }

    /// Gain and bias of the last normalisation.
    pub(super) fn last(&self) -> [Range<usize>; 2] {
        self.layout().1
    }

    /// Number of parameters besides the item vectors.
    pub(super) fn rest_len(&self) -> usize {
        self.layout().2
    }

    /// Floating-point operations that one position of a window of `window` costs to train on,
    /// with `candidates` items to tell its target from.
    pub(super) const fn work(&self, window: usize, candidates: usize) -> usize {
        let matrices = 12 * self.width * self.width * self.blocks;
        let attention = self.width * window * self.blocks;
        6 * (matrices + attention + self.width * candidates)
    }
}

/// Values for every parameter: weights, their gradients or their moments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters {
    /// One row of `width` values per item.
    pub(super) items: Vec<f32>,
    pub(super) rest: Vec<f32>,
}

impl Parameters {
    pub(super) fn zeros(shape: &Shape) -> Self {
        Self {
            items: vec![0.0; shape.items * shape.width],
            rest: vec![0.0; shape.rest_len()],
        }
    }

    /// Small random weights. The first head of a block starts with even attention, the others
    /// prefer the near past more and more.
    pub(super) fn initial(shape: &Shape, seed: u64) -> Self {
        let mut all = Self::zeros(shape);
        let mut random = Seeded::new(seed, 1);
        let mut fill = |values: &mut [f32], deviation: f32| {
            for value in values {
                *value = deviation * random.normal();
            }
        };
        let scale = |inputs: usize| 1.0 / (inputs as f32).sqrt();
        let (width, hidden) = (shape.width, shape.hidden());
        fill(&mut all.items, scale(width));
        let depth = scale(2 * shape.blocks);
        for number in 0..shape.blocks {
            let at = shape.block(number);
            all.rest[at.gain_1].fill(1.0);
            all.rest[at.gain_2].fill(1.0);
            fill(&mut all.rest[at.qkv], scale(width));
            fill(&mut all.rest[at.mix], depth * scale(width));
            fill(&mut all.rest[at.up], scale(width));
            fill(&mut all.rest[at.down], depth * scale(hidden));
            for (head, row) in all.rest[at.distances].chunks_mut(shape.length).enumerate() {
                let slope = head as f32 / shape.heads as f32;
                for (distance, bias) in row.iter_mut().rev().enumerate() {
                    *bias = -slope * (1.0 + distance as f32).log2();
                }
            }
        }
        let [gain, _] = shape.last();
        all.rest[gain].fill(1.0);
        all
    }
}

/// The matrices of one block as right sides of products.
#[derive(Debug, Default)]
pub(super) struct PackedBlock {
    pub(super) qkv: Packed,
    pub(super) mix: Packed,
    pub(super) up: Packed,
    pub(super) down: Packed,
    /// The transposed ones, in the same order, for the way back.
    pub(super) back: [Packed; 4],
}

impl PackedBlock {
    /// Packs block `number` of `rest`, for the way forward.
    pub(super) fn forward(&mut self, shape: &Shape, number: usize, rest: &[f32]) {
        let (width, hidden) = (shape.width, shape.hidden());
        let at = shape.block(number);
        self.qkv.pack(&rest[at.qkv], 3 * width, width, 3 * width);
        self.mix.pack(&rest[at.mix], width, width, width);
        self.up.pack(&rest[at.up], hidden, width, hidden);
        self.down.pack(&rest[at.down], width, hidden, width);
    }

    /// Packs block `number` of `rest`, for both ways.
    pub(super) fn both(&mut self, shape: &Shape, number: usize, rest: &[f32]) {
        self.forward(shape, number, rest);
        let (width, hidden) = (shape.width, shape.hidden());
        let at = shape.block(number);
        let [qkv, mix, up, down] = &mut self.back;
        qkv.pack_transposed(&rest[at.qkv], 3 * width, 3 * width, width);
        mix.pack_transposed(&rest[at.mix], width, width, width);
        up.pack_transposed(&rest[at.up], hidden, hidden, width);
        down.pack_transposed(&rest[at.down], width, width, hidden);
    }
}
