//! Redis: a single server, a cluster of three masters with a replica each, and a master under
//! Sentinels.
//!
//! Servers come from Debian. A client of a few lines speaks RESP for probes and for tests that
//! want to look behind the back of the code under test.

mod cluster;
mod resp;
mod sentinel;
mod single;

pub use cluster::RedisCluster;
pub use resp::{Reply, command};
pub use sentinel::{MASTER_NAME, RedisSentinel};
pub use single::Redis;

use crate::error::{Result, ServicesError};
use crate::fetch::debian::Program;
use crate::places;
use crate::ports::Port;
use crate::process::Launch;
use crate::server::Server;
use std::net::SocketAddr;
use std::path::Path;

pub(crate) const SERVER: Program = Program::new("redis-server", &["redis-server"]);

/// Starts one server whose `redis.conf` holds our settings, then those of `more`.
///
/// A configuration file rather than arguments: Sentinel rewrites it, and a restart must find
/// what it wrote.
fn start_server(folder: &Path, name: &str, port: Port, more: &[(&str, &str)]) -> Result<Server> {
    let program = SERVER.find_or_install()?;
    let mut text = format!(
        "bind 127.0.0.1\nport {}\ndaemonize no\nappendfsync everysec\nsave \"\"\n",
        port.number()
    );
    for (key, value) in more {
        text.push_str(&format!("{key} {value}\n"));
    }
    let file = folder.join("redis.conf");
    places::write(&file, &text)?;
    let launch = Launch::new(name, program, folder).arg(file);
    Server::start(launch, port, is_ready)
}

/// Whether the server answers and has loaded its data.
fn is_ready(address: SocketAddr) -> Result<()> {
    match command(address, &["PING"])? {
        Reply::Text(text) if text == "PONG" => Ok(()),
        other => Err(ServicesError::answer(address, format!("{other:?}"))),
    }
}

/// One field of `INFO <section>`.
fn info(address: SocketAddr, section: &str, field: &str) -> Result<Option<String>> {
    let text = command(address, &["INFO", section])?.into_text()?;
    Ok(text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.to_owned())
    }))
}
