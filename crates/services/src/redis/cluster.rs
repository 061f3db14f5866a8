//! A Redis Cluster: three masters, each with one replica.
//!
//! It is ready only when a failover would work: every replica is in sync with its master and
//! every node says that the cluster is whole. A master killed before its replica's first sync is
//! never replaced.

use super::{Reply, command, info, start_server};
use crate::error::{Result, ServicesError};
use crate::fetch::debian::Program;
use crate::fetch::run;
use crate::home::Home;
use crate::ports::{Port, retry_on_clash};
use crate::server::{Server, wait_until};
use crate::service::{Endpoint, Service};
use std::net::SocketAddr;
use std::process::Command;

const CLI: Program = Program::new("redis-cli", &["redis-tools"]);

/// Three masters and three replicas.
const NODES: usize = 6;

/// A private Redis Cluster; dropping it stops it and removes its data.
///
/// Nodes persist nothing by default. A killed master that is restarted before its replica took
/// over comes back empty and its replica empties itself too: wait for the failover with
/// [`RedisCluster::wait_whole`], or start with `[("appendonly", "yes")]`.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Server>,
    /// The nodes' ports for each other, held so that restarts find them free.
    _bus: Vec<Port>,
    _home: Home,
}

impl RedisCluster {
    /// Starts six servers, joins them, and waits until every replica is in sync.
    ///
    /// # Errors
    /// When Redis cannot be installed, does not start, or the cluster does not form.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// As [`RedisCluster::start`], with more lines of `redis.conf`, each as name and value.
    ///
    /// # Errors
    /// As [`RedisCluster::start`]; also when Redis refuses a setting.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(Home::private("redis-cluster")?, settings)
    }

    pub(crate) fn start_in(home: Home, settings: &[(&str, &str)]) -> Result<Self> {
        let (nodes, bus) = retry_on_clash(|| {
            home.clear()?;
            start_nodes(&home, settings)
        })?;
        let cluster = Self {
            nodes,
            _bus: bus,
            _home: home,
        };
        join(&cluster.addresses())?;
        cluster.wait_whole()?;
        Ok(cluster)
    }

    /// The six servers. The first three began as masters; roles move with failovers.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The addresses of all nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Server::address).collect()
    }

    /// `redis://host:port` of each node.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let url = |address| format!("redis://{address}");
        self.addresses().into_iter().map(url).collect()
    }

    /// The node that owns the slot of `key` now, as a running node sees it.
    ///
    /// # Errors
    /// When no node answers, or the slot has no owner at present.
    pub fn master_of(&self, key: &str) -> Result<&Server> {
        let running = || self.nodes.iter().filter(|node| node.is_running());
        let mut seen = ServicesError::Invalid("no node of the cluster runs".to_owned());
        for node in running() {
            match owner(node.address(), key) {
                Ok(port) => {
                    let is_owner = |node: &&Server| node.address().port() == port;
                    return self.nodes.iter().find(is_owner).ok_or_else(|| {
                        ServicesError::answer(node.name(), format!("port {port} owns `{key}`"))
                    });
                }
                Err(error) => seen = error,
            }
        }
        Err(seen)
    }

    /// Waits until every running node says that all slots are served by masters it can reach,
    /// and every running replica is in sync with its master.
    ///
    /// # Errors
    /// When that does not come to pass in time, with what the last look saw.
    pub fn wait_whole(&self) -> Result<()> {
        wait_until(&[], || {
            self.nodes
                .iter()
                .filter(|node| node.is_running())
                .try_for_each(is_whole)
        })
    }
}

/// Starts the servers, apart from each other as yet, with the ports of their cluster bus.
fn start_nodes(home: &Home, settings: &[(&str, &str)]) -> Result<(Vec<Server>, Vec<Port>)> {
    let mut nodes = Vec::new();
    let mut bus = Vec::new();
    for index in 1..=NODES {
        let name = format!("redis-{index}");
        let bus_port = Port::reserve()?;
        let bus_number = bus_port.number().to_string();
        let mut all = vec![
            ("cluster-enabled", "yes"),
            ("cluster-port", &bus_number),
            ("cluster-node-timeout", "2000"),
            // The default of 5 s is five seconds in which a replica is none.
            ("repl-diskless-sync-delay", "0"),
        ];
        all.extend_from_slice(settings);
        let folder = home.folder(&name)?;
        nodes.push(start_server(&folder, &name, Port::reserve()?, &all)?);
        bus.push(bus_port);
    }
    nodes.iter().try_for_each(Server::wait_ready)?;
    Ok((nodes, bus))
}

fn join(nodes: &[SocketAddr]) -> Result<()> {
    let mut cli = Command::new(CLI.find_or_install()?);
    cli.args(["--cluster", "create"])
        .args(nodes.iter().map(ToString::to_string))
        .args(["--cluster-replicas", "1", "--cluster-yes"]);
    run("agreement among the nodes of a Redis Cluster", &mut cli)
}

/// The port of the master whose slots include that of `key`, in the eyes of the node.
fn owner(node: SocketAddr, key: &str) -> Result<u16> {
    let odd = |reply: &dyn std::fmt::Debug| ServicesError::answer(node, format!("{reply:?}"));
    let slot = match command(node, &["CLUSTER", "KEYSLOT", key])? {
        Reply::Integer(slot) => slot,
        other => return Err(odd(&other)),
    };
    let ranges = match command(node, &["CLUSTER", "SLOTS"])? {
        Reply::List(Some(ranges)) => ranges,
        other => return Err(odd(&other)),
    };
    for range in &ranges {
        let Reply::List(Some(fields)) = range else {
            return Err(odd(range));
        };
        let [
            Reply::Integer(first),
            Reply::Integer(last),
            Reply::List(Some(master)),
            ..,
        ] = &fields[..]
        else {
            return Err(odd(range));
        };
        if !(*first..=*last).contains(&slot) {
            continue;
        }
        let Some(Reply::Integer(port)) = master.get(1) else {
            return Err(odd(range));
        };
        return u16::try_from(*port).map_err(|_| odd(range));
    }
    Err(ServicesError::answer(
        node,
        format!("nobody owns slot {slot}"),
    ))
}

fn is_whole(node: &Server) -> Result<()> {
    let address = node.address();
    let state = command(address, &["CLUSTER", "INFO"])?.into_text()?;
    if !state.contains("cluster_state:ok") {
        return Err(ServicesError::answer(
            node.name(),
            "cluster_state is not ok",
        ));
    }
    if info(address, "replication", "role")?.as_deref() != Some("slave") {
        return Ok(());
    }
    match info(address, "replication", "master_link_status")?.as_deref() {
        Some("up") => Ok(()),
        _ => Err(ServicesError::answer(
            node.name(),
            "not in sync with its master",
        )),
    }
}

impl Service for RedisCluster {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new(
            "NOWCAST_REDIS_CLUSTER",
            self.urls().join(","),
        )]
    }

    fn servers(&self) -> Vec<&Server> {
        self.nodes.iter().collect()
    }
}
