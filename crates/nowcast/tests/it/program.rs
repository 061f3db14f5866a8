//! Runs the built binary and reads what it says.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// What a run of the program gave.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The lines of stdout as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Asserts success and gives the first JSON line.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(
            self.code, 0,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self.json().into_iter().next().unwrap_or_default()
    }
}

/// The program with no configuration but its own defaults.
pub(crate) fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nowcast"));
    command.current_dir(dir).args(args);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NOWCAST")) {
        command.env_remove(name);
    }
    command
}

/// Runs the program in `dir` to its end.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Run {
    finished(command(dir, args).output().expect("the binary starts"))
}

pub(crate) fn finished(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
