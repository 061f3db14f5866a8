//! From the state to checkpoint blobs, to canonical text, and to one hash.
//!
//! A delta holds what was marked as changed since the last one, whole rows at a time. Tombstones
//! come before values, so that a user who left and came back is there.

use super::PartitionState;
use crate::checkpoint::codec::Writer;
use crate::checkpoint::sections::{self, Section};
use crate::checkpoint::{kind, rows};
use crate::dedup::WHOLE;
use crate::groups::Groups;
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Offset, UserKey};

/// What a delta will hold: rows that changed, and what is gone.
#[derive(Debug)]
pub struct Changes {
    removed_users: Vec<UserKey>,
    forgotten_ids: Vec<(u64, u32)>,
    new_ids: Vec<(u64, u32, Vec<u64>)>,
    users: Vec<u32>,
    items: Vec<u32>,
    groups: [Vec<u32>; 4],
    removed_slates: Vec<Offset>,
    slates: Vec<Offset>,
}

impl PartitionState {
    /// Appends what changed since the last call (or since [`Self::restore`]) as one blob. The first
    /// delta of a new state is complete.
    pub fn encode_delta(&mut self, out: &mut Vec<u8>) {
        let changes = self.take_changes();
        self.encode_changes(&changes, out);
    }

    /// Whether ids of events are saved to a store that appends a section of ids to what it has of
    /// the generation. Then deltas need no names for chunks of ids, of which frequent ones would
    /// make millions. To be said before the first delta, and after each restore.
    pub fn append_dedup(&mut self, is_appended: bool) {
        self.dedup.is_appended = is_appended;
    }

    /// What changed since the last call, as numbers of rows: quick, where encoding is not. From
    /// here on the changes count as saved; encode them with [`Self::encode_changes`] before the
    /// next record is folded, or save the whole state.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            removed_users: self.users.take_removed(),
            forgotten_ids: self.dedup.take_forgotten(),
            new_ids: self.dedup.take_unsaved(),
            users: self.users.take_dirty(),
            items: self.items.take_dirty(),
            groups: [
                self.categories.take_dirty(),
                self.segments.take_dirty(),
                self.item_segments.take_dirty(),
                self.global.take_dirty(),
            ],
            removed_slates: self.joiner.take_removed(),
            slates: self.joiner.take_changed(),
        }
    }

    /// Appends changes taken from this very state as one blob; readers need not wait for it.
    pub fn encode_changes(&self, changes: &Changes, out: &mut Vec<u8>) {
        sections::begin(out);
        for key in &changes.removed_users {
            write_tombstone(out, kind::USER, &key.0);
        }
        for offset in &changes.removed_slates {
            write_tombstone(out, kind::SLATE, &offset.to_le_bytes());
        }
        for (generation, chunk) in &changes.forgotten_ids {
            write_tombstone(out, kind::DEDUP, &dedup_section_key(*generation, *chunk));
        }
        for (generation, chunk, ids) in &changes.new_ids {
            write_ids(out, *generation, *chunk, ids);
        }
        for slot in &changes.users {
            self.write_user(out, *slot);
        }
        for number in &changes.items {
            self.write_item(out, *number);
        }
        for ((kind, groups), numbers) in self.group_tables().into_iter().zip(&changes.groups) {
            for number in numbers {
                write_group(out, kind, groups, *number);
            }
        }
        for offset in &changes.slates {
            self.write_slate(out, *offset);
        }
        // The chunk counts in it include those written here.
        write_value(out, kind::META, &[], |value| self.write_meta(value, true));
    }

    /// Appends the whole state as one blob. Does not touch what the next delta will hold.
    pub fn encode_full(&self, out: &mut Vec<u8>) {
        sections::begin(out);
        write_value(out, kind::META, &[], |value| self.write_meta(value, true));
        for (generation, ids) in self.dedup.generations() {
            write_ids(out, generation, WHOLE, &ids);
        }
        self.write_rows(out);
    }

    /// A hash of all state that influences the future; equal states have equal hashes.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut meta = Writer::default();
        self.write_meta(&mut meta, false);
        let mut hash = stable_hash(&meta.bytes, 0);
        let mut bytes = Vec::new();
        for (generation, ids) in self.dedup.generations() {
            write_ids(&mut bytes, generation, WHOLE, &ids);
            hash = stable_hash(&bytes, hash);
            bytes.clear();
        }
        self.write_rows(&mut bytes);
        stable_hash(&bytes, hash)
    }

    fn write_rows(&self, out: &mut Vec<u8>) {
        for (slot, _) in self.users.iter() {
            self.write_user(out, slot);
        }
        for number in 0..self.items.len() {
            self.write_item(out, number);
        }
        for (kind, groups) in self.group_tables() {
            for number in 0..groups.len() {
                write_group(out, kind, groups, number);
            }
        }
        for (offset, _) in self.joiner.slates() {
            self.write_slate(out, offset);
        }
    }

    fn write_slate(&self, out: &mut Vec<u8>, offset: Offset) {
        if let Some(slate) = self.joiner.get(offset) {
            write_value(out, kind::SLATE, &offset.to_le_bytes(), |value| {
                slate.write(value);
            });
        }
    }

    /// The tables of groups, in the order of [`Changes::groups`].
    const fn group_tables(&self) -> [(u8, &Groups); 4] {
        [
            (kind::CATEGORY, &self.categories),
            (kind::SEGMENT, &self.segments),
            (kind::ITEM_SEGMENT, &self.item_segments),
            (kind::GLOBAL, &self.global),
        ]
    }

    fn write_user(&self, out: &mut Vec<u8>, slot: u32) {
        if let Some(user) = self.users.get(slot) {
            write_value(out, kind::USER, &user.key.0, |value| {
                rows::write_user(value, slot, user, self.plan.history_len);
            });
        }
    }

    fn write_item(&self, out: &mut Vec<u8>, number: u32) {
        if let Some(item) = self.items.get(number) {
            write_value(out, kind::ITEM, &number.to_le_bytes(), |value| {
                rows::write_item(value, item);
            });
        }
    }

    /// Everything there is one of. How ids were spread over checkpoints is not part of what the
    /// state means, so the hash leaves it out.
    pub(super) fn write_meta(&self, out: &mut Writer, with_chunks: bool) {
        let dedup = self.dedup.meta();
        out.u64(self.plan.fingerprint());
        out.u64(self.progress.position);
        out.i64(self.watermark.0);
        for (_, count) in self.progress.counters.named() {
            out.u64(count);
        }
        out.u32(self.clock.users_hand);
        out.u32(self.clock.items_hand);
        out.u8(self.clock.users_lap);
        out.u8(self.clock.items_lap);
        out.u32(self.users.slots());
        out.u64(dedup.generation);
        out.i64(dedup.began.0);
        if with_chunks {
            out.u32(dedup.chunks[0]);
            out.u32(dedup.chunks[1]);
        }
        if self.plan.attribution.is_some() {
            for count in self.joiner.labelled.to_array() {
                out.u64(count);
            }
        }
    }
}

fn dedup_section_key(generation: u64, chunk: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&generation.to_le_bytes());
    key[8..].copy_from_slice(&chunk.to_le_bytes());
    key
}

fn write_tombstone(out: &mut Vec<u8>, kind: u8, key: &[u8]) {
    let value = None;
    sections::write(out, Section { kind, key, value });
}

fn write_value(out: &mut Vec<u8>, kind: u8, key: &[u8], write: impl FnOnce(&mut Writer)) {
    let mut writer = Writer::default();
    write(&mut writer);
    let value = Some(writer.bytes.as_slice());
    sections::write(out, Section { kind, key, value });
}

fn write_ids(out: &mut Vec<u8>, generation: u64, chunk: u32, ids: &[u64]) {
    write_value(
        out,
        kind::DEDUP,
        &dedup_section_key(generation, chunk),
        |value| {
            ids.iter().for_each(|id| value.u64(*id));
        },
    );
}

fn write_group(out: &mut Vec<u8>, kind: u8, groups: &Groups, number: u32) {
    if let Some(group) = groups.get(number) {
        write_value(out, kind, &number.to_le_bytes(), |value| {
            rows::write_group(value, group)
        });
    }
}
