//! The byte budget: what goes first when the state is too large.
//!
//! After each record, while the state is over its budget: the user who has been idle longest goes,
//! as long as users hold more than half of the budget; then the tiles and neighbours of the item
//! that has been idle longest; users again when no item has anything left. Idle longest is
//! approximated by a clock: a hand walks over the slots, a row touched in the present lap of the
//! hand or the one before is passed over, the others go. Laps are remembered per row, so that
//! passing over a row does not change it. Item ids, popularity and groups always stay.

use super::PartitionState;
use crate::items::Item;
use crate::users::User;

/// The hands of the eviction clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct EvictionClock {
    pub(super) users_hand: u32,
    pub(super) items_hand: u32,
    /// Wraps; no row that could go is ever more than three laps behind.
    pub(super) users_lap: u8,
    pub(super) items_lap: u8,
}

/// Laps after which an untouched row goes.
const IDLE_LAPS: u8 = 2;

impl PartitionState {
    pub(super) fn keep_budget(&mut self) {
        let most = self.plan.state_bytes_max;
        while self.state_bytes() > most {
            let has_users = self.users.len() > 0;
            let has_items = self.items.releasable() > 0;
            if has_users && (self.users.bytes() > most / 2 || !has_items) {
                self.evict_a_user();
            } else if has_items {
                self.release_an_item();
            } else {
                return;
            }
        }
    }

    fn evict_a_user(&mut self) {
        loop {
            if self.clock.users_hand >= self.users.slots() {
                self.clock.users_hand = 0;
                self.clock.users_lap = self.clock.users_lap.wrapping_add(1);
            }
            let slot = self.clock.users_hand;
            self.clock.users_hand += 1;
            let lap = self.clock.users_lap;
            let is_idle = |user: &User| lap.wrapping_sub(user.lap) >= IDLE_LAPS;
            if self.users.get(slot).is_some_and(is_idle) {
                self.users.remove(slot, self.plan.history_len);
                self.progress.counters.users_evicted += 1;
                return;
            }
        }
    }

    fn release_an_item(&mut self) {
        loop {
            if self.clock.items_hand >= self.items.len() {
                self.clock.items_hand = 0;
                self.clock.items_lap = self.clock.items_lap.wrapping_add(1);
            }
            let number = self.clock.items_hand;
            self.clock.items_hand += 1;
            let lap = self.clock.items_lap;
            let is_idle =
                |item: &Item| item.releasable() > 0 && lap.wrapping_sub(item.lap) >= IDLE_LAPS;
            if self.items.get(number).is_some_and(is_idle) {
                self.items.release(number);
                self.progress.counters.items_released += 1;
                return;
            }
        }
    }
}
