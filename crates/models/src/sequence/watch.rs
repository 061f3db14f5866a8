//! Watches a training by what it cannot see: the rank of each held-out item among all others.

use super::forward::{Dropout, Ready, Tape};
use super::network::{PackedBlock, Parameters, Shape};
use super::windows::HeldOut;
use crate::kernels::Isa;
use crate::kernels::product::{Left, Out, Packed, multiply};
use rayon::prelude::*;

/// Users ranked together.
const USERS: usize = 16;

/// How well held-out items are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Seen {
    /// Mean of 1 / log2(1 + rank) over all ranks: smooth, so that epochs can be told apart.
    pub(super) gain: f64,
    pub(super) recall_10: f64,
    pub(super) ndcg_10: f64,
}

/// Ranks the held-out items among all items; without those of the history where users take nothing
/// twice.
pub(super) fn watch(
    shape: &Shape,
    parameters: &Parameters,
    sequences: &[Vec<u32>],
    held: &HeldOut,
) -> Seen {
    let isa = Isa::detect();
    let mut packed: Vec<PackedBlock> = Vec::new();
    packed.resize_with(shape.blocks, PackedBlock::default);
    for (number, block) in packed.iter_mut().enumerate() {
        block.forward(shape, number, &parameters.rest);
    }
    let mut turned = Packed::default();
    let width = shape.width;
    turned.pack_transposed(&parameters.items, width, width, shape.items);
    let ready = Ready {
        isa,
        shape,
        vectors: &parameters.items,
        rest: &parameters.rest,
        packed: &packed,
    };
    let of_users =
        |users: &[(u32, u32)]| ranks(ready, &turned, (sequences, !held.has_repeats), users);
    let chunks: Vec<Vec<u32>> = held.pairs.par_chunks(USERS).map(of_users).collect();
    let mut seen = Seen::default();
    for rank in chunks.iter().flatten() {
        let gain = 1.0 / f64::from(rank + 2).log2();
        seen.gain += gain;
        if *rank < 10 {
            seen.recall_10 += 1.0;
            seen.ndcg_10 += gain;
        }
    }
    let share = 1.0 / held.pairs.len().max(1) as f64;
    Seen {
        gain: seen.gain * share,
        recall_10: seen.recall_10 * share,
        ndcg_10: seen.ndcg_10 * share,
    }
}

/// The rank of each user's item, from 0.
fn ranks(
    ready: Ready<'_>,
    turned: &Packed,
    (sequences, masks_history): (&[Vec<u32>], bool),
    users: &[(u32, u32)],
) -> Vec<u32> {
    let shape = ready.shape;
    let history = |user: u32| {
        let items = &sequences[user as usize];
        &items[items.len().saturating_sub(shape.length)..]
    };
    let mut tape = Tape::default();
    tape.load(users.iter().map(|(user, _)| history(*user)));
    tape.forward(ready, &mut Dropout::none());
    let mut last: Vec<f32> = Vec::new();
    for rows in &tape.sequences {
        last.extend_from_slice(&tape.last.out[(rows.end - 1) * shape.width..][..shape.width]);
    }
    let columns = turned.columns();
    let mut scores = vec![0.0; users.len() * columns];
    let left = Left::rows(&last, shape.width);
    let out = Out::rows(&mut scores, columns);
    multiply(ready.isa, out, users.len(), left, turned.whole());
    let both = scores.chunks_exact_mut(columns).zip(users);
    let rank = |(scores, (user, item)): (&mut [f32], &(u32, u32))| {
        let own = scores[*item as usize];
        if masks_history {
            for seen in &sequences[*user as usize] {
                scores[*seen as usize] = f32::MIN;
            }
        }
        let others = scores[..shape.items].iter();
        others.filter(|score| **score > own).count() as u32
    };
    both.map(rank).collect()
}
