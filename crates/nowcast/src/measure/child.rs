//! A command and what it cost: CPU time of the child process alone.

use anyhow::Context;
use std::process::{Command, Stdio};

/// What a command did.
#[derive(Debug, Clone)]
pub struct Spent {
    /// User and system time.
    pub cpu_seconds: f64,
    /// What it wrote, to either stream.
    pub output: String,
}

/// Runs `command`, whose words are separated by spaces, with `arguments` and waits for it. CPU time
/// is that of all children that ended meanwhile, so run one at a time.
///
/// # Errors
/// When it cannot be started or fails, with what it wrote.
pub fn run(command: &str, arguments: &[&str]) -> anyhow::Result<Spent> {
    let mut words = command.split_whitespace();
    let program = words.next().context("the command is empty")?;
    let before = children_seconds()?;
    let done = Command::new(program)
        .args(words)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let cpu_seconds = children_seconds()? - before;
    let mut output = String::from_utf8_lossy(&done.stdout).into_owned();
    output.push_str(&String::from_utf8_lossy(&done.stderr));
    anyhow::ensure!(done.status.success(), "`{command}` failed:\n{output}");
    Ok(Spent {
        cpu_seconds,
        output,
    })
}

/// Clock ticks a second of `/proc`, which Linux promises to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of all children that were waited for.
fn children_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    // The name in parentheses may contain spaces; user and system time of children are the
    // 14th and 15th behind them.
    let behind = stat.rsplit_once(')').map(|(_, rest)| rest);
    let mut fields = behind.unwrap_or("").split_whitespace().skip(13);
    let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok());
    let (user, system) = (ticks(), ticks());
    let total = user.zip(system).map(|(user, system)| user + system);
    total
        .map(|ticks| ticks / TICKS_PER_SECOND)
        .context("/proc/self/stat is not what it should be")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_run_and_its_failure_is_told() {
        let done = run("echo one", &["two"]).unwrap();
        assert_eq!(done.output.trim(), "one two");
        assert!(done.cpu_seconds >= 0.0);
        assert!(run("false", &[]).is_err());
        assert!(run("", &[]).is_err());
    }
}
