//! One PostgreSQL, from Debian, set up for logical replication.
//!
//! It refuses to run as root, so root runs it as the user `postgres` that the package made.
//! Syncing to disk stays on.

use crate::error::{At, Result, ServicesError};
use crate::fetch::debian::require;
use crate::fetch::{find_program, run};
use crate::home::Home;
use crate::ports::{Port, retry_on_clash};
use crate::process::{Ending, Launch};
use crate::server::Server;
use crate::service::{Endpoint, Service};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The superuser, the database and, without a password, the only way in.
const USER: &str = "postgres";

/// A private PostgreSQL; dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    programs: PathBuf,
    _home: Home,
}

impl Postgres {
    /// Starts one with `wal_level=logical` and waits until it takes logins.
    ///
    /// # Errors
    /// When PostgreSQL cannot be installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_in(Home::private("postgres")?)
    }

    pub(crate) fn start_in(home: Home) -> Result<Self> {
        let programs = programs()?;
        let user = user()?;
        let server =
            retry_on_clash(|| {
                home.clear()?;
                let folder = home.folder("postgres")?;
                if let Some((user, group)) = user {
                    std::os::unix::fs::chown(&folder, Some(user), Some(group))
                        .at("give away", &folder)?;
                }
                init(&programs, &folder, user)?;
                let port = Port::reserve()?;
                let mut launch = Launch::new("postgres", programs.join("postgres"), &folder)
                    .args(["-D", "data", "-p", &port.number().to_string()]);
                for setting in [
                    "listen_addresses=127.0.0.1",
                    "unix_socket_directories=",
                    "wal_level=logical",
                    "max_replication_slots=10",
                    "max_wal_senders=10",
                ] {
                    launch = launch.args(["-c", setting]);
                }
                launch.user = user;
                launch.ending = Ending::Quit;
                let server = Server::start(launch, port, is_ready)?;
                server.wait_ready()?;
                Ok(server)
            })?;
        Ok(Self {
            server,
            programs,
            _home: home,
        })
    }

    /// The server, to kill, freeze, thaw or restart it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `postgresql://user@host:port/database`; there is no password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://{USER}@{}/{USER}", self.address())
    }

    /// Runs SQL through `psql` and returns its rows, columns separated by `|`.
    ///
    /// # Errors
    /// When the server is away or refuses a statement; those before it have been carried out.
    pub fn sql(&self, statements: &str) -> Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d"])
            .args([&self.url(), "-c", statements]);
        let output = psql
            .output()
            .map_err(|source| ServicesError::io("run psql", source))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(ServicesError::answer("postgres", said))
    }
}

/// The folder of PostgreSQL's newest programs. Debian keeps them out of `$PATH`.
pub(crate) fn programs() -> Result<PathBuf> {
    let newest = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        versions
            .flatten()
            .filter_map(|entry| {
                let version: u32 = entry.file_name().to_str()?.parse().ok()?;
                let programs = entry.path().join("bin");
                let is_whole = programs.join("initdb").is_file() && programs.join("psql").is_file();
                is_whole.then_some((version, programs))
            })
            .max()
            .map(|(_, programs)| programs)
    };
    let of_path = || find_program("initdb")?.parent().map(Path::to_owned);
    require("postgres", &["postgresql"], || newest().or_else(of_path))
}

/// Whom to run as: nobody else, or for root the user of Debian's package.
fn user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").at("read", "/etc/passwd")?;
    let ids = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [name, _, user, group, ..] if name == USER => {
                Some((user.parse().ok()?, group.parse().ok()?))
            }
            _ => None,
        }
    });
    ids.map(Some).ok_or_else(|| {
        ServicesError::Invalid(format!(
            "PostgreSQL does not run as root and there is no user `{USER}` to run it as"
        ))
    })
}

fn init(programs: &Path, folder: &Path, user: Option<(u32, u32)>) -> Result<()> {
    let mut initdb = Command::new(programs.join("initdb"));
    initdb
        .current_dir(folder)
        .args(["-D", "data", "-U", USER, "-A", "trust"])
        .args(["-E", "UTF8", "--locale=C", "--no-sync"]);
    if let Some((user, group)) = user {
        initdb.uid(user).gid(group);
    }
    run("PostgreSQL's initial data", &mut initdb)
}

/// Logs in over the real protocol: a server that starts or recovers refuses.
fn is_ready(address: SocketAddr) -> Result<()> {
    const ANSWER_WITHIN: Duration = Duration::from_secs(10);
    const PROTOCOL_3_0: i32 = 0x0003_0000;
    let io = |source| ServicesError::io(format!("log in to postgres at {address}"), source);
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    body.extend(format!("user\0{USER}\0database\0{USER}\0\0").into_bytes());
    let length = i32::try_from(body.len() + 4).unwrap_or(i32::MAX);
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).map_err(io)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(io)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], &body].concat())
        .map_err(io)?;
    // `R`, length 8, 0: authentication is over.
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).map_err(io)?;
    if answer == *b"R\0\0\0\x08\0\0\0\0" {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer).into_owned();
    Err(ServicesError::answer(address, said))
}

impl Service for Postgres {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new("NOWCAST_POSTGRES", self.url())]
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}
