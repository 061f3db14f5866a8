//! Reads states in the oracle's terms.

use super::comparison::Found;
use super::oracle::{Entity, History, VIEWS, View};
use anyhow::{Context, Result};
use nowcast_features::aggregations::AggregateValue;
use nowcast_features::{
    Entity as FoldEntity, FoldPlan, LocalCategory, LocalItem, LocalSegment, PartialValue,
    PartitionState, ViewId,
};
use nowcast_log::EventLog;
use nowcast_types::{PartitionId, Record, Stream, Timestamp, UserKey};
use std::collections::{BTreeMap, HashSet};

/// Users by name, as the oracle knows them, with the pseudonyms of the state.
pub(super) type Users = BTreeMap<String, UserKey>;

/// Everything the oracle can judge, read from the states of all partitions and the late stream.
pub(super) fn find(
    states: &[&PartitionState],
    log: &dyn EventLog,
    users: &Users,
    as_of_ms: i64,
) -> Result<Found> {
    let mut found = Found {
        as_of_ms,
        late: late_ids(log)?,
        ..Found::default()
    };
    for (name, key) in users {
        let owner = usize::from(key.partition(states.len() as u16).0);
        find_user(states[owner], name, key, &mut found);
    }
    let plan = states.first().context("no partitions")?.plan().clone();
    for view in VIEWS {
        let id = plan.find_view(view.name).context("a view is missing")?;
        let values = match view.entity {
            Entity::User => user_view(states, users, id, as_of_ms),
            _ => merged_view(states, &plan, view, id, as_of_ms),
        };
        found.views.insert(view.name, values);
    }
    Ok(found)
}

fn find_user(state: &PartitionState, name: &str, key: &UserKey, found: &mut Found) {
    let Some(user) = state.user(key) else {
        return;
    };
    let types = state.plan().event_types();
    let mut history: History = user
        .history()
        .iter()
        .map(|entry| {
            (
                i64::from(entry.time_s),
                state.item_id(entry.item).to_owned(),
                types.name(entry.event_type).to_owned(),
            )
        })
        .collect();
    history.sort();
    found.histories.insert(name.to_owned(), history);
    if let Some(segment) = user.segment() {
        let segment = state.segment(segment).to_owned();
        found.segments.insert(name.to_owned(), segment);
    }
}

fn user_view(
    states: &[&PartitionState],
    users: &Users,
    id: ViewId,
    as_of_ms: i64,
) -> BTreeMap<String, i64> {
    let mut values = BTreeMap::new();
    for (name, key) in users {
        let state = states[usize::from(key.partition(states.len() as u16).0)];
        let partial = state.partial(id, &FoldEntity::User(*key), Timestamp(as_of_ms));
        let value = partial.map(|partial| number(state.plan(), id, &partial, as_of_ms));
        if let Some(value) = value.filter(|value| *value != 0) {
            values.insert(name.clone(), value);
        }
    }
    values
}

/// A view of entities that every partition has a part of.
fn merged_view(
    states: &[&PartitionState],
    plan: &FoldPlan,
    view: &View,
    id: ViewId,
    as_of_ms: i64,
) -> BTreeMap<String, i64> {
    let mut merged: BTreeMap<String, PartialValue> = BTreeMap::new();
    for state in states {
        for (name, entity) in entities(state, view.entity) {
            let Some(partial) = state.partial(id, &entity, Timestamp(as_of_ms)) else {
                continue;
            };
            match merged.get_mut(&name) {
                Some(into) => plan.merge_partials(id, into, &partial),
                None => {
                    merged.insert(name, partial);
                }
            }
        }
    }
    merged
        .into_iter()
        .map(|(name, partial)| (name, number(plan, id, &partial, as_of_ms)))
        .filter(|(_, value)| *value != 0)
        .collect()
}

fn entities(state: &PartitionState, kind: Entity) -> Vec<(String, FoldEntity)> {
    match kind {
        Entity::Item => (0..state.items_len())
            .map(LocalItem)
            .map(|item| (state.item_id(item).to_owned(), FoldEntity::Item(item)))
            .collect(),
        Entity::Category => (0..state.categories_len())
            .map(LocalCategory)
            .map(|c| (state.category(c).to_owned(), FoldEntity::Category(c)))
            .collect(),
        Entity::Segment => (0..state.segments_len())
            .map(LocalSegment)
            .map(|s| (state.segment(s).to_owned(), FoldEntity::Segment(s)))
            .collect(),
        Entity::Global => vec![(String::new(), FoldEntity::Global)],
        Entity::User => Vec::new(),
    }
}

/// The drill's views are whole numbers.
fn number(plan: &FoldPlan, id: ViewId, partial: &PartialValue, as_of_ms: i64) -> i64 {
    match plan.partial_value(id, partial, Timestamp(as_of_ms)) {
        AggregateValue::Number(number) => number as i64,
        AggregateValue::Missing | AggregateValue::Ranked(_) => 0,
    }
}

fn late_ids(log: &dyn EventLog) -> Result<HashSet<String>> {
    let mut ids = HashSet::new();
    let bounds = log.bounds(Stream::Late, PartitionId(0))?;
    let mut position = bounds.earliest;
    while position < bounds.end {
        for batch in log.read(Stream::Late, PartitionId(0), position, 1 << 20)? {
            for (_, record) in batch.records() {
                if let Record::Event(event) = record? {
                    ids.insert(event.event_id.to_owned());
                }
            }
            position = batch.end_offset();
        }
    }
    Ok(ids)
}
