//! What the subject did with the candidates, and how far the others are from those.

use super::{age, below_none, byte, log2};
use crate::query::Query;
use crate::ranking::facts::{ItemFacts, NONE, NOWHERE};

/// Places further away than this count as this.
const STEPS_MAX: i64 = 100;
/// Seconds after an interaction that still count as spent with it.
const DWELL_MAX_S: i64 = 120;

/// Returns how many candidates have been touched.
pub(super) fn add(query: &Query<'_>, items: &mut [ItemFacts]) -> usize {
    let mut by_recency = Vec::new();
    for (order, touched) in query.touched.iter().enumerate() {
        let Some(at) = query.candidate(touched.item) else {
            continue;
        };
        let facts = &mut items[at];
        facts.order = below_none(by_recency.len());
        facts.overall_order = below_none(order);
        facts.touches = byte(touched.count as usize);
        facts.age = age(query, touched.last);
        by_recency.push((at, touched.count, 0_i64));
    }
    let history = &query.profile.history;
    let ends = history.iter().skip(1).map(|touch| touch.at);
    let ends = ends.chain([query.now()]);
    for (touch, end) in history.iter().zip(ends) {
        let Some(at) = query.candidate(touch.item) else {
            continue;
        };
        items[at].last_type = touch.event_type.0;
        items[at].types |= 1 << (touch.event_type.0 % 32);
        if let Some(touched) = by_recency.get_mut(usize::from(items[at].order)) {
            touched.2 += (end.since_ms(touch.at) / 1000).clamp(0, DWELL_MAX_S);
        }
    }
    let count = by_recency.len();
    // Sorts are stable: of equals the one touched later comes first.
    by_recency.sort_by_key(|(_, touches, _)| std::cmp::Reverse(*touches));
    for (order, (at, _, _)) in by_recency.iter().enumerate() {
        items[*at].touches_order = below_none(order);
    }
    by_recency.sort_by_key(|(at, _, dwell)| (std::cmp::Reverse(*dwell), items[*at].order));
    for (order, (at, _, dwell)) in by_recency.iter().enumerate() {
        items[*at].dwell = log2(*dwell as f32 + 1.0, 1.0);
        items[*at].dwell_order = below_none(order);
    }
    count
}

/// Fills in how far each candidate is below those that were touched. Returns the place of the one
/// touched last, and how far that is below the one touched before.
pub(super) fn add_steps(items: &mut [ItemFacts]) -> (u8, i8) {
    let place_of = |order: u8| {
        let found = items.iter().find(|facts| facts.order == order);
        found.and_then(place)
    };
    let (last, second) = (place_of(0), place_of(1));
    let touched = items.iter().filter(|facts| facts.order != NONE);
    let lowest = touched.filter_map(place).max();
    let mut untouched = 0;
    for facts in items {
        let own = place(facts);
        facts.below_last = below(own, last);
        facts.below_second = below(own, second);
        facts.below_lowest = below(own, lowest);
        facts.untouched_above = byte(untouched);
        untouched += usize::from(facts.order == NONE);
    }
    let last_place = last.map_or(NONE, |place| below_none(place as usize));
    (last_place, below(last, second))
}

fn place(facts: &ItemFacts) -> Option<i64> {
    (facts.place != NONE).then_some(i64::from(facts.place))
}

fn below(own: Option<i64>, other: Option<i64>) -> i8 {
    match own.zip(other) {
        Some((own, other)) => (own - other).clamp(-STEPS_MAX, STEPS_MAX) as i8,
        None => NOWHERE,
    }
}
