//! What is known when a list is ranked, in small numbers: what is kept until the outcome is known.

/// "There is none" in fields of one byte.
pub(super) const NONE: u8 = u8::MAX;

/// A request with its candidates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// What all candidates share.
    pub situation: Situation,
    /// In the order of the candidates, or of the answer that they are kept with.
    pub items: Vec<ItemFacts>,
}

/// Who asks, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// Number of candidates, 255 for more.
    pub candidates: u8,
    /// Distinct candidates that the subject has touched, at most 255.
    pub touched: u8,
    /// Length of the history, twice the logarithm to base 2.
    pub history: u8,
    /// The last interaction.
    pub last: LastTouch,
    /// Place of the candidate that was touched last, 255 without one.
    pub last_place: u8,
    /// Places from the candidate touched before that one down to it.
    pub trend: i8,
    /// Hash of each key and value of the request's context.
    pub context: Vec<u32>,
}

/// The subject's last interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTouch {
    /// 0 without one, 1 with something else than a candidate, 2 with a candidate.
    pub kind: u8,
    /// Code of the event type.
    pub event_type: u8,
    /// Seconds ago, logarithm to base 2.
    pub age: u8,
    /// Place of the item in the caller's list, 255 if it is not there.
    pub place: u8,
    /// Hash of the item.
    pub item: u32,
}

/// One candidate. Every order counts from 0; 255 stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemFacts {
    /// Hash of the id.
    pub item: u32,
    /// Place in the caller's list.
    pub place: u8,
    /// Order of its last touch among the candidates.
    pub order: u8,
    /// Order of its last touch among all items.
    pub overall_order: u8,
    /// Interactions with it.
    pub touches: u8,
    /// Seconds since the last of them, logarithm to base 2.
    pub age: u8,
    /// Event type of the last of them.
    pub last_type: u8,
    /// Set of their event types: bits by code, modulo 32.
    pub types: u32,
    /// Places below the candidate that was touched last, in the caller's list.
    pub below_last: i8,
    /// Places below the candidate that was touched before the last one.
    pub below_second: i8,
    /// Places below the lowest candidate that was touched.
    pub below_lowest: i8,
    /// Candidates above it that were not touched.
    pub untouched_above: u8,
    /// Order of its number of interactions among the touched candidates.
    pub touches_order: u8,
    /// Seconds spent with it, logarithm to base 2, and their order among the touched candidates.
    pub dwell: u8,
    /// See `dwell`.
    pub dwell_order: u8,
    /// Click-through rate, four times the logarithm to base 2 above one in 256, and its order.
    pub ctr: u8,
    /// See `ctr`.
    pub ctr_order: u8,
    /// Popularity of late and in the long run, twice the logarithm to base 2.
    pub trending: u8,
    /// See `trending`.
    pub popularity: u8,
    /// Evidence from co-visitation, a logarithm, and its order.
    pub covisit: u8,
    /// See `covisit`.
    pub covisit_order: u8,
    /// Order of its price among the candidates.
    pub price_order: u8,
    /// Its price in eighths of the mean of the candidates.
    pub price_share: u8,
    /// Its price, twice the logarithm to base 2.
    pub price: u8,
    /// Its price against that of the candidate touched last, four times the logarithm to base 2.
    pub price_to_last: i8,
    /// The same against the mean of the touched candidates.
    pub price_to_mean: i8,
    /// The same against the cheapest of them.
    pub price_to_least: i8,
    /// Its `price_order` less that of the candidate touched last.
    pub price_steps: i8,
}

/// "There is none" for differences.
pub(super) const NOWHERE: i8 = i8::MAX;

impl Default for ItemFacts {
    fn default() -> Self {
        Self {
            item: 0,
            place: NONE,
            order: NONE,
            overall_order: NONE,
            touches: 0,
            age: NONE,
            last_type: NONE,
            types: 0,
            below_last: NOWHERE,
            below_second: NOWHERE,
            below_lowest: NOWHERE,
            untouched_above: 0,
            touches_order: NONE,
            dwell: NONE,
            dwell_order: NONE,
            ctr: NONE,
            ctr_order: NONE,
            trending: NONE,
            popularity: NONE,
            covisit: NONE,
            covisit_order: NONE,
            price_order: NONE,
            price_share: NONE,
            price: NONE,
            price_to_last: NOWHERE,
            price_to_mean: NOWHERE,
            price_to_least: NOWHERE,
            price_steps: NOWHERE,
        }
    }
}

impl Default for Situation {
    fn default() -> Self {
        Self {
            candidates: 0,
            touched: 0,
            history: 0,
            last: LastTouch::default(),
            last_place: NONE,
            trend: NOWHERE,
            context: Vec::new(),
        }
    }
}

impl Default for LastTouch {
    fn default() -> Self {
        Self {
            kind: 0,
            event_type: NONE,
            age: NONE,
            place: NONE,
            item: 0,
        }
    }
}
