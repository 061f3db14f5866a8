//! Tiles: the partial aggregates of one entity's views by time slot, in one buffer of words.
//!
//! Layout: for each block its end, then the blocks. A view's block holds its tiles, newest first:
//! slot, (length if the width varies,) partial. A window of `n` slots is read by merging the tiles
//! of the current slot and the `n - 1` before it, so it looks back between `n - 1` and `n` slots
//! (a sawtooth). Tiles that no window can reach any more go when a newer slot begins; an event too
//! old for any window is ignored. An entity without events has an empty buffer.

use crate::aggregations::{Partial, Sample, Width};
use crate::plan::{FoldPlan, ViewPlan};
use crate::words::{insert_zeros, remove};
use std::ops::Range;

/// The words of block `block`.
pub(crate) fn block(words: &[u32], blocks: usize, block: usize) -> &[u32] {
    &words[range(words, blocks, block)]
}

fn range(words: &[u32], blocks: usize, block: usize) -> Range<usize> {
    if words.is_empty() {
        return 0..0;
    }
    let start = if block == 0 {
        blocks
    } else {
        words[block - 1] as usize
    };
    start..words[block] as usize
}

/// Writes the table of ends into an empty buffer.
fn ensure(words: &mut Vec<u32>, blocks: usize) {
    if words.is_empty() {
        insert_zeros(words, 0, blocks);
        words.fill(blocks as u32);
    }
}

/// Moves the ends of `block` and all after it by `by` words.
fn shift(words: &mut [u32], blocks: usize, block: usize, by: isize) {
    for end in &mut words[block..blocks] {
        *end = end.wrapping_add_signed(by as i32);
    }
}

/// Lets `change` work on a block that is not tiles.
pub(crate) fn change_block(
    words: &mut Vec<u32>,
    blocks: usize,
    block: usize,
    change: impl FnOnce(&mut Partial<'_>),
) {
    ensure(words, blocks);
    let range = range(words, blocks, block);
    let before = range.len();
    let mut partial = Partial::new(words, range.start, before);
    change(&mut partial);
    let after = partial.len();
    if after != before {
        shift(words, blocks, block, after as isize - before as isize);
    }
}

const fn header(width: Width) -> usize {
    match width {
        Width::Fixed(_) => 1,
        Width::UpTo(_) => 2,
    }
}

/// Where the partial of the tile at `at` lies.
fn partial_range(words: &[u32], width: Width, at: usize) -> Range<usize> {
    let start = at + header(width);
    let len = match width {
        Width::Fixed(n) => n,
        Width::UpTo(_) => words[at + 1] as usize,
    };
    start..start + len
}

/// Adds one event to its tile.
pub(crate) fn fold(words: &mut Vec<u32>, blocks: usize, view: &ViewPlan, sample: &Sample) {
    ensure(words, blocks);
    let slot = view.slot_of(sample.time_s);
    let Some(at) = tile_of(words, blocks, view, slot) else {
        return;
    };
    let range = partial_range(words, view.width, at);
    let before = range.len();
    let mut partial = Partial::new(words, range.start, before);
    view.aggregation.update(&view.params, &mut partial, sample);
    let after = partial.len();
    if after != before {
        words[at + 1] = after as u32;
        shift(words, blocks, view.block, after as isize - before as isize);
    }
}

/// The tile of a slot, made if need be; `None` if the slot is too old for the window.
fn tile_of(words: &mut Vec<u32>, blocks: usize, view: &ViewPlan, slot: u32) -> Option<usize> {
    let block = range(words, blocks, view.block);
    let mut at = block.start;
    if at < block.end {
        let newest = words[at];
        if newest == slot {
            return Some(at);
        }
        if slot < newest && newest - slot >= view.slots {
            return None;
        }
        if slot > newest {
            expire(words, blocks, view, slot);
        }
        let end = words[view.block] as usize;
        while at < end && words[at] > slot {
            at = partial_range(words, view.width, at).end;
        }
        if at < end && words[at] == slot {
            return Some(at);
        }
    }
    let width = match view.width {
        Width::Fixed(n) => n,
        Width::UpTo(_) => 0,
    };
    let len = header(view.width) + width;
    insert_zeros(words, at, len);
    words[at] = slot;
    view.aggregation
        .init(&mut words[at + len - width..at + len]);
    shift(words, blocks, view.block, len as isize);
    Some(at)
}

/// Removes the tiles that a window ending with `slot` does not reach.
fn expire(words: &mut Vec<u32>, blocks: usize, view: &ViewPlan, slot: u32) {
    let block = range(words, blocks, view.block);
    let mut at = block.start;
    while at < block.end && slot - words[at] < view.slots {
        at = partial_range(words, view.width, at).end;
    }
    if at < block.end {
        remove(words, at..block.end);
        shift(words, blocks, view.block, at as isize - block.end as isize);
    }
}

/// Merges the tiles of the window that ends at `as_of_s`; `None` if there are none.
pub(crate) fn window(
    words: &[u32],
    blocks: usize,
    view: &ViewPlan,
    as_of_s: u32,
) -> Option<Vec<u32>> {
    let block = range(words, blocks, view.block);
    let slot = view.slot_of(as_of_s);
    let mut merged = None;
    let mut at = block.start;
    while at < block.end {
        let partial = partial_range(words, view.width, at);
        if words[at] <= slot && slot - words[at] < view.slots {
            let into = merged.get_or_insert_with(|| view.empty_partial());
            view.aggregation
                .merge(&view.params, into, &words[partial.clone()]);
        }
        at = partial.end;
    }
    merged
}

/// Whether a buffer that was read from outside has the layout this module relies on.
pub(crate) fn is_valid(words: &[u32], plan: &FoldPlan, entity: crate::config::EntityKind) -> bool {
    let blocks = plan.blocks(entity);
    if words.is_empty() {
        return true;
    }
    if words.len() < blocks || blocks == 0 {
        return false;
    }
    let mut before = blocks;
    for &end in &words[..blocks] {
        if (end as usize) < before || end as usize > words.len() {
            return false;
        }
        before = end as usize;
    }
    if before != words.len() {
        return false;
    }
    plan.views()
        .filter(|(_, view)| view.entity == entity)
        .all(|(_, view)| tiles_are_valid(&words[range(words, blocks, view.block)], view))
}

fn tiles_are_valid(tiles: &[u32], view: &ViewPlan) -> bool {
    let mut rest = tiles;
    let mut newer: Option<u32> = None;
    while !rest.is_empty() {
        let len = match view.width {
            Width::Fixed(n) => n,
            Width::UpTo(most) => match rest.get(1) {
                Some(&n) if n as usize <= most => n as usize,
                _ => return false,
            },
        };
        let Some(tail) = rest.get(header(view.width) + len..) else {
            return false;
        };
        if newer.is_some_and(|newer| rest[0] >= newer) {
            return false;
        }
        newer = Some(rest[0]);
        rest = tail;
    }
    true
}
