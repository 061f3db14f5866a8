//! Facts as bytes: what slates and examples carry in the log.
//!
//! A situation is a version and its fields, an item as many bytes for each, so that a slate is one
//! run. Another layout gets another version; facts of a version that is not known teach nothing.

use super::facts::{ItemFacts, LastTouch, Situation};

/// The layout below.
const VERSION: u8 = 1;
/// Bytes of a situation before the hashes of its context.
const SITUATION_BYTES: usize = 15;

/// Bytes of the facts of an item.
pub const ITEM_FACTS_BYTES: usize = 34;

impl Situation {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[
            VERSION,
            self.candidates,
            self.touched,
            self.history,
            self.last.kind,
            self.last.event_type,
            self.last.age,
            self.last.place,
        ]);
        out.extend_from_slice(&self.last.item.to_le_bytes());
        out.extend_from_slice(&[
            self.last_place,
            self.trend.to_le_bytes()[0],
            self.context.len() as u8,
        ]);
        for hash in &self.context {
            out.extend_from_slice(&hash.to_le_bytes());
        }
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, context) = bytes.split_first_chunk::<SITUATION_BYTES>()?;
        let (hashes, rest) = context.as_chunks::<4>();
        let is_whole = rest.is_empty() && hashes.len() == usize::from(head[14]);
        if head[0] != VERSION || !is_whole {
            return None;
        }
        Some(Self {
            candidates: head[1],
            touched: head[2],
            history: head[3],
            last: LastTouch {
                kind: head[4],
                event_type: head[5],
                age: head[6],
                place: head[7],
                item: u32::from_le_bytes([head[8], head[9], head[10], head[11]]),
            },
            last_place: head[12],
            trend: head[13] as i8,
            context: hashes
                .iter()
                .map(|hash| u32::from_le_bytes(*hash))
                .collect(),
        })
    }
}

impl ItemFacts {
    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ITEM_FACTS_BYTES] {
        let mut bytes = [0; ITEM_FACTS_BYTES];
        bytes[..4].copy_from_slice(&self.item.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.types.to_le_bytes());
        bytes[8..].copy_from_slice(&[
            self.place,
            self.order,
            self.overall_order,
            self.touches,
            self.age,
            self.last_type,
            self.below_last as u8,
            self.below_second as u8,
            self.below_lowest as u8,
            self.untouched_above,
            self.touches_order,
            self.dwell,
            self.dwell_order,
            self.ctr,
            self.ctr_order,
            self.trending,
            self.popularity,
            self.covisit,
            self.covisit_order,
            self.price_order,
            self.price_share,
            self.price,
            self.price_to_last as u8,
            self.price_to_mean as u8,
            self.price_to_least as u8,
            self.price_steps as u8,
        ]);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for another number of bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let b: &[u8; ITEM_FACTS_BYTES] = bytes.try_into().ok()?;
        Some(Self {
            item: u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            types: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            place: b[8],
            order: b[9],
            overall_order: b[10],
            touches: b[11],
            age: b[12],
            last_type: b[13],
            below_last: b[14] as i8,
            below_second: b[15] as i8,
            below_lowest: b[16] as i8,
            untouched_above: b[17],
            touches_order: b[18],
            dwell: b[19],
            dwell_order: b[20],
            ctr: b[21],
            ctr_order: b[22],
            trending: b[23],
            popularity: b[24],
            covisit: b[25],
            covisit_order: b[26],
            price_order: b[27],
            price_share: b[28],
            price: b[29],
            price_to_last: b[30] as i8,
            price_to_mean: b[31] as i8,
            price_to_least: b[32] as i8,
            price_steps: b[33] as i8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_and_other_bytes_are_refused() {
        let situation = Situation {
            candidates: 9,
            trend: -3,
            last: LastTouch {
                item: 0x0102_0304,
                ..LastTouch::default()
            },
            context: vec![7, u32::MAX],
            ..Situation::default()
        };
        let mut bytes = Vec::new();
        situation.encode(&mut bytes);
        assert_eq!(Situation::decode(&bytes), Some(situation));
        assert_eq!(Situation::decode(&bytes[..bytes.len() - 1]), None);
        bytes[0] = VERSION + 1;
        assert_eq!(Situation::decode(&bytes), None);
        // Every byte is a field of its own: changing any changes what is read.
        let facts = ItemFacts::default();
        assert_eq!(ItemFacts::from_bytes(&facts.to_bytes()), Some(facts));
        for at in 0..ITEM_FACTS_BYTES {
            let mut bytes = facts.to_bytes();
            bytes[at] ^= 0x15;
            let read = ItemFacts::from_bytes(&bytes).unwrap();
            assert_ne!(read, facts, "byte {at}");
            assert_eq!(read.to_bytes(), bytes, "byte {at}");
        }
        assert_eq!(ItemFacts::from_bytes(&[0; 33]), None);
    }
}
