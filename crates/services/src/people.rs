//! Services that somebody at a terminal starts, uses for as long as they like, and takes down.
//!
//! There is at most one of each per user, apart from those that tests start. They outlive the
//! command that started them; a record in the run folder leads back to them.

use crate::error::{At, Result};
use crate::home::Home;
use crate::offers::{Found, Kind, Offer};
use crate::places::{open_lock, run_root, say};
use crate::service::Service;
use crate::standing::Record;
use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

/// Makes sure that a service and what it needs run, and says where. One that runs is left alone.
///
/// # Errors
/// When there is no such service, or it cannot be fetched or started.
pub fn up(name: &str) -> Result<Record> {
    let offer = Offer::named(name)?;
    let needs = offer
        .needs
        .iter()
        .map(|need| up(need))
        .collect::<Result<Vec<Record>>>()?;
    let _gate = gate(name)?;
    let home = home(name)?;
    if let Some(record) = Record::read(&home)? {
        if record.is_alive() && needs.iter().all(|need| works_for(&record, need)) {
            return Ok(record);
        }
        record.remove(&home)?;
    }
    let begun = Instant::now();
    let service: Box<dyn Service> = match offer.kind {
        Kind::Server { start, .. } => {
            say(format_args!("starting {name}: {}", offer.about));
            start(Home::kept(&home)?, &needs)?
        }
        Kind::Tool { endpoint, fetch } => {
            let program = fetch()?;
            Home::kept(&home)?;
            Box::new(Found { endpoint, program })
        }
    };
    let record = Record::leave(name, &*service, &home)?;
    say(format_args!(
        "{name} is ready after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    Ok(record)
}

/// Takes a service down and removes its data; says whether there was one.
///
/// # Errors
/// When there is no service of that name, or the system refuses to end it.
pub fn down(name: &str) -> Result<bool> {
    Offer::named(name)?;
    let _gate = gate(name)?;
    let home = home(name)?;
    let Some(record) = Record::read(&home)? else {
        return Ok(false);
    };
    record.remove(&home)?;
    Ok(true)
}

/// What was brought up and not yet taken down, in the order of [`Offer::all`].
///
/// # Errors
/// When a record cannot be read.
pub fn status() -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for offer in Offer::all() {
        records.extend(Record::read(&home(offer.name)?)?);
    }
    Ok(records)
}

/// Whether a service was started for the very instance that is needed.
fn works_for(record: &Record, need: &Record) -> bool {
    need.endpoints.iter().all(|needed| {
        record
            .endpoints
            .iter()
            .any(|endpoint| endpoint.value == needed.value)
    })
}

fn home(name: &str) -> Result<PathBuf> {
    Ok(run_root()?.join("up").join(name))
}

/// One command at a time brings a service up or down.
fn gate(name: &str) -> Result<File> {
    let path = run_root()?.join("up").join(format!("{name}.lock"));
    let gate = open_lock(&path)?;
    gate.lock().at("lock", path)?;
    Ok(gate)
}
