//! Prequential evaluation from the command line, for work on the models:
//! `cargo run --release -p nowcast-evaluation --example prequential -- FILE user item time [k=v]…`
//! with `session=`, `type=`, `impressions=`, `models=`, `refresh=`, `metrics=` and `seen=`.
#![allow(clippy::print_stdout)]

use nowcast_evaluation::input::Column;
use nowcast_evaluation::{
    PrequentialOptions, Refresh, SeenChoice, StreamColumns, evaluate_prequential,
};
use std::collections::HashMap;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let named: HashMap<&str, &str> = args.iter().filter_map(|arg| arg.split_once('=')).collect();
    let plain: Vec<&String> = args.iter().filter(|arg| !arg.contains('=')).collect();
    let column = |name: &str| named.get(name).map(|c| Column((*c).to_owned()));
    let metrics = named.get("metrics").copied().unwrap_or("recall@10,mrr@10");
    let refresh = named
        .get("refresh")
        .copied()
        .unwrap_or("live,hourly,daily,never");
    let rows = evaluate_prequential(
        &PrequentialOptions {
            columns: StreamColumns {
                path: PathBuf::from(plain[0]),
                user: Column(plain[1].clone()),
                item: Column(plain[2].clone()),
                time: Column(plain[3].clone()),
                event_type: column("type"),
                session: column("session"),
                impressions: column("impressions"),
                context: Vec::new(),
                prices: None,
                has_header: true,
            },
            models: named
                .get("models")
                .unwrap_or(&"popular,blend")
                .split(',')
                .map(str::to_owned)
                .collect(),
            metrics: nowcast_models::metrics::parse_metrics(metrics)?,
            refreshes: Refresh::ALL
                .into_iter()
                .filter(|mode| refresh.split(',').any(|name| name == mode.name()))
                .collect(),
            seen: match named.get("seen") {
                Some(&"keep") => SeenChoice::Keep,
                Some(&"remove") => SeenChoice::Remove,
                _ => SeenChoice::Auto,
            },
            warm_up_share: 0.2,
            export: None,
            curve: None,
            params: nowcast_models::Params::new(),
            seed: 1,
            fold: nowcast_features::FoldConfig::default(),
            recommend: nowcast_recommend::RecommendConfig::default(),
        },
        &(),
    )?;
    for row in rows {
        println!("{}", serde_json::to_string(&row)?);
    }
    Ok(())
}
