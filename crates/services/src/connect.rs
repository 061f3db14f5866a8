//! Kafka Connect as one distributed worker, with Debezium's PostgreSQL connector and Kafka's own
//! file connectors to choose from.

use crate::error::{Result, ServicesError};
use crate::fetch::maven::{self, library};
use crate::home::Home;
use crate::http;
use crate::kafka::{Kafka, SharedKafka, classpath, java_arguments};
use crate::places;
use crate::ports::{Port, retry_on_clash};
use crate::process::Launch;
use crate::server::{Server, wait_until};
use crate::service::{Endpoint, Service};
use crate::shared::{self, Lease};
use crate::standing::Record;
use crate::versions::{DEBEZIUM, KAFKA, SLF4J};
use std::net::SocketAddr;
use std::path::PathBuf;

const ENDPOINT: &str = "NOWCAST_CONNECT";
/// The brokers a worker was started for; a shared one is of no use with others.
const KAFKA_ENDPOINT: &str = "NOWCAST_CONNECT_KAFKA";
const HEAP_MIB: usize = 384;

/// A private Connect worker; dropping it kills it.
///
/// Its own topics stay in the Kafka it was started for, under a name of their own.
#[derive(Debug)]
pub struct Connect {
    server: Server,
    bootstrap: String,
    _home: Home,
}

impl Connect {
    /// Starts a worker for the brokers `bootstrap` and waits until it takes connectors.
    ///
    /// # Errors
    /// When the software cannot be fetched, or the worker does not start.
    pub fn start(bootstrap: &str) -> Result<Self> {
        Self::start_in(Home::private("connect")?, bootstrap)
    }

    /// Joins the worker that all tests of this user share, on the Kafka they share, starting
    /// both if need be. Take connector names from [`crate::unique_name`] and delete them.
    ///
    /// # Errors
    /// As [`Connect::start`] and [`Kafka::shared`].
    pub fn shared() -> Result<SharedConnect> {
        let kafka = Kafka::shared()?;
        let bootstrap = kafka.bootstrap();
        let name = format!("connect-{KAFKA}-{DEBEZIUM}");
        let start = |home| Self::start_in(home, &bootstrap);
        let lease = shared::join(&name, start, |record| {
            if endpoint(record, KAFKA_ENDPOINT)? != bootstrap {
                let gone = "it was started for a Kafka that is gone".to_owned();
                return Err(ServicesError::Invalid(gone));
            }
            let address = address_of(record)?;
            wait_until(&[], || is_ready(address))
        })?;
        Ok(SharedConnect {
            address: address_of(&lease.record)?,
            kafka,
            _lease: lease,
        })
    }

    pub(crate) fn start_in(home: Home, bootstrap: &str) -> Result<Self> {
        let (worker_jars, plugins) = Self::fetch()?;
        let java = maven::java()?;
        let server = retry_on_clash(|| {
            home.clear()?;
            let port = Port::reserve()?;
            let file = home.path().join("worker.properties");
            places::write(&file, &properties(port.address(), bootstrap, &plugins))?;
            let launch = Launch::new("connect", &java, home.path())
                .args(java_arguments(HEAP_MIB))
                .arg("-cp")
                .arg(classpath(&[&worker_jars]))
                .arg("org.apache.kafka.connect.cli.ConnectDistributed")
                .arg(&file);
            let server = Server::start(launch, port, is_ready)?;
            server.wait_ready()?;
            Ok(server)
        })?;
        Ok(Self {
            server,
            bootstrap: bootstrap.to_owned(),
            _home: home,
        })
    }

    /// The folder of the worker's jars, and the folder of plugin folders.
    pub(crate) fn fetch() -> Result<(PathBuf, PathBuf)> {
        let group = "org.apache.kafka";
        let jars = library(
            &format!("connect-{KAFKA}"),
            &format!("Kafka Connect {KAFKA} (35 MB)"),
            &[
                (group, "connect-runtime", KAFKA),
                (group, "connect-json", KAFKA),
                (group, "connect-transforms", KAFKA),
                (group, "connect-file", KAFKA),
                ("org.slf4j", "slf4j-simple", SLF4J),
            ],
        )?;
        let debezium = library(
            &format!("debezium-{DEBEZIUM}/postgres"),
            &format!("Debezium {DEBEZIUM} for PostgreSQL (30 MB)"),
            &[("io.debezium", "debezium-connector-postgres", DEBEZIUM)],
        )?;
        let plugins = debezium.ancestors().nth(2).map(PathBuf::from);
        Ok((jars, plugins.unwrap_or(debezium)))
    }

    /// The worker, to kill, freeze, thaw or restart it. Connectors outlive it: Kafka has them.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The URL of its REST interface.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Creates a connector, or changes its configuration, and waits until it and its tasks run.
    ///
    /// # Errors
    /// When the worker refuses the configuration, or the connector or a task fails.
    pub fn put_connector(&self, name: &str, config: &serde_json::Value) -> Result<()> {
        put_connector(self.server.address(), name, config)
    }

    /// Deletes a connector.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn delete_connector(&self, name: &str) -> Result<()> {
        delete_connector(self.server.address(), name)
    }
}

impl Service for Connect {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![
            Endpoint::new(ENDPOINT, self.url()),
            Endpoint::new(KAFKA_ENDPOINT, &self.bootstrap),
        ]
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}

/// The worker that all tests of this user share, and its Kafka, for as long as this is held.
#[derive(Debug)]
pub struct SharedConnect {
    address: SocketAddr,
    kafka: SharedKafka,
    _lease: Lease,
}

impl SharedConnect {
    /// The Kafka that the worker works for.
    #[must_use]
    pub fn kafka(&self) -> &SharedKafka {
        &self.kafka
    }

    /// The URL of its REST interface.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// As [`Connect::put_connector`].
    ///
    /// # Errors
    /// As there.
    pub fn put_connector(&self, name: &str, config: &serde_json::Value) -> Result<()> {
        put_connector(self.address, name, config)
    }

    /// As [`Connect::delete_connector`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_connector(&self, name: &str) -> Result<()> {
        delete_connector(self.address, name)
    }
}

fn properties(listen: SocketAddr, bootstrap: &str, plugins: &std::path::Path) -> String {
    let group = crate::unique_name("connect");
    format!(
        "bootstrap.servers={bootstrap}\n\
         group.id={group}\n\
         listeners=HTTP://{listen}\n\
         rest.advertised.host.name=127.0.0.1\n\
         key.converter=org.apache.kafka.connect.json.JsonConverter\n\
         value.converter=org.apache.kafka.connect.json.JsonConverter\n\
         key.converter.schemas.enable=false\n\
         value.converter.schemas.enable=false\n\
         config.storage.topic={group}-configs\n\
         offset.storage.topic={group}-offsets\n\
         offset.storage.partitions=3\n\
         status.storage.topic={group}-status\n\
         status.storage.partitions=1\n\
         # As many as there are brokers, up to their default of three.\n\
         config.storage.replication.factor=-1\n\
         offset.storage.replication.factor=-1\n\
         status.storage.replication.factor=-1\n\
         offset.flush.interval.ms=1000\n\
         # The wait for stragglers when a worker leaves is five minutes by default.\n\
         scheduled.rebalance.max.delay.ms=1000\n\
         plugin.path={}\n\
         plugin.discovery=service_load\n",
        plugins.display()
    )
}

fn is_ready(address: SocketAddr) -> Result<()> {
    http::send(address, "GET", "/connectors", None)?
        .ok(address)
        .map(drop)
}

fn put_connector(address: SocketAddr, name: &str, config: &serde_json::Value) -> Result<()> {
    let path = format!("/connectors/{name}/config");
    let text = config.to_string();
    // While the group rebalances a worker answers 409 and means later.
    wait_until(&[], || {
        let answer = http::send(address, "PUT", &path, Some(&text))?;
        if answer.status == 409 {
            return Err(ServicesError::answer(address, answer.body));
        }
        Ok(answer)
    })?
    .ok(format!("connector {name}"))?;
    let state = wait_until(&[], || settled(address, name))?;
    if state == RUNNING {
        return Ok(());
    }
    Err(ServicesError::answer(format!("connector {name}"), state))
}

const RUNNING: &str = "RUNNING";

/// `RUNNING` when the connector and at least one task do, the whole status when one failed, an
/// error while that is open.
fn settled(address: SocketAddr, name: &str) -> Result<String> {
    let path = format!("/connectors/{name}/status");
    let body = http::send(address, "GET", &path, None)?.ok(address)?;
    let status: serde_json::Value = serde_json::from_str(&body)
        .map_err(|error| ServicesError::answer(address, error.to_string()))?;
    let mut states = vec![&status["connector"]["state"]];
    let tasks = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    states.extend(tasks.iter().map(|task| &task["state"]));
    if states.iter().any(|state| *state == "FAILED") {
        return Ok(body);
    }
    if states.len() > 1 && states.iter().all(|state| *state == RUNNING) {
        return Ok(RUNNING.to_owned());
    }
    Err(ServicesError::answer(address, body))
}

fn delete_connector(address: SocketAddr, name: &str) -> Result<()> {
    http::send(address, "DELETE", &format!("/connectors/{name}"), None)?
        .ok(format!("connector {name}"))
        .map(drop)
}

fn endpoint<'a>(record: &'a Record, name: &str) -> Result<&'a str> {
    record
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name == name)
        .map(|endpoint| endpoint.value.as_str())
        .ok_or_else(|| ServicesError::Invalid(format!("the record lacks {name}")))
}

fn address_of(record: &Record) -> Result<SocketAddr> {
    let url = endpoint(record, ENDPOINT)?;
    url.trim_start_matches("http://")
        .parse()
        .map_err(|_| ServicesError::Invalid(format!("`{url}` is no URL of a worker")))
}
