//! The brokers of one cluster: ports, `server.properties`, storage folders, processes.

use super::secured::Secured;
use super::software::{BOOTSTRAP, classpath, java_arguments};
use super::{KafkaOptions, wire};
use crate::error::{At, Result, ServicesError};
use crate::fetch::maven;
use crate::home::Home;
use crate::places;
use crate::ports::Port;
use crate::process::Launch;
use crate::server::{Server, wait_until};
use rand::RngExt as _;
use std::net::SocketAddr;
use std::path::Path;

/// The brokers of a cluster.
pub(super) struct Cluster {
    pub(super) brokers: Vec<Server>,
    /// The controllers' ports, to be held as long as the brokers.
    pub(super) controllers: Vec<Port>,
    pub(super) secured: Option<Secured>,
}

/// Starts all brokers and waits until each sees all.
pub(super) fn start_all(home: &Home, software: &Path, options: &KafkaOptions) -> Result<Cluster> {
    let ports = || (0..options.brokers).map(|_| Port::reserve());
    let ports = || ports().collect::<Result<Vec<Port>>>();
    let (clients, controllers) = (ports()?, ports()?);
    let java = maven::java()?;
    let cluster_id = random_uuid();
    let voters: Vec<String> = (1..)
        .zip(&controllers)
        .map(|(id, port)| format!("{id}@{}", port.address()))
        .collect();

    let secured = options.is_secured.then(|| Secured::new(home, ports()?));
    let secured = secured.transpose()?;

    let mut brokers = Vec::new();
    for ((id, client), controller) in (1..).zip(clients).zip(&controllers) {
        let name = format!("kafka-{id}");
        let folder = home.folder(&name)?;
        format_storage(&folder, software, id, &cluster_id)?;
        let mut text = properties(&folder, id, [&client, controller], options);
        if let Some(secured) = &secured {
            text.push_str(&secured.properties(brokers.len(), [&client, controller]));
        }
        text.push_str(&format!("controller.quorum.voters={}\n", voters.join(",")));
        for (key, value) in &options.properties {
            text.push_str(&format!("{key}={value}\n"));
        }
        let file = folder.join("server.properties");
        places::write(&file, &text)?;
        let launch = Launch::new(name, &java, &folder)
            .args(java_arguments(options.heap_mib))
            .arg("-cp")
            .arg(classpath(&[&software.join("lib")]))
            .arg("kafka.Kafka")
            .arg(file);
        brokers.push(Server::start(launch, client, is_ready)?);
    }
    wait_for_all(&brokers)?;
    if let (Some(secured), Some(broker)) = (&secured, brokers.first()) {
        secured.add_user(software, broker.address())?;
    }
    Ok(Cluster {
        brokers,
        controllers,
        secured,
    })
}

/// Waits until each broker sees all, while all live.
fn wait_for_all(brokers: &[Server]) -> Result<()> {
    let all: Vec<&Server> = brokers.iter().collect();
    wait_until(&all, || {
        brokers.iter().try_for_each(|broker| {
            super::sees_all(wire::cluster(broker.address())?, brokers.len()).map(drop)
        })
    })
}

/// Whether a broker answers and is a member of its cluster.
fn is_ready(address: SocketAddr) -> Result<()> {
    let view = wire::cluster(address)?;
    let knows_itself = view.brokers.values().any(|known| *known == address);
    if knows_itself && view.controller.is_some() {
        return Ok(());
    }
    Err(ServicesError::answer(
        address,
        "not yet a member of its cluster",
    ))
}

/// Makes the storage folder of a fresh broker, as Kafka's `format` tool does.
fn format_storage(folder: &Path, software: &Path, id: usize, cluster_id: &str) -> Result<()> {
    let data = folder.join("data");
    places::make_dir(&data)?;
    let meta = format!(
        "version=1\nnode.id={id}\ncluster.id={cluster_id}\ndirectory.id={}\n",
        random_uuid()
    );
    places::write(&data.join("meta.properties"), &meta)?;
    let bootstrap = software.join(BOOTSTRAP);
    std::fs::copy(&bootstrap, data.join(BOOTSTRAP)).at("copy", bootstrap)?;
    Ok(())
}

/// `server.properties` but for the quorum.
fn properties(folder: &Path, id: usize, ports: [&Port; 2], options: &KafkaOptions) -> String {
    let [client, controller] = ports.map(Port::address);
    let replication = options.brokers.min(3);
    let in_sync_min = replication.saturating_sub(1).max(1);
    format!(
        "process.roles=broker,controller\n\
         node.id={id}\n\
         listeners=PLAINTEXT://{client},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{client}\n\
         inter.broker.listener.name=PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL\n\
         log.dirs={data}\n\
         default.replication.factor={replication}\n\
         min.insync.replicas={in_sync_min}\n\
         offsets.topic.replication.factor={replication}\n\
         transaction.state.log.replication.factor={replication}\n\
         transaction.state.log.min.isr={in_sync_min}\n\
         share.coordinator.state.topic.replication.factor={replication}\n\
         share.coordinator.state.topic.min.isr={in_sync_min}\n\
         # Fewer than the defaults of 50: the first commit creates all of them.\n\
         offsets.topic.num.partitions=6\n\
         transaction.state.log.num.partitions=6\n\
         share.coordinator.state.topic.num.partitions=3\n\
         group.initial.rebalance.delay.ms=0\n\
         # A mistyped topic is an error, not a topic.\n\
         auto.create.topics.enable=false\n\
         num.network.threads=2\n\
         num.io.threads=4\n\
         log.cleaner.dedupe.buffer.size=16777216\n",
        data = folder.join("data").display()
    )
}

/// 128 random bits as Kafka writes them: URL-safe base 64 without padding.
fn random_uuid() -> String {
    const FIRST: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    /// The 22nd character carries two bits only.
    const LAST: &[u8] = b"AQgw";
    let mut rng = rand::rng();
    let mut pick = |set: &[u8]| char::from(set[rng.random_range(0..set.len())]);
    let mut text: String = (0..21).map(|_| pick(FIRST)).collect();
    text.push(pick(LAST));
    text
}
