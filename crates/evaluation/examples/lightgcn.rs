//! Runs the LightGCN-format evaluation from the command line, one JSON object a line.
//!
//! `cargo run --release -p nowcast-evaluation --example lightgcn -- TRAIN TEST MODEL[,MODEL]
//! [--hold-out N] [--seed N] [name=value]…`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use nowcast_evaluation::{LightgcnOptions, evaluate_lightgcn};
use nowcast_models::{Params, metrics::parse_metrics};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut flag = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        let value = args.remove(at + 1);
        args.remove(at);
        value.parse::<u64>().ok()
    };
    let hold_out_nth = flag("--hold-out");
    let seed = flag("--seed").unwrap_or(1);
    let [train, test, models, pairs @ ..] = args.as_slice() else {
        return Err("expected TRAIN TEST MODEL[,MODEL] [name=value]…".into());
    };
    let options = LightgcnOptions {
        train: train.into(),
        test: test.into(),
        models: models.split(',').map(str::to_owned).collect(),
        params: Params::from_pairs(pairs)?,
        metrics: parse_metrics("recall@20,ndcg@20")?,
        seed,
        beyond_accuracy: false,
        hold_out_nth,
    };
    for row in evaluate_lightgcn(&options, &())? {
        println!("{}", serde_json::to_string(&row)?);
    }
    Ok(())
}
