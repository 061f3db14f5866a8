//! `nowcast size`: how much memory the state will need on Redis.

use crate::cli::Shared;
use crate::settings;
use clap::Args;
use nowcast_store_redis::{Sizes, estimate};
use serde::Serialize;

/// Estimates the memory of Redis for a number of users and items.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast size --users 1000000 --events 50 --items 100000
  nowcast size --users 50000000 --events 200 --items 2000000 --replicas 1 --json

The sizes follow from the layout and from what Redis adds to each key; user_ttl and partitions come from
the configuration. It is a plan, not a promise: leave a third on top.")]
pub struct SizeArgs {
    /// Users known.
    #[arg(long)]
    users: u64,
    /// Events a user has on average; what is beyond the history is forgotten.
    #[arg(long, default_value_t = 50)]
    events: u64,
    /// Items that events name.
    #[arg(long)]
    items: u64,
    /// Bytes of an item's id.
    #[arg(long, default_value_t = 16)]
    id_bytes: u64,
    /// Copies besides the masters.
    #[arg(long, default_value_t = 0)]
    replicas: u64,
}

#[derive(Debug, Serialize)]
struct SizeResult {
    users_bytes: u64,
    items_bytes: u64,
    event_ids_bytes: u64,
    server_bytes: u64,
    copies: u64,
    total_bytes: u64,
}

/// Runs it.
///
/// # Errors
/// A configuration that does not hold.
pub fn run(shared: &Shared, args: &SizeArgs) -> anyhow::Result<()> {
    let settings = settings::load(shared)?.settings;
    let partitions = u64::from(settings.engine.events.partitions);
    let events = args.events.min(u64::from(settings.engine.fold.history_len));
    let sizes = Sizes {
        events_per_user: events,
        item_id_bytes: args.id_bytes,
        has_ttl: settings.backends.has_ttl(),
        ids: args.users.saturating_mul(events),
        ..Sizes::guess(args.users, events, args.items, partitions)
    };
    let copy = estimate(&sizes);
    let copies = 1 + args.replicas;
    let result = SizeResult {
        users_bytes: copy.users,
        items_bytes: copy.items,
        event_ids_bytes: copy.ids,
        server_bytes: copy.server,
        copies,
        total_bytes: copy.total() * copies,
    };
    shared.output().result(&result, describe)
}

fn describe(result: &SizeResult) -> String {
    let mib = |bytes: u64| format!("{:>12.1} MiB", bytes as f64 / f64::from(1 << 20));
    [
        ("users", result.users_bytes),
        ("items", result.items_bytes),
        ("event ids", result.event_ids_bytes),
        ("server", result.server_bytes),
    ]
    .into_iter()
    .map(|(part, bytes)| format!("{part:<10}{}", mib(bytes)))
    .chain([format!(
        "{:<10}{} in {} copies",
        "total",
        mib(result.total_bytes),
        result.copies
    )])
    .collect::<Vec<_>>()
    .join("\n")
}
