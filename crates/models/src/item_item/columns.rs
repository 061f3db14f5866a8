//! Computes a matrix from items to items a block of columns at a time, keeping the largest
//! weights of each column, so the whole matrix never exists.

use crate::error::ModelError;
use crate::model::Scored;
use crate::top_k::{TopK, best_first};
use crate::trainer::Progress;
use rayon::prelude::*;

/// Columns of a block: four registers of the widest instruction set.
pub(crate) const COLUMNS: usize = 64;

/// Blocks between two reports of progress.
const BLOCKS_PER_REPORT: usize = 16;

/// The `keep` largest weights, by magnitude, of each of `items` columns, without the diagonal,
/// best first.
///
/// `fill(scratch, first, block)` writes the columns `first..first + 64` to `block`, a row of 64
/// for each item; columns behind the last item are ignored. Blocks are independent, so the number
/// of threads changes nothing.
pub(crate) fn top_of_columns<S>(
    items: usize,
    keep: usize,
    progress: &dyn Progress,
    start: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, &mut [f32]) + Sync + Send,
) -> Result<Vec<Vec<Scored>>, ModelError> {
    let firsts: Vec<usize> = (0..items).step_by(COLUMNS).collect();
    let mut lists: Vec<Vec<Scored>> = Vec::with_capacity(items);
    for group in firsts.chunks(BLOCKS_PER_REPORT) {
        progress.report(lists.len() as u64, items as u64, "items");
        if progress.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        let start = || (start(), vec![0.0_f32; items * COLUMNS]);
        let blocks: Vec<Vec<Vec<Scored>>> = group
            .par_iter()
            .with_min_len(group.len() / rayon::current_num_threads().max(1) / 2 + 1)
            .map_init(start, |(scratch, block), &first| {
                fill(scratch, first, block);
                largest(block, first, items, keep)
            })
            .collect();
        lists.extend(blocks.into_iter().flatten());
    }
    progress.report(items as u64, items as u64, "items");
    Ok(lists)
}

/// The largest weights of each column of a block.
fn largest(block: &[f32], first: usize, items: usize, keep: usize) -> Vec<Vec<Scored>> {
    let columns = COLUMNS.min(items - first);
    let mut tops = vec![TopK::new(keep); columns];
    for (item, row) in block.chunks_exact(COLUMNS).enumerate() {
        for (column, (weight, top)) in row.iter().zip(&mut tops).enumerate() {
            let size = weight.abs();
            if size >= top.threshold() && size > 0.0 && size.is_finite() && item != first + column {
                top.push(item as u32, size);
            }
        }
    }
    let finish = |(column, top): (usize, TopK)| {
        let mut list = Vec::new();
        top.finish_into(&mut list);
        for kept in &mut list {
            kept.score = block[kept.item as usize * COLUMNS + column];
        }
        list.sort_unstable_by(best_first);
        list.shrink_to_fit();
        list
    };
    tops.into_iter().enumerate().map(finish).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_keeps_its_largest_weights_without_the_diagonal() {
        let items = 70;
        let weight = |i: usize, j: usize| ((i * 31 + j * 17) % 101) as f32 - 50.0;
        let fill = |_: &mut (), first: usize, block: &mut [f32]| {
            for (i, row) in block.chunks_exact_mut(COLUMNS).enumerate() {
                for (c, value) in row.iter_mut().enumerate() {
                    *value = weight(i, first + c);
                }
            }
        };
        let lists = top_of_columns(items, 5, &(), || (), fill).unwrap();
        assert_eq!(lists.len(), items);
        for (j, list) in lists.iter().enumerate() {
            let mut all: Vec<Scored> = (0..items)
                .filter(|i| *i != j && weight(*i, j) != 0.0)
                .map(|i| Scored {
                    item: i as u32,
                    score: weight(i, j),
                })
                .collect();
            all.sort_by(|a, b| {
                b.score
                    .abs()
                    .total_cmp(&a.score.abs())
                    .then(a.item.cmp(&b.item))
            });
            all.truncate(5);
            all.sort_by(best_first);
            assert_eq!(list, &all, "column {j}");
        }
    }
}
