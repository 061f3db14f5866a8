//! Records about a user rather than by one: their segment and attributes, and their erasure.
//!
//! An erasure removes the whole row (history, session, affinity, features, record) and the pending
//! slates here and, as tombstones, from the checkpoints. Sums over users stay: counters and sketches of items,
//! categories and segments name nobody.

use super::PartitionState;
use crate::ids::LocalSegment;
use crate::outcome::Outcome;
use nowcast_types::{UserChange, UserKey};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

impl PartitionState {
    pub(super) fn apply_user_change(&mut self, change: &UserChange<'_>) -> Outcome {
        let segment = change
            .segment
            .filter(|name| !name.is_empty())
            .map(|name| LocalSegment(self.segments.intern_name(name)));
        let slot = self.users.find_or_insert(&change.user, None);
        let user = self.users.touch(slot, self.clock.users_lap);
        let before = user.bytes(self.plan.history_len);
        if !change.is_patch || change.segment.is_some() {
            user.set_segment(segment);
        }
        let old = user.take_attributes();
        let attributes = match (change.attributes, old) {
            (Some(new), Some(old)) if change.is_patch => Some(patched(&old, new)),
            (Some(new), _) => Some(new.into()),
            (None, old) => old.filter(|_| change.is_patch),
        };
        user.set_attributes(attributes);
        let after = user.bytes(self.plan.history_len);
        self.users.settle(before, after);
        Outcome::Applied
    }

    pub(super) fn erase(&mut self, key: &UserKey) -> Outcome {
        if let Some(slot) = self.users.find(key) {
            self.users.remove(slot, self.plan.history_len);
            self.progress.counters.users_erased += 1;
        }
        let plan = std::sync::Arc::clone(&self.plan);
        if let Some(attribution) = &plan.attribution {
            self.joiner.erase(attribution, plan.lateness_ms, key);
        }
        Outcome::Applied
    }
}

/// The old object with the fields of the new one, whose nulls remove fields (as JSON Merge Patch
/// does, RFC 7396, one level deep), in the order of names. What is not an object is replaced.
fn patched(old: &str, new: &str) -> Box<str> {
    type Fields<'a> = BTreeMap<String, &'a RawValue>;
    let (Ok(mut fields), Ok(changes)) = (
        serde_json::from_str::<Fields<'_>>(old),
        serde_json::from_str::<Fields<'_>>(new),
    ) else {
        return new.into();
    };
    for (name, value) in changes {
        if value.get() == "null" {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    serde_json::to_string(&fields).map_or_else(|_| new.into(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_adds_replaces_and_removes_fields() {
        let cases = [
            (
                r#"{"b":1,"a":"x"}"#,
                r#"{"c":[1,2]}"#,
                r#"{"a":"x","b":1,"c":[1,2]}"#,
            ),
            (r#"{"a":1}"#, r#"{"a":2.50}"#, r#"{"a":2.50}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":null}"#, r#"{"b":2}"#),
            (r#"{"a":1}"#, "[]", "[]"),
        ];
        for (old, new, expected) in cases {
            assert_eq!(&*patched(old, new), expected);
        }
    }
}
