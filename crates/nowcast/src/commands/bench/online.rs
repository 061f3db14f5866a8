//! `nowcast bench online`: the online ranker on hashed features, one example after another on one
//! core, and on the same examples, if it is told where, Vowpal Wabbit.
//!
//! The examples have 30 categorical features of 4 to 1,000,000 values, small ones drawn more often,
//! and a label from a logistic model over them. Ours is timed twice: over features hashed already,
//! as they are when a serving process learns, and from the text that Vowpal Wabbit reads, each by
//! the CPU clock of its thread. Vowpal Wabbit is timed from its binary cache and from the text, by
//! the CPU time of its process without what it takes to start; rounds of all are interleaved.

use super::online_data::{Examples, generate, read_text, write_text};
use super::{BenchOptions, median};
use crate::cli::Shared;
use crate::measure::child::{Spent, run as run_child};
use crate::measure::cpu::this_thread;
use crate::measure::scratch::Scratch;
use crate::progress;
use anyhow::Context;
use clap::Args;
use nowcast_models::online::{Example, OnlineConfig, OnlineLearner};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Rows for features: `2^22`, as many as Vowpal Wabbit is given.
const BITS: u32 = 22;
/// Examples by which the rows are asked for ahead of use.
const AHEAD: usize = 3;

/// Flags of `bench online`.
#[derive(Debug, Args)]
pub struct OnlineArgs {
    /// Examples to make.
    #[arg(long, default_value_t = 500_000)]
    examples: usize,
    /// Examples to read instead, in Vowpal Wabbit's text format: `1 |a feature feature …`.
    #[arg(long, value_name = "FILE", conflicts_with = "examples")]
    data: Option<PathBuf>,
    /// Leaves the examples in this file as text.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Command that runs Vowpal Wabbit, such as `python3 -m vowpalwabbit`.
    #[arg(long, value_name = "COMMAND")]
    vw: Option<String>,
}

#[derive(Debug, Serialize)]
struct OnlineResult {
    examples: usize,
    rounds: usize,
    progressive_loss: f64,
    examples_per_cpu_second: f64,
    text_examples_per_cpu_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    vw: Option<VwResult>,
}

#[derive(Debug, Serialize)]
struct VwResult {
    progressive_loss: f64,
    cache_examples_per_cpu_second: f64,
    text_examples_per_cpu_second: f64,
    start_cpu_seconds: f64,
    ratio: f64,
    text_ratio: f64,
    loss_difference: f64,
}

/// Runs it.
///
/// # Errors
/// Unreadable examples, a scratch folder that cannot be written, or a command that fails.
pub fn run(shared: &Shared, options: &BenchOptions, args: &OnlineArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let rounds = if options.quick { 3 } else { 7 };
    let scratch = Scratch::new(&options.scratch, "online")?;
    let text_path = scratch.path().join("examples.txt");
    if let Some(given) = &args.data {
        std::fs::copy(given, &text_path)
            .with_context(|| format!("cannot read {}", given.display()))?;
    } else {
        write_text(&text_path, options.seed, args.examples)?;
    }
    let text = std::fs::read(&text_path).context("cannot read the examples back")?;
    let examples = if args.data.is_some() {
        read_text(&text)?
    } else {
        generate(options.seed, args.examples)
    };
    if let Some(export) = &args.export {
        std::fs::copy(&text_path, export)
            .with_context(|| format!("cannot write {}", export.display()))?;
    }
    let vw = args.vw.as_deref().map(|command| Vw {
        command,
        text: &text_path,
    });
    let bar = progress::bar(output, rounds as u64, "rounds");
    let mut tally = Tally::default();
    for _ in 0..rounds {
        tally.round(&examples, &text, vw.as_ref())?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let result = tally.result(examples.len(), rounds);
    output.result(&result, describe)
}

fn describe(r: &OnlineResult) -> String {
    let ours = format!(
        "online: {:.0} examples per CPU second, {:.0} from text; progressive loss {:.5} over {} \
         examples (median of {} rounds)",
        r.examples_per_cpu_second,
        r.text_examples_per_cpu_second,
        r.progressive_loss,
        r.examples,
        r.rounds
    );
    let Some(vw) = &r.vw else {
        return ours;
    };
    format!(
        "{ours}\nVowpal Wabbit: {:.0} from its cache, {:.0} from text; loss {:.5}\nours is {:.2}x \
         and {:.2}x as fast, with {:+.5} of loss",
        vw.cache_examples_per_cpu_second,
        vw.text_examples_per_cpu_second,
        vw.progressive_loss,
        vw.ratio,
        vw.text_ratio,
        vw.loss_difference
    )
}

/// Seconds of each round.
#[derive(Default)]
struct Tally {
    ours: Vec<f64>,
    ours_text: Vec<f64>,
    start: Vec<f64>,
    cache: Vec<f64>,
    text: Vec<f64>,
    loss: f64,
    vw_loss: Option<f64>,
}

impl Tally {
    fn round(
        &mut self,
        examples: &Examples,
        text: &[u8],
        vw: Option<&Vw<'_>>,
    ) -> anyhow::Result<()> {
        let started = this_thread()?;
        self.loss = learn_all(examples)?;
        self.ours.push((this_thread()? - started).as_secs_f64());
        if let Some(vw) = vw {
            self.start.push(vw.start()?.cpu_seconds);
            self.cache.push(vw.cache_input()?.cpu_seconds);
        }
        let started = this_thread()?;
        learn_all(&read_text(text)?)?;
        self.ours_text
            .push((this_thread()? - started).as_secs_f64());
        if let Some(vw) = vw {
            let spent = vw.text_input()?;
            self.text.push(spent.cpu_seconds);
            self.vw_loss = Some(average_loss(&spent.output)?);
        }
        Ok(())
    }

    fn result(&mut self, examples: usize, rounds: usize) -> OnlineResult {
        let per_second = |seconds: f64| examples as f64 / seconds;
        let ours = per_second(median(&mut self.ours));
        let ours_text = per_second(median(&mut self.ours_text));
        let start = median(&mut self.start);
        let cache = per_second(median(&mut self.cache) - start);
        let text = per_second(median(&mut self.text) - start);
        OnlineResult {
            examples,
            rounds,
            progressive_loss: self.loss,
            examples_per_cpu_second: ours,
            text_examples_per_cpu_second: ours_text,
            vw: self.vw_loss.map(|loss| VwResult {
                progressive_loss: loss,
                cache_examples_per_cpu_second: cache,
                text_examples_per_cpu_second: text,
                start_cpu_seconds: start,
                ratio: ours / cache,
                text_ratio: ours_text / text,
                loss_difference: self.loss - loss,
            }),
        }
    }
}

/// Learns every example once and returns the mean loss of the predictions before each.
fn learn_all(examples: &Examples) -> anyhow::Result<f64> {
    let config = OnlineConfig {
        indicator_bits: BITS,
        ..OnlineConfig::linear()
    };
    let mut learner = OnlineLearner::new(config)?;
    let mut loss = 0.0;
    for at in 0..examples.len() {
        learner.prefetch(&Example::of(examples.features(at + AHEAD)));
        let is_positive = examples.is_positive(at);
        let margin = learner.learn(&Example::of(examples.features(at)), is_positive, 1.0);
        let sign = if is_positive { 1.0 } else { -1.0 };
        loss += (-sign * f64::from(margin)).exp().ln_1p();
    }
    Ok(loss / examples.len().max(1) as f64)
}

/// Vowpal Wabbit as a command.
struct Vw<'a> {
    command: &'a str,
    text: &'a Path,
}

impl Vw<'_> {
    fn run(&self, flags: &[&str]) -> anyhow::Result<Spent> {
        let bits = BITS.to_string();
        let common = ["--loss_function", "logistic", "-b", bits.as_str()];
        run_child(self.command, &[common.as_slice(), flags].concat())
    }

    /// What it costs to start and to allocate the weights.
    fn start(&self) -> anyhow::Result<Spent> {
        let none = self.text.with_extension("none");
        std::fs::write(&none, "").context("cannot write an empty file")?;
        self.run(&["-d", &none.to_string_lossy()])
    }

    fn text_input(&self) -> anyhow::Result<Spent> {
        self.run(&["-d", &self.text.to_string_lossy()])
    }

    /// From the binary cache, which the first call writes and does not count.
    fn cache_input(&self) -> anyhow::Result<Spent> {
        let cache = self.text.with_extension("cache");
        let text = self.text.to_string_lossy();
        let cached = cache.to_string_lossy();
        let flags = ["-d", &text, "--cache_file", &cached];
        if !cache.exists() {
            self.run(&flags)?;
        }
        self.run(&flags)
    }
}

fn average_loss(report: &str) -> anyhow::Result<f64> {
    let line = report
        .lines()
        .find_map(|line| line.strip_prefix("average loss = "));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    let loss = number.and_then(|number| number.parse().ok());
    loss.with_context(|| format!("no average loss in what Vowpal Wabbit said:\n{report}"))
}
