//! Epsilon-greedy exploration, place by place: with probability `exploration_share` the place goes
//! to a candidate drawn evenly from the best that are left, four for each place of the answer, else
//! to the best one left.
//!
//! So a candidate among `n` in the draw has propensity `share / n`, and the best one `1 - share` more.
//! The propensity is exact given the places above, which is what off-policy evaluation needs.

use super::{Ranked, Selector};
use crate::candidate::Candidate;
use crate::query::Query;
use nowcast_types::stable_hash::stable_hash;

/// Candidates in the draw per place of the answer: far-fetched ones would cost more clicks than
/// they teach.
const DRAWN_PER_PLACE: usize = 4;

/// Gives some places to chance and says so.
pub(super) struct ExplorationSelector;

impl Selector for ExplorationSelector {
    fn name(&self) -> &'static str {
        "exploration"
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.is_rerank() && query.slot.config.exploration_share > 0.0
    }

    fn select(
        &self,
        query: &Query<'_>,
        _candidates: &[Candidate],
        k: usize,
        ranking: &mut Vec<Ranked>,
    ) {
        let share = query.slot.config.exploration_share;
        let mut chance = Chance(stable_hash(query.request.request_id.as_bytes(), 0));
        for place in 0..k.min(ranking.len()) {
            let left = (ranking.len() - place).min(k * DRAWN_PER_PLACE);
            let explores = chance.next_unit() < f64::from(share);
            let drawn = (chance.next_unit() * left as f64) as usize;
            let chosen = if explores { drawn.min(left - 1) } else { 0 };
            ranking[place..=place + chosen].rotate_right(1);
            let even = share / left as f32;
            ranking[place].propensity = if chosen == 0 {
                1.0 - share + even
            } else {
                even
            };
            ranking[place].is_exploration = chosen != 0;
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): tiny, and equal on every machine.
struct Chance(u64);

impl Chance {
    /// A number from 0 to below 1.
    fn next_unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
