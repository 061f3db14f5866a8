//! Apache Kafka in KRaft mode: three brokers, each also a controller.
//!
//! Three because one hides everything: with replication factor 3 and two in-sync replicas needed,
//! a broker can be killed or frozen under load and every acknowledged record must survive.

mod broker;
mod secured;
mod software;
mod wire;

pub use secured::Secured;
pub use wire::{ClusterView, PartitionView};

use crate::error::{Result, ServicesError};
use crate::home::Home;
use crate::ports::retry_on_clash;
use crate::server::{Server, wait_until};
use crate::service::{Endpoint, Service};
use crate::shared::{self, Lease};
use crate::standing::Record;
use crate::versions;
pub(crate) use software::{classpath, fetch, java_arguments};
use std::net::SocketAddr;

const ENDPOINT: &str = "NOWCAST_KAFKA";

/// How a private cluster differs from the usual one.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// How many brokers; replication factors are the lesser of this and 3.
    pub brokers: usize,
    /// The largest heap of each broker, in MiB; its process takes about 120 MiB more.
    pub heap_mib: usize,
    /// Whether there are listeners with TLS and SASL beside the plain ones, see [`Kafka::secured`].
    pub is_secured: bool,
    /// More lines of `server.properties`, each as key and value; they override ours.
    pub properties: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: 3,
            heap_mib: 256,
            is_secured: false,
            properties: Vec::new(),
        }
    }
}

/// A private Kafka cluster; dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Kafka {
    brokers: Vec<Server>,
    /// The controllers' ports, held so that restarts find them free.
    _controllers: Vec<crate::ports::Port>,
    secured: Option<Secured>,
    _home: Home,
}

impl Kafka {
    /// Starts three brokers and waits until each knows all.
    ///
    /// # Errors
    /// When Kafka cannot be fetched or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&KafkaOptions::default())
    }

    /// As [`Kafka::start`], but not quite the usual cluster.
    ///
    /// # Errors
    /// As [`Kafka::start`]; also when Kafka refuses a property.
    pub fn start_with(options: &KafkaOptions) -> Result<Self> {
        Self::start_in(Home::private("kafka")?, options)
    }

    /// Joins the cluster that all tests of this user share, starting it first if need be. It
    /// stops by itself about a minute after its last user.
    ///
    /// Its brokers are not to be broken, and its topics are everybody's: take names from
    /// [`crate::unique_name`].
    ///
    /// # Errors
    /// As [`Kafka::start`]; also when others use it and it does not answer.
    pub fn shared() -> Result<SharedKafka> {
        let name = format!("kafka-{}", versions::KAFKA);
        let start = |home| Self::start_in(home, &KafkaOptions::default());
        let lease = shared::join(&name, start, |record| {
            let addresses = addresses_of(record)?;
            wait_until(&[], || {
                addresses.iter().try_for_each(|address| {
                    sees_all(wire::cluster(*address)?, addresses.len()).map(drop)
                })
            })
        })?;
        let addresses = addresses_of(&lease.record)?;
        Ok(SharedKafka {
            addresses,
            _lease: lease,
        })
    }

    pub(crate) fn start_in(home: Home, options: &KafkaOptions) -> Result<Self> {
        if options.brokers == 0 {
            return Err(ServicesError::Invalid(
                "a Kafka cluster needs at least one broker".to_owned(),
            ));
        }
        let software = fetch()?;
        let cluster = retry_on_clash(|| {
            home.clear()?;
            broker::start_all(&home, &software, options)
        })?;
        Ok(Self {
            brokers: cluster.brokers,
            _controllers: cluster.controllers,
            secured: cluster.secured,
            _home: home,
        })
    }

    /// The brokers; that with node id 1 comes first.
    #[must_use]
    pub fn brokers(&self) -> &[Server] {
        &self.brokers
    }

    /// `host:port` of every broker, comma separated, as clients take it.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        bootstrap(&self.addresses())
    }

    /// The listeners with TLS and SASL, if there are any.
    #[must_use]
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// Creates a topic with replication factor 3, or as many as there are brokers, and waits
    /// until every broker that answers knows its leaders.
    ///
    /// # Errors
    /// When the brokers refuse it, for instance because it exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        create_topic(&self.awake()?, name, partitions, self.brokers.len())
    }

    /// The cluster as a broker that is awake sees it.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn view(&self) -> Result<ClusterView> {
        first_answer(&self.awake()?, wire::cluster)
    }

    /// The broker that leads a partition, as a broker that is awake sees it.
    ///
    /// # Errors
    /// When no broker answers, or the partition has no leader now.
    pub fn leader_of(&self, topic: &str, partition: i32) -> Result<&Server> {
        let view = self.view()?;
        let found = view.partition(topic, partition).map(|found| found.leader);
        let index = found.and_then(|id| usize::try_from(id - 1).ok());
        index
            .and_then(|index| self.brokers.get(index))
            .ok_or_else(|| {
                ServicesError::answer("kafka", format!("{topic}/{partition} is led by {found:?}"))
            })
    }

    /// Waits until every broker that is awake, neither killed nor frozen, sees exactly those
    /// that are awake, and every replica on them is in sync. With all awake, any one may then be
    /// broken without losing the minimum of in-sync replicas.
    ///
    /// # Errors
    /// When that does not come to pass in time, with what the last look saw.
    pub fn wait_whole(&self) -> Result<()> {
        let awake = self.awake()?;
        wait_until(&[], || {
            awake.iter().try_for_each(|address| {
                let view = sees_all(wire::cluster(*address)?, awake.len())?;
                all_in_sync(&view)
            })
        })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.brokers.iter().map(Server::address).collect()
    }

    fn awake(&self) -> Result<Vec<SocketAddr>> {
        let awake: Vec<SocketAddr> = self
            .brokers
            .iter()
            .filter(|broker| broker.is_awake())
            .map(Server::address)
            .collect();
        if awake.is_empty() {
            return Err(ServicesError::Invalid("no broker is awake".to_owned()));
        }
        Ok(awake)
    }
}

impl Service for Kafka {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new(ENDPOINT, self.bootstrap())]
    }

    fn servers(&self) -> Vec<&Server> {
        self.brokers.iter().collect()
    }
}

/// The cluster that all tests of this user share, for as long as this is held.
#[derive(Debug)]
pub struct SharedKafka {
    addresses: Vec<SocketAddr>,
    _lease: Lease,
}

impl SharedKafka {
    /// `host:port` of every broker, comma separated, as clients take it.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        bootstrap(&self.addresses)
    }

    /// Creates a topic with replication factor 3 and waits until every broker knows its leaders.
    ///
    /// # Errors
    /// When the brokers refuse it, for instance because it exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        create_topic(&self.addresses, name, partitions, self.addresses.len())
    }

    /// The cluster as a broker sees it.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn view(&self) -> Result<ClusterView> {
        first_answer(&self.addresses, wire::cluster)
    }
}

fn bootstrap(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(",")
}

fn addresses_of(record: &Record) -> Result<Vec<SocketAddr>> {
    record
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.name == ENDPOINT)
        .flat_map(|endpoint| endpoint.value.split(','))
        .map(|address| {
            address
                .parse()
                .map_err(|_| ServicesError::Invalid(format!("`{address}` is no address")))
        })
        .collect()
}

fn create_topic(
    addresses: &[SocketAddr],
    name: &str,
    partitions: i32,
    brokers: usize,
) -> Result<()> {
    let replication = i16::try_from(brokers.min(3)).unwrap_or(3);
    first_answer(addresses, |address| {
        wire::create_topic(address, name, partitions, replication)
    })?;
    // Brokers hear of it from the controller one by one.
    wait_until(&[], || {
        addresses
            .iter()
            .try_for_each(|address| match wire::cluster(*address) {
                Ok(view) => leads(&view, name, partitions),
                Err(ServicesError::Io { .. }) => Ok(()),
                Err(error) => Err(error),
            })
    })
}

/// Whether a broker knows a leader for each partition of a topic.
fn leads(view: &ClusterView, topic: &str, partitions: i32) -> Result<()> {
    for index in 0..partitions {
        if view
            .partition(topic, index)
            .is_none_or(|found| found.leader < 0)
        {
            let unknown = format!("no leader of {topic}/{index}");
            return Err(ServicesError::answer("a broker", unknown));
        }
    }
    Ok(())
}

/// The first answer to be had from one of several brokers.
fn first_answer<T>(
    addresses: &[SocketAddr],
    mut ask: impl FnMut(SocketAddr) -> Result<T>,
) -> Result<T> {
    let mut seen = ServicesError::Invalid("there is no broker to ask".to_owned());
    for address in addresses {
        match ask(*address) {
            // A broker that is away is no answer, a refusal is.
            Err(error @ ServicesError::Io { .. }) => seen = error,
            result => return result,
        }
    }
    Err(seen)
}

fn sees_all(view: ClusterView, brokers: usize) -> Result<ClusterView> {
    if view.brokers.len() == brokers && view.controller.is_some() {
        return Ok(view);
    }
    let seen = format!(
        "sees brokers {:?} of {brokers} and controller {:?}",
        view.brokers.keys(),
        view.controller
    );
    Err(ServicesError::answer("a broker", seen))
}

fn all_in_sync(view: &ClusterView) -> Result<()> {
    for partition in &view.partitions {
        let is_lagging = |replica: &&i32| {
            view.brokers.contains_key(replica) && !partition.in_sync.contains(replica)
        };
        if let Some(replica) = partition.replicas.iter().find(is_lagging) {
            let place = format!("{}/{}", partition.topic, partition.index);
            let lagging = format!("replica {replica} of {place} is not in sync");
            return Err(ServicesError::answer("a broker", lagging));
        }
    }
    Ok(())
}
