//! `nowcast import`: history from files, through the same ingest as live traffic, with event time
//! as the clock.

use crate::cli::Shared;
use crate::import::names::TypeNames;
use crate::import::{EventColumns, EventFile, Format, ItemColumns, ItemFile};
use crate::import::{feed, lines};
use crate::output::Output;
use crate::progress;
use crate::roles::Role;
use crate::running;
use crate::settings;
use anyhow::Context;
use clap::Args;
use nowcast_engine::Engine;
use nowcast_evaluation::input::TimeUnit;
use nowcast_types::EventTypes;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads events or items from files into the log.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast import --format movielens --items ml-100k.item.zst ml-100k.inter.zst
  nowcast import --format events --header --user user_id --item song_id --time ts --session session_id \\
      --default-type play events.csv.zst
  nowcast import --format events --header --user user_id --item reference --time timestamp \\
      --type action_type --session session_id --impressions impressions events.csv.zst
  nowcast import --format jsonl events.ndjson.gz

Columns are names of the header or positions from 1. Rows are sorted by time (stably) unless --sorted
says that they are. Importing the same file twice counts once: rows without an id get one from their content,
and the dedup memory knows it for its horizon. What does not fit into the categories of an item
(limits.categories_max) becomes a tag; what a search row names is its query, not an item.")]
pub struct ImportArgs {
    /// Files of events, read as one; `.zst` and `.gz` are unpacked.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Shape of the files.
    #[arg(long, value_enum)]
    format: Format,
    /// File of items, imported before the events.
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Column of user ids.
    #[arg(long, value_name = "COL")]
    user: Option<String>,
    /// Column of item ids.
    #[arg(long, value_name = "COL")]
    item: Option<String>,
    /// Column of event times.
    #[arg(long, value_name = "COL")]
    time: Option<String>,
    /// Column of event types.
    #[arg(long = "type", value_name = "COL")]
    event_type: Option<String>,
    /// Column of session ids.
    #[arg(long, value_name = "COL")]
    session: Option<String>,
    /// Column of quantities, such as ratings or milliseconds.
    #[arg(long, value_name = "COL")]
    value: Option<String>,
    /// Column of event ids.
    #[arg(long, value_name = "COL")]
    event_id: Option<String>,
    /// Column of shown items, separated by `|`: each becomes an impression just before its row.
    #[arg(long, value_name = "COL")]
    impressions: Option<String>,
    /// How times are written: auto, s, ms or iso.
    #[arg(long, value_name = "UNIT", default_value = "auto")]
    time_unit: TimeUnit,
    /// Type of rows that name none.
    #[arg(long, value_name = "TYPE", default_value = "view")]
    default_type: String,
    /// Their name of an event type and ours, such as `"clickout item=click"`; may be repeated.
    #[arg(long, value_name = "THEIRS=OURS")]
    map_type: Vec<String>,
    /// The first line names the columns.
    #[arg(long)]
    header: bool,
    /// Rows are in time order already: they are streamed instead of sorted in memory.
    #[arg(long)]
    sorted: bool,
    /// Item file: column of categories, separated by `|` or blanks.
    #[arg(long, value_name = "COL")]
    item_categories: Option<String>,
    /// Item file: column of tags, separated by `|` or blanks.
    #[arg(long, value_name = "COL")]
    item_tags: Option<String>,
    /// Item file: column that becomes an attribute of its own name; may be repeated.
    #[arg(long, value_name = "COL")]
    item_attribute: Vec<String>,
    /// Item file: column of item ids, if it is not the one of the events.
    #[arg(long, value_name = "COL")]
    item_id: Option<String>,
}

/// Runs it.
///
/// # Errors
/// Unreadable files, unknown columns, rows without a time, a data folder in use.
pub fn run(shared: &Shared, args: &ImportArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        !args.files.is_empty() || args.items.is_some(),
        "nothing to import: name a file of events, or --items FILE"
    );
    let output = shared.output();
    let settings = settings::load_with(shared, vec![running::no_background_training()])?.settings;
    let types = EventTypes::with_custom(&settings.engine.events.types)
        .map_err(|error| anyhow::anyhow!("events.types: {error}"))?;
    let names = TypeNames::parse(&args.map_type, &types)?;
    anyhow::ensure!(
        types.code(&args.default_type).is_some(),
        "--default-type {}: there is no such event type; there are {}",
        args.default_type,
        types.names().collect::<Vec<_>>().join(", ")
    );
    let (engine, _) = running::open_for(&settings, Role::Ingest)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let started = Instant::now();
    let mut report = feed::Report::default();
    let imported = runtime.block_on(async {
        if let Some(path) = &args.items {
            import_items(&engine, output, args, path, &mut report).await?;
        }
        for path in &args.files {
            import_events(&engine, output, args, path, &names, &mut report).await?;
        }
        anyhow::Ok(())
    });
    if imported.is_ok() {
        let spinner = progress::spinner(output, "waiting for the fold");
        let folded = if settings.backends.is_shared() {
            running::wait_folded_elsewhere(&engine)
        } else {
            running::wait_live(&engine, Duration::from_secs(3600))
        };
        spinner.finish_and_clear();
        folded?;
    }
    report.finish(&engine, started.elapsed());
    engine.close();
    imported?;
    output.result(&report, feed::Report::describe)
}

async fn import_items(
    engine: &Arc<Engine>,
    output: Output,
    args: &ImportArgs,
    path: &Path,
    report: &mut feed::Report,
) -> anyhow::Result<()> {
    let columns = ItemColumns {
        id: args.item_id.clone().or_else(|| args.item.clone()),
        categories: args.item_categories.clone(),
        tags: args.item_tags.clone(),
        attributes: args.item_attribute.clone(),
        has_header: args.header,
        categories_max: engine.limits().categories_max,
    };
    let bar = progress::bar(output, 0, "items");
    bar.set_message("items");
    let mut feeder = feed::ItemFeeder::new(engine, &bar);
    if args.format == Format::Jsonl {
        let mut source = lines::Lines::open(path)?;
        while let Some(line) = source.next_line()? {
            let (id, item) = lines::item(&line).with_context(|| source.place())?;
            feeder.push(id, item, report).await?;
        }
    } else {
        let mut file = ItemFile::open(path, args.format, &columns)?;
        while let Some((id, item)) = file.read()? {
            let item: Value = serde_json::to_value(&item).context("items are plain data")?;
            feeder.push(id, item, report).await?;
        }
    }
    feeder.flush(report).await?;
    bar.finish_and_clear();
    Ok(())
}

async fn import_events(
    engine: &Arc<Engine>,
    output: Output,
    args: &ImportArgs,
    path: &Path,
    names: &TypeNames,
    report: &mut feed::Report,
) -> anyhow::Result<()> {
    if args.format == Format::Jsonl {
        return import_lines(engine, output, args.sorted, path, report).await;
    }
    let columns = EventColumns {
        user: args.user.clone(),
        item: args.item.clone(),
        time: args.time.clone(),
        event_type: args.event_type.clone(),
        session: args.session.clone(),
        value: args.value.clone(),
        event_id: args.event_id.clone(),
        impressions: args.impressions.clone(),
        time_unit: args.time_unit,
        has_header: args.header,
        default_type: args.default_type.clone(),
    };
    let mut file = EventFile::open(path, args.format, &columns, names.clone())?;
    let bar = progress::bar(output, 0, "events");
    let mut events = Vec::new();
    let mut feeder = feed::EventFeeder::new(engine, &bar);
    bar.set_message("reading");
    while file.read(&mut events)? {
        if args.sorted && events.len() >= feed::BATCH_EVENTS {
            feeder.send(&events, report).await?;
            events.clear();
        } else if events.len() % 4096 == 0 {
            bar.set_position(events.len() as u64);
        }
    }
    events.sort_by_key(|event| event.timestamp);
    bar.set_message("events");
    bar.set_position(0);
    bar.set_length(report.events + events.len() as u64);
    for batch in events.chunks(feed::BATCH_EVENTS) {
        feeder.send(batch, report).await?;
    }
    bar.finish_and_clear();
    Ok(())
}

async fn import_lines(
    engine: &Arc<Engine>,
    output: Output,
    is_sorted: bool,
    path: &Path,
    report: &mut feed::Report,
) -> anyhow::Result<()> {
    let bar = progress::bar(output, 0, "events");
    let feeder = feed::EventFeeder::new(engine, &bar);
    let mut source = lines::Lines::open(path)?;
    let mut waiting: Vec<(i64, String)> = Vec::new();
    while let Some(line) = source.next_line()? {
        let time = if is_sorted {
            0
        } else {
            lines::event_time(&line)
        };
        waiting.push((time, line));
        if is_sorted && waiting.len() >= feed::BATCH_EVENTS {
            feeder.send_lines(&waiting, report).await?;
            waiting.clear();
        }
    }
    waiting.sort_by_key(|(time, _)| *time);
    bar.set_message("events");
    bar.set_length(report.events + waiting.len() as u64);
    for batch in waiting.chunks(feed::BATCH_EVENTS) {
        feeder.send_lines(batch, report).await?;
    }
    bar.finish_and_clear();
    Ok(())
}
