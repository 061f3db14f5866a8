//! The item table: every item the process has heard of, under a small number.
//!
//! An item is interned when an event or a catalogue change first names it, and keeps its
//! [`ItemIdx`] for the life of the process. Hot loops read a [`CatalogView`] (no lock); everything
//! else asks the table (a short read lock). Numbers differ from run to run, so nothing that leaves
//! the process may depend on them. The table does no IO: [`Catalog::encode_changes`] and
//! [`Catalog::restore_entry`] are what a checkpoint stores and brings back.

mod codec;
mod labels;
mod row;
mod view;

pub use labels::LabelIdx;
pub use row::ItemRow;
pub use view::{CatalogView, ItemStatus};

use crate::error::StoreError;
use arc_swap::ArcSwap;
use labels::Labels;
use nowcast_types::{Item, ItemChange};
use parking_lot::{RwLock, RwLockReadGuard};
use row::Names;
use std::sync::Arc;
use view::{HotRow, HotTable};

/// An item's number in this process. Given in order from 0, never used again for another item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemIdx(pub u32);

/// The stored value of a deleted item: it must stay known as deleted, or events would make it live.
const DELETED_VALUE: [u8; 1] = [0];
/// Items encoded under one read lock, so that interning never waits long for a checkpoint.
const ITEMS_PER_LOCK: usize = 512;

#[derive(Debug, Default)]
struct Table {
    ids: Labels,
    names: Names,
    rows: Vec<Option<Arc<ItemRow>>>,
    changed_at: Vec<u64>,
    hot: HotTable,
    changes: u64,
    listed: usize,
    row_bytes: usize,
}

/// The item table. Share it by `Arc`; every method takes `&self`.
#[derive(Debug, Default)]
pub struct Catalog {
    table: RwLock<Table>,
    view: ArcSwap<CatalogView>,
}

/// Items whose row changed, and the counter to ask with next time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The change counter that the list reaches.
    pub upto: u64,
    /// The items, in the order of their numbers; their rows may have changed again since.
    pub items: Vec<ItemIdx>,
}

/// Sizes of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogStats {
    /// Items with a number.
    pub items: usize,
    /// Items with a row.
    pub listed: usize,
    /// Bytes held, without the allocator's overhead.
    pub bytes: usize,
}

impl Catalog {
    /// An empty catalogue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the item, given now if it is new. A new item is implicit: live, without a row.
    #[must_use]
    pub fn intern(&self, item_id: &str) -> ItemIdx {
        match self.find(item_id) {
            Some(item) => item,
            None => self.table.write().intern(item_id),
        }
    }

    /// The number of the item, if it is known.
    #[must_use]
    pub fn find(&self, item_id: &str) -> Option<ItemIdx> {
        self.table.read().ids.find(item_id).map(ItemIdx)
    }

    /// The item's id.
    #[must_use]
    pub fn id(&self, item: ItemIdx) -> Option<Arc<str>> {
        self.table.read().ids.name(item.0).cloned()
    }

    /// The row, if the item has one.
    #[must_use]
    pub fn row(&self, item: ItemIdx) -> Option<Arc<ItemRow>> {
        self.table.read().rows.get(item.0 as usize).cloned()?
    }

    /// The row with its names as text, as a client would send it.
    #[must_use]
    pub fn item(&self, item: ItemIdx) -> Option<Item> {
        let table = self.table.read();
        let row = table.rows.get(item.0 as usize)?.as_ref()?;
        Some(row.to_item(&table.names))
    }

    /// The present snapshot for hot loops.
    #[must_use]
    pub fn view(&self) -> Arc<CatalogView> {
        self.view.load_full()
    }

    /// One read lock for many look-ups of ids, rows and names; hold it for microseconds.
    #[must_use]
    pub fn read(&self) -> CatalogReader<'_> {
        CatalogReader(self.table.read())
    }

    /// How many items have a number: they are `0..len`.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.table.read().ids.len() as u32
    }

    /// Whether no item is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a category, if any item or event ever had it.
    #[must_use]
    pub fn category(&self, name: &str) -> Option<LabelIdx> {
        let table = self.table.read();
        table.names.categories.find(name).map(LabelIdx)
    }

    /// The number of a category, given now if it is new.
    #[must_use]
    pub fn intern_category(&self, name: &str) -> LabelIdx {
        match self.category(name) {
            Some(label) => label,
            None => LabelIdx(self.table.write().names.categories.intern(name)),
        }
    }

    /// The name of a category.
    #[must_use]
    pub fn category_name(&self, label: LabelIdx) -> Option<Arc<str>> {
        let table = self.table.read();
        table.names.categories.name(label.0).cloned()
    }

    /// The number of an attribute name, if any item ever had it.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<LabelIdx> {
        let table = self.table.read();
        table.names.attributes.find(name).map(LabelIdx)
    }

    /// Makes one change and publishes the new view.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the item is not the JSON of an [`Item`]; nothing has changed.
    pub fn apply(&self, change: &ItemChange<'_>) -> Result<ItemIdx, StoreError> {
        let item = self.apply_unpublished(change)?;
        self.publish();
        Ok(item)
    }

    /// Makes one change that views show only after [`Self::publish`]; for many changes in a row.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_unpublished(&self, change: &ItemChange<'_>) -> Result<ItemIdx, StoreError> {
        let parsed: Option<Item> = change
            .item
            .map(serde_json::from_str)
            .transpose()
            .map_err(|err| StoreError::Invalid(format!("item `{}`: {err}", change.item_id)))?;
        Ok(self.table.write().set(change.item_id, parsed))
    }

    /// Shows all changes made so far to readers of views.
    pub fn publish(&self) {
        let table = self.table.write();
        let view = table.hot.view(table.ids.len() as u32, table.changes);
        self.view.store(Arc::new(view));
    }

    /// Counts every change of a row, from 0 on.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.table.read().changes
    }

    /// The items whose row changed after the counter stood at `since`.
    #[must_use]
    pub fn changes_since(&self, since: u64) -> Changes {
        let table = self.table.read();
        // Asked four times a second and seldom with an answer.
        let rows = if since < table.changes {
            &table.changed_at[..]
        } else {
            &[]
        };
        let changed = rows.iter().enumerate();
        Changes {
            upto: table.changes,
            items: changed
                .filter(|(_, at)| **at > since)
                .map(|(item, _)| ItemIdx(item as u32))
                .collect(),
        }
    }

    /// Sizes, for metrics and budgets.
    #[must_use]
    pub fn stats(&self) -> CatalogStats {
        let table = self.table.read();
        let per_item = size_of::<Option<Arc<ItemRow>>>() + size_of::<u64>();
        let names = &table.names;
        CatalogStats {
            items: table.ids.len(),
            listed: table.listed,
            bytes: table.row_bytes
                + table.rows.capacity() * per_item
                + table.ids.bytes()
                + table.hot.bytes()
                + names.categories.bytes()
                + names.tags.bytes()
                + names.attributes.bytes(),
        }
    }

    /// Calls `entry(item id, value)` for every item whose row changed after `since`, and returns
    /// the counter to pass next time. Call it from the thread that applies changes.
    pub fn encode_changes(&self, since: u64, mut entry: impl FnMut(&[u8], &[u8])) -> u64 {
        let changed = self.changes_since(since);
        let mut value = Vec::new();
        for items in changed.items.chunks(ITEMS_PER_LOCK) {
            let table = self.table.read();
            for item in items {
                let Some(id) = table.ids.name(item.0) else {
                    continue;
                };
                value.clear();
                match &table.rows[item.0 as usize] {
                    Some(row) => codec::encode(&row.to_item(&table.names), &mut value),
                    None => value.extend(DELETED_VALUE),
                }
                entry(id.as_bytes(), &value);
            }
        }
        changed.upto
    }

    /// Brings back one entry that [`Self::encode_changes`] wrote; call [`Self::publish`] after the last.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the entry is not one of ours.
    pub fn restore_entry(&self, item_id: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let item_id = std::str::from_utf8(item_id)
            .map_err(|_| StoreError::corrupt("catalogue row", "its id is not UTF-8"))?;
        let item = if value == DELETED_VALUE {
            None
        } else {
            Some(codec::decode(value)?)
        };
        self.table.write().set(item_id, item);
        Ok(())
    }

    /// Forgets all rows and deletions; every item keeps its number and is implicit again.
    pub fn clear(&self) {
        let mut table = self.table.write();
        table.rows.fill(None);
        table.changed_at.fill(0);
        table.hot = HotTable::default();
        (table.listed, table.row_bytes) = (0, 0);
        table.changes += 1;
        let view = table.hot.view(table.ids.len() as u32, table.changes);
        self.view.store(Arc::new(view));
    }

    /// One line per item with a row or a deletion, sorted by id: for oracles and tests.
    #[must_use]
    pub fn dump(&self) -> String {
        let table = self.table.read();
        let mut lines: Vec<String> = (0..table.ids.len() as u32)
            .filter(|item| table.changed_at[*item as usize] > 0)
            .filter_map(|item| {
                let id = table.ids.name(item)?;
                let row = table.rows[item as usize].as_ref();
                let row = row.map(|row| row.to_item(&table.names));
                Some(format!("{id} {row:?}\n"))
            })
            .collect();
        lines.sort();
        lines.concat()
    }
}

impl Table {
    fn intern(&mut self, item_id: &str) -> ItemIdx {
        let item = self.ids.intern(item_id);
        if self.rows.len() < self.ids.len() {
            self.rows.push(None);
            self.changed_at.push(0);
        }
        ItemIdx(item)
    }

    fn set(&mut self, item_id: &str, item: Option<Item>) -> ItemIdx {
        let idx = self.intern(item_id);
        let row = item.map(|item| Arc::new(ItemRow::from_item(item, &mut self.names)));
        let hot = row
            .as_ref()
            .map_or(HotRow::DELETED, |row| HotRow::listed(row));
        self.hot.set(idx, hot);
        self.listed += usize::from(row.is_some());
        self.row_bytes += row.as_ref().map_or(0, |row| row.bytes());
        let old = std::mem::replace(&mut self.rows[idx.0 as usize], row);
        self.listed -= usize::from(old.is_some());
        self.row_bytes -= old.map_or(0, |row| row.bytes());
        self.changes += 1;
        self.changed_at[idx.0 as usize] = self.changes;
        idx
    }
}

/// The table under one read lock; writers wait while it lives.
pub struct CatalogReader<'a>(RwLockReadGuard<'a, Table>);

impl CatalogReader<'_> {
    /// The item's id.
    #[must_use]
    pub fn id(&self, item: ItemIdx) -> Option<&str> {
        self.0.ids.name(item.0).map(|id| &**id)
    }

    /// The number of the item, if it is known.
    #[must_use]
    pub fn find(&self, item_id: &str) -> Option<ItemIdx> {
        self.0.ids.find(item_id).map(ItemIdx)
    }

    /// The row, if the item has one.
    #[must_use]
    pub fn row(&self, item: ItemIdx) -> Option<&Arc<ItemRow>> {
        self.0.rows.get(item.0 as usize)?.as_ref()
    }

    /// How the catalogue came to know the item.
    #[must_use]
    pub fn status(&self, item: ItemIdx) -> ItemStatus {
        self.0.hot.status(item)
    }

    /// The name of a category.
    #[must_use]
    pub fn category_name(&self, label: LabelIdx) -> Option<&str> {
        self.0.names.categories.name(label.0).map(|name| &**name)
    }

    /// The name of a tag.
    #[must_use]
    pub fn tag_name(&self, label: LabelIdx) -> Option<&str> {
        self.0.names.tags.name(label.0).map(|name| &**name)
    }

    /// The name of an attribute.
    #[must_use]
    pub fn attribute_name(&self, label: LabelIdx) -> Option<&str> {
        self.0.names.attributes.name(label.0).map(|name| &**name)
    }
}
