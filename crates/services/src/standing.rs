//! What is written down about an instance that outlives the process that started it.
//!
//! A process is named by its id and the time it started, so that a record never leads to the
//! killing of a stranger who got the same id later.

use crate::error::{At, Result, ServicesError};
use crate::places;
use crate::process::{ENDING_PATIENCE, Ending, Launch, POLL, signal_group};
use crate::service::{Endpoint, Service};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A process that was left running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// What it is called, such as `kafka-2`.
    pub name: String,
    /// Its process id, and the id of its process group.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did (`/proc/<pid>/stat`, field 22).
    pub started_ticks: u64,
    /// Its log file.
    pub log: PathBuf,
    ending: Ending,
}

impl ProcessRecord {
    pub(crate) fn of(launch: &Launch, pid: u32) -> Option<Self> {
        Some(Self {
            name: launch.name.clone(),
            pid,
            started_ticks: started_ticks(pid)?,
            log: launch.log(),
            ending: launch.ending,
        })
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        started_ticks(self.pid) == Some(self.started_ticks)
    }

    /// Ends the process and waits until it is gone.
    fn end(&self) -> Result<()> {
        let deadline = Instant::now() + ENDING_PATIENCE;
        let mut signal = self.ending.signal();
        while self.is_alive() {
            signal_group(self.pid, signal).at("end", &self.name)?;
            signal_group(self.pid, Signal::CONT).at("end", &self.name)?;
            if Instant::now() >= deadline {
                signal = Signal::KILL;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// Field 22 of the process's `stat`; none for one that is gone or only waits to be reaped.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything.
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// An instance that was left running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its service's name.
    pub service: String,
    /// Where it can be reached.
    pub endpoints: Vec<Endpoint>,
    /// Its processes; none for a tool that only had to be fetched.
    pub processes: Vec<ProcessRecord>,
}

const FILE: &str = "instance.json";

impl Record {
    /// Takes the processes of `service` out of this process's care and writes them down in
    /// `home`.
    pub(crate) fn leave(name: &str, service: &dyn Service, home: &Path) -> Result<Self> {
        let processes = service
            .servers()
            .into_iter()
            .map(|server| {
                server
                    .process()
                    .leave()
                    .ok_or_else(|| ServicesError::Invalid(format!("{} has ended", server.name())))
            })
            .collect::<Result<_>>()?;
        let record = Self {
            service: name.to_owned(),
            endpoints: service.endpoints(),
            processes,
        };
        let text = serde_json::to_string_pretty(&record)
            .map_err(|error| ServicesError::io("write a record", std::io::Error::other(error)))?;
        places::write(&home.join(FILE), &text)?;
        Ok(record)
    }

    /// Reads the record in `home`; none when there is none.
    pub(crate) fn read(home: &Path) -> Result<Option<Self>> {
        let path = home.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("read", path),
        };
        // A record of another version of this crate: nothing can be done with it but go around.
        Ok(serde_json::from_str(&text).ok())
    }

    /// Whether every process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.processes.iter().all(ProcessRecord::is_alive)
    }

    /// Ends what still runs and removes the instance's folder.
    pub(crate) fn remove(&self, home: &Path) -> Result<()> {
        for process in &self.processes {
            process.end()?;
        }
        // The dying may still create files for a moment.
        let mut removed = Ok(());
        for _ in 0..50 {
            removed = std::fs::remove_dir_all(home);
            if removed.is_ok() {
                break;
            }
            std::thread::sleep(POLL);
        }
        removed.at("remove", home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_with_another_start_is_not_the_process() {
        let launch = Launch::new("me", "none", "none");
        let own = ProcessRecord::of(&launch, std::process::id()).unwrap();
        assert!(own.is_alive());
        let stranger = ProcessRecord {
            started_ticks: own.started_ticks + 1,
            ..own
        };
        assert!(!stranger.is_alive());
    }
}
