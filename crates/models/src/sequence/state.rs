//! The network at request time: rows are appended to what the rows before them left behind.
//!
//! The network is causal and knows distances only, so a row depends on nothing behind it: what is
//! held of a history serves every longer one that begins alike. Each row goes through the same
//! operations in the same order, whether it comes alone or with others, so the answer equals that
//! of one pass over everything. In the last block only the newest row asks; the others are there
//! to be asked.

use super::attention::{HeadRows, ROWS};
use super::forward::{BlockTape, Dropout, Pass, Ready, linear};
use super::network::Shape;
use crate::kernels::layers;
use crate::kernels::product::{Left, Out, PANEL, Right};
use crate::kernels::softmax::Causal;

/// What a history leaves for longer ones, and the network's answer to it.
#[derive(Debug, Default)]
pub(super) struct State {
    items: Vec<u32>,
    blocks: Vec<BlockState>,
    answer: Vec<f32>,
}

/// Keys and values of a block's rows, packed for products.
#[derive(Debug, Default)]
struct BlockState {
    /// The newest normalised rows, as many as the next row's convolution looks back at.
    newest: Vec<f32>,
    /// For every sixteen rows, `width` times sixteen values: a column per row.
    keys: Vec<f32>,
    /// For every sixteen columns, the rows that there is room for, sixteen values each.
    values: Vec<f32>,
}

/// Places that the rows pass through.
#[derive(Default)]
struct Scratch {
    stream: Vec<f32>,
    added: Vec<f32>,
    rows: Vec<f32>,
    scores: Vec<f32>,
    tape: BlockTape,
}

impl State {
    /// The state after `items`, at least one and at most as many as the network looks at, from
    /// that after a beginning of them.
    pub(super) fn after(ready: Ready<'_>, items: &[u32], beginning: Option<&Self>) -> Self {
        let shape = ready.shape;
        let nothing = Self::default();
        let beginning = beginning.unwrap_or(&nothing);
        let mut blocks: Vec<BlockState> = (0..shape.blocks)
            .map(|number| BlockState::with_room(shape, beginning.blocks.get(number), items.len()))
            .collect();
        let mut scratch = Scratch::default();
        let mut first = beginning.items.len();
        for rows in items[first..].chunks(ROWS) {
            scratch.load(ready, rows);
            let is_newest = first + rows.len() == items.len();
            for (number, block) in blocks.iter_mut().enumerate() {
                let asks = if number + 1 < shape.blocks {
                    rows.len()
                } else {
                    usize::from(is_newest)
                };
                scratch.run(ready, (number, block), first, asks);
            }
            first += rows.len();
        }
        let [gain, bias] = shape.last();
        let mut last = scratch.tape.first;
        last.run(ready, &scratch.stream, [&gain, &bias]);
        // A full window does not grow: the next item pushes out the oldest, which changes every row.
        if items.len() == shape.length {
            blocks = Vec::new();
        }
        Self {
            items: items.to_vec(),
            blocks,
            answer: last.out,
        }
    }

    pub(super) fn items(&self) -> &[u32] {
        &self.items
    }

    /// The network's vector after the newest row; `None` where weights are so large that it is no
    /// number.
    pub(super) fn answer(&self) -> Option<&[f32]> {
        let is_finite = self.answer.iter().all(|value| value.is_finite());
        is_finite.then_some(&self.answer)
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        let of_block = |block: &BlockState| {
            block.newest.capacity() + block.keys.capacity() + block.values.capacity()
        };
        let blocks: usize = self.blocks.iter().map(of_block).sum();
        let fixed = self.blocks.capacity() * size_of::<BlockState>();
        4 * (self.items.capacity() + self.answer.capacity() + blocks) + fixed
    }
}

impl BlockState {
    /// A copy of `from` with room for `rows` rows.
    fn with_room(shape: &Shape, from: Option<&Self>, rows: usize) -> Self {
        let room = rows.next_multiple_of(PANEL);
        let mut grown = Self {
            newest: Vec::new(),
            keys: vec![0.0; room * shape.width],
            values: vec![0.0; room * shape.width],
        };
        if let Some(from) = from {
            grown.newest.clone_from(&from.newest);
            grown.keys[..from.keys.len()].copy_from_slice(&from.keys);
            let panels = shape.width / PANEL;
            let panel = from.values.len() / panels;
            let to = grown.values.chunks_exact_mut(room * PANEL);
            for (to, from) in to.zip(from.values.chunks_exact(panel)) {
                to[..panel].copy_from_slice(from);
            }
        }
        grown
    }

    /// Takes keys and values of the rows from `first` on, out of rows of queries, keys and values.
    fn take(&mut self, width: usize, first: usize, qkv: &[f32]) {
        let panel = self.values.len() / (width / PANEL);
        for (position, row) in (first..).zip(qkv.chunks_exact(3 * width)) {
            let (key, value) = row[width..].split_at(width);
            let column = position / PANEL * PANEL * width + position % PANEL;
            let to = self.keys[column..].iter_mut().step_by(PANEL);
            to.zip(key).for_each(|(to, from)| *to = *from);
            let to = self.values.chunks_exact_mut(panel);
            for (to, from) in to.zip(value.chunks_exact(PANEL)) {
                to[position * PANEL..][..PANEL].copy_from_slice(from);
            }
        }
    }

    /// Leaves in `rows` the normalised rows `new` behind those that they look back at, and keeps
    /// what the next ones look back at. Returns how many values stand before the new ones.
    fn look_back(&mut self, shape: &Shape, new: &[f32], rows: &mut Vec<f32>) -> usize {
        let before = self.newest.len();
        rows.clear();
        rows.extend_from_slice(&self.newest);
        rows.extend_from_slice(new);
        let kept = rows.len().min(shape.taps * shape.width);
        self.newest.clear();
        self.newest.extend_from_slice(&rows[rows.len() - kept..]);
        before
    }

    /// Attention of the rows from `first` on, whose queries are given, a row each.
    fn attend(&self, ready: Ready<'_>, number: usize, first: usize, scratch: &mut Scratch) {
        let shape = ready.shape;
        let (width, side) = (shape.width, shape.head_width());
        let distances = &ready.rest[shape.block(number).distances];
        let queries = &scratch.tape.qkv;
        let count = queries.len() / (3 * width);
        let end = first + count;
        let columns = end.next_multiple_of(PANEL);
        let panel = self.values.len() / (width / PANEL);
        scratch.scores.resize(count * columns, 0.0);
        scratch.tape.mixed.resize(count * width, 0.0);
        for head in 0..shape.heads {
            let at = head * side;
            let keys = &self.keys[at * PANEL..];
            let values = &self.values[at / PANEL * panel..];
            let rows = HeadRows {
                queries: Left::rows(&queries[at..], 3 * width),
                keys: Right::panels(keys, width * PANEL, side, columns),
                values: Right::panels(values, panel, end, side),
                bias: shape.bias(distances, head),
                at: Causal {
                    scores: &mut scratch.scores,
                    row: columns,
                    first,
                    columns,
                    scale: shape.attention_scale(),
                },
            };
            let mixed = Out::rows(&mut scratch.tape.mixed[at..], width);
            rows.attend(ready.isa, count, mixed);
        }
    }
}

impl Scratch {
    fn load(&mut self, ready: Ready<'_>, items: &[u32]) {
        let width = ready.shape.width;
        self.stream.clear();
        for item in items {
            let vector = &ready.vectors[*item as usize * width..][..width];
            self.stream.extend_from_slice(vector);
        }
    }

    /// Takes the stream's rows, which begin at `first`, through a block. The newest `asks` of them
    /// go on; the others leave their keys and values only.
    fn run(
        &mut self,
        ready: Ready<'_>,
        (number, block): (usize, &mut BlockState),
        first: usize,
        asks: usize,
    ) {
        let shape = ready.shape;
        let (width, at) = (shape.width, shape.block(number));
        let packed = &ready.packed[number];
        let count = self.stream.len() / width;
        let tape = &mut self.tape;
        let normal = [&at.gain_1, &at.bias_1];
        tape.first.run(ready, &self.stream, normal);
        let before = block.look_back(shape, &tape.first.out, &mut self.rows);
        tape.convolved.resize(self.rows.len(), 0.0);
        let taps = &ready.rest[at.taps];
        layers::convolve(ready.isa, &self.rows, taps, width, &mut tape.convolved);
        let convolved = (&tape.convolved[before..], count);
        linear(ready, convolved, &packed.qkv, &at.qkv_bias, &mut tape.qkv);
        block.take(width, first, &tape.qkv);
        self.stream.drain(..(count - asks) * width);
        tape.qkv.drain(..(count - asks) * 3 * width);
        if asks == 0 {
            return;
        }
        block.attend(ready, number, first + count - asks, self);
        let mut pass = Pass {
            ready,
            packed,
            stream: &mut self.stream,
            added: &mut self.added,
        };
        let (tape, dropout) = (&mut self.tape, &mut Dropout::none());
        pass.mix(number, &tape.mixed);
        pass.add(&mut tape.kept_1, dropout);
        pass.feed(number, tape);
        pass.add(&mut tape.kept_2, dropout);
    }
}
