//! A server with an address and a question that tells whether it is ready.
//!
//! This is the handle with which tests break things: kill, freeze, thaw, restart. It is the same
//! type for a Redis node, a Kafka broker and an nginx.

use crate::error::{Result, ServicesError};
use crate::ports::Port;
use crate::process::{Launch, POLL, Process};
use rustix::process::Signal;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a server may take to get ready, on a machine that is busy with builds as well.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(300);

/// Asks a server at an address; the error says why it is not ready.
pub(crate) type Probe = fn(SocketAddr) -> Result<()>;

/// One server process of an instance.
pub struct Server {
    process: Process,
    port: Port,
    probe: Probe,
}

impl Server {
    /// Starts the process; [`Server::wait_ready`] waits for it.
    pub(crate) fn start(launch: Launch, port: Port, probe: Probe) -> Result<Self> {
        Ok(Self {
            process: Process::start(launch)?,
            port,
            probe,
        })
    }

    /// Waits until the server answers its probe.
    ///
    /// # Errors
    /// When it ends instead, or does not answer in time; both with the end of its log.
    pub fn wait_ready(&self) -> Result<()> {
        wait_until(&[self], || (self.probe)(self.address()))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What it is called in messages, such as `kafka-2`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Its process id, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Whether the process exists; a frozen one does.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Kills it with SIGKILL and waits until it is gone. Its data stays for [`Server::restart`].
    ///
    /// # Errors
    /// When the system refuses the signal.
    pub fn kill(&self) -> Result<()> {
        self.process.end_with(Signal::KILL, Duration::ZERO)
    }

    /// Asks it to end with SIGTERM, waits, and kills it when `patience` is over.
    ///
    /// # Errors
    /// When the system refuses the signal.
    pub fn stop(&self, patience: Duration) -> Result<()> {
        self.process.end_with(Signal::TERM, patience)
    }

    /// Stops it in its tracks with SIGSTOP: its connections stay open and say nothing.
    ///
    /// # Errors
    /// When the system refuses the signal.
    pub fn freeze(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets a frozen one go on with SIGCONT.
    ///
    /// # Errors
    /// When the system refuses the signal.
    pub fn thaw(&self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Starts it again on the same port and data, after [`Server::kill`] or [`Server::stop`],
    /// and waits until it answers.
    ///
    /// # Errors
    /// As [`Server::wait_ready`].
    pub fn restart(&self) -> Result<()> {
        self.process.start_again()?;
        self.wait_ready()
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name())
            .field("address", &self.address())
            .field("pid", &self.pid())
            .finish()
    }
}

/// Polls `probe` until it succeeds, while all of `servers` live.
///
/// # Errors
/// When one of them ends, or the time is over; with the end of the log.
pub(crate) fn wait_until<T>(
    servers: &[&Server],
    mut probe: impl FnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let why = match probe() {
            Ok(found) => return Ok(found),
            Err(error) => error.to_string(),
        };
        for server in servers {
            if let Some(status) = server.process.ended() {
                return Err(server.process.died(status));
            }
        }
        if start.elapsed() >= READY_WITHIN {
            let names: Vec<&str> = servers.iter().map(|server| server.name()).collect();
            return Err(ServicesError::NotReady {
                server: names.join(", "),
                waited_s: READY_WITHIN.as_secs(),
                why,
                log_tail: servers
                    .first()
                    .map(|server| server.log_tail())
                    .unwrap_or_default(),
            });
        }
        std::thread::sleep(POLL);
    }
}
