//! The part of the load that is shown lists and reacts to them: outcomes in time and behind it, with
//! and without the id of the answer, of users who allow training and of some who do not.
//!
//! Reactions to a slate happen in the present, where windows close; they are of a type that says
//! nothing about taste, so that what the other oracle expects of the past is not touched.

use super::workload::{Fate, ITEMS, Operation, SPREAD_MS, Sent, Show, Workload};
use rand::RngExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Share of the operations that belong to this part.
pub(super) const SHOWING_PERCENT: u32 = 45;
/// Items of a list.
pub(super) const SHOWN_LEN: usize = 5;
/// Lists that are reacted to; older ones are forgotten.
const SHOWN_MAX: usize = 40;
/// A reaction comes at most so long after its list, beyond the drill's window of two seconds.
const REACTION_MS_MAX: i64 = 3_000;
/// How far the stepped clock goes with each operation.
const STEP_MS: i64 = 400;

/// Whose clock lists are shown by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    /// One that goes on with each operation, from the beginning of the drill.
    Stepped(i64),
    /// The machine's.
    Real,
}

/// Lists that may still be reacted to.
#[derive(Debug, Clone)]
pub(super) struct Showing {
    present: Present,
    shown: Vec<Show>,
    born: u32,
}

impl Showing {
    pub(super) const fn new(present: Present) -> Self {
        Self {
            present,
            shown: Vec::new(),
            born: 0,
        }
    }

    fn now_ms(&mut self) -> i64 {
        match &mut self.present {
            Present::Stepped(now_ms) => {
                *now_ms += STEP_MS;
                *now_ms
            }
            Present::Real => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                since.map_or(0, |since| since.as_millis() as i64)
            }
        }
    }

    /// A list was shown.
    pub(super) fn note(&mut self, show: Show) {
        if show.items.is_empty() {
            return;
        }
        if self.shown.len() >= SHOWN_MAX {
            self.shown.remove(0);
        }
        self.shown.push(show);
    }

    /// A user is gone.
    pub(super) fn forget(&mut self, user: &str) {
        self.shown.retain(|show| show.user != user);
    }
}

impl Workload {
    /// The same load with lists that are shown and reacted to.
    pub(super) fn with_showing(mut self, present: Present) -> Self {
        self.showing = Some(Showing::new(present));
        self
    }

    /// The next operation of this part.
    pub(super) fn next_of_showing(&mut self) -> Operation {
        let Some(mut showing) = self.showing.take() else {
            return Operation::Events(Vec::new());
        };
        let now_ms = showing.now_ms();
        let operation = match self.rng.random_range(0..10) {
            0..4 => self.show(&mut showing, now_ms),
            4..8 if !showing.shown.is_empty() => self.react(&showing),
            _ => self.tick(now_ms),
        };
        self.showing = Some(showing);
        operation
    }

    fn show(&mut self, showing: &mut Showing, now_ms: i64) -> Operation {
        let index = self.rng.random_range(0..self.users.len());
        showing.born += 1;
        let first = self.rng.random_range(0..ITEMS);
        let items = (0..SHOWN_LEN as u32).map(|at| (first + 7 * at) % ITEMS);
        let show = Show {
            user: self.users[index].name.clone(),
            request_id: format!("show-{}-{}", self.client, showing.born),
            items: items.collect(),
            at_ms: now_ms,
        };
        // A server chooses items and id itself, and says so in its answer.
        if showing.present != Present::Real {
            showing.note(show.clone());
        }
        Operation::Show(show)
    }

    fn react(&mut self, showing: &Showing) -> Operation {
        let show = &showing.shown[self.rng.random_range(0..showing.shown.len())];
        let item = show.items[self.rng.random_range(0..show.items.len())];
        let index = self.users.iter().position(|user| user.name == show.user);
        let is_taste = index.is_some() && self.rng.random_range(0..4) == 0;
        let names_answer = is_taste || self.rng.random_range(0..2) == 0;
        let (event_type, timestamp_ms) = if is_taste {
            let age_ms = self.rng.random_range(0..SPREAD_MS);
            let event_type = ["click", "like"][self.rng.random_range(0..2)];
            (event_type, self.start_ms - age_ms)
        } else {
            let delay_ms = self.rng.random_range(0..REACTION_MS_MAX);
            ("nod", show.at_ms + delay_ms)
        };
        if let (true, Some(index)) = (is_taste, index) {
            self.count_event(index);
        }
        let is_denied = self.rng.random_range(0..20) == 0;
        let sent = Sent {
            event_id: self.event_id(),
            user: show.user.clone(),
            item,
            event_type,
            timestamp_ms,
            value: None,
            request_id: names_answer.then(|| show.request_id.clone()),
            fate: if is_denied {
                Fate::Denied
            } else {
                Fate::Counts
            },
        };
        self.remember(&sent);
        Operation::Events(vec![sent])
    }

    /// Lets the watermarks of all active users' partitions go on.
    fn tick(&mut self, now_ms: i64) -> Operation {
        let names: Vec<String> = self.users.iter().map(|user| user.name.clone()).collect();
        let searches = names.into_iter().map(|user| Sent {
            event_id: self.event_id(),
            user,
            item: 0,
            event_type: "search",
            timestamp_ms: now_ms,
            value: None,
            request_id: None,
            fate: Fate::Counts,
        });
        Operation::Events(searches.collect())
    }

    fn event_id(&mut self) -> String {
        self.events_born += 1;
        format!("event-{}-{}", self.client, self.events_born)
    }
}
