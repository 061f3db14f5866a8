//! What every [`StateStore`] must do, as one function that each implementation's tests call.
//!
//! It panics with the rule that is broken. It does not test durability: what a crash leaves is a
//! matter of each store's own tests.

use crate::checkpoint::ChainId;
use crate::error::StoreError;
use crate::sections::{self, SectionWriter};
use crate::state::{Commit, Content, Epoch, Loaded, Saved, StateStore, Verdict};
use nowcast_types::{Offset, PartitionId};
use std::collections::BTreeMap;

/// Kind of the sections used here: rows of items, which every store keeps by their keys.
const ROW: u8 = 2;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Checks a store whose chains of events are all empty.
///
/// # Panics
/// If the store breaks a rule.
pub fn check(store: &dyn StateStore) {
    nothing_is_loaded_from_nothing(store, chain(0));
    deltas_add_up(store, chain(1));
    older_epochs_are_refused(store, chain(2));
    commits_follow_each_other(store, chain(3));
    a_full_commit_replaces_everything(store, chain(4));
    an_unfit_state_is_not_accepted(store, chain(5));
    chains_do_not_touch_each_other(store, chain(6), chain(7));
    big_commits_are_whole(store, chain(8));
}

const fn chain(partition: u16) -> ChainId {
    ChainId::events(PartitionId(partition))
}

fn blob(rows: &[(&[u8], Option<&[u8]>)]) -> Vec<u8> {
    let mut blob = SectionWriter::new();
    for (key, value) in rows {
        blob.push(ROW, key, *value);
    }
    blob.into_bytes()
}

fn delta(
    store: &dyn StateStore,
    chain: ChainId,
    epoch: u64,
    (follows, position): (Option<Offset>, Offset),
    blob: &[u8],
) -> Result<(), StoreError> {
    let commit = Commit {
        epoch: Epoch(epoch),
        follows,
        position,
        content: Content::Delta(blob),
    };
    store.commit(chain, &commit)
}

fn rows_of(saved: &Saved) -> Rows {
    let mut rows = Rows::new();
    for blob in &saved.blobs {
        let parsed = sections::for_each(blob, |_, key, value| {
            match value {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        });
        parsed.expect("what was saved decodes");
    }
    rows
}

fn load(store: &dyn StateStore, chain: ChainId, epoch: u64) -> (Loaded, Rows) {
    let mut rows = Rows::new();
    let loaded = store
        .load(chain, Epoch(epoch), &mut |saved| {
            rows = rows_of(&saved);
            Verdict::Accept
        })
        .expect("a load by the newest owner");
    (loaded, rows)
}

fn is_fenced(outcome: &Result<(), StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Fenced { .. }))
}

fn is_stale(outcome: &Result<(), StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Stale { .. }))
}

fn row(key: &str, value: &str) -> Rows {
    Rows::from([(key.into(), value.into())])
}

fn nothing_is_loaded_from_nothing(store: &dyn StateStore, chain: ChainId) {
    let mut asked = 0;
    let loaded = store
        .load(chain, Epoch(1), &mut |_| {
            asked += 1;
            Verdict::Accept
        })
        .expect("an empty chain loads");
    assert_eq!((loaded.position, asked), (None, 0), "nothing was stored");
    assert!(!store.needs_full(chain), "an empty chain takes a delta");
}

fn deltas_add_up(store: &dyn StateStore, chain: ChainId) {
    load(store, chain, 1);
    let first = blob(&[(b"a", Some(b"1")), (b"b", Some(b"1")), (b"c", Some(b"1"))]);
    let second = blob(&[(b"b", None), (b"c", Some(b"2")), (b"", Some(b"\0"))]);
    delta(store, chain, 1, (None, 10), &first).expect("the first commit");
    delta(store, chain, 1, (Some(10), 20), &second).expect("the second commit");
    let (loaded, rows) = load(store, chain, 2);
    assert_eq!(loaded.position, Some(20));
    let mut expected = row("a", "1");
    expected.extend(row("c", "2"));
    expected.extend(row("", "\0"));
    assert_eq!(rows, expected, "the last value of each key counts");
}

fn older_epochs_are_refused(store: &dyn StateStore, chain: ChainId) {
    load(store, chain, 3);
    let change = blob(&[(b"a", Some(b"3"))]);
    delta(store, chain, 3, (None, 10), &change).expect("the owner commits");
    store.claim(chain, Epoch(4)).expect("a takeover");
    let late = blob(&[(b"a", Some(b"late"))]);
    let outcome = delta(store, chain, 3, (Some(10), 20), &late);
    assert!(is_fenced(&outcome), "dismissed by a claim: {outcome:?}");
    let outcome = store.claim(chain, Epoch(3));
    assert!(is_fenced(&outcome), "no way back: {outcome:?}");
    let outcome = store.load(chain, Epoch(2), &mut |_| Verdict::Accept);
    assert!(is_fenced(&outcome.map(|_| ())), "a load claims");
    let (loaded, rows) = load(store, chain, 4);
    assert_eq!((loaded.position, rows), (Some(10), row("a", "3")));
    let change = blob(&[(b"a", Some(b"4"))]);
    delta(store, chain, 4, (Some(10), 11), &change).expect("the new owner commits");
}

fn commits_follow_each_other(store: &dyn StateStore, chain: ChainId) {
    load(store, chain, 1);
    let change = blob(&[(b"a", Some(b"1"))]);
    delta(store, chain, 1, (None, 10), &change).expect("the first commit");
    let wrong = blob(&[(b"a", Some(b"wrong"))]);
    for (follows, position) in [
        (None, 20),
        (Some(9), 20),
        (Some(11), 20),
        (Some(10), 10),
        (Some(10), 9),
    ] {
        let outcome = delta(store, chain, 1, (follows, position), &wrong);
        assert!(is_stale(&outcome), "{follows:?} to {position}: {outcome:?}");
    }
    let outcome = delta(store, chain, 2, (Some(10), 20), &wrong);
    assert!(is_stale(&outcome), "an owner claims before it commits");
    let (loaded, rows) = load(store, chain, 1);
    assert_eq!((loaded.position, rows), (Some(10), row("a", "1")));
    delta(store, chain, 1, (Some(10), 20), &change).expect("the right one goes on");
}

fn a_full_commit_replaces_everything(store: &dyn StateStore, chain: ChainId) {
    load(store, chain, 1);
    let old = blob(&[(b"a", Some(b"1")), (b"b", Some(b"1"))]);
    delta(store, chain, 1, (None, 10), &old).expect("the first commit");
    let (one, two) = (blob(&[(b"b", Some(b"2"))]), blob(&[(b"c", Some(b"2"))]));
    let blobs = [&one[..], &two[..]];
    let commit = |epoch| Commit {
        epoch: Epoch(epoch),
        follows: Some(10),
        position: 30,
        content: Content::Full(&blobs),
    };
    store.claim(chain, Epoch(2)).expect("a takeover");
    let outcome = store.commit(chain, &commit(1));
    assert!(is_fenced(&outcome), "full or not: {outcome:?}");
    store.commit(chain, &commit(2)).expect("a full commit");
    let (loaded, rows) = load(store, chain, 2);
    let mut expected = row("b", "2");
    expected.extend(row("c", "2"));
    assert_eq!((loaded.position, rows), (Some(30), expected));
}

fn an_unfit_state_is_not_accepted(store: &dyn StateStore, chain: ChainId) {
    load(store, chain, 1);
    let old = blob(&[(b"a", Some(b"1")), (b"b", Some(b"1"))]);
    delta(store, chain, 1, (None, 10), &old).expect("the first commit");
    let loaded = store
        .load(chain, Epoch(2), &mut |_| Verdict::Unfit("odd".to_owned()))
        .expect("the load itself works");
    assert_eq!(loaded.position, None);
    assert!(
        loaded.damage.iter().any(|damage| damage.detail == "odd"),
        "the reason is reported"
    );
    let new = blob(&[(b"b", Some(b"2"))]);
    let content = [&new[..]];
    let content = if store.needs_full(chain) {
        Content::Full(&content)
    } else {
        Content::Delta(&new)
    };
    let commit = Commit {
        epoch: Epoch(2),
        follows: None,
        position: 5,
        content,
    };
    store.commit(chain, &commit).expect("it begins anew");
    let (loaded, rows) = load(store, chain, 3);
    assert_eq!((loaded.position, rows), (Some(5), row("b", "2")));
}

fn chains_do_not_touch_each_other(store: &dyn StateStore, one: ChainId, other: ChainId) {
    load(store, one, 1);
    load(store, other, 1);
    let (left, right) = (blob(&[(b"a", Some(b"1"))]), blob(&[(b"a", Some(b"2"))]));
    delta(store, one, 1, (None, 10), &left).expect("one");
    delta(store, other, 1, (None, 20), &right).expect("the other");
    delta(store, one, 1, (Some(10), 11), &left).expect("one again");
    assert_eq!(load(store, one, 1).0.position, Some(11));
    let (loaded, rows) = load(store, other, 1);
    assert_eq!((loaded.position, rows), (Some(20), row("a", "2")));
}

/// Larger than what a remote store sends at once.
fn big_commits_are_whole(store: &dyn StateStore, chain: ChainId) {
    load(store, chain, 1);
    let mut expected = Rows::new();
    let mut big = SectionWriter::new();
    for n in 0..3_000_u32 {
        let value = vec![n as u8; 1_000];
        big.push(ROW, &n.to_le_bytes(), Some(&value));
        expected.insert(n.to_le_bytes().to_vec(), value);
    }
    let big = big.into_bytes();
    delta(store, chain, 1, (None, 10), &big).expect("a commit of 3 MB");
    let last = blob(&[(&7_u32.to_le_bytes(), None)]);
    delta(store, chain, 1, (Some(10), 11), &last).expect("one more");
    expected.remove(&7_u32.to_le_bytes()[..]);
    let (loaded, rows) = load(store, chain, 2);
    assert_eq!(loaded.position, Some(11));
    assert!(rows == expected, "every row is there");
}
