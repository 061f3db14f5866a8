//! `nowcast dead-letters`: what was refused, from the data folder or a running server, and taking it
//! in after all.

mod place;
mod repairs;

use super::Failure;
use crate::cli::Shared;
use anyhow::Context;
use clap::{Args, Subcommand};
use nowcast_engine::LetterSource;
use nowcast_intake::{LetterView, Replayed, Wanted};
use nowcast_types::Timestamp;
use place::Place;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// Letters asked for at once.
const PAGE: usize = 5_000;

/// Shows what was refused, and takes it in after all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast dead-letters ls                                what was refused and not replayed since
  nowcast dead-letters ls --code unknown_name --url http://127.0.0.1:7878
  nowcast dead-letters show 17                           one of them, with what was sent
  nowcast dead-letters replay 17                         as it was, say after a change of the configuration
  nowcast dead-letters replay --topic clicks --patch '{\"event_type\":\"click\"}'
  nowcast dead-letters ls --json --bytes > letters.jsonl  (repair each `value`, then)
  nowcast dead-letters replay --repaired letters.jsonl

Without --url the data folder is opened, so no server may run on it. What was sent is kept sealed
with the key of the pseudonyms; show and ls --bytes print it with raw user ids.")]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    what: What,
    /// Asks this running server instead of opening the data folder.
    #[arg(long, global = true)]
    url: Option<String>,
    /// API key of the server, if it asks for one; it needs the scope `admin`.
    #[arg(long, global = true, env = "NOWCAST_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists what was refused, oldest first.
    Ls(LsArgs),
    /// Shows one letter with what was sent.
    Show {
        /// The letter's number.
        offset: u64,
    },
    /// Takes letters in after all, as they were or repaired.
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct LsArgs {
    #[command(flatten)]
    filter: Filter,
    /// Those that were replayed as well.
    #[arg(long)]
    all: bool,
    /// With what was sent, raw user ids included.
    #[arg(long)]
    bytes: bool,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
struct Filter {
    /// Only those with this reason, such as `too_old`.
    #[arg(long)]
    code: Option<String>,
    /// Only those of this topic.
    #[arg(long)]
    topic: Option<String>,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// The letters' numbers.
    #[arg(conflicts_with_all = ["all", "repaired"])]
    offsets: Vec<u64>,
    /// Every letter that was not replayed yet; --code and --topic choose among them.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// A JSON merge patch for what was sent, such as '{\"event_type\":\"click\"}'.
    #[arg(long, value_name = "JSON", conflicts_with = "repaired")]
    patch: Option<String>,
    /// A file of one JSON object a line: `offset`, and `value` or `value_base64`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "code", "topic"])]
    repaired: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// When the data folder is in use (give --url then), or a letter is not there;
/// [`Failure::CheckFailed`] when not every letter could be replayed.
pub fn run(shared: &Shared, args: &DeadLettersArgs) -> anyhow::Result<()> {
    let mut place = Place::open(shared, args.url.as_deref(), args.key.clone())?;
    match &args.what {
        What::Ls(ls) => list(shared, &mut place, ls),
        What::Show { offset } => {
            let letter = place.show(*offset)?;
            shared.output().result(&letter, describe)
        }
        What::Replay(replay) => replay_all(shared, &mut place, replay),
    }
}

fn list(shared: &Shared, place: &mut Place, args: &LsArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut count = 0;
    let wanted = Wanted {
        code: args.filter.code.clone(),
        topic: args.filter.topic.clone(),
        all: args.all,
        bytes: args.bytes,
        ..Wanted::default()
    };
    pages(place, wanted, |letters| {
        for letter in letters.iter().take(left) {
            output.result(letter, line)?;
            count += 1;
        }
        left = left.saturating_sub(letters.len());
        Ok(left > 0)
    })?;
    if count == 0 {
        output.note("there are no such dead letters");
    }
    Ok(())
}

/// Calls `each` with page after page, until it has enough.
fn pages(
    place: &mut Place,
    mut wanted: Wanted,
    mut each: impl FnMut(&[LetterView]) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    wanted.limit = PAGE;
    loop {
        let letters = place.list(&wanted)?;
        let is_last = letters.len() < PAGE;
        wanted.after = letters.last().map(|letter| letter.offset);
        if !each(&letters)? || is_last {
            return Ok(());
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct ReplayResult {
    replayed: usize,
    failed: Vec<Replayed>,
}

fn replay_all(shared: &Shared, place: &mut Place, args: &ReplayArgs) -> anyhow::Result<()> {
    let is_chosen = args.filter.code.is_some() || args.filter.topic.is_some();
    anyhow::ensure!(
        args.all || is_chosen || args.repaired.is_some() || !args.offsets.is_empty(),
        "say which: numbers of letters, --all, --code, --topic or --repaired"
    );
    let mut chosen = args.offsets.clone();
    if args.all || is_chosen {
        let wanted = Wanted {
            code: args.filter.code.clone(),
            topic: args.filter.topic.clone(),
            ..Wanted::default()
        };
        pages(place, wanted, |letters| {
            chosen.extend(letters.iter().map(|letter| letter.offset));
            Ok(true)
        })?;
    }
    let mut result = ReplayResult::default();
    let mut replay = |some: &[nowcast_intake::Repair]| -> anyhow::Result<()> {
        for answer in place.replay(some)? {
            if answer.applied {
                result.replayed += 1;
            } else {
                result.failed.push(answer);
            }
        }
        Ok(())
    };
    match &args.repaired {
        Some(file) => repairs::from_file(file, &mut replay)?,
        None => {
            let patch = args
                .patch
                .as_deref()
                .map(serde_json::from_str::<Value>)
                .transpose();
            let patch = patch.context("--patch is not JSON")?;
            repairs::from_offsets(&chosen, patch.as_ref(), &mut replay)?;
        }
    }
    shared.output().result(&result, describe_replay)?;
    if result.failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::CheckFailed.into())
    }
}

fn describe_replay(result: &ReplayResult) -> String {
    let mut lines: Vec<String> = result
        .failed
        .iter()
        .map(|letter| {
            let why = letter.message.as_deref().unwrap_or_default();
            format!("{:>8}  not replayed: {why}", letter.offset)
        })
        .collect();
    lines.push(format!(
        "{} replayed, {} not",
        result.replayed,
        result.failed.len()
    ));
    lines.join("\n")
}

fn source(letter: &LetterView) -> String {
    match &letter.source {
        LetterSource::Http => "http".to_owned(),
        LetterSource::Topic {
            topic,
            partition,
            offset,
            ..
        } => format!("{topic}/{partition}/{offset}"),
    }
}

fn line(letter: &LetterView) -> String {
    let mut line = format!(
        "{:>8}  {}  {:<24}  {:<16}  {}: {}",
        letter.offset,
        Timestamp(letter.at),
        source(letter),
        letter.code,
        if letter.field.is_empty() {
            "message"
        } else {
            &letter.field
        },
        letter.expected,
    );
    if letter.replayed {
        line.push_str("  (replayed)");
    }
    if let Some(value) = &letter.value {
        line.push_str(&format!("\n          {value}"));
    } else if let Some(base64) = &letter.value_base64 {
        line.push_str(&format!("\n          base64 {base64}"));
    }
    line
}

fn describe(letter: &LetterView) -> String {
    let mut lines = vec![
        format!("letter    {} of {}", letter.offset, Timestamp(letter.at)),
        format!("from      {}", source(letter)),
        format!("input     {}", letter.id),
        format!(
            "reason    {} in {}",
            letter.code,
            if letter.field.is_empty() {
                "the message"
            } else {
                &letter.field
            }
        ),
        format!("expected  {}", letter.expected),
    ];
    if let Some(found) = &letter.found {
        lines.push(format!("found     {found}"));
    }
    if letter.replayed {
        lines.push("replayed  yes".to_owned());
    }
    if !letter.opened {
        lines.push("sealed    with another key: what was sent cannot be shown".to_owned());
    }
    if let Some(bytes) = letter.bytes_left_out {
        lines.push(format!(
            "sent      {bytes} bytes, too many to keep; they are at the source"
        ));
    }
    if let Some(key) = &letter.key {
        lines.push(format!("key       {key}"));
    }
    for (name, value) in &letter.headers {
        lines.push(format!("header    {name}: {value}"));
    }
    if let Some(value) = &letter.value {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        lines.push(format!("sent\n{text}"));
    } else if let Some(base64) = &letter.value_base64 {
        lines.push(format!("sent      base64 {base64}"));
    }
    lines.join("\n")
}
