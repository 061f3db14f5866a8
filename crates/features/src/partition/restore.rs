//! From checkpoint blobs back to the state: exact in everything that influences the future.
//!
//! Bytes come from files, so nothing about them is believed: numbers must be in range and buffers
//! must have the layout that the fold relies on, else the blobs are corrupt.

use super::PartitionState;
use super::budget::EvictionClock;
use crate::attribution::{LABELLED, Labelled, PendingSlate};
use crate::checkpoint::codec::Reader;
use crate::checkpoint::sections::{Section, for_each_latest, for_each_section};
use crate::checkpoint::{kind, rows};
use crate::config::EntityKind;
use crate::dedup::{Dedup, DedupMeta};
use crate::error::FeaturesError;
use crate::groups::{Group, Groups};
use crate::items::Item;
use crate::outcome::{COUNTERS, Counters};
use crate::plan::FoldPlan;
use crate::users::{User, Users};
use crate::{tiles, weights};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Offset, Timestamp, UserKey};
use std::sync::Arc;

const CORRUPT_META: FeaturesError = FeaturesError::Corrupt("the meta section");

/// Rows of one kind by number.
type Numbered<T> = Vec<(u32, T)>;

/// Sections of all blobs, decoded but not yet checked against each other.
#[derive(Default)]
struct Parts {
    users: Vec<(u32, User)>,
    items: Numbered<Item>,
    groups: [Numbered<Group>; 4],
    slates: Vec<(Offset, PendingSlate)>,
}

impl PartitionState {
    /// Rebuilds a state from a full blob (or none) and the deltas after it, oldest first. Without
    /// blobs it is the state before offset 0.
    ///
    /// # Errors
    /// [`FeaturesError::PlanChanged`] if the configuration means something else now,
    /// [`FeaturesError::Corrupt`] if the bytes do not decode.
    pub fn restore<B: AsRef<[u8]>>(
        plan: Arc<FoldPlan>,
        blobs: &[B],
    ) -> Result<Self, FeaturesError> {
        let mut state = Self::new(plan);
        if blobs.is_empty() {
            return Ok(state);
        }
        state.restore_meta(latest_meta(blobs)?)?;
        let mut parts = Parts::default();
        let mut is_sound = true;
        for_each_latest(blobs, |section| {
            if let Some(value) = section.value {
                is_sound &= parts.take(&mut state.dedup, section, value).is_some();
            }
        })?;
        if !is_sound {
            return Err(FeaturesError::Corrupt("a section does not decode"));
        }
        state.fill(parts)?;
        state.check()?;
        Ok(state)
    }

    fn restore_meta(&mut self, bytes: &[u8]) -> Result<(), FeaturesError> {
        let mut reader = self.of_this_plan(bytes)?;
        self.decode_meta(&mut reader).ok_or(CORRUPT_META)
    }

    /// Takes position, watermark and counters from the section of another state, and checks that
    /// it was folded under the same plan.
    pub(super) fn restore_standing(&mut self, bytes: &[u8]) -> Result<(), FeaturesError> {
        let mut reader = self.of_this_plan(bytes)?;
        self.decode_standing(&mut reader).ok_or(CORRUPT_META)
    }

    fn of_this_plan<'b>(&self, bytes: &'b [u8]) -> Result<Reader<'b>, FeaturesError> {
        let mut reader = Reader { bytes };
        let stored = reader.u64().ok_or(CORRUPT_META)?;
        let current = self.plan.fingerprint();
        if stored != current {
            return Err(FeaturesError::PlanChanged { stored, current });
        }
        Ok(reader)
    }

    fn decode_standing(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.progress.position = reader.u64()?;
        self.watermark = Timestamp(reader.i64()?);
        let mut counters = [0; COUNTERS];
        for counter in &mut counters {
            *counter = reader.u64()?;
        }
        self.progress.counters = Counters::from_array(counters);
        Some(())
    }

    fn decode_meta(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.decode_standing(reader)?;
        self.clock = EvictionClock {
            users_hand: reader.u32()?,
            items_hand: reader.u32()?,
            users_lap: reader.u8()?,
            items_lap: reader.u8()?,
        };
        self.users = Users::with_slots(reader.u32()?);
        self.dedup = Dedup::restored(DedupMeta {
            generation: reader.u64()?,
            began: Timestamp(reader.i64()?),
            chunks: [reader.u32()?, reader.u32()?],
        });
        if self.plan.attribution.is_some() {
            let mut counts = [0; LABELLED];
            for count in &mut counts {
                *count = reader.u64()?;
            }
            self.joiner.labelled = Labelled::from_array(counts);
        }
        reader.end()
    }

    fn fill(&mut self, mut parts: Parts) -> Result<(), FeaturesError> {
        for (slot, user) in parts.users {
            if !self.users.restore(slot, user, self.plan.history_len) {
                return Err(FeaturesError::Corrupt("two users in one slot"));
            }
        }
        self.users.restored();
        parts.items.sort_unstable_by_key(|(number, _)| *number);
        for (expected, (number, item)) in parts.items.into_iter().enumerate() {
            if number as usize != expected {
                return Err(FeaturesError::Corrupt("an item is missing"));
            }
            let hash = stable_hash(item.id.as_bytes(), 0);
            self.items.restore(hash, item);
        }
        let [categories, segments, item_segments, global] = parts.groups;
        self.categories = groups(categories)?;
        self.segments = groups(segments)?;
        self.item_segments = groups(item_segments)?;
        if !global.is_empty() {
            self.global = groups(global)?;
        }
        self.fill_slates(parts.slates)
    }

    fn fill_slates(&mut self, slates: Vec<(Offset, PendingSlate)>) -> Result<(), FeaturesError> {
        let plan = Arc::clone(&self.plan);
        match &plan.attribution {
            Some(attribution) => {
                for (offset, slate) in slates {
                    self.joiner
                        .insert(attribution, plan.lateness_ms, offset, slate);
                }
                Ok(())
            }
            None if slates.is_empty() => Ok(()),
            None => Err(FeaturesError::Corrupt("slates without attribution")),
        }
    }

    /// Whether every number names a row and every buffer has its layout.
    fn check(&self) -> Result<(), FeaturesError> {
        let plan = &*self.plan;
        let is_item = |number: u32| number < self.items.len();
        let is_category = |number: u32| number < self.categories.len();
        let is_segment = |number: u32| number < self.segments.len();
        let users_are_sound = self.users.iter().all(|(_, user)| {
            is_sound_user(plan, user)
                && weights::keys(affinity_run(plan, user)).all(is_category)
                && user.segment().is_none_or(|segment| is_segment(segment.0))
                && user
                    .history
                    .entries(plan.history_len)
                    .iter()
                    .all(|e| is_item(e.item.0))
        });
        let items_are_sound = self.items.iter().all(|item| {
            is_sound_item(plan, item)
                && weights::keys(segment_run(plan, item)).all(is_segment)
                && weights::keys(&item.neighbours).all(is_item)
        });
        let groups_are_sound = [
            (kind::CATEGORY, &self.categories),
            (kind::SEGMENT, &self.segments),
            (kind::ITEM_SEGMENT, &self.item_segments),
            (kind::GLOBAL, &self.global),
        ]
        .into_iter()
        .all(|(kind, groups)| groups.iter().all(|g| is_sound_group(plan, kind, g)));
        if users_are_sound && items_are_sound && groups_are_sound {
            Ok(())
        } else {
            Err(FeaturesError::Corrupt("a row has an impossible layout"))
        }
    }
}

/// The meta section of the newest blob that has one.
fn latest_meta<B: AsRef<[u8]>>(blobs: &[B]) -> Result<&[u8], FeaturesError> {
    for blob in blobs.iter().rev() {
        let mut meta = None;
        for_each_section(blob.as_ref(), |section| {
            if section.kind == kind::META {
                meta = section.value;
            }
        })?;
        if let Some(meta) = meta {
            return Ok(meta);
        }
    }
    Err(CORRUPT_META)
}

fn affinity_run<'a>(plan: &FoldPlan, user: &'a User) -> &'a [u32] {
    tiles::block(&user.words, plan.blocks(EntityKind::User), 0)
}

fn segment_run<'a>(plan: &FoldPlan, item: &'a Item) -> &'a [u32] {
    tiles::block(&item.words, plan.blocks(EntityKind::Item), 0)
}

/// Whether words are a run of weights.
fn is_run(words: &[u32]) -> bool {
    words.is_empty() || words.len() % 2 == 1
}

/// Whether a user's buffers have the plan's layout, whatever the numbers in them name.
pub(super) fn is_sound_user(plan: &FoldPlan, user: &User) -> bool {
    tiles::is_valid(&user.words, plan, EntityKind::User) && is_run(affinity_run(plan, user))
}

/// The same of an item.
pub(super) fn is_sound_item(plan: &FoldPlan, item: &Item) -> bool {
    tiles::is_valid(&item.words, plan, EntityKind::Item)
        && is_run(segment_run(plan, item))
        && is_run(&item.neighbours)
}

/// The same of a group, whose kind is that of its sections.
pub(super) fn is_sound_group(plan: &FoldPlan, kind: u8, group: &Group) -> bool {
    let entity = match kind {
        kind::CATEGORY => EntityKind::Category,
        kind::SEGMENT => EntityKind::Segment,
        kind::ITEM_SEGMENT => EntityKind::ItemSegment,
        _ => EntityKind::Global,
    };
    tiles::is_valid(&group.words, plan, entity)
}

impl Parts {
    fn take(&mut self, dedup: &mut Dedup, section: Section<'_>, value: &[u8]) -> Option<()> {
        match section.kind {
            kind::META => {}
            kind::USER => {
                let key = UserKey(section.key.try_into().ok()?);
                self.users.push(rows::read_user(key, value)?);
            }
            kind::DEDUP => {
                let generation = u64::from_le_bytes(*section.key.first_chunk::<8>()?);
                let (ids, rest) = value.as_chunks::<8>();
                dedup.restore_ids(generation, ids.iter().map(|id| u64::from_le_bytes(*id)));
                return rest.is_empty().then_some(());
            }
            kind::SLATE => {
                let offset = u64::from_le_bytes(section.key.try_into().ok()?);
                self.slates.push((offset, PendingSlate::read(value)?));
            }
            kind::ITEM => self
                .items
                .push((number(section.key)?, rows::read_item(value)?)),
            kind @ kind::CATEGORY..=kind::GLOBAL => {
                let groups = &mut self.groups[usize::from(kind - kind::CATEGORY)];
                groups.push((number(section.key)?, rows::read_group(value)?));
            }
            _ => return None,
        }
        Some(())
    }
}

fn number(key: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(key.try_into().ok()?))
}

fn groups(mut rows: Numbered<Group>) -> Result<Groups, FeaturesError> {
    rows.sort_unstable_by_key(|(number, _)| *number);
    let mut groups = Groups::default();
    for (expected, (number, group)) in rows.into_iter().enumerate() {
        if number as usize != expected {
            return Err(FeaturesError::Corrupt("a group is missing"));
        }
        groups.restore(group);
    }
    Ok(groups)
}
