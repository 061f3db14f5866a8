//! `nowcast bench memory`: what a user and an item cost, all in, by the resident size of the
//! process: no estimate can forget the allocator, the hash tables or the slack of a vector.
//!
//! First the items: a catalogue, and enough traffic on it that every item has its counters, tiles
//! and neighbours. Then users are added who only touch those items, so that what grows is users.

use super::BenchOptions;
use super::fold::{encode, fold_batch};
use crate::cli::Shared;
use crate::measure::cpu::{peak_rss_mb, rss_mb};
use crate::progress;
use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use nowcast_features::{FoldConfig, FoldPlan, PartitionState};
use nowcast_sim::{RawEvent, SimRng, Zipf};
use nowcast_store::Catalog;
use nowcast_types::{ByteSize, EventTypes, ItemChange, Timestamp};
use serde::Serialize;
use std::sync::Arc;

/// Users that warm the items up.
const WARMING_USERS: u32 = 2_000;
/// Events between two encodings: bounds what the benchmark itself needs.
const PART_EVENTS: usize = 100_000;
/// Event time of the first event.
const START_MS: i64 = 1_700_000_000_000;

/// Flags of `bench memory`.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Users to add.
    #[arg(long)]
    users: Option<u32>,
    /// Items of the catalogue.
    #[arg(long, default_value_t = 40_000)]
    items: u32,
    /// Interactions per user.
    #[arg(long, default_value_t = 50)]
    history: u32,
}

#[derive(Debug, Serialize)]
struct MemoryResult {
    bytes_per_user: f64,
    bytes_per_item: f64,
    peak_rss_mb: f64,
    accounted_bytes_per_user: f64,
    users: u32,
    items: u32,
    history: u32,
    users_evicted: u64,
}

/// Runs it.
///
/// # Errors
/// When the fold configuration does not compile or the state holds other users than it should.
pub fn run(shared: &Shared, options: &BenchOptions, args: &MemoryArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let users = args
        .users
        .unwrap_or(if options.quick { 100_000 } else { 1_000_000 });
    // One partition holds everybody, so its budget must too; dedup memory is kept out of the
    // figure per user because it is a fixed bound, not a cost of users.
    let mut config = FoldConfig {
        state_bytes_max: ByteSize(64 << 30),
        ..FoldConfig::default()
    };
    config.dedup_entries_max = config.dedup_entries_max.min(200_000);
    let plan = FoldPlan::compile(&config, Arc::new(EventTypes::default()))
        .context("the default fold does not compile")?;
    let warming = (args.items as usize * 40).max(PART_EVENTS) as u64;
    let total = warming + u64::from(users) * u64::from(args.history);
    let bar = progress::bar(output, total, "events");

    // Page in what does not belong to items: code, buffers, the dedup memory.
    let mut driver = Driver {
        state: PartitionState::new(plan),
        rng: SimRng::new(options.seed),
        zipf: Zipf::new(args.items as usize, 0.8),
        sequence: 0,
        items: args.items,
        bar,
    };
    driver.bar.set_message("warming up");
    driver.spread(PART_EVENTS, 0, 1)?;
    let empty_mb = rss_mb();
    let catalog = catalogue(args.items)?;
    driver.bar.set_message("items");
    driver.spread(warming as usize - PART_EVENTS, 0, WARMING_USERS)?;
    let with_items_mb = rss_mb();
    let users_before = part(&driver.state, "users");
    let items_before = part(&driver.state, "items");
    driver.bar.set_message("users");
    driver.users(users, args.history)?;
    let with_users_mb = rss_mb();
    driver.bar.finish_and_clear();

    let evicted = driver.state.counters().users_evicted;
    let held = driver.state.users_len();
    anyhow::ensure!(
        evicted > 0 || held as u32 >= users,
        "the state holds {held} users instead of {users}"
    );
    let mib = f64::from(1 << 20);
    // New users make the rows of items grow as well: what the process grew by is shared out by what
    // the state accounts for.
    let users_grown = part(&driver.state, "users") - users_before;
    let items_grown = part(&driver.state, "items") - items_before;
    let grown = (with_users_mb - with_items_mb) * mib / (users_grown + items_grown);
    let per_user = users_grown / f64::from(users);
    let result = MemoryResult {
        bytes_per_user: per_user * grown,
        bytes_per_item: ((with_items_mb - empty_mb) * mib + items_grown * grown)
            / f64::from(args.items),
        peak_rss_mb: peak_rss_mb(),
        accounted_bytes_per_user: per_user,
        users,
        items: args.items,
        history: args.history,
        users_evicted: evicted,
    };
    std::hint::black_box(&catalog);
    output.result(&result, |r| {
        format!(
            "{:.0} bytes a user with {} interactions, {:.0} bytes an item, over {} users and {} \
             items; peak {:.0} MiB",
            r.bytes_per_user, r.history, r.bytes_per_item, r.users, r.items, r.peak_rss_mb
        )
    })
}

/// Bytes that the state accounts for in one of its parts.
fn part(state: &PartitionState, name: &str) -> f64 {
    let parts = state.state_bytes_by_part().into_iter();
    let bytes: u64 = parts
        .filter(|(part, _)| *part == name)
        .map(|(_, b)| b)
        .sum();
    bytes as f64
}

struct Driver {
    state: PartitionState,
    rng: SimRng,
    zipf: Zipf,
    sequence: u64,
    items: u32,
    bar: ProgressBar,
}

impl Driver {
    /// `events` of users `first..first + users`, in turn.
    fn spread(&mut self, events: usize, first: u32, users: u32) -> anyhow::Result<()> {
        self.fold(events as u64, |number| {
            first + (number % u64::from(users)) as u32
        })
    }

    /// `history` events of each of `users` new users. A user's events come together, as sessions
    /// do, so the histories are full while later users arrive.
    fn users(&mut self, users: u32, history: u32) -> anyhow::Result<()> {
        let events = u64::from(users) * u64::from(history);
        self.fold(events, |number| {
            WARMING_USERS + (number / u64::from(history)) as u32
        })
    }

    fn fold(&mut self, events: u64, user_of: impl Fn(u64) -> u32) -> anyhow::Result<()> {
        let mut outcomes = Vec::new();
        let mut done = 0;
        while done < events {
            let part: Vec<RawEvent> = (done..events.min(done + PART_EVENTS as u64))
                .map(|number| self.event(user_of(number)))
                .collect();
            let base = self.state.position();
            for batch in encode(&part)? {
                fold_batch(&mut self.state, &batch, base, &mut outcomes)?;
            }
            done += part.len() as u64;
            self.bar.inc(part.len() as u64);
        }
        Ok(())
    }

    fn event(&mut self, user: u32) -> RawEvent {
        let sequence = self.sequence;
        self.sequence += 1;
        let rank = self.zipf.draw(&mut self.rng) as u64;
        RawEvent {
            sequence,
            user,
            item: (rank * 2_654_435_761 % u64::from(self.items)) as u32,
            // Views, clicks and purchases: everything that enters a history.
            kind: 2 + (self.rng.next_u64() % 6) as u8,
            timestamp_ms: START_MS + (sequence / 20) as i64,
        }
    }
}

/// A catalogue with rows as sites have them.
fn catalogue(items: u32) -> anyhow::Result<Catalog> {
    let catalog = Catalog::new();
    for number in 0..items {
        let item_id = format!("i{number}");
        let row = format!(
            r#"{{"categories":["category-{}"],"tags":["tag-{}","tag-{}"],"attributes":{{"title":"The Quiet Harbour of Item {number}","price":{}}},"available":true}}"#,
            number % 16,
            number % 101,
            number % 211,
            number % 97
        );
        catalog
            .apply_unpublished(&ItemChange {
                item_id: &item_id,
                at: Timestamp(START_MS),
                item: Some(&row),
            })
            .with_context(|| format!("item {item_id} was refused"))?;
    }
    catalog.publish();
    Ok(catalog)
}
