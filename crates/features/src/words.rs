//! Growing a buffer of 32-bit words a little at a time, and reading wider numbers from it.
//!
//! `Vec` doubles, which on average wastes a quarter of all state; these buffers grow by an eighth,
//! at least [`STEP`] words.

use std::ops::Range;

/// Fewest words by which a buffer grows: half a cache line.
pub(crate) const STEP: usize = 8;
/// Words left free below a multiple of [`STEP`]: the allocator adds 8 bytes of its own to a block,
/// which would push a full one into the next size.
const SPARE: usize = 2;

/// Makes room for `n` zero words at `at`.
pub(crate) fn insert_zeros(buffer: &mut Vec<u32>, at: usize, n: usize) {
    let old_len = buffer.len();
    if buffer.capacity() - old_len < n {
        let len_max = old_len + n.max(old_len / 8) + SPARE;
        buffer.reserve_exact(len_max.next_multiple_of(STEP) - SPARE - old_len);
    }
    buffer.resize(old_len + n, 0);
    buffer.copy_within(at..old_len, at + n);
    buffer[at..at + n].fill(0);
}

/// Removes a range of words.
pub(crate) fn remove(buffer: &mut Vec<u32>, range: Range<usize>) {
    buffer.drain(range);
}

/// The 64 bits at `at`.
pub(crate) fn get_u64(words: &[u32], at: usize) -> u64 {
    u64::from(words[at]) | u64::from(words[at + 1]) << 32
}

/// Stores 64 bits at `at`.
pub(crate) fn put_u64(words: &mut [u32], at: usize, value: u64) {
    words[at] = value as u32;
    words[at + 1] = (value >> 32) as u32;
}

/// Adds to the 64 bits at `at`; saturates, which keeps the addition associative.
pub(crate) fn add_u64(words: &mut [u32], at: usize, n: u64) {
    let sum = get_u64(words, at).saturating_add(n);
    put_u64(words, at, sum);
}

/// A partial aggregate inside a larger buffer, which it may grow.
pub struct Partial<'a> {
    buffer: &'a mut Vec<u32>,
    start: usize,
    len: usize,
}

impl<'a> Partial<'a> {
    /// The `len` words from `start` of `buffer`.
    pub(crate) const fn new(buffer: &'a mut Vec<u32>, start: usize, len: usize) -> Self {
        Self { buffer, start, len }
    }

    /// The whole of `buffer`.
    pub const fn whole(buffer: &'a mut Vec<u32>) -> Self {
        let len = buffer.len();
        Self::new(buffer, 0, len)
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.buffer[self.start..self.start + self.len]
    }

    /// The words, to change in place.
    pub fn words_mut(&mut self) -> &mut [u32] {
        &mut self.buffer[self.start..self.start + self.len]
    }

    /// Number of words now.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for `n` zero words at `at`.
    pub fn insert_zeros(&mut self, at: usize, n: usize) {
        insert_zeros(self.buffer, self.start + at, n);
        self.len += n;
    }

    /// Replaces all words.
    pub fn replace(&mut self, words: &[u32]) {
        if words.len() > self.len {
            self.insert_zeros(self.len, words.len() - self.len);
        } else if words.len() < self.len {
            let surplus = self.start + words.len()..self.start + self.len;
            remove(self.buffer, surplus);
            self.len = words.len();
        }
        self.words_mut().copy_from_slice(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_wastes_at_most_a_step_or_an_eighth() {
        let mut buffer = Vec::new();
        for n in 0..500 {
            insert_zeros(&mut buffer, n / 2, 1);
            assert!(buffer.capacity() - buffer.len() <= n / 8 + STEP, "{n}");
        }
    }

    #[test]
    fn a_partial_grows_and_shrinks_between_its_neighbours() {
        let mut buffer = vec![7, 1, 2, 9];
        let mut partial = Partial::new(&mut buffer, 1, 2);
        partial.insert_zeros(1, 2);
        partial.words_mut()[1] = 5;
        assert_eq!(partial.words(), [1, 5, 0, 2]);
        partial.replace(&[4]);
        assert_eq!(buffer, [7, 4, 9]);
    }
}
