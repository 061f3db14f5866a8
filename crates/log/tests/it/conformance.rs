//! The logs of this crate do what every log must.

use crate::fixtures::{open, small_config};
use nowcast_disk::SimFs;
use nowcast_log::conformance::CHECKS;
use nowcast_log::{EventLog, MemoryLog};
use std::sync::Arc;

fn run_all(make: impl Fn() -> Box<dyn EventLog>) {
    for (name, check) in CHECKS {
        println!("check: {name}");
        check(&*make());
    }
}

#[test]
fn the_memory_log_conforms() {
    run_all(|| Box::new(MemoryLog::new(1)));
}

#[test]
fn the_embedded_log_conforms() {
    run_all(|| {
        let fs = Arc::new(SimFs::new(1));
        Box::new(open(fs, small_config()).expect("an empty disk opens"))
    });
}
