//! `nowcast config check` and `nowcast config show`.

use super::Failure;
use crate::cli::Shared;
use crate::settings::{self, Problem};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Checks or shows the configuration.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast config check --config site.toml
  nowcast config show                       the defaults, with their comments
  nowcast config show --merged              what a start here and now would use")]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Reports everything that is wrong, with file and line.
    Check,
    /// Prints the configuration.
    Show {
        /// The merge of all layers instead of the commented defaults.
        #[arg(long)]
        merged: bool,
    },
}

#[derive(Debug, Serialize)]
struct CheckResult {
    ok: bool,
    problems: Vec<ProblemLine>,
}

#[derive(Debug, Serialize)]
struct ProblemLine {
    place: Option<String>,
    key: String,
    message: String,
}

impl From<&Problem> for ProblemLine {
    fn from(problem: &Problem) -> Self {
        Self {
            place: problem.place.as_ref().map(ToString::to_string),
            key: problem.key.clone(),
            message: problem.message.clone(),
        }
    }
}

/// Runs it.
///
/// # Errors
/// [`Failure::CheckFailed`] after printing what is wrong.
pub fn run(shared: &Shared, args: &ConfigArgs) -> anyhow::Result<()> {
    match args.what {
        What::Check => check(shared),
        What::Show { merged: false } if !shared.json => {
            shared.output().line(settings::DEFAULT_TOML.trim_end())
        }
        What::Show { merged } => {
            let mut tree = if merged {
                settings::load(shared)?.tree
            } else {
                settings::defaults()
            };
            settings::backends::hide_credentials(&mut tree);
            let output = shared.output();
            output.result(&tree, |tree| toml::to_string(tree).unwrap_or_default())
        }
    }
}

fn check(shared: &Shared) -> anyhow::Result<()> {
    let problems: Vec<Problem> = match settings::load(shared) {
        Ok(_) => Vec::new(),
        Err(error) => match error.downcast::<Failure>()? {
            Failure::Configuration(problems) => problems,
            other => return Err(other.into()),
        },
    };
    let result = CheckResult {
        ok: problems.is_empty(),
        problems: problems.iter().map(ProblemLine::from).collect(),
    };
    shared.output().result(&result, |_| {
        if problems.is_empty() {
            return "the configuration is valid".to_owned();
        }
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::CheckFailed.into())
    }
}
