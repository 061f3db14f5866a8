//! Where the CPU of a batch of events goes: parsing, checking and encoding, answering; beside a
//! parser that only reads the same bodies. One thread, no network, no disk.
//!
//! `cargo run --release -p nowcast-server --example ingest_cost [words of one row]`

#![allow(clippy::print_stdout)]

use nowcast_engine::ingest::{Arrival, ArrivalClock, EventRules, Ingestor};
use nowcast_engine::pseudonym::{PseudonymKey, Pseudonymizer};
use nowcast_engine::{EngineConfig, EventFate, IngestOutcome};
use nowcast_log::MemoryLog;
use nowcast_server::wire::{event_batch, event_receipt};
use nowcast_store::Catalog;
use nowcast_types::{DeviceClass, EventTypes, ItemChange, Offset, PartitionId, Timestamp};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const EVENTS: usize = 500;
const BODIES: usize = 64;
const ROUNDS: usize = 25;
const NOW: i64 = 1_795_000_000_000;

#[derive(Deserialize)]
struct Borrowed<'a> {
    event_id: &'a str,
    event_type: &'a str,
    user_id: &'a str,
    item_id: &'a str,
    timestamp: i64,
}

#[derive(Deserialize)]
struct Owned {
    event_id: String,
    event_type: String,
    user_id: String,
    item_id: String,
    timestamp: i64,
}

fn main() {
    let bodies: Vec<String> = (0..BODIES).map(body).collect();
    let ingestor = ingestor();
    let arrival = Arrival {
        received_at: Timestamp(NOW),
        clock: ArrivalClock::Live,
        device: DeviceClass::Desktop,
        keeps_letters: true,
    };
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut measure = |name: &'static str, work: &mut dyn FnMut(&str)| {
        if !name.contains(&wanted) {
            return;
        }
        let start = Instant::now();
        for body in &bodies {
            work(body);
        }
        let ns = start.elapsed().as_nanos() as f64 / (BODIES * EVENTS) as f64;
        match rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, samples)) => samples.push(ns),
            None => rows.push((name, vec![ns])),
        }
    };
    for _ in 0..ROUNDS {
        measure("parser alone, borrowed", &mut |body| {
            let events: Vec<Borrowed<'_>> = serde_json::from_str(body).expect("valid");
            let sum = |e: &Borrowed<'_>| {
                e.event_id.len() + e.event_type.len() + e.user_id.len() + e.item_id.len()
            };
            black_box(
                events
                    .iter()
                    .map(|e| sum(e) + e.timestamp as usize)
                    .sum::<usize>(),
            );
        });
        measure("parser alone, owned", &mut |body| {
            let events: Vec<Owned> = serde_json::from_str(body).expect("valid");
            let sum = |e: &Owned| {
                e.event_id.len() + e.event_type.len() + e.user_id.len() + e.item_id.len()
            };
            black_box(
                events
                    .iter()
                    .map(|e| sum(e) + e.timestamp as usize)
                    .sum::<usize>(),
            );
        });
        measure("our parse", &mut |body| {
            black_box(parse(body).len());
        });
        measure("our parse, check and encode", &mut |body| {
            let batch = parse(body);
            black_box(ingestor.encode(&batch.drafts, &arrival));
        });
        measure("our parse and answer", &mut |body| {
            let batch = parse(body);
            black_box(event_receipt::batch(&outcome(&batch), &[], None));
        });
    }
    for (name, samples) in &mut rows {
        samples.sort_by(f64::total_cmp);
        println!("{name:30} {:7.0} ns an event", samples[samples.len() / 2]);
    }
}

fn parse(body: &str) -> event_batch::EventBatch<'_> {
    match event_batch::parse(body.as_bytes(), event_batch::Layout::Json, EVENTS) {
        Ok(batch) => batch,
        Err(_) => panic!("the bodies are valid"),
    }
}

fn outcome<'d>(batch: &'d event_batch::EventBatch<'_>) -> IngestOutcome<'d> {
    let fates = batch.drafts.iter().map(|draft| EventFate::Accepted {
        event_id: Cow::Borrowed(draft.event_id.as_deref().unwrap_or_default()),
        partition: PartitionId(0),
        offset: Offset::default(),
    });
    IngestOutcome {
        fates: fates.collect(),
        ends: Vec::new(),
    }
}

fn body(number: usize) -> String {
    let mut json = String::from("[");
    for index in 0..EVENTS {
        let sequence = number * EVENTS + index;
        let (user, item) = (sequence * 7919 % 100_000, sequence * 104_729 % 40_000);
        let comma = if index > 0 { "," } else { "" };
        let kind = ["view", "click", "impression", "dwell"][sequence % 4];
        write!(
            json,
            r#"{comma}{{"event_id":"r0-{sequence}","event_type":"{kind}","user_id":"user-{user}","item_id":"item-{item}","timestamp":{NOW}}}"#
        )
        .expect("a String takes everything");
    }
    json.push(']');
    json
}

fn ingestor() -> Ingestor {
    let catalog = Catalog::new();
    for item in 0..40_000 {
        let (item_id, json) = (
            format!("item-{item}"),
            format!(r#"{{"categories":["c{}"]}}"#, item % 50),
        );
        catalog
            .apply_unpublished(&ItemChange {
                item_id: &item_id,
                at: Timestamp(0),
                item: Some(&json),
            })
            .expect("a valid item");
    }
    catalog.publish();
    let key = PseudonymKey::new(1, [7; 32]);
    let rules = EventRules::new(
        EngineConfig::default().limits,
        Arc::new(EventTypes::default()),
        Arc::new(Pseudonymizer::new(&key)),
    );
    Ingestor::new(rules, Arc::new(catalog), Arc::new(MemoryLog::new(4)), 1)
}
