//! `nowcast doctor`: what will not train or serve, and why.
//!
//! Every check looks at one thing and says what to do about it. It changes nothing but what opening
//! a data folder changes anyway (a torn tail is cut, a checkpoint may be written).

use super::Failure;
use crate::cli::Shared;
use crate::measure::disk_sync::{fdatasync_times, quantile};
use crate::output::words;
use crate::roles::Role;
use crate::running;
use crate::settings::{self, Settings};
use clap::Args;
use nowcast_engine::{Engine, Status};
use nowcast_training::run::read_dataset;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Says what will not train or serve, and why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast doctor
  nowcast doctor --data /var/lib/nowcast --json

Exit code 3 means that a check failed; warnings alone leave it at 0.")]
pub struct DoctorArgs {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    finding: String,
    /// What to do; empty when all is well.
    advice: String,
}

#[derive(Debug, Serialize)]
struct Diagnosis {
    ok: bool,
    checks: Vec<Check>,
}

fn ok(check: &'static str, finding: impl Into<String>) -> Check {
    Check {
        check,
        verdict: Verdict::Ok,
        finding: finding.into(),
        advice: String::new(),
    }
}

fn warning(check: &'static str, finding: impl Into<String>, advice: &str) -> Check {
    Check {
        check,
        verdict: Verdict::Warning,
        finding: finding.into(),
        advice: advice.to_owned(),
    }
}

fn failed(check: &'static str, finding: impl Into<String>, advice: &str) -> Check {
    Check {
        verdict: Verdict::Failed,
        ..warning(check, finding, advice)
    }
}

/// Runs it.
///
/// # Errors
/// [`Failure::CheckFailed`] after printing what is wrong.
pub fn run(shared: &Shared, _args: &DoctorArgs) -> anyhow::Result<()> {
    let mut checks = Vec::new();
    match settings::load_with(shared, vec![running::no_background_training()]) {
        Ok(loaded) => {
            checks.push(ok("configuration", "valid"));
            examine(&loaded.settings, &mut checks);
        }
        Err(error) => {
            let advice = "correct the lines named; `nowcast config show` prints every key";
            checks.push(failed("configuration", words(&error), advice));
        }
    }
    let diagnosis = Diagnosis {
        ok: checks.iter().all(|check| check.verdict != Verdict::Failed),
        checks,
    };
    shared.output().result(&diagnosis, describe)?;
    if diagnosis.ok {
        Ok(())
    } else {
        Err(Failure::CheckFailed.into())
    }
}

fn describe(diagnosis: &Diagnosis) -> String {
    let lines: Vec<String> = diagnosis
        .checks
        .iter()
        .map(|check| {
            let mark = match check.verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Failed => "FAILED ",
            };
            let advice = if check.advice.is_empty() {
                String::new()
            } else {
                format!("\n          -> {}", check.advice)
            };
            format!("{mark} {:<14} {}{advice}", check.check, check.finding)
        })
        .collect();
    lines.join("\n")
}

fn examine(settings: &Settings, checks: &mut Vec<Check>) {
    checks.push(address(settings));
    let dir = &settings.data_dir;
    if !dir.exists() {
        checks.push(warning(
            "data folder",
            format!("{} does not exist yet", dir.display()),
            "`nowcast up`, `demo` or `import` makes it",
        ));
        return;
    }
    checks.push(disk(dir));
    match running::open_for(settings, Role::Serve) {
        Err(error) => checks.push(failed(
            "data folder",
            words(&error),
            "if a server is running on it, that is as it should be: ask its /v1/status instead",
        )),
        Ok((engine, _)) => {
            checks.push(ok("data folder", format!("{} opens", dir.display())));
            examine_engine(&engine, settings, checks);
            engine.close();
        }
    }
}

fn examine_engine(engine: &Arc<Engine>, settings: &Settings, checks: &mut Vec<Check>) {
    if let Err(error) = running::wait_live(engine, Duration::from_secs(600)) {
        let advice = "the log stops at the first damaged record; restore the folder from a copy, or \
                      move the damaged segment away and accept its loss";
        checks.push(failed("state", words(&error), advice));
        return;
    }
    let status = engine.status();
    let users = match engine.processor().folds_here() {
        true => format!("{} users", status.users),
        false => "users are in the shared store".to_owned(),
    };
    checks.push(ok("state", format!("{users}, {} items", status.items)));
    if settings.backends.is_shared() {
        checks.push(lag(&status));
    }
    checks.push(events(&status));
    checks.push(lateness(&status));
    checks.push(catalogue(&status));
    checks.push(training(engine, settings));
    checks.push(model_store(engine));
    checks.push(models(&status));
    checks.push(slots(settings));
}

fn address(settings: &Settings) -> Check {
    let listen = settings.server.listen;
    match std::net::TcpListener::bind(listen) {
        Ok(_) => ok("address", format!("{listen} is free")),
        Err(error) => warning(
            "address",
            format!("{listen}: {error}"),
            "another server may be running; `up --listen 127.0.0.1:0` takes a free port",
        ),
    }
}

/// Above this, single posts wait noticeably for the disk.
const SLOW_SYNC: Duration = Duration::from_millis(20);

fn disk(dir: &Path) -> Check {
    match fdatasync_times(dir, Duration::from_millis(300)) {
        Err(error) => failed("disk", words(&error), "the data folder must be writable"),
        Ok(mut times) => {
            let (p50, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
            let finding = format!("fdatasync takes {p50:.1?}, p99 {p99:.1?}");
            if p99 > SLOW_SYNC {
                let advice = "acknowledgements wait for it; a faster disk, or larger batches, help";
                warning("disk", finding, advice)
            } else {
                ok("disk", finding)
            }
        }
    }
}

fn outcome(status: &Status, name: &str) -> u64 {
    let found = status.outcomes.iter().find(|(known, _)| *known == name);
    found.map_or(0, |(_, count)| *count)
}

fn events(status: &Status) -> Check {
    let received = outcome(status, "received");
    if received == 0 {
        let advice = "send some to POST /v1/events, or `nowcast import` history: until then answers \
                      come from the static rung";
        return warning("events", "none yet", advice);
    }
    let applied = outcome(status, "applied");
    ok("events", format!("{received} records, {applied} applied"))
}

/// Share of late events above which something is wrong with clocks or order.
const LATE_SHARE_MAX: f64 = 0.01;

/// Records not yet folded above which somebody should look.
const LAG_MAX: u64 = 10_000;

fn lag(status: &Status) -> Check {
    let finding = format!("{} records are not folded yet", status.lag_events);
    if status.lag_events > LAG_MAX {
        let advice = "start more processes with the role `process`, at most one for each partition";
        return warning("lag", finding, advice);
    }
    ok("lag", finding)
}

fn lateness(status: &Status) -> Check {
    let (late, received) = (outcome(status, "late"), outcome(status, "received"));
    let share = late as f64 / received.max(1) as f64;
    let finding = format!(
        "{late} events came too late to count ({:.2} %)",
        100.0 * share
    );
    if share > LATE_SHARE_MAX {
        let advice = "raise fold.lateness, or find the sender whose clock or queue lags";
        return warning("lateness", finding, advice);
    }
    ok("lateness", finding)
}

fn catalogue(status: &Status) -> Check {
    let (known, described) = (status.items, status.items_described);
    let finding = format!("{described} of {known} items are described");
    if known > 0 && described * 2 < known {
        let advice = "without PUT /v1/items there are no categories, no content similarity, and new \
                      items wait for their first event";
        return warning("catalogue", finding, advice);
    }
    ok("catalogue", finding)
}

fn training(engine: &Arc<Engine>, settings: &Settings) -> Check {
    let deps = running::trainer_deps(engine);
    let config = &settings.engine.training;
    let dataset = match read_dataset(&deps, config, &()) {
        Ok(dataset) => dataset,
        Err(error) => {
            let advice = "the log must be readable from end to end";
            return failed("training", format!("no data set: {error}"), advice);
        }
    };
    let data = &dataset.interactions;
    let finding = format!(
        "{} interactions of {} users with {} items; {} events say nothing about taste, {} lack \
         consent",
        data.len(),
        data.users_len(),
        data.items_len(),
        dataset.stats.without_taste,
        dataset.stats.without_consent
    );
    if data.len() < config.interactions_min {
        let advice = format!(
            "training needs {} (training.interactions_min); only events with an item and a weight \
             count",
            config.interactions_min
        );
        return warning("training", finding, &advice);
    }
    ok("training", finding)
}

fn model_store(engine: &Engine) -> Check {
    match engine.artifacts().names() {
        Ok(names) => ok("model store", format!("{} models stored", names.len())),
        Err(error) => {
            let advice = "see artifacts.url and [artifacts.s3]; servers go on with the models that \
                          they have in use";
            failed("model store", error.to_string(), advice)
        }
    }
}

fn models(status: &Status) -> Check {
    if status.models.is_empty() {
        let advice = "`nowcast train`, or leave a server running; until then co-visits, content and \
                      popularity serve";
        return warning("models", "none published", advice);
    }
    let names: Vec<String> = status
        .models
        .iter()
        .map(|model| format!("{} {}", model.name, model.version))
        .collect();
    ok("models", names.join(", "))
}

fn slots(settings: &Settings) -> Check {
    let slots = &settings.engine.recommend.slots;
    let names: Vec<&str> = slots.keys().map(String::as_str).collect();
    if !slots.contains_key("default") {
        let advice = "requests without a slot are refused; name one [recommend.slots.default]";
        return warning("slots", names.join(", "), advice);
    }
    ok("slots", names.join(", "))
}
