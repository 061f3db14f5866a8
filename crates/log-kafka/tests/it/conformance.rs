//! The log on Kafka does what every log must.

use crate::rig::{config, open, shared};
use nowcast_log::conformance::CHECKS;

#[test]
fn the_log_on_kafka_conforms() {
    let kafka = shared();
    for (name, check) in CHECKS {
        println!("check: {name}");
        check(&open(config(&kafka.bootstrap())).expect("fresh topics"));
    }
}
