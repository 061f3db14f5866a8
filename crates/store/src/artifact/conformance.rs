//! What every [`ArtifactPlace`] must do, as one function that each implementation's tests call.
//!
//! It panics with the rule that is broken. It does not test durability: what a crash leaves is a
//! matter of each place's own tests.

use super::{ArtifactPlace, ArtifactStore, Key, LIVE, PREVIOUS};
use crate::error::StoreError;
use nowcast_types::ErrorKind;
use std::sync::{Arc, Barrier};

/// Writers that race each other.
const WRITERS: u64 = 6;
/// Races of each kind.
const ROUNDS: u64 = 8;

/// Checks a place that is empty. `open` opens it once more, as another process would if the place
/// is meant for several that write.
///
/// # Panics
/// If the place breaks a rule.
pub fn check(open: &dyn Fn() -> Arc<dyn ArtifactPlace>) {
    let place = open();
    nothing_is_found_in_nothing(&*place);
    what_is_created_stays(&*place);
    only_what_was_seen_is_replaced(&*place);
    what_is_removed_is_gone(&*place);
    one_creator_wins(open);
    no_replacement_is_lost(open);
    every_writer_publishes_its_own_version(open);
}

fn key<'a>(artifact: &'a str, file: &'a str) -> Key<'a> {
    Key { artifact, file }
}

#[track_caller]
fn done<T>(outcome: Result<T, StoreError>) -> T {
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

/// The bytes of a file that must be there.
#[track_caller]
fn content(place: &dyn ArtifactPlace, at: Key<'_>) -> Vec<u8> {
    let found = done(place.read(at));
    found.unwrap_or_else(|| panic!("{at} is gone")).bytes
}

fn nothing_is_found_in_nothing(place: &dyn ArtifactPlace) {
    assert!(done(place.names()).is_empty());
    assert!(done(place.entries("none")).is_empty());
    assert_eq!(done(place.read(key("none", "a"))), None);
    done(place.remove(key("none", "a")));
}

fn what_is_created_stays(place: &dyn ArtifactPlace) {
    let (first, empty) = (key("created", "a"), key("created", "b"));
    assert!(done(place.create(first, b"one")));
    assert!(!done(place.create(first, b"two")));
    assert!(done(place.create(empty, b"")));
    assert_eq!(content(place, first), b"one");
    assert_eq!(content(place, empty), b"");
    let mut entries = done(place.entries("created"));
    entries.sort_by(|a, b| a.file.cmp(&b.file));
    let listed: Vec<(&str, u64)> = entries.iter().map(|e| (&*e.file, e.bytes)).collect();
    assert_eq!(listed, [("a", 3), ("b", 0)]);
    assert!(done(place.names()).contains(&"created".to_owned()));
    // A name that only begins like another one is another one.
    assert!(done(place.entries("creat")).is_empty());
}

fn only_what_was_seen_is_replaced(place: &dyn ArtifactPlace) {
    let at = key("replaced", "a");
    assert!(done(place.replace(at, None, b"one")));
    assert!(!done(place.replace(at, None, b"two")));
    let one = done(place.read(at)).map(|found| found.tag);
    assert!(done(place.replace(at, one.as_ref(), b"two")));
    assert!(!done(place.replace(at, one.as_ref(), b"three")));
    assert_eq!(content(place, at), b"two");
    done(place.remove(at));
    let refused = done(place.replace(at, one.as_ref(), b"four"));
    assert!(!refused, "what was seen is no longer there");
    assert_eq!(done(place.read(at)), None);
}

fn what_is_removed_is_gone(place: &dyn ArtifactPlace) {
    let at = key("removed", "a");
    assert!(done(place.create(at, b"one")));
    done(place.remove(at));
    done(place.remove(at));
    assert_eq!(done(place.read(at)), None);
    assert!(done(place.entries("removed")).is_empty());
    assert!(done(place.create(at, b"two")));
}

/// Runs `work` for every writer at the same moment, each with a place of its own.
fn race<T: Send>(
    open: &dyn Fn() -> Arc<dyn ArtifactPlace>,
    work: impl Fn(u64, Arc<dyn ArtifactPlace>) -> T + Sync,
) -> Vec<T> {
    let places: Vec<_> = (0..WRITERS).map(|_| open()).collect();
    let start = Barrier::new(places.len());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0_u64..)
            .zip(places)
            .map(|(writer, place)| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(writer, place)
                })
            })
            .collect();
        let joined = writers.into_iter().map(|writer| writer.join());
        joined
            .map(|outcome| outcome.expect("a writer panicked"))
            .collect()
    })
}

fn one_creator_wins(open: &dyn Fn() -> Arc<dyn ArtifactPlace>) {
    for round in 0..ROUNDS {
        let file = round.to_string();
        let at = key("raced", &file);
        let body = |writer: u64| format!("writer {writer}").into_bytes();
        let told = race(open, |writer, place| done(place.create(at, &body(writer))));
        let winners: Vec<u64> = (0_u64..)
            .zip(&told)
            .filter_map(|(writer, won)| won.then_some(writer))
            .collect();
        assert_eq!(winners.len(), 1, "round {round}: {told:?}");
        assert_eq!(content(&*open(), at), body(winners[0]), "round {round}");
    }
}

/// Each writer adds one to a number, over and over until it got through.
fn no_replacement_is_lost(open: &dyn Fn() -> Arc<dyn ArtifactPlace>) {
    let at = key("counted", "number");
    race(open, |_, place| {
        for _ in 0..ROUNDS {
            loop {
                let found = done(place.read(at));
                let text = found.as_ref().map(|found| &found.bytes[..]).unwrap_or(b"0");
                let number: u64 = std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .expect("a number was written");
                let next = (number + 1).to_string();
                let tag = found.as_ref().map(|found| &found.tag);
                if done(place.replace(at, tag, next.as_bytes())) {
                    break;
                }
            }
        }
    });
    let expected = (WRITERS * ROUNDS).to_string();
    assert_eq!(content(&*open(), at), expected.as_bytes());
}

/// What training does, from several processes at once: none overwrites another one's version, and
/// in the end the aliases point at versions that are there.
fn every_writer_publishes_its_own_version(open: &dyn Fn() -> Arc<dyn ArtifactPlace>) {
    let published = race(open, |writer, place| {
        let store = ArtifactStore::on(place, 100);
        let body = format!("model of {writer}");
        loop {
            let version = done(store.next_version("model"));
            match store.put("model", version, body.as_bytes()) {
                Ok(()) => {
                    done(store.promote("model", version));
                    return (version, body);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let store = ArtifactStore::on(open(), 100);
    for (version, body) in &published {
        assert_eq!(done(store.get("model", *version)), body.as_bytes());
    }
    let versions = done(store.list("model"));
    assert_eq!(versions.len() as u64, WRITERS);
    let live = done(store.alias("model", LIVE)).expect("something is live");
    let previous = done(store.alias("model", PREVIOUS)).expect("something was live before");
    assert_ne!(live, previous);
    for alias in [live, previous] {
        assert!(
            versions.iter().any(|known| known.version == alias),
            "{alias}"
        );
    }
}
