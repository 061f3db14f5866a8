//! From a query to facts. Reads what the query has looked up already and nothing else.

mod prices;
mod touches;

use super::facts::{Facts, ItemFacts, LastTouch, NONE, Situation};
use crate::candidate::Candidate;
use crate::query::Query;
use nowcast_store::ItemIdx;
use nowcast_types::Timestamp;
use nowcast_types::stable_hash::stable_hash;
use serde_json::Value;

/// Keys of the context that are looked at.
const CONTEXT_MAX: usize = 16;

/// The facts of a request and its candidates.
pub(crate) fn gather(query: &Query<'_>, candidates: &[Candidate]) -> Facts {
    let mut items = ids(query, candidates);
    add_places(query, candidates, &mut items);
    let touched = touches::add(query, &mut items);
    let (last_place, trend) = touches::add_steps(&mut items);
    add_counts(query, candidates, &mut items);
    prices::add(query, candidates, &mut items);
    Facts {
        situation: Situation {
            candidates: byte(candidates.len()),
            touched: byte(touched),
            history: log2(query.profile.history.len() as f32 + 1.0, 2.0),
            last: last_touch(query, &items),
            last_place,
            trend,
            context: context(query),
        },
        items,
    }
}

fn ids(query: &Query<'_>, candidates: &[Candidate]) -> Vec<ItemFacts> {
    let table = query.catalog.read();
    let given = query.request.candidates;
    let of = candidates.iter().map(|candidate| {
        let known = candidate.item.and_then(|item| table.id(item));
        let id = known.or_else(|| given?.get(candidate.position as usize).copied());
        ItemFacts {
            item: hash(id.unwrap_or_default()),
            ..ItemFacts::default()
        }
    });
    of.collect()
}

/// The order of our own sources says nothing.
fn add_places(query: &Query<'_>, candidates: &[Candidate], items: &mut [ItemFacts]) {
    if query.is_rerank() {
        for (facts, candidate) in items.iter_mut().zip(candidates) {
            facts.place = below_none(candidate.position as usize);
        }
    }
}

fn add_counts(query: &Query<'_>, candidates: &[Candidate], items: &mut [ItemFacts]) {
    let covisit = |candidate: &Candidate| -> f32 {
        let item = candidate.item;
        item.map_or(0.0, |item: ItemIdx| query.covisit(item))
    };
    for (facts, candidate) in items.iter_mut().zip(candidates) {
        facts.ctr = some_log2(candidate.ctr * 256.0, 4.0);
        facts.trending = some_log2(candidate.trending + 1.0, 2.0);
        facts.popularity = some_log2(candidate.popularity + 1.0, 2.0);
        facts.covisit = some_log2(covisit(candidate) * 1024.0, 1.0);
    }
    let rates: Vec<f32> = candidates.iter().map(|candidate| candidate.ctr).collect();
    set_orders(&rates, items, |facts| &mut facts.ctr_order);
    let evidence: Vec<f32> = candidates.iter().map(covisit).collect();
    set_orders(&evidence, items, |facts| &mut facts.covisit_order);
}

/// Orders from the largest value; equal values share an order, and values of 0 have none.
fn set_orders(values: &[f32], items: &mut [ItemFacts], field: impl Fn(&mut ItemFacts) -> &mut u8) {
    let mut distinct: Vec<f32> = values.iter().copied().filter(|v| *v > 0.0).collect();
    distinct.sort_unstable_by(|a, b| b.total_cmp(a));
    distinct.dedup();
    for (facts, value) in items.iter_mut().zip(values) {
        if *value > 0.0 {
            let before = distinct.partition_point(|other| other > value);
            *field(facts) = below_none(before);
        }
    }
}

fn last_touch(query: &Query<'_>, items: &[ItemFacts]) -> LastTouch {
    let Some(touch) = query.profile.history.last() else {
        return LastTouch::default();
    };
    let table = query.catalog.read();
    let candidate = query.candidate(touch.item);
    LastTouch {
        kind: if candidate.is_some() { 2 } else { 1 },
        event_type: touch.event_type.0,
        age: age(query, touch.at),
        place: candidate.map_or(NONE, |at| items[at].place),
        item: hash(table.id(touch.item).unwrap_or_default()),
    }
}

/// Scalars of the context, in ascending order of their keys.
fn context(query: &Query<'_>) -> Vec<u32> {
    let entries = query.request.context.into_iter().flatten();
    let mut scalars: Vec<(&String, String)> = entries
        .filter_map(|(key, value)| match value {
            Value::String(text) => Some((key, text.clone())),
            Value::Bool(_) | Value::Number(_) => Some((key, value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        })
        .collect();
    scalars.sort_unstable();
    let hashes = scalars.iter().map(|(key, value)| {
        let seed = stable_hash(key.as_bytes(), 0);
        stable_hash(value.as_bytes(), seed) as u32
    });
    hashes.take(CONTEXT_MAX).collect()
}

fn hash(text: &str) -> u32 {
    stable_hash(text.as_bytes(), 0) as u32
}

fn byte(value: usize) -> u8 {
    value.min(255) as u8
}

fn below_none(value: usize) -> u8 {
    byte(value).min(NONE - 1)
}

fn age(query: &Query<'_>, at: Timestamp) -> u8 {
    let seconds = query.now().since_ms(at).max(0) / 1000;
    log2(seconds as f32 + 1.0, 1.0)
}

/// `per_octave` times the logarithm to base 2, rounded down, at least 0 and below [`NONE`].
fn log2(value: f32, per_octave: f32) -> u8 {
    let scaled = per_octave * value.max(1.0).log2();
    (scaled as u8).min(NONE - 1)
}

/// The same, [`NONE`] for 1 and below.
fn some_log2(value: f32, per_octave: f32) -> u8 {
    if value > 1.0 {
        log2(value, per_octave)
    } else {
        NONE
    }
}
