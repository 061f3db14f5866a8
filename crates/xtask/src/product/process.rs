//! The real binary as a child process: started on a free port, found by its log, killed hard.

use super::client::Client;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a start with its recovery.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How often a starting process is looked at.
const POLL: Duration = Duration::from_millis(5);
/// What Linux counts the CPU time of processes in.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// Where the product and its data are, and how it is started.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    pub(crate) binary: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) config: PathBuf,
    /// Where each start's output goes.
    pub(crate) log: PathBuf,
    /// What of the product is started: its command and what that needs.
    pub(crate) command: Vec<String>,
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
}

impl Install {
    /// Starts the server and returns at once; it may not be listening yet.
    pub(crate) fn start(&self) -> Result<Server> {
        self.start_with(None)
    }

    /// As [`Self::start`], with a failpoint `name:n` at which the process aborts itself.
    pub(crate) fn start_with(&self, failpoint: Option<&str>) -> Result<Server> {
        let log =
            File::create(&self.log).with_context(|| format!("creating {}", self.log.display()))?;
        let child = Command::new(&self.binary)
            .args(&self.command)
            .arg("--data")
            .arg(&self.data)
            .arg("--config")
            .arg(&self.config)
            .args(["--set", "server.listen=127.0.0.1:0"])
            .envs(failpoint.map(|plan| ("NOWCAST_FAILPOINT", plan)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        Ok(Server { child })
    }

    /// The address that the last start announced, once it has.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let text = std::fs::read_to_string(&self.log).ok()?;
        announced_address(&text)
    }

    /// Waits until the server at `address` says that it is ready.
    pub(crate) fn wait_ready(&self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let answer = Client::connect(address).and_then(|mut c| c.send("GET", "/readyz", ""));
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "`{}` is not ready: {answer:?}\n{}",
                self.command.join(" "),
                self.last_words()
            );
            std::thread::sleep(POLL);
        }
    }

    /// What the last start said, for error messages.
    pub(crate) fn last_words(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Server {
    /// Ends the process as a power switch would, as far as the process is concerned.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()?;
        anyhow::ensure!(status.success(), "SIG{name} was not sent");
        Ok(())
    }

    /// Seconds of CPU that the process has used so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The command, in parentheses, may hold spaces: count from its end.
        let (_, after) = stat
            .rsplit_once(')')
            .context("no statistics of a process")?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks =
            |at: usize| -> Result<f64> { Ok(fields.get(at).context("too short")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / CLOCK_TICKS_PER_SECOND)
    }

    /// Asks the process to end and waits until it has.
    pub(crate) fn drain(mut self) -> Result<()> {
        self.signal("TERM")?;
        let deadline = Instant::now() + START_PATIENCE;
        while !self.has_ended()? {
            anyhow::ensure!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Whether the process is gone by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until the server listens.
    pub(crate) fn wait_listening(&mut self, install: &Install) -> Result<SocketAddr> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if let Some(address) = install.address() {
                return Ok(address);
            }
            if self.has_ended()? {
                bail!("the server ended at its start:\n{}", install.last_words());
            }
            if Instant::now() > deadline {
                bail!(
                    "the server did not listen in time:\n{}",
                    install.last_words()
                );
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is fine; nothing else can be done in a drop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first `http://host:port` in the text.
fn announced_address(text: &str) -> Option<SocketAddr> {
    let (_, rest) = text.split_once("http://")?;
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))
        // An unfinished line may hold half a port.
        ?;
    rest[..end].parse().ok()
}

/// Finds the binary, building it first unless the caller names one.
pub(crate) fn binary(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return path
            .canonicalize()
            .with_context(|| format!("no binary at {}", path.display()));
    }
    let root = crate::tidy::root();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "nowcast", "--locked"])
        .current_dir(&root)
        .stdout(Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "cargo build --release failed");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/nowcast"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_address_is_read_only_when_its_line_is_whole() {
        let text = "starting\nlistening on http://127.0.0.1:4567/\n";
        assert_eq!(
            announced_address(text),
            Some("127.0.0.1:4567".parse().unwrap())
        );
        assert_eq!(announced_address("listening on http://127.0.0.1:45"), None);
        assert_eq!(announced_address("nothing yet"), None);
    }
}
