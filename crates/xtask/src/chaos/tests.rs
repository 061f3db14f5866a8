//! The drills that need no process, in a small form, as ordinary tests.

use super::script::Script;
use super::*;
use nowcast_disk::{Fault, SimFs};

fn args(seed: u64) -> ChaosArgs {
    ChaosArgs {
        mode: None,
        faults: Vec::new(),
        scaling: false,
        kills: 0,
        crash_points: false,
        bit_flips: None,
        planted: false,
        short: true,
        child: None,
        seed,
        bin: None,
        json: true,
    }
}

#[test]
fn every_planted_bug_is_caught_and_the_control_is_clean() {
    let report = planted::run(&args(7)).expect("the drill runs");
    assert!(report.is_good(), "{report:?}");
}

#[test]
fn every_bit_flip_is_detected_and_no_wrong_value_is_served() {
    let report = bit_flips::run(&args(7), 60).expect("the drill runs");
    assert!(report.is_good(), "{report:?}");
}

#[test]
fn the_power_may_go_at_any_tenth_operation() {
    let script = Script::new(7);
    for nth in (1..300).step_by(10) {
        let fs = SimFs::new(nth);
        fs.fault_at(nth, Fault::PowerOff);
        let outcome = crash_points::survive(&script, &fs, None);
        assert!(outcome.is_ok(), "operation {nth}: {outcome:?}");
    }
}
