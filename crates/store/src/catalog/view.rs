//! What hot loops ask of every item, as plain numbers that no writer ever changes.
//!
//! A view is a snapshot: taking one costs a reference count, reading it takes no lock. Rows lie in
//! chunks; a change copies one chunk, and publishing copies the list of chunks. Most items are
//! live whatever the time, and a bit says so: requests ask it of thousands of items, and bits stay
//! in the nearest cache where rows do not. Tags, attributes and ids are not here: ask [`super::Catalog::row`] for the few candidates that need them.

use super::ItemIdx;
use super::labels::LabelIdx;
use super::row::ItemRow;
use nowcast_types::Timestamp;
use nowcast_types::event::CATEGORIES_MAX;
use std::sync::Arc;

/// Rows per chunk: 10 KiB, which a change copies in under a microsecond.
const CHUNK_ROWS: usize = 256;
const NO_LABEL: LabelIdx = LabelIdx(u32::MAX);

/// How the catalogue came to know an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemStatus {
    /// Seen in events only; it has no row and counts as live.
    Implicit,
    /// It has a row.
    Listed,
    /// Its row was deleted; it is never live.
    Deleted,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct HotRow {
    from: Timestamp,
    until: Timestamp,
    categories: [LabelIdx; CATEGORIES_MAX],
    pub(crate) status: ItemStatus,
}

impl HotRow {
    pub(crate) const IMPLICIT: Self = Self {
        from: Timestamp::MIN,
        until: Timestamp(i64::MAX),
        categories: [NO_LABEL; CATEGORIES_MAX],
        status: ItemStatus::Implicit,
    };

    pub(crate) const DELETED: Self = Self {
        from: Timestamp(i64::MAX),
        until: Timestamp::MIN,
        categories: [NO_LABEL; CATEGORIES_MAX],
        status: ItemStatus::Deleted,
    };

    pub(crate) fn listed(row: &ItemRow) -> Self {
        let mut hot = Self {
            from: row.published_at.unwrap_or(Timestamp::MIN),
            until: row.expires_at.unwrap_or(Timestamp(i64::MAX)),
            status: ItemStatus::Listed,
            ..Self::IMPLICIT
        };
        if !row.available {
            hot.until = Timestamp::MIN;
        }
        for (place, label) in hot.categories.iter_mut().zip(&row.categories) {
            *place = *label;
        }
        hot
    }
}

/// Bits per word of [`Chunk::always_live`].
const WORD_BITS: usize = 64;

#[derive(Debug, Clone)]
struct Chunk {
    /// By row: whether the item is live at all times.
    always_live: [u64; CHUNK_ROWS / WORD_BITS],
    rows: [HotRow; CHUNK_ROWS],
}

impl Chunk {
    const IMPLICIT: Self = Self {
        always_live: [u64::MAX; CHUNK_ROWS / WORD_BITS],
        rows: [HotRow::IMPLICIT; CHUNK_ROWS],
    };

    fn set(&mut self, at: usize, row: HotRow) {
        let bit = 1 << (at % WORD_BITS);
        if row.from == Timestamp::MIN && row.until == Timestamp(i64::MAX) {
            self.always_live[at / WORD_BITS] |= bit;
        } else {
            self.always_live[at / WORD_BITS] &= !bit;
        }
        self.rows[at] = row;
    }

    #[inline]
    fn is_live(&self, at: usize, now: Timestamp) -> bool {
        let is_always = self.always_live[at / WORD_BITS] >> (at % WORD_BITS) & 1 == 1;
        is_always || (self.rows[at].from <= now && now < self.rows[at].until)
    }
}

/// A snapshot of liveness and categories of every item. Cheap to keep for one request, not longer:
/// it does not move with the catalogue.
#[derive(Debug, Clone, Default)]
pub struct CatalogView {
    chunks: Vec<Arc<Chunk>>,
    len: u32,
    changes: u64,
}

impl CatalogView {
    /// Whether the item may be recommended at `now`. Items without a row are live.
    #[inline]
    #[must_use]
    pub fn is_live(&self, item: ItemIdx, now: Timestamp) -> bool {
        let at = item.0 as usize;
        let chunk = self.chunks.get(at / CHUNK_ROWS);
        chunk.is_none_or(|chunk| chunk.is_live(at % CHUNK_ROWS, now))
    }

    /// The item's first [`CATEGORIES_MAX`] categories, the most important first.
    #[inline]
    #[must_use]
    pub fn categories(&self, item: ItemIdx) -> &[LabelIdx] {
        let Some(row) = self.hot(item) else {
            return &[];
        };
        let filled = row.categories.iter().position(|label| *label == NO_LABEL);
        &row.categories[..filled.unwrap_or(CATEGORIES_MAX)]
    }

    /// When the item was or will be published, if its row says so.
    #[inline]
    #[must_use]
    pub fn published_at(&self, item: ItemIdx) -> Option<Timestamp> {
        let row = self.hot(item)?;
        let is_told = row.status == ItemStatus::Listed && row.from != Timestamp::MIN;
        is_told.then_some(row.from)
    }

    /// How the catalogue came to know the item.
    #[must_use]
    pub fn status(&self, item: ItemIdx) -> ItemStatus {
        self.hot(item)
            .map_or(ItemStatus::Implicit, |row| row.status)
    }

    /// Items known when the view was published: their numbers are `0..len`. Items that events
    /// brought since may have higher numbers; they are implicit.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no item was known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The catalogue's change counter when the view was published.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    #[inline]
    fn hot(&self, item: ItemIdx) -> Option<&HotRow> {
        let at = item.0 as usize;
        self.chunks
            .get(at / CHUNK_ROWS)
            .map(|chunk| &chunk.rows[at % CHUNK_ROWS])
    }
}

/// The writer's side: the chunks that the next published view will share.
#[derive(Debug, Default)]
pub(crate) struct HotTable {
    chunks: Vec<Arc<Chunk>>,
}

impl HotTable {
    pub(crate) fn set(&mut self, item: ItemIdx, row: HotRow) {
        let at = item.0 as usize;
        while self.chunks.len() <= at / CHUNK_ROWS {
            self.chunks.push(Arc::new(Chunk::IMPLICIT));
        }
        // Copies the chunk when a published view still shares it.
        Arc::make_mut(&mut self.chunks[at / CHUNK_ROWS]).set(at % CHUNK_ROWS, row);
    }

    pub(crate) fn status(&self, item: ItemIdx) -> ItemStatus {
        let at = item.0 as usize;
        self.chunks
            .get(at / CHUNK_ROWS)
            .map_or(ItemStatus::Implicit, |chunk| {
                chunk.rows[at % CHUNK_ROWS].status
            })
    }

    pub(crate) fn view(&self, len: u32, changes: u64) -> CatalogView {
        CatalogView {
            chunks: self.chunks.clone(),
            len,
            changes,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.chunks.len() * (size_of::<Chunk>() + 24)
    }
}
