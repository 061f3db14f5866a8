//! Zipf's law over ranks `0..n`: the popularity of almost everything.
//!
//! Drawn by Vose's alias method: building is linear, a draw is one random number and one look
//! at a table, so streams of millions of events a second do not wait for it.

use crate::rng::SimRng;

/// Draws rank `r` with probability proportional to `1 / (r + 1)^exponent`.
#[derive(Debug, Clone)]
pub struct Zipf {
    columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    /// Keep this rank when 32 random bits are below it.
    keep_below: u64,
    alias: u32,
}

impl Zipf {
    /// A law over `n` ranks, at least one.
    #[must_use]
    pub fn new(n: usize, exponent: f64) -> Self {
        let n = n.clamp(1, u32::MAX as usize);
        let weights: Vec<f64> = (1..=n).map(|rank| (rank as f64).powf(-exponent)).collect();
        let total: f64 = weights.iter().sum();
        let mut share: Vec<f64> = weights.iter().map(|w| w / total * n as f64).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&rank| share[rank] < 1.0);
        let full = Column {
            keep_below: 1 << 32,
            alias: 0,
        };
        let mut columns = vec![full; n];
        while let (Some(&poor), Some(&rich)) = (small.last(), large.last()) {
            small.pop();
            columns[poor] = Column {
                keep_below: (share[poor] * (1_u64 << 32) as f64) as u64,
                alias: rich as u32,
            };
            share[rich] -= 1.0 - share[poor];
            if share[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Self { columns }
    }

    /// The next rank.
    pub fn draw(&self, rng: &mut SimRng) -> usize {
        let bits = rng.next_u64();
        let rank = (((bits >> 32) * self.columns.len() as u64) >> 32) as usize;
        let column = self.columns[rank];
        if bits & 0xffff_ffff < column.keep_below {
            rank
        } else {
            column.alias as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_in_their_published_proportion() {
        let zipf = Zipf::new(100, 1.0);
        let mut rng = SimRng::new(5);
        let mut counts = [0_f64; 100];
        for _ in 0..200_000 {
            counts[zipf.draw(&mut rng)] += 1.0;
        }
        let harmonic: f64 = (1..=100).map(|r| 1.0 / f64::from(r)).sum();
        for rank in [0, 1, 9, 49] {
            let expected = 200_000.0 / (rank as f64 + 1.0) / harmonic;
            let off = (counts[rank] - expected).abs();
            assert!(
                off < 6.0 * expected.sqrt(),
                "rank {rank}: {} vs {expected}",
                counts[rank]
            );
        }
    }
}
