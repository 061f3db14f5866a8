//! Request bodies of synthetic events, each a pure function of its number, so that any generator
//! thread can write any request.

use nowcast_sim::{RawEvent, SimRng, Zipf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes bodies.
pub struct EventBodies {
    zipf: Zipf,
    items: u64,
    users: u64,
    seed: u64,
    /// Keeps the event ids of several runs apart.
    run: u32,
}

impl EventBodies {
    /// Events of `users` on `items`; `run` tells the ids of this run from those of another.
    #[must_use]
    pub fn new(seed: u64, run: u32, users: u32, items: u32) -> Self {
        Self {
            zipf: Zipf::new(items as usize, 1.05),
            items: u64::from(items),
            users: u64::from(users),
            seed,
            run,
        }
    }

    /// Writes request `number`: an array of `events` events that happen now.
    pub fn batch(&self, number: u64, events: u64, out: &mut Vec<u8>) {
        let mut rng = SimRng::derive(self.seed, number);
        let now = now_ms();
        out.push(b'[');
        for index in 0..events {
            if index > 0 {
                out.push(b',');
            }
            self.event(number * events + index, now, &mut rng)
                .write_json(self.run, out);
        }
        out.push(b']');
    }

    /// Writes request `number`: one event that happens now.
    pub fn single(&self, number: u64, out: &mut Vec<u8>) {
        let mut rng = SimRng::derive(self.seed, number);
        self.event(number, now_ms(), &mut rng)
            .write_json(self.run, out);
    }

    fn event(&self, sequence: u64, now: i64, rng: &mut SimRng) -> RawEvent {
        let rank = self.zipf.draw(rng) as u64;
        let bits = rng.next_u64();
        RawEvent {
            sequence,
            user: (((bits >> 32) * self.users) >> 32) as u32,
            item: (rank * 2_654_435_761 % self.items) as u32,
            kind: (bits & 7) as u8,
            timestamp_ms: now,
        }
    }
}

/// The present in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
