//! One server process: started in its own process group with its output in a log file, signalled
//! as a group, and reaped.
//!
//! It knows nothing of readiness or protocols; [`crate::Server`] adds these.

use crate::error::{At, Result, ServicesError};
use crate::reaper;
use crate::standing::ProcessRecord;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many lines of a log are shown in an error.
const TAIL_LINES: usize = 30;

/// How often a state that nobody announces is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// How a server is started; kept, so that it can be started again the same way.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// What people call it, such as `kafka-2`.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, OsString)>,
    /// The working directory; the log goes there as `<name>.log`.
    pub(crate) dir: PathBuf,
    /// User and group id to run as, for servers that refuse root.
    pub(crate) user: Option<(u32, u32)>,
    pub(crate) ending: Ending,
}

/// How a process ends quickly when its data no longer matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// With SIGKILL: nothing of it stays on the machine outside its folder.
    Kill,
    /// With SIGQUIT: PostgreSQL would leave shared memory behind if killed.
    Quit,
}

impl Ending {
    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Quit => Signal::QUIT,
        }
    }
}

/// How long one that is asked to end may take before it is killed.
pub(crate) const ENDING_PATIENCE: Duration = Duration::from_secs(20);

impl Launch {
    pub(crate) fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: dir.into(),
            user: None,
            ending: Ending::Kill,
        }
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }
}

/// A running, frozen or ended process.
#[derive(Debug)]
pub(crate) struct Process {
    launch: Launch,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    child: Option<Child>,
    /// Left running for others: dropping it stops nothing.
    is_left: bool,
}

impl Process {
    /// Starts the process; it is not ready yet.
    pub(crate) fn start(launch: Launch) -> Result<Self> {
        let process = Self {
            launch,
            state: Mutex::default(),
        };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it the same way once it has ended; a running one is left alone.
    pub(crate) fn start_again(&self) -> Result<()> {
        let mut state = self.state();
        if let Some(child) = &mut state.child {
            let ended = child.try_wait().at("wait for", &self.launch.name)?;
            if ended.is_none() {
                return Ok(());
            }
            reaper::forget_group(child.id());
        }
        let child = self.spawn()?;
        reaper::watch_group(child.id())?;
        state.child = Some(child);
        Ok(())
    }

    fn spawn(&self) -> Result<Child> {
        let launch = &self.launch;
        let log = self.open_log()?;
        let log_too = log.try_clone().at("open", launch.log())?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.args)
            .envs(launch.env.iter().map(|(key, value)| (*key, value)))
            .current_dir(&launch.dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too);
        if let Some((user, group)) = launch.user {
            command.uid(user).gid(group);
        }
        command.spawn().at("start", &launch.program)
    }

    fn open_log(&self) -> Result<File> {
        let path = self.launch.log();
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .at("open", path)
    }

    pub(crate) fn name(&self) -> &str {
        &self.launch.name
    }

    /// The process id while it runs or is frozen.
    pub(crate) fn pid(&self) -> Option<u32> {
        let mut state = self.state();
        let child = state.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.state().child.as_mut()?.try_wait().ok().flatten()
    }

    /// Sends `signal` to the whole group; nothing happens when it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.pid() else {
            return Ok(());
        };
        signal_group(pid, signal).at("signal", &self.launch.name)
    }

    /// Ends it with `signal` and waits; one that has not ended after `patience` is killed.
    pub(crate) fn end_with(&self, signal: Signal, patience: Duration) -> Result<()> {
        let mut state = self.state();
        let Some(child) = &mut state.child else {
            return Ok(());
        };
        let name = &self.launch.name;
        if child.try_wait().at("wait for", name)?.is_none() {
            signal_group(child.id(), signal).at("stop", name)?;
            // A frozen one hears nothing but SIGKILL until it goes on.
            signal_group(child.id(), Signal::CONT).at("stop", name)?;
            if signal != Signal::KILL {
                wait_within(child, patience).at("wait for", name)?;
            }
            // The rest of the group, such as workers whose master is gone.
            signal_group(child.id(), Signal::KILL).at("stop", name)?;
            child.wait().at("wait for", name)?;
        }
        reaper::forget_group(child.id());
        state.child = None;
        Ok(())
    }

    /// Ends it the quickest way that leaves nothing behind on the machine.
    pub(crate) fn end(&self) -> Result<()> {
        self.end_with(self.launch.ending.signal(), ENDING_PATIENCE)
    }

    /// Leaves it running after this process ends, and says how it can be found again.
    pub(crate) fn leave(&self) -> Option<ProcessRecord> {
        let pid = self.pid()?;
        self.state().is_left = true;
        reaper::forget_group(pid);
        ProcessRecord::of(&self.launch, pid)
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let bytes = std::fs::read(self.launch.log()).unwrap_or_default();
        tail(&String::from_utf8_lossy(&bytes))
    }

    /// The error for having ended by itself.
    pub(crate) fn died(&self, status: ExitStatus) -> ServicesError {
        ServicesError::Died {
            server: self.name().to_owned(),
            status: status.to_string(),
            log_tail: self.log_tail(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.state().is_left {
            // Should it fail, the reaper tries once more.
            let _ = self.end();
        }
    }
}

/// Waits until `child` ends, at most for `patience`.
fn wait_within(child: &mut Child, patience: Duration) -> std::io::Result<()> {
    let deadline = Instant::now() + patience;
    while child.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Signals a process group; a group that is gone is no error.
pub(crate) fn signal_group(pid: u32, signal: Signal) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    match kill_process_group(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &std::path::Path) -> Process {
        Process::start(Launch::new("sleeper", "sleep", dir).arg("600")).unwrap()
    }

    #[test]
    fn a_frozen_process_can_still_be_ended_and_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let process = sleeper(dir.path());
        let first = process.pid().unwrap();
        process.signal(Signal::STOP).unwrap();
        process
            .end_with(Signal::TERM, Duration::from_secs(60))
            .unwrap();
        assert_eq!(process.pid(), None);
        process.start_again().unwrap();
        assert_ne!(process.pid().unwrap(), first);
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let process = sleeper(dir.path());
        let record = ProcessRecord::of(&process.launch, process.pid().unwrap());
        drop(process);
        assert!(!record.unwrap().is_alive());
    }

    #[test]
    fn the_log_of_a_failed_start_is_in_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let launch =
            Launch::new("talker", "sh", dir.path()).args(["-c", "echo no such port; exit 3"]);
        let process = Process::start(launch).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = process.ended() {
                break status;
            }
            assert!(Instant::now() < deadline, "it never ended");
            std::thread::sleep(POLL);
        };
        let message = process.died(status).to_string();
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(message.contains("no such port"), "{message}");
    }
}
