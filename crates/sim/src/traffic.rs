//! Raw event streams for measurements: many users, Zipf-popular items, no tastes at all.
//!
//! Made to cost almost nothing beside what is being measured: a draw is a few random numbers, and
//! the JSON of an event is written digit by digit into a buffer the caller keeps.

use crate::rng::SimRng;
use crate::zipf::Zipf;

/// The shape of a raw stream.
#[derive(Debug, Clone)]
pub struct TrafficOptions {
    /// Distinct users, equally active.
    pub users: u32,
    /// Distinct items.
    pub items: u32,
    /// Exponent of the items' popularity.
    pub zipf_exponent: f64,
    /// Event time of the first event, milliseconds since 1970.
    pub start_ms: i64,
    /// Events per 1,000 ms of event time.
    pub events_per_second: u32,
}

impl Default for TrafficOptions {
    fn default() -> Self {
        Self {
            users: 100_000,
            items: 40_000,
            zipf_exponent: 1.05,
            start_ms: 1_700_000_000_000,
            events_per_second: 10_000,
        }
    }
}

/// Names of the types a raw stream uses, by [`RawEvent::kind`].
pub const KINDS: [&str; 8] = [
    "impression",
    "impression",
    "view",
    "view",
    "click",
    "click",
    "like",
    "purchase",
];

/// One event of a raw stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEvent {
    /// Number in the stream, from 0; makes the event id.
    pub sequence: u64,
    /// Which user.
    pub user: u32,
    /// Which item; ids are scrambled, so popularity says nothing about order.
    pub item: u32,
    /// Index into [`KINDS`].
    pub kind: u8,
    /// Event time, milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// An endless raw stream.
#[derive(Debug, Clone)]
pub struct Traffic {
    options: TrafficOptions,
    zipf: Zipf,
    rng: SimRng,
    sequence: u64,
}

impl Traffic {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64, options: TrafficOptions) -> Self {
        Self {
            zipf: Zipf::new(options.items as usize, options.zipf_exponent),
            rng: SimRng::new(seed),
            sequence: 0,
            options,
        }
    }
}

impl Iterator for Traffic {
    type Item = RawEvent;

    fn next(&mut self) -> Option<RawEvent> {
        let sequence = self.sequence;
        self.sequence += 1;
        let rank = self.zipf.draw(&mut self.rng) as u64;
        let items = u64::from(self.options.items.max(1));
        let bits = self.rng.next_u64();
        let per_second = u64::from(self.options.events_per_second.max(1));
        Some(RawEvent {
            sequence,
            user: (((bits >> 32) * u64::from(self.options.users)) >> 32) as u32,
            // A fixed odd stride that is prime visits every item once.
            item: (rank * 2_654_435_761 % items) as u32,
            kind: (bits & 7) as u8,
            timestamp_ms: self.options.start_ms + (sequence * 1000 / per_second) as i64,
        })
    }
}

impl RawEvent {
    /// The event type's name.
    #[must_use]
    pub fn event_type(&self) -> &'static str {
        KINDS[usize::from(self.kind) & 7]
    }

    /// Appends the event as a JSON object as trackers send them: an id of 32 digits, user `u<user>`,
    /// session `s<user>-<hour>`, item `i<item>`, and a price for purchases.
    ///
    /// `run` keeps the ids of several runs apart.
    pub fn write_json(&self, run: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"event_id\":\"");
        write_hex(u64::from(run), out);
        write_hex(self.sequence, out);
        out.extend_from_slice(b"\",\"event_type\":\"");
        out.extend_from_slice(self.event_type().as_bytes());
        out.extend_from_slice(b"\",\"user_id\":\"u");
        write_number(u64::from(self.user), out);
        out.extend_from_slice(b"\",\"session_id\":\"s");
        write_number(u64::from(self.user), out);
        out.push(b'-');
        write_number((self.timestamp_ms / 3_600_000).max(0) as u64, out);
        out.extend_from_slice(b"\",\"item_id\":\"i");
        write_number(u64::from(self.item), out);
        out.extend_from_slice(b"\",\"timestamp\":");
        write_number(self.timestamp_ms.max(0) as u64, out);
        if self.event_type() == "purchase" {
            out.extend_from_slice(b",\"value\":");
            write_number(1 + u64::from(self.item % 90), out);
            out.extend_from_slice(b".95");
        }
        out.push(b'}');
    }
}

fn write_hex(number: u64, out: &mut Vec<u8>) {
    for shift in (0..16).rev() {
        let digit = (number >> (4 * shift)) & 0xf;
        out.push(b"0123456789abcdef"[digit as usize]);
    }
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_what_the_event_says() {
        let mut event = RawEvent {
            sequence: 0x1f,
            user: 0,
            item: 77,
            kind: 4,
            timestamp_ms: 1_700_000_000_001,
        };
        let json = |event: RawEvent| {
            let mut out = Vec::new();
            event.write_json(2, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            json(event),
            r#"{"event_id":"0000000000000002000000000000001f","event_type":"click","user_id":"u0","session_id":"s0-472222","item_id":"i77","timestamp":1700000000001}"#
        );
        event.kind = 7;
        assert!(json(event).ends_with(r#""timestamp":1700000000001,"value":78.95}"#));
    }

    #[test]
    fn a_stream_is_ordered_in_time_and_stays_in_its_ranges() {
        let options = TrafficOptions {
            users: 50,
            items: 30,
            ..TrafficOptions::default()
        };
        let events: Vec<RawEvent> = Traffic::new(1, options).take(20_000).collect();
        assert!(
            events
                .windows(2)
                .all(|w| w[0].timestamp_ms <= w[1].timestamp_ms)
        );
        assert!(events.iter().all(|e| e.user < 50 && e.item < 30));
        let distinct: std::collections::HashSet<u32> = events.iter().map(|e| e.item).collect();
        assert_eq!(distinct.len(), 30, "the stride reaches every item");
    }
}
