//! Causal attention of one sequence, head by head, forwards and backwards.
//!
//! Scores are computed in blocks of rows up to the diagonal only, so a sequence costs half of its
//! square. The weights of all heads are kept for the way back.

use super::network::Shape;
use crate::kernels::Isa;
use crate::kernels::product::{Left, Out, Packed, Right, multiply};
use crate::kernels::softmax::{Causal, causal_softmax, causal_softmax_back};

/// Rows computed together; a multiple of 16 and of the tiles' heights.
pub(super) const ROWS: usize = 48;

/// Places for what one head needs.
#[derive(Debug, Default)]
pub(super) struct HeadScratch {
    one: Packed,
    two: Packed,
    scores: Vec<f32>,
}

/// Values that the weights of a sequence of `len` positions take.
pub(super) const fn weights_len(shape: &Shape, len: usize) -> usize {
    shape.heads * len * len.next_multiple_of(16)
}

/// One block of rows: its first row, its end, and the columns it has, padded to 16.
fn row_blocks(len: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..len).step_by(ROWS).map(move |first| {
        let end = (first + ROWS).min(len);
        (first, end, end.next_multiple_of(16))
    })
}

/// One head's attention of consecutive rows to all positions up to their own.
#[derive(Debug)]
pub(super) struct HeadRows<'a> {
    pub(super) queries: Left<'a>,
    /// A column per position.
    pub(super) keys: Right<'a>,
    /// A row per position, up to the last of the rows.
    pub(super) values: Right<'a>,
    /// Biases by distance.
    pub(super) bias: &'a [f32],
    pub(super) at: Causal<'a>,
}

impl HeadRows<'_> {
    /// Leaves the weights in `at.scores` and writes `count` rows of mixed values.
    pub(super) fn attend(self, isa: Isa, count: usize, mixed: Out<'_>) {
        let Causal { scores, row, .. } = self.at;
        let out = Out::rows(&mut *scores, row);
        multiply(isa, out, count, self.queries, self.keys);
        causal_softmax(isa, Causal { scores, ..self.at }, self.bias);
        multiply(isa, mixed, count, Left::rows(scores, row), self.values);
    }
}

/// What attention reads besides the scratch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attention<'a> {
    pub(super) isa: Isa,
    pub(super) shape: &'a Shape,
    /// Biases by head and distance.
    pub(super) distances: &'a [f32],
    /// Queries, keys and values of the sequence, a row of 3 width values per position.
    pub(super) qkv: &'a [f32],
}

impl<'a> Attention<'a> {
    fn len(&self) -> usize {
        self.qkv.len() / (3 * self.shape.width)
    }

    /// The columns of a head among queries (0), keys (1) or values (2).
    fn part(&self, which: usize, head: usize) -> &'a [f32] {
        &self.qkv[which * self.shape.width + head * self.shape.head_width()..]
    }

    /// Writes the mixed values, a row of `width` per position, and the weights.
    pub(super) fn forward(
        &self,
        scratch: &mut HeadScratch,
        weights: &mut [f32],
        mixed: &mut [f32],
    ) {
        let (isa, len, side) = (self.isa, self.len(), self.shape.head_width());
        let (width, row, padded) = (
            self.shape.width,
            3 * self.shape.width,
            len.next_multiple_of(16),
        );
        let (keys, values) = (&mut scratch.one, &mut scratch.two);
        for (head, weights) in weights.chunks_exact_mut(len * padded).enumerate() {
            keys.pack_transposed(self.part(1, head), row, side, len);
            values.pack(self.part(2, head), row, len, side);
            for (first, end, columns) in row_blocks(len) {
                let rows = HeadRows {
                    queries: Left::rows(&self.part(0, head)[first * row..], row),
                    keys: keys.part(side, 0..columns),
                    values: values.rows_from(0, end),
                    bias: self.shape.bias(self.distances, head),
                    at: Causal {
                        scores: &mut weights[first * padded..end * padded],
                        row: padded,
                        first,
                        columns,
                        scale: self.shape.attention_scale(),
                    },
                };
                let mixed = Out::rows(&mut mixed[first * width + head * side..], width);
                rows.attend(isa, end - first, mixed);
            }
        }
    }

    /// Writes the gradients of queries, keys and values to `back` and adds those of the biases
    /// to `distances`, given the gradients of the mixed values.
    pub(super) fn backward(
        &self,
        scratch: &mut HeadScratch,
        weights: &[f32],
        mixed: &[f32],
        (back, distances): (&mut [f32], &mut [f32]),
    ) {
        let (isa, len, side) = (self.isa, self.len(), self.shape.head_width());
        let (width, row, padded) = (
            self.shape.width,
            3 * self.shape.width,
            len.next_multiple_of(16),
        );
        let HeadScratch { one, two, scores } = scratch;
        scores.resize(len * padded, 0.0);
        let by_head = distances.chunks_exact_mut(self.shape.length);
        for ((head, weights), biases) in weights.chunks_exact(len * padded).enumerate().zip(by_head)
        {
            let mixed = &mixed[head * side..];
            one.pack_transposed(self.part(2, head), row, side, len);
            two.pack(self.part(1, head), row, len, side);
            for (first, end, columns) in row_blocks(len) {
                let count = end - first;
                let scores = &mut scores[first * padded..end * padded];
                let left = Left::rows(&mixed[first * width..], width);
                let out = Out::rows(scores, padded);
                multiply(isa, out, count, left, one.part(side, 0..columns));
                let at = Causal {
                    scores,
                    row: padded,
                    first,
                    columns,
                    scale: self.shape.attention_scale(),
                };
                causal_softmax_back(isa, at, &weights[first * padded..end * padded], biases);
                let out = Out::rows(&mut back[first * row + head * side..], row);
                multiply(
                    isa,
                    out,
                    count,
                    Left::rows(scores, padded),
                    two.rows_from(0, end),
                );
            }
            // Keys and values gather from the positions that look back at them.
            one.pack(self.part(0, head), row, len, side);
            two.pack(mixed, width, len, side);
            for (first, end, _) in row_blocks(len) {
                let at = first * padded + first;
                let mut gather = |which: usize, from: &[f32], right: &Packed| {
                    let to = first * row + which * width + head * side;
                    let out = Out::rows(&mut back[to..], row);
                    let left = Left::transposed(&from[at..], padded);
                    multiply(
                        isa,
                        out,
                        end - first,
                        left,
                        right.rows_from(first, len - first),
                    );
                };
                gather(1, scores, one);
                gather(2, weights, two);
            }
        }
    }
}
