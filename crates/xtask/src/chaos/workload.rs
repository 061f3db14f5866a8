//! What the drill does to the server, from a seed: events in singles and batches, duplicates,
//! shuffled times, late events, withheld consent, user records and erasures.
//!
//! Each client owns its users, and one operation of a client is settled before the next begins.
//! So the order of a user's operations is known, whatever was retried in between; between users
//! no order is assumed.

use super::showing::{SHOWING_PERCENT, SHOWN_LEN, Showing};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;

/// Items of the drill's catalogue.
pub(super) const ITEMS: u32 = 60;
/// Categories of the drill's catalogue; item `i` is in category `i % CATEGORIES`.
pub(super) const CATEGORIES: u32 = 6;
/// Segments that users are put into.
pub(super) const SEGMENTS: [&str; 3] = ["gold", "silver", "bronze"];
/// Events of a user before it retires; below the history's length, so nothing is cut off.
const EVENTS_PER_USER_MAX: u32 = 150;
/// Users of a client that are active at one time.
const ACTIVE_USERS: usize = 12;
/// Users of the opening; the chance that one of four partitions has none is 4 * 0.75^64 = 4e-8.
const OPENING_USERS: u32 = 64;
/// Events are spread over this many milliseconds before the start of the drill.
pub(super) const SPREAD_MS: i64 = 20 * 3_600_000;
/// Late events are this much older, beyond the drill's lateness of one day.
const LATE_MS: i64 = 3 * 86_400_000;

/// What must become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It counts, once.
    Counts,
    /// It is too far behind and goes to the late stream.
    Late,
    /// The user allows nothing: it is logged, and changes nothing.
    Denied,
}

/// An event as the drill sends it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) event_id: String,
    pub(super) user: String,
    pub(super) item: u32,
    pub(super) event_type: &'static str,
    pub(super) timestamp_ms: i64,
    pub(super) value: Option<u32>,
    /// The answer that it came from.
    pub(super) request_id: Option<String>,
    pub(super) fate: Fate,
}

/// A list that is shown to a user.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Show {
    pub(super) user: String,
    /// Where the drill shows it itself; a server says what it has shown.
    pub(super) request_id: String,
    pub(super) items: Vec<u32>,
    pub(super) at_ms: i64,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    /// `POST /v1/events`; one event goes as an object, several as an array.
    Events(Vec<Sent>),
    /// `PUT /v1/users/{id}` with a segment.
    PutUser { user: String, segment: &'static str },
    /// `DELETE /v1/users/{id}`.
    Erase { user: String },
    /// `POST /v1/recommendations`.
    Show(Show),
}

impl Sent {
    /// A search is there for its time alone.
    pub(super) fn has_item(&self) -> bool {
        self.event_type != "search"
    }

    /// The JSON of the event.
    pub(super) fn json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "event_id": self.event_id,
            "event_type": self.event_type,
            "user_id": self.user,
            "timestamp": self.timestamp_ms,
        });
        if self.has_item() {
            json["item_id"] = item_id(self.item).into();
        }
        if let Some(request_id) = &self.request_id {
            json["request_id"] = request_id.as_str().into();
        }
        if let Some(value) = self.value {
            json["value"] = value.into();
        }
        if self.fate == Fate::Denied {
            json["consent"] = serde_json::json!({"personalize": false, "train": false});
        }
        json
    }
}

impl Operation {
    /// Method, path and body.
    pub(super) fn request(&self) -> (&'static str, String, String) {
        match self {
            Self::Events(events) => {
                let body = match events.as_slice() {
                    [one] => one.json(),
                    many => many.iter().map(Sent::json).collect(),
                };
                ("POST", "/v1/events".to_owned(), body.to_string())
            }
            Self::PutUser { user, segment } => (
                "PUT",
                format!("/v1/users/{user}"),
                serde_json::json!({ "segment": segment }).to_string(),
            ),
            Self::Erase { user } => ("DELETE", format!("/v1/users/{user}"), String::new()),
            Self::Show(show) => (
                "POST",
                "/v1/recommendations".to_owned(),
                serde_json::json!({ "user_id": show.user, "k": SHOWN_LEN }).to_string(),
            ),
        }
    }
}

/// The id of an item of the drill.
pub(super) fn item_id(item: u32) -> String {
    format!("item-{item}")
}

/// The category of an item of the drill.
pub(super) fn category(item: u32) -> String {
    format!("category-{}", item % CATEGORIES)
}

/// The first operation of a drill: one present event of each of so many users that every partition
/// has a watermark, without which nothing is late.
pub(super) fn opening(start_ms: i64) -> Operation {
    let event = |n: u32| Sent {
        event_id: format!("opening-{n}"),
        user: format!("opening-user-{n}"),
        item: n % ITEMS,
        event_type: "view",
        timestamp_ms: start_ms,
        value: None,
        request_id: None,
        fate: Fate::Counts,
    };
    Operation::Events((0..OPENING_USERS).map(event).collect())
}

pub(super) struct ActiveUser {
    pub(super) name: String,
    events: u32,
}

/// An endless, seeded sequence of operations of one client.
pub(super) struct Workload {
    pub(super) rng: StdRng,
    pub(super) client: usize,
    pub(super) start_ms: i64,
    pub(super) users: VecDeque<ActiveUser>,
    users_born: u32,
    pub(super) events_born: u32,
    /// Recent events, to be sent again.
    recent: VecDeque<Sent>,
    pub(super) showing: Option<Showing>,
}

impl Workload {
    /// The sequence of client number `client` of a drill that began at `start_ms`.
    pub(super) fn new(seed: u64, client: usize, start_ms: i64) -> Self {
        let mut workload = Self {
            rng: StdRng::seed_from_u64(seed ^ ((client as u64 + 1) << 32)),
            client,
            start_ms,
            users: VecDeque::new(),
            users_born: 0,
            events_born: 0,
            recent: VecDeque::new(),
            showing: None,
        };
        for _ in 0..ACTIVE_USERS {
            workload.birth();
        }
        workload
    }

    fn birth(&mut self) {
        let name = format!("user-{}-{}", self.client, self.users_born);
        self.users_born += 1;
        self.users.push_back(ActiveUser { name, events: 0 });
    }

    /// The next operation.
    pub(super) fn next(&mut self) -> Operation {
        if self.showing.is_some() && self.rng.random_range(0..100) < SHOWING_PERCENT {
            return self.next_of_showing();
        }
        match self.rng.random_range(0..100) {
            0..60 => {
                let length = self.rng.random_range(2..40);
                Operation::Events((0..length).map(|_| self.event()).collect())
            }
            60..88 => Operation::Events(vec![self.event()]),
            88..95 => {
                let index = self.rng.random_range(0..self.users.len());
                let segment = SEGMENTS[self.rng.random_range(0..SEGMENTS.len())];
                let user = self.users[index].name.clone();
                Operation::PutUser { user, segment }
            }
            95..98 => self.erase(),
            _ => self.again(),
        }
    }

    /// Erases a user. Its earlier events are never sent again: whether a site may revive what a
    /// user asked to forget is not for this drill to say.
    fn erase(&mut self) -> Operation {
        let index = self.rng.random_range(0..self.users.len());
        let user = self.users[index].name.clone();
        self.recent.retain(|sent| sent.user != user);
        if let Some(showing) = &mut self.showing {
            showing.forget(&user);
        }
        Operation::Erase { user }
    }

    /// Sends recent events once more, in another order.
    fn again(&mut self) -> Operation {
        let mut events = Vec::new();
        for _ in 0..self.rng.random_range(1..10) {
            if !self.recent.is_empty() {
                let index = self.rng.random_range(0..self.recent.len());
                events.push(self.recent[index].clone());
            }
        }
        if events.is_empty() {
            events.push(self.event());
        }
        Operation::Events(events)
    }

    /// A new event, or in one of twenty cases a recent one again.
    fn event(&mut self) -> Sent {
        if self.rng.random_range(0..20) == 0 && !self.recent.is_empty() {
            let index = self.rng.random_range(0..self.recent.len());
            return self.recent[index].clone();
        }
        let index = self.rng.random_range(0..self.users.len());
        let user = self.count_event(index);
        let sent = self.draw(user);
        self.remember(&sent);
        sent
    }

    /// Counts an event of an active user, who retires with the last one.
    pub(super) fn count_event(&mut self, index: usize) -> String {
        self.users[index].events += 1;
        let user = self.users[index].name.clone();
        if self.users[index].events >= EVENTS_PER_USER_MAX {
            self.users.remove(index);
            self.birth();
        }
        user
    }

    pub(super) fn remember(&mut self, sent: &Sent) {
        self.recent.push_back(sent.clone());
        if self.recent.len() > 300 {
            self.recent.pop_front();
        }
    }

    fn draw(&mut self, user: String) -> Sent {
        let fate = match self.rng.random_range(0..100) {
            0..2 => Fate::Late,
            2..4 => Fate::Denied,
            _ => Fate::Counts,
        };
        let (event_type, value) = match self.rng.random_range(0..10) {
            0..4 => ("view", None),
            4..7 => ("click", None),
            7 => ("purchase", Some(self.rng.random_range(1..1000))),
            8 => ("like", None),
            _ => ("impression", None),
        };
        self.events_born += 1;
        let age = self.rng.random_range(0..SPREAD_MS);
        let extra = if fate == Fate::Late { LATE_MS } else { 0 };
        Sent {
            event_id: format!("event-{}-{}", self.client, self.events_born),
            user,
            item: self.rng.random_range(0..ITEMS),
            event_type,
            timestamp_ms: self.start_ms - age - extra,
            value,
            request_id: None,
            fate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_operations_again() {
        let mut a = Workload::new(7, 1, 1_000_000_000_000);
        let mut b = Workload::new(7, 1, 1_000_000_000_000);
        let mut other = Workload::new(8, 1, 1_000_000_000_000);
        let first: Vec<Operation> = (0..50).map(|_| a.next()).collect();
        let again: Vec<Operation> = (0..50).map(|_| b.next()).collect();
        let different: Vec<Operation> = (0..50).map(|_| other.next()).collect();
        assert_eq!(first, again);
        assert_ne!(first, different);
    }
}
