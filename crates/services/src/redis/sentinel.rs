//! One Redis master with two replicas under three Sentinels.
//!
//! Each Sentinel has its own copy of the configuration and rewrites it as it learns.

use super::{Reply, SERVER, command, info, is_ready, start_server};
use crate::error::{Result, ServicesError};
use crate::home::Home;
use crate::places;
use crate::ports::{Port, retry_on_clash};
use crate::process::Launch;
use crate::server::{Server, wait_until};
use crate::service::{Endpoint, Service};
use std::net::SocketAddr;

/// The name under which the Sentinels watch the master.
pub const MASTER_NAME: &str = "nowcast";

const DATA_NODES: usize = 3;
const SENTINELS: usize = 3;
/// How many Sentinels must agree that the master is gone.
const QUORUM: usize = 2;

/// A private Redis master with two replicas and three Sentinels; dropping it stops all.
#[derive(Debug)]
pub struct RedisSentinel {
    sentinels: Vec<Server>,
    data: Vec<Server>,
    _home: Home,
}

impl RedisSentinel {
    /// Starts all six and waits until a failover would work: replicas in sync, and every
    /// Sentinel knows the others and the replicas.
    ///
    /// # Errors
    /// When Redis cannot be installed, does not start, or the group does not form.
    pub fn start() -> Result<Self> {
        Self::start_in(Home::private("redis-sentinel")?)
    }

    pub(crate) fn start_in(home: Home) -> Result<Self> {
        let (data, sentinels) = retry_on_clash(|| {
            home.clear()?;
            let data = start_data(&home)?;
            let sentinels = start_sentinels(&home, data[0].address())?;
            Ok((data, sentinels))
        })?;
        let group = Self {
            sentinels,
            data,
            _home: home,
        };
        group.wait_whole()?;
        Ok(group)
    }

    /// The Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// The master and its replicas; the first began as master.
    #[must_use]
    pub fn data(&self) -> &[Server] {
        &self.data
    }

    /// The master, as the first running Sentinel sees it.
    ///
    /// # Errors
    /// When no Sentinel answers.
    pub fn master(&self) -> Result<&Server> {
        let sentinel = self.sentinels.iter().find(|sentinel| sentinel.is_running());
        let Some(sentinel) = sentinel else {
            return Err(ServicesError::Invalid("no Sentinel runs".to_owned()));
        };
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME];
        let reply = command(sentinel.address(), &words)?;
        let port = match &reply {
            Reply::List(Some(fields)) => match fields.get(1) {
                Some(port) => port.clone().into_text()?,
                None => String::new(),
            },
            _ => String::new(),
        };
        self.data
            .iter()
            .find(|node| node.address().port().to_string() == port)
            .ok_or_else(|| ServicesError::answer(sentinel.name(), format!("{reply:?}")))
    }

    /// The Sentinels' addresses, comma separated.
    #[must_use]
    pub fn sentinel_addresses(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(Server::address).collect()
    }

    /// Waits until every running Sentinel sees the same master, both its replicas and the other
    /// Sentinels, and the running replicas are in sync.
    ///
    /// # Errors
    /// When that does not come to pass in time.
    pub fn wait_whole(&self) -> Result<()> {
        wait_until(&[], || {
            let master = self.master()?.address();
            let running = |node: &&Server| node.is_running();
            for node in self.data.iter().filter(running) {
                in_sync(node, master)?;
            }
            let sentinels: Vec<&Server> = self.sentinels.iter().filter(running).collect();
            for sentinel in &sentinels {
                knows(sentinel, master, sentinels.len())?;
            }
            Ok(())
        })
    }
}

fn start_data(home: &Home) -> Result<Vec<Server>> {
    let mut nodes: Vec<Server> = Vec::new();
    for index in 1..=DATA_NODES {
        let name = format!("redis-{index}");
        let master = nodes.first().map(|node| node.address().port().to_string());
        let replica_of = master.map(|port| format!("127.0.0.1 {port}"));
        let mut settings = vec![("repl-diskless-sync-delay", "0")];
        if let Some(replica_of) = &replica_of {
            settings.push(("replicaof", replica_of));
        }
        let folder = home.folder(&name)?;
        let node = start_server(&folder, &name, Port::reserve()?, &settings)?;
        node.wait_ready()?;
        nodes.push(node);
    }
    Ok(nodes)
}

fn start_sentinels(home: &Home, master: SocketAddr) -> Result<Vec<Server>> {
    let program = SERVER.find_or_install()?;
    let mut sentinels = Vec::new();
    for index in 1..=SENTINELS {
        let name = format!("sentinel-{index}");
        let folder = home.folder(&name)?;
        let port = Port::reserve()?;
        let text = format!(
            "bind 127.0.0.1\nport {}\ndaemonize no\n\
             sentinel monitor {MASTER_NAME} {} {} {QUORUM}\n\
             sentinel down-after-milliseconds {MASTER_NAME} 1000\n\
             sentinel failover-timeout {MASTER_NAME} 5000\n",
            port.number(),
            master.ip(),
            master.port(),
        );
        let file = folder.join("sentinel.conf");
        places::write(&file, &text)?;
        let launch = Launch::new(name, &program, folder)
            .arg(file)
            .arg("--sentinel");
        sentinels.push(Server::start(launch, port, is_ready)?);
    }
    sentinels.iter().try_for_each(Server::wait_ready)?;
    Ok(sentinels)
}

fn in_sync(node: &Server, master: SocketAddr) -> Result<()> {
    let field = |name| info(node.address(), "replication", name);
    let is_in_sync = if node.address() == master {
        field("role")?.as_deref() == Some("master")
    } else {
        field("master_port")? == Some(master.port().to_string())
            && field("master_link_status")?.as_deref() == Some("up")
    };
    if is_in_sync {
        Ok(())
    } else {
        Err(ServicesError::answer(
            node.name(),
            "not in sync with the master",
        ))
    }
}

fn knows(sentinel: &Server, master: SocketAddr, sentinels: usize) -> Result<()> {
    let line = info(sentinel.address(), "sentinel", "master0")?.unwrap_or_default();
    let is_told = |what: String| line.split(',').any(|field| field == what);
    let knows_all = is_told("status=ok".to_owned())
        && is_told(format!("address={master}"))
        && is_told(format!("slaves={}", DATA_NODES - 1))
        && is_told(format!("sentinels={sentinels}"));
    if knows_all {
        Ok(())
    } else {
        Err(ServicesError::answer(sentinel.name(), line))
    }
}

impl Service for RedisSentinel {
    fn endpoints(&self) -> Vec<Endpoint> {
        let addresses: Vec<String> = self
            .sentinel_addresses()
            .iter()
            .map(ToString::to_string)
            .collect();
        vec![
            Endpoint::new("NOWCAST_REDIS_SENTINELS", addresses.join(",")),
            Endpoint::new("NOWCAST_REDIS_MASTER_NAME", MASTER_NAME),
        ]
    }

    fn servers(&self) -> Vec<&Server> {
        self.data.iter().chain(&self.sentinels).collect()
    }
}
