//! A table in chunks of fixed size: growing never moves what is there and never doubles.

/// Rows per chunk. One less than a power of two: with its own few bytes and the rows' alignment, the
/// allocator fits such a chunk in a power of two, and one row more would waste a quarter.
const CHUNK: usize = 255;

/// A growing table.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Number of rows.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Adds a row and returns its number.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let number = self.len;
        if (number as usize).is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.last_mut().expect("a chunk was just ensured");
        chunk.push(value);
        self.len += 1;
        number
    }

    /// A row, if the number is one.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.chunks
            .get(number as usize / CHUNK)?
            .get(number as usize % CHUNK)
    }

    /// A row, to change.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.chunks
            .get_mut(number as usize / CHUNK)?
            .get_mut(number as usize % CHUNK)
    }

    /// All rows in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, number: u32) -> &T {
        &self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}
