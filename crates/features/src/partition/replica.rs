//! Reading a partition's users elsewhere: the item side kept up to date from deltas, and users
//! decoded one at a time from their sections.
//!
//! A user's row names items, categories and segments by the partition's numbers, and only the item
//! side of the partition knows what those mean. A serving process therefore keeps the item side of
//! each partition and reads users from a store. What it then says of a user is what the partition
//! itself would say, bit for bit. The two come by different ways: numbers that the replica has not
//! seen yet are left out until it has.
//!
//! It does not fold, and it holds no users and no event ids. Its position, watermark and counters are
//! those of the newest rows it was given.

use super::PartitionState;
use super::reads::UserRef;
use super::restore::{is_sound_group, is_sound_item, is_sound_user};
use crate::checkpoint::sections::{self, for_each_latest, for_each_section};
use crate::checkpoint::{Section, kind, rows};
use crate::error::FeaturesError;
use crate::history::History;
use crate::plan::FoldPlan;
use crate::users::User;
use nowcast_types::UserKey;
use nowcast_types::stable_hash::stable_hash;
use std::ops::Range;
use std::sync::Arc;

const CORRUPT_USER: FeaturesError = FeaturesError::Corrupt("a user's section does not decode");
const CORRUPT_ROW: FeaturesError = FeaturesError::Corrupt("a row of the item side is not usable");

/// The item side of one partition.
#[derive(Debug)]
pub struct PartitionReplica {
    state: PartitionState,
}

/// A user read from a section.
#[derive(Debug)]
pub struct RemoteUser {
    user: User,
    entries_unknown: usize,
}

impl RemoteUser {
    /// Interactions left out because the replica does not know their items yet.
    #[must_use]
    pub const fn entries_unknown(&self) -> usize {
        self.entries_unknown
    }
}

/// The number of the row in which a user is kept, from the user's section: which user a partition
/// has in a row changes only when one is forgotten. `None` if it is not a user's section.
#[must_use]
pub fn user_slot(section: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*section.first_chunk()?))
}

impl PartitionReplica {
    /// The replica of a partition without items.
    #[must_use]
    pub fn new(plan: Arc<FoldPlan>) -> Self {
        Self {
            state: PartitionState::new(plan),
        }
    }

    /// The item side as reads want it; it knows no users.
    #[must_use]
    pub const fn state(&self) -> &PartitionState {
        &self.state
    }

    /// As [`PartitionState::drain_new_items`].
    pub fn drain_new_items(&mut self) -> Range<u32> {
        self.state.drain_new_items()
    }

    /// Copies the sections that replicas take from a delta into a blob of their own.
    ///
    /// # Errors
    /// [`FeaturesError::Corrupt`] if `delta` is not a blob.
    pub fn item_side(delta: &[u8], out: &mut Vec<u8>) -> Result<(), FeaturesError> {
        sections::begin(out);
        for_each_section(delta, |section| {
            if is_item_side(section.kind) || section.kind == kind::META {
                sections::write(out, section);
            }
        })
    }

    /// Takes over the rows of `blobs`, oldest first; users and ids in them are passed over.
    ///
    /// A row beyond a gap in the numbers is left out: a snapshot taken while the partition went on
    /// may have one, and the deltas since its position bring it again. Applying a delta again, or
    /// deltas from before a snapshot in their order, ends at the same rows.
    ///
    /// # Errors
    /// [`FeaturesError::Corrupt`] if something does not decode; rows before it were taken.
    /// [`FeaturesError::PlanChanged`] if they belong to another configuration; none was taken.
    pub fn apply<B: AsRef<[u8]>>(&mut self, blobs: &[B]) -> Result<(), FeaturesError> {
        let mut found: Vec<(u8, u32, &[u8])> = Vec::new();
        let mut is_sound = true;
        let mut meta = None;
        for_each_latest(blobs, |section| {
            if section.kind == kind::META {
                meta = section.value;
            }
            let row = (section.kind, number(&section), section.value);
            match row {
                (kind, Some(number), Some(value)) if is_item_side(kind) => {
                    found.push((kind, number, value));
                }
                (kind, _, _) => is_sound &= !is_item_side(kind),
            }
        })?;
        if !is_sound {
            return Err(CORRUPT_ROW);
        }
        if let Some(meta) = meta {
            self.state.restore_standing(meta)?;
        }
        found.sort_unstable_by_key(|(kind, number, _)| (*kind, *number));
        for (kind, number, value) in found {
            self.take(kind, number, value).ok_or(CORRUPT_ROW)?;
        }
        Ok(())
    }

    fn take(&mut self, kind: u8, number: u32, value: &[u8]) -> Option<()> {
        let plan = self.state.plan.clone();
        if kind == kind::ITEM {
            let item = rows::read_item(value).filter(|item| is_sound_item(&plan, item))?;
            let items = &mut self.state.items;
            if number == items.len() {
                items.restore(stable_hash(item.id.as_bytes(), 0), item);
                return Some(());
            }
            return (number > items.len() || items.replace(number, item)).then_some(());
        }
        let state = &mut self.state;
        let groups = match kind {
            kind::CATEGORY => &mut state.categories,
            kind::SEGMENT => &mut state.segments,
            kind::ITEM_SEGMENT => &mut state.item_segments,
            _ => &mut state.global,
        };
        let group = rows::read_group(value).filter(|group| is_sound_group(&plan, kind, group))?;
        if number == groups.len() {
            groups.restore(group);
            return Some(());
        }
        (number > groups.len() || groups.replace(number, group)).then_some(())
    }

    /// Decodes a user's section; [`Self::user`] reads it.
    ///
    /// # Errors
    /// [`FeaturesError::Corrupt`] if it does not decode, or not under this plan.
    pub fn read_user(&self, key: &UserKey, section: &[u8]) -> Result<RemoteUser, FeaturesError> {
        let plan = &*self.state.plan;
        let (_, mut user) = rows::read_user(*key, section)
            .filter(|(_, user)| is_sound_user(plan, user))
            .ok_or(CORRUPT_USER)?;
        let items = self.state.items.len();
        let history = user.history.entries(plan.history_len);
        let entries_unknown = history.iter().filter(|entry| entry.item.0 >= items).count();
        if entries_unknown > 0 {
            let known = history.iter().filter(|entry| entry.item.0 < items);
            user.history = History::from_entries(known.copied().collect());
        }
        Ok(RemoteUser {
            user,
            entries_unknown,
        })
    }

    /// A user's state, read as the partition itself would.
    #[must_use]
    pub fn user<'a>(&'a self, user: &'a RemoteUser) -> UserRef<'a> {
        self.state.user_ref(&user.user)
    }
}

const fn is_item_side(kind: u8) -> bool {
    kind >= kind::ITEM && kind <= kind::GLOBAL
}

fn number(section: &Section<'_>) -> Option<u32> {
    Some(u32::from_le_bytes(section.key.try_into().ok()?))
}
