//! The power goes at every operation of random lives, twice each, and nothing acknowledged is lost.

use crate::crash_schedule::{Known, Life};
use nowcast_disk::{CrashFs, Fault, Fs, SimFs};
use std::sync::Arc;

/// A life, a crash at operation `nth`, a second life with a crash of its own, a third one.
pub(crate) fn crash_twice(
    life: Life,
    nth: u64,
    wrap: impl Fn(Arc<dyn Fs>) -> Arc<dyn Fs>,
) -> Result<(), String> {
    let fs = SimFs::new(life.seed ^ nth.rotate_left(32));
    let wrapped = wrap(Arc::new(fs.clone()));
    let mut known = Known::default();
    for nth in [nth, 1 + nth / 2] {
        fs.fault_at(nth, Fault::PowerOff);
        let _ = life.run(&wrapped, &mut known);
        fs.crash();
        life.check(&fs, &mut known)?;
    }
    let finished = life.run(&wrapped, &mut known);
    finished.map_err(|_| "the log does not work after the crashes".to_owned())?;
    life.check(&fs, &mut known)
}

/// Operations of a life that nothing disturbs.
pub(crate) fn count_operations(life: Life) -> u64 {
    let fs = CrashFs::counting(Arc::new(SimFs::new(life.seed)));
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let undisturbed = life.run(&shared, &mut Known::default());
    undisturbed.expect("nothing fails on a disk without faults");
    fs.operations()
}

fn crash_everywhere(segments_spare_max: usize) {
    let mut crashes = 0;
    for seed in 1..=4 {
        let life = Life {
            seed,
            steps: 24,
            segments_spare_max,
        };
        for nth in 1..=count_operations(life) {
            let outcome = crash_twice(life, nth, |fs| fs);
            outcome.unwrap_or_else(|error| panic!("{life:?}, operation {nth}: {error}"));
            crashes += 2;
        }
    }
    println!("{crashes} crashes");
    assert!(
        crashes > 400,
        "the schedule is too short to say anything: {crashes}"
    );
}

#[test]
fn acknowledged_events_survive_a_power_cut_at_every_operation() {
    crash_everywhere(0);
}

#[test]
fn acknowledged_events_survive_when_segments_are_recycled() {
    crash_everywhere(2);
}
