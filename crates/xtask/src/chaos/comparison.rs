//! What was found in a state beside what the oracle says must be in it.

use super::oracle::{Entity, History, Oracle, VIEWS, View};
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, HashSet};

/// Differences told in words, at most this many.
const TOLD_MAX: usize = 10;

/// What a state holds, in the oracle's terms.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Per user, sorted as the oracle sorts.
    pub(super) histories: BTreeMap<String, History>,
    pub(super) segments: BTreeMap<String, String>,
    /// Per view, the value of each entity that has one.
    pub(super) views: BTreeMap<&'static str, BTreeMap<String, i64>>,
    /// Ids in the late stream.
    pub(super) late: HashSet<String>,
    /// The time that the views were read for.
    pub(super) as_of_ms: i64,
}

/// How a state differs from what it must be.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Acknowledged events that are not there.
    pub(super) lost: u64,
    /// Events that count more often than once, or should not count at all.
    pub(super) doubled: u64,
    /// The first differences of any kind, in words; none if the state is right.
    pub(super) differences: Vec<String>,
}

impl Comparison {
    /// Whether nothing differs.
    pub(super) fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    /// Makes any difference an error.
    pub(super) fn demand_equal(&self) -> Result<()> {
        ensure!(
            self.is_equal(),
            "{} lost, {} doubled: {}",
            self.lost,
            self.doubled,
            self.differences.join("; ")
        );
        Ok(())
    }

    fn tell(&mut self, difference: String) {
        if self.differences.len() < TOLD_MAX {
            self.differences.push(difference);
        }
    }
}

/// Holds a state against the oracle.
pub(super) fn compare(oracle: &Oracle, found: &Found) -> Comparison {
    let mut result = Comparison::default();
    compare_histories(oracle, found, &mut result);
    compare_late(oracle, found, &mut result);
    for user in oracle.histories().keys() {
        let expected = oracle.segment(user);
        let got = found.segments.get(user).map(String::as_str);
        if expected != got {
            result.tell(format!("{user}: segment {got:?} instead of {expected:?}"));
        }
    }
    for view in VIEWS {
        compare_view(oracle, found, view, &mut result);
    }
    result
}

fn compare_histories(oracle: &Oracle, found: &Found, result: &mut Comparison) {
    let empty = History::new();
    for (user, expected) in &oracle.histories() {
        let got = found.histories.get(user).unwrap_or(&empty);
        if expected == got {
            continue;
        }
        let missing = surplus(expected, got);
        let extra = surplus(got, expected);
        result.lost += missing;
        result.doubled += extra;
        result.tell(format!(
            "{user}: history lacks {missing} and has {extra} too many"
        ));
    }
}

/// How many entries of `of` have no partner in `beside`; both sorted.
fn surplus(of: &History, beside: &History) -> u64 {
    let mut rest = beside.iter().peekable();
    let mut unmatched = 0;
    for entry in of {
        while rest.peek().is_some_and(|other| *other < entry) {
            rest.next();
        }
        if rest.peek() == Some(&entry) {
            rest.next();
        } else {
            unmatched += 1;
        }
    }
    unmatched
}

fn compare_late(oracle: &Oracle, found: &Found, result: &mut Comparison) {
    for id in oracle.late().difference(&found.late) {
        result.lost += 1;
        result.tell(format!("late event {id} is not in the late stream"));
    }
}

fn compare_view(oracle: &Oracle, found: &Found, view: &View, result: &mut Comparison) {
    let expected = oracle.view(view, found.as_of_ms);
    let empty = BTreeMap::new();
    let got = found.views.get(view.name).unwrap_or(&empty);
    let entities: HashSet<&String> = expected.keys().chain(got.keys()).collect();
    for entity in entities {
        let expected = expected.get(entity).copied().unwrap_or(0);
        let got = got.get(entity).copied().unwrap_or(0);
        if expected == got {
            continue;
        }
        // Impressions are in no history: the counts of users are where they show.
        if view.entity == Entity::User && result.lost + result.doubled == 0 {
            result.lost += u64::from(got < expected);
            result.doubled += u64::from(got > expected);
        }
        result.tell(format!(
            "{} of `{entity}`: {got} instead of {expected}",
            view.name
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seconds: i64) -> (i64, String, String) {
        (seconds, "item-1".to_owned(), "click".to_owned())
    }

    #[test]
    fn a_missing_and_a_repeated_entry_are_told_apart() {
        let expected = vec![entry(1), entry(2), entry(3)];
        let got = vec![entry(1), entry(1), entry(3)];
        assert_eq!(surplus(&expected, &got), 1);
        assert_eq!(surplus(&got, &expected), 1);
        assert_eq!(surplus(&expected, &expected), 0);
    }
}
