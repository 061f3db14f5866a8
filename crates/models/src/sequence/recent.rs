//! The states of histories that were asked about lately, found by how a history begins.
//!
//! A request brings no user, so the items themselves are the key. Of a history that grows only the
//! newest state is held. The lock is held to look up, never to compute.

use super::state::State;
use nowcast_types::stable_hash::stable_hash;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of all states together. With the default network a history of 50 items takes some 64 KiB,
/// so this holds a thousand sessions in progress.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// States within a bound of bytes; the least recently used go first.
#[derive(Debug)]
pub(super) struct RecentStates {
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// By the hash of all their items, each with the time of its last use.
    states: HashMap<u64, (u64, Arc<State>)>,
    /// Hashes by time of last use, a count of uses.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
    bytes: usize,
}

impl RecentStates {
    pub(super) fn within(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            held: Mutex::default(),
        }
    }

    /// The state of the longest beginning of `items` that is held; all of them included.
    pub(super) fn longest(&self, items: &[u32]) -> Option<Arc<State>> {
        let hashes: Vec<u64> = hashes(items).collect();
        let mut held = self.lock();
        let beginnings = (1..=items.len()).rev().zip(hashes.into_iter().rev());
        for (len, hash) in beginnings {
            if let Some(state) = held.state(hash, &items[..len]) {
                return Some(state);
            }
        }
        None
    }

    /// Holds `state` instead of `replaced`, the one that it has grown from.
    pub(super) fn hold(&self, state: State, replaced: Option<&State>) {
        let hash_of = |state: &State| hashes(state.items()).last().unwrap_or_default();
        let (hash, replaced) = (hash_of(&state), replaced.map(hash_of));
        let state = Arc::new(state);
        let mut dropped = Vec::new();
        let mut held = self.lock();
        dropped.extend(replaced.and_then(|hash| held.remove(hash)));
        dropped.extend(held.remove(hash));
        held.insert(hash, state);
        while held.bytes > self.bytes_max {
            let Some((_, oldest)) = held.by_use.pop_first() else {
                break;
            };
            dropped.extend(held.remove(oldest));
        }
        drop(held);
        // Freed here, behind the lock.
        drop(dropped);
    }

    /// Bytes of what is held.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn state(&mut self, hash: u64, items: &[u32]) -> Option<Arc<State>> {
        let (used, state) = self.states.get_mut(&hash)?;
        if state.items() != items {
            return None;
        }
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, hash);
        Some(Arc::clone(state))
    }

    fn insert(&mut self, hash: u64, state: Arc<State>) {
        self.uses += 1;
        self.bytes += state.bytes();
        self.by_use.insert(self.uses, hash);
        self.states.insert(hash, (self.uses, state));
    }

    fn remove(&mut self, hash: u64) -> Option<Arc<State>> {
        let (used, state) = self.states.remove(&hash)?;
        self.by_use.remove(&used);
        self.bytes -= state.bytes();
        Some(state)
    }
}

/// The hash of each beginning of `items`, shortest first.
fn hashes(items: &[u32]) -> impl Iterator<Item = u64> {
    items.iter().scan(0, |hash, item| {
        *hash = stable_hash(&item.to_le_bytes(), *hash);
        Some(*hash)
    })
}
