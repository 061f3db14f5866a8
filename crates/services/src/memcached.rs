//! One memcached, from Debian.

use crate::error::{Result, ServicesError};
use crate::fetch::debian::Program;
use crate::home::Home;
use crate::ports::{Port, retry_on_clash};
use crate::process::Launch;
use crate::server::Server;
use crate::service::{Endpoint, Service};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const SERVER: Program = Program::new("memcached", &["memcached"]);

/// A private memcached; dropping it stops it.
#[derive(Debug)]
pub struct Memcached {
    server: Server,
    _home: Home,
}

impl Memcached {
    /// Starts one with room for 64 MiB and waits until it answers.
    ///
    /// # Errors
    /// When memcached cannot be installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_in(Home::private("memcached")?)
    }

    pub(crate) fn start_in(home: Home) -> Result<Self> {
        let program = SERVER.find_or_install()?;
        let server = retry_on_clash(|| {
            let port = Port::reserve()?;
            let number = port.number().to_string();
            let mut launch = Launch::new("memcached", &program, home.path()).args([
                "-l",
                "127.0.0.1",
                "-p",
                &number,
                "-U",
                "0",
            ]);
            if rustix::process::geteuid().is_root() {
                launch = launch.args(["-u", "nobody"]);
            }
            let server = Server::start(launch, port, is_ready)?;
            server.wait_ready()?;
            Ok(server)
        })?;
        Ok(Self {
            server,
            _home: home,
        })
    }

    /// The server, to kill, freeze, thaw or restart it. Restarted it is empty.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

fn is_ready(address: SocketAddr) -> Result<()> {
    const ANSWER_WITHIN: Duration = Duration::from_secs(10);
    let io = |source| ServicesError::io(format!("ask memcached at {address}"), source);
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).map_err(io)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(io)?;
    stream.write_all(b"version\r\n").map_err(io)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(io)?;
    if line.starts_with("VERSION ") {
        return Ok(());
    }
    Err(ServicesError::answer(address, line))
}

impl Service for Memcached {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new(
            "NOWCAST_MEMCACHED",
            self.address().to_string(),
        )]
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}
