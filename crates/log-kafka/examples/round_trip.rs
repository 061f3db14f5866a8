//! Writes one event to a log and reads it back:
//! `cargo run -p nowcast-log-kafka --example round_trip 'kafka://host:9092/prefix?sasl=…'`.
//!
//! To find out whether a cluster can be reached with the settings of a URL.

#![allow(clippy::print_stdout, reason = "a program for people")]

use nowcast_log::EventLog;
use nowcast_log::conformance::{EVENTS, batch};
use nowcast_log_kafka::{KafkaConfig, KafkaLog};
use nowcast_types::EventTypes;
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which URL?")?;
    let mut config = KafkaConfig::default();
    config.apply_url(&url)?;
    let log = KafkaLog::open(config, Arc::new(EventTypes::default()))?;
    let offsets = log.append(EVENTS.0, EVENTS.1, batch(0..1, 0)).wait()?;
    println!("stored at {offsets:?}");
    let batches = log.read(EVENTS.0, EVENTS.1, offsets.start, 1 << 20)?;
    let found = batches
        .iter()
        .flat_map(|stored| stored.records())
        .find(|(offset, _)| *offset == offsets.start);
    let (_, record) = found.ok_or("it cannot be read back")?;
    println!("read back: {:?}", record?);
    Ok(())
}
