//! What goes in: a real file of ratings, or simulated traffic, and a catalogue.

use anyhow::{Context, Result};
use nowcast_engine::{EventDraft, When};
use nowcast_sim::{Traffic, TrafficOptions};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// The real file, inside the folder that NOWCAST_DATA names: MovieLens 100K as RecBole ships it.
pub(super) const REAL_FILE: &str = "ml-100k/ml-100k.inter.zst";

/// Categories of the catalogue.
const CATEGORIES: u32 = 19;

/// Events in order, and the items they are about.
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) events: Vec<InputEvent>,
    pub(super) items: Vec<(usize, String, Value)>,
    /// Users to ask for.
    pub(super) users: Vec<String>,
    /// When the questions are asked, milliseconds since 1970.
    pub(super) now_ms: i64,
}

/// One event.
pub(super) struct InputEvent {
    kind: &'static str,
    user: u32,
    item: u32,
    timestamp_ms: i64,
    value: Option<f64>,
}

impl InputEvent {
    /// As it is taken in; `at` makes its id.
    pub(super) fn draft(&self, at: usize) -> EventDraft<'static> {
        EventDraft {
            event_id: Some(format!("e{at}").into()),
            event_type: Some(self.kind.into()),
            user_id: Some(user_id(self.user).into()),
            item_id: Some(item_id(self.item).into()),
            timestamp: Some(When::Ms(self.timestamp_ms)),
            value: self.value,
            ..EventDraft::default()
        }
    }
}

fn user_id(user: u32) -> String {
    format!("u{user}")
}

fn item_id(item: u32) -> String {
    format!("i{item}")
}

/// The real file in the order of its times; `None` where it is not.
pub(super) fn real() -> Result<Option<Input>> {
    let Some(folder) = std::env::var_os("NOWCAST_DATA") else {
        return Ok(None);
    };
    let path = PathBuf::from(folder).join(REAL_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let name = || path.display().to_string();
    let file = File::open(&path).with_context(name)?;
    let lines = BufReader::new(zstd::Decoder::new(file)?).lines().skip(1);
    let mut events = Vec::new();
    for (at, line) in lines.enumerate() {
        let line = line.with_context(name)?;
        let event = rating(&line).with_context(|| format!("{}:{}", name(), at + 2))?;
        events.push(event);
    }
    events.sort_by_key(|event| event.timestamp_ms);
    Ok(Some(input("ml-100k", events)))
}

/// User, item, rating and seconds, separated by tabs.
fn rating(line: &str) -> Result<InputEvent> {
    let mut fields = line.split('\t');
    let mut field = || fields.next().context("a field is missing");
    let (user, item) = (field()?.parse()?, field()?.parse()?);
    let (stars, seconds): (f64, f64) = (field()?.parse()?, field()?.parse()?);
    Ok(InputEvent {
        kind: "rating",
        user,
        item,
        timestamp_ms: (seconds * 1_000.0) as i64,
        value: Some(stars),
    })
}

/// So many events of many users with Zipf-popular items.
pub(super) fn simulated(events: usize) -> Input {
    let users = (events / 50).clamp(50, 100_000) as u32;
    let options = TrafficOptions {
        users,
        items: (users / 2).clamp(100, 40_000),
        events_per_second: (events as u32 / 20_000).max(1),
        ..TrafficOptions::default()
    };
    let event = |raw: nowcast_sim::RawEvent| InputEvent {
        kind: raw.event_type(),
        user: raw.user,
        item: raw.item,
        timestamp_ms: raw.timestamp_ms,
        value: None,
    };
    let events = Traffic::new(11, options).take(events).map(event).collect();
    input("simulated", events)
}

fn input(name: &'static str, events: Vec<InputEvent>) -> Input {
    let mut items: Vec<u32> = events.iter().map(|event| event.item).collect();
    items.sort_unstable();
    items.dedup();
    let described = items.iter().enumerate().map(|(at, item)| {
        let category = format!("c{}", item % CATEGORIES);
        (at, item_id(*item), json!({ "categories": [category] }))
    });
    let mut users: Vec<u32> = events.iter().map(|event| event.user).collect();
    users.sort_unstable();
    users.dedup();
    // About five hundred of them, from everywhere, and one that nobody knows.
    let step = (users.len() / 500).max(1);
    let asked = users.iter().step_by(step).map(|user| user_id(*user));
    Input {
        name,
        items: described.collect(),
        users: asked.chain(["nobody".to_owned()]).collect(),
        now_ms: events.last().map_or(0, |event| event.timestamp_ms) + 60_000,
        events,
    }
}
