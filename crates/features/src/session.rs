//! Sessions: runs of activity of one user without a long silence.
//!
//! A session ends after the configured gap or when the client's session key changes. An event that
//! arrives out of order belongs to the present session if it lies within a gap of its start;
//! otherwise it belongs to a session that is over, and changes none.

use crate::decay::exp2;
use nowcast_types::{SessionKey, Timestamp};

/// A user's present or last session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Session {
    /// The first event.
    pub start: Timestamp,
    /// The latest event.
    pub last: Timestamp,
    /// The client's session key, once an event carried one; 0 stands for none, which a hash of 64
    /// bits never is in practice.
    pub(crate) key: u64,
    /// Interactions with items; impressions do not count.
    pub depth: u32,
    /// Milliseconds of attention reported by dwell, play and the like.
    pub engaged_ms: u32,
    /// Sum of the positive strengths.
    pub strength: f32,
    /// Sessions of this user so far, this one included.
    pub ordinal: u32,
}

/// What one event means to a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity {
    pub(crate) at: Timestamp,
    pub(crate) key: Option<SessionKey>,
    pub(crate) is_item_interaction: bool,
    pub(crate) engaged_ms: u32,
    pub(crate) strength: f32,
}

impl Session {
    pub(crate) const NONE: Self = Self {
        start: Timestamp(0),
        last: Timestamp(0),
        key: 0,
        depth: 0,
        engaged_ms: 0,
        strength: 0.0,
        ordinal: 0,
    };

    /// The client's session key, once an event carried one.
    #[must_use]
    pub fn key(&self) -> Option<SessionKey> {
        Some(SessionKey(self.key)).filter(|key| key.0 != 0)
    }

    /// Time from the first to the latest event, in milliseconds.
    #[must_use]
    pub fn duration_ms(&self) -> i64 {
        self.last.since_ms(self.start)
    }

    /// How engaged the session is, from 0 to below 1:
    /// `1 - 2^-(depth / 8 + engaged minutes / 4 + positive strength / 16)`.
    ///
    /// Eight interactions, four minutes of attention, or strength 16 (say three purchases) each
    /// close half of the distance to 1. The formula is ours; it only has to be monotone, bounded
    /// and the same everywhere.
    #[must_use]
    pub fn engagement(&self) -> f64 {
        let evidence = f64::from(self.depth) / 8.0
            + f64::from(self.engaged_ms) / 240_000.0
            + f64::from(self.strength) / 16.0;
        1.0 - exp2(-evidence)
    }

    /// Whether the session is over at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp, gap_ms: i64) -> bool {
        now.since_ms(self.last) > gap_ms
    }

    pub(crate) fn fold(&mut self, activity: &Activity, gap_ms: i64) {
        let new_key = activity.key.map_or(0, |key| key.0);
        let key_changed = self.key != 0 && new_key != 0 && self.key != new_key;
        if self.ordinal == 0 || activity.at >= self.last {
            if self.ordinal == 0 || key_changed || self.is_over(activity.at, gap_ms) {
                *self = Self {
                    start: activity.at,
                    ordinal: self.ordinal.saturating_add(1),
                    ..Self::NONE
                };
            }
            self.last = activity.at;
        } else {
            if key_changed || self.start.since_ms(activity.at) > gap_ms {
                return;
            }
            self.start = self.start.min(activity.at);
        }
        if self.key == 0 {
            self.key = new_key;
        }
        self.depth += u32::from(activity.is_item_interaction);
        self.engaged_ms = self.engaged_ms.saturating_add(activity.engaged_ms);
        self.strength += activity.strength.max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP_MS: i64 = 30 * 60_000;

    fn click(minute: i64, key: Option<u64>) -> Activity {
        Activity {
            at: Timestamp(minute * 60_000),
            key: key.map(SessionKey),
            is_item_interaction: true,
            engaged_ms: 1_000,
            strength: 1.5,
        }
    }

    fn folded(clicks: &[(i64, Option<u64>)]) -> Session {
        let mut session = Session::NONE;
        for (minute, key) in clicks {
            session.fold(&click(*minute, *key), GAP_MS);
        }
        session
    }

    #[test]
    fn silence_longer_than_the_gap_starts_a_session() {
        assert_eq!(folded(&[(0, None), (30, None)]).ordinal, 1);
        let session = folded(&[(0, None), (31, None)]);
        assert_eq!((session.ordinal, session.depth), (2, 1));
    }

    #[test]
    fn another_client_key_starts_a_session() {
        assert_eq!(folded(&[(0, Some(1)), (1, None), (2, Some(1))]).ordinal, 1);
        assert_eq!(folded(&[(0, Some(1)), (1, Some(2))]).ordinal, 2);
    }

    #[test]
    fn an_event_out_of_order_joins_only_the_present_session() {
        let joined = folded(&[(100, None), (110, None), (90, None)]);
        assert_eq!((joined.start, joined.depth), (Timestamp(90 * 60_000), 3));
        let ignored = folded(&[(100, None), (110, None), (60, None)]);
        assert_eq!((ignored.start, ignored.depth), (Timestamp(100 * 60_000), 2));
    }

    #[test]
    fn engagement_grows_and_stays_below_one() {
        let mut before = 0.0;
        let mut session = Session::NONE;
        for minute in 0..200 {
            session.fold(&click(minute, None), GAP_MS);
            let now = session.engagement();
            assert!(now > before && now < 1.0);
            before = now;
        }
    }
}
