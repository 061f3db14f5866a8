//! `nowcast recommend`: one answer, from the data folder or from a running server.

use crate::cli::Shared;
use crate::client::{Client, ServerAddress};
use crate::roles::Role;
use crate::running;
use crate::settings;
use anyhow::Context;
use clap::Args;
use nowcast_engine::{Answer, CallSubject, HistoryInput, RecommendCall};
use serde_json::{Value, json};
use std::time::Duration;

/// Answers one recommendation request.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast recommend --user u1 -k 5
  nowcast recommend --history i7,i9 --explain --json
  nowcast recommend --user u1 --url http://127.0.0.1:7878")]
pub struct RecommendArgs {
    /// For this user.
    #[arg(long, value_name = "ID", conflicts_with_all = ["session", "history"])]
    user: Option<String>,
    /// For the visitor of this session.
    #[arg(long, value_name = "ID", conflicts_with = "history")]
    session: Option<String>,
    /// For somebody who has just viewed these items, oldest first.
    #[arg(long, value_name = "ITEM[,ITEM]", value_delimiter = ',')]
    history: Vec<String>,
    /// Name of the slot.
    #[arg(long, default_value = "default")]
    slot: String,
    /// How many items.
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Items that must not be in the answer.
    #[arg(long, value_name = "ITEM[,ITEM]", value_delimiter = ',')]
    exclude: Vec<String>,
    /// CEL expression over item attributes, such as `item.price < 20.0`.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Shows sources, removals and score parts.
    #[arg(long)]
    explain: bool,
    /// Asks this running server instead of opening the data folder.
    #[arg(long)]
    url: Option<String>,
    /// API key of the server, if it asks for one.
    #[arg(long, env = "NOWCAST_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When the data folder is in use (give --url then), or the request is refused.
pub fn run(shared: &Shared, args: &RecommendArgs) -> anyhow::Result<()> {
    let answer = match &args.url {
        Some(url) => ask_server(args, url)?,
        None => ask_folder(shared, args)?,
    };
    shared.output().result(&answer, describe)
}

fn ask_server(args: &RecommendArgs, url: &str) -> anyhow::Result<Value> {
    let mut question = json!({
        "slot": args.slot, "k": args.k, "explain": args.explain, "impressions": false,
    });
    if let Some(user) = &args.user {
        question["user_id"] = json!(user);
    }
    if let Some(session) = &args.session {
        question["session_id"] = json!(session);
    }
    if !args.history.is_empty() {
        let entries = args.history.iter().map(|item| json!({ "item_id": item }));
        question["history"] = entries.collect();
    }
    if !args.exclude.is_empty() {
        question["exclude"] = json!(args.exclude);
    }
    if let Some(filter) = &args.filter {
        question["filter"] = json!(filter);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mut client = Client::new(ServerAddress::parse(url, args.key.clone())?);
    runtime
        .block_on(client.post("/v1/recommendations", question.to_string()))?
        .json()
}

fn ask_folder(shared: &Shared, args: &RecommendArgs) -> anyhow::Result<Value> {
    let settings = settings::load_with(shared, vec![running::no_background_training()])?.settings;
    running::ensure_data(&settings)?;
    let (engine, _) = running::open_for(&settings, Role::Serve)?;
    running::wait_live(&engine, Duration::from_secs(600))?;
    engine.refresh_serving();
    let now = engine.now();
    let history: Vec<HistoryInput<'_>> = args
        .history
        .iter()
        .map(|item_id| HistoryInput {
            item_id,
            strength: 1.0,
            timestamp: now,
        })
        .collect();
    let subject = match (&args.user, &args.session) {
        (Some(user_id), session_id) => CallSubject::User {
            user_id,
            session_id: session_id.as_deref(),
        },
        (None, Some(session_id)) => CallSubject::Visitor { session_id },
        (None, None) if history.is_empty() => CallSubject::Anonymous,
        (None, None) => CallSubject::History(&history),
    };
    let exclude: Vec<&str> = args.exclude.iter().map(String::as_str).collect();
    let answer = engine.recommend(&RecommendCall {
        exclude: &exclude,
        filter: args.filter.as_deref(),
        explain: args.explain,
        deadline: Some(Duration::from_secs(10)),
        records_impressions: false,
        ..RecommendCall::new(subject, &args.slot, args.k)
    })?;
    engine.close();
    wire_shape(&answer, &args.slot)
}

/// The answer in the words of the HTTP API.
fn wire_shape(answer: &Answer, slot: &str) -> anyhow::Result<Value> {
    let items: Vec<Value> = answer
        .items
        .iter()
        .map(
            |item| json!({ "item_id": &*item.item_id, "score": item.score, "source": item.source }),
        )
        .collect();
    let mut shape = json!({
        "slot": slot,
        "rung": answer.rung.name(),
        "items": items,
        "models": &*answer.models,
    });
    if let Some(explanation) = &answer.explanation {
        shape["explanation"] =
            serde_json::to_value(explanation).context("an explanation is plain data")?;
    }
    Ok(shape)
}

fn describe(answer: &Value) -> String {
    let mut lines = vec![format!(
        "rung: {}",
        answer["rung"].as_str().unwrap_or_default()
    )];
    for (place, item) in answer["items"].as_array().into_iter().flatten().enumerate() {
        lines.push(format!(
            "{:>3}. {:<24} {:>9.4}  {}",
            place + 1,
            item["item_id"].as_str().unwrap_or_default(),
            item["score"].as_f64().unwrap_or_default(),
            item["source"].as_str().unwrap_or_default()
        ));
    }
    if let Some(explanation) = answer.get("explanation").filter(|e| !e.is_null()) {
        let text = serde_json::to_string_pretty(explanation).unwrap_or_default();
        lines.push(text);
    }
    lines.join("\n")
}
