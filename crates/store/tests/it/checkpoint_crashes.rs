//! Power goes at every single operation; what was acknowledged is there, and nothing else.

use crate::keyed_state::{CHAIN, Choices, History, open, recover};
use nowcast_disk::{Fault, SimFs};
use nowcast_store::{CheckpointStore, StoreError};

/// Checkpoints with compactions and full ones between; returns the last acknowledged position.
fn run(
    store: &CheckpointStore,
    history: &mut History,
    from: u64,
    choices: &mut Choices,
) -> (u64, Result<(), StoreError>) {
    let mut acknowledged = from;
    for position in from + 1..=from + 12 {
        let delta = history.step(position, choices);
        let written = if store.needs_full(CHAIN) || choices.below(8) == 0 {
            store.append_full(CHAIN, position, &[&history.full()])
        } else {
            store.append_delta(CHAIN, position, &delta)
        };
        if let Err(error) = written {
            return (acknowledged, Err(error));
        }
        acknowledged = position;
        if store.wants_compaction(CHAIN)
            && let Err(error) = store.compact(CHAIN)
        {
            return (acknowledged, Err(error));
        }
    }
    (acknowledged, Ok(()))
}

/// Runs with the power going at the `nth` operation, restarts, checks, runs on, checks again.
fn crash_at(nth: u64, seed: u64) -> bool {
    let fs = SimFs::new(seed);
    let mut choices = Choices(seed);
    let mut history = History::default();
    let store = open(&fs).unwrap();
    recover(&store).unwrap();
    fs.fault_at(nth, Fault::PowerOff);
    let (acknowledged, outcome) = run(&store, &mut history, 0, &mut choices);
    fs.crash();
    let store = open(&fs).unwrap();
    let found = recover(&store).unwrap();
    assert!(found.damage.is_empty(), "op {nth}: {:?}", found.damage);
    let (position, state) = found.newest.unwrap_or_default();
    // The write that was under way may have happened; nothing later can have.
    assert!(
        (acknowledged..=acknowledged + 1).contains(&position),
        "op {nth}: acknowledged {acknowledged}, found {position}"
    );
    let expected = history.at.get(&position).cloned().unwrap_or_default();
    assert_eq!(state, expected, "op {nth}");
    history.state = state;
    let (last, went_on) = run(&store, &mut history, position, &mut choices);
    went_on.unwrap();
    fs.crash();
    let found = recover(&open(&fs).unwrap()).unwrap();
    assert_eq!(found.newest, Some((last, history.state)), "op {nth}");
    outcome.is_err()
}

#[test]
fn every_operation_may_be_the_last_before_power_loss() {
    for seed in 1..=4 {
        let mut nth = 1;
        while crash_at(nth, seed) {
            nth += 1;
        }
        assert!(nth > 60, "the run must have many operations, not {nth}");
    }
}

#[test]
fn after_a_failed_write_only_a_full_checkpoint_goes_on() {
    for fault in [Fault::Error, Fault::DiskFull] {
        for nth in 1..=6 {
            let fs = SimFs::new(9);
            let mut choices = Choices(9);
            let mut history = History::default();
            let store = open(&fs).unwrap();
            recover(&store).unwrap();
            let first = history.step(1, &mut choices);
            store.append_delta(CHAIN, 1, &first).unwrap();
            fs.fault_at(nth, fault);
            let second = history.step(2, &mut choices);
            assert!(store.append_delta(CHAIN, 2, &second).is_err(), "op {nth}");
            let third = history.step(3, &mut choices);
            assert!(store.needs_full(CHAIN));
            assert!(store.append_delta(CHAIN, 3, &third).is_err());
            store.append_full(CHAIN, 3, &[&history.full()]).unwrap();
            let fourth = history.step(4, &mut choices);
            store.append_delta(CHAIN, 4, &fourth).unwrap();
            fs.crash();
            let found = recover(&open(&fs).unwrap()).unwrap();
            assert_eq!(found.newest, Some((4, history.state)), "op {nth}");
        }
    }
}

#[test]
fn a_position_never_goes_backwards() {
    let store = open(&SimFs::new(1)).unwrap();
    let mut history = History::default();
    let delta = history.step(5, &mut Choices(1));
    assert!(
        store.append_delta(CHAIN, 5, &delta).is_err(),
        "not recovered yet"
    );
    recover(&store).unwrap();
    store.append_delta(CHAIN, 5, &delta).unwrap();
    assert!(store.append_delta(CHAIN, 4, &delta).is_err());
    store.append_delta(CHAIN, 5, &delta).unwrap();
}
