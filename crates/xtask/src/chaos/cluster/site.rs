//! Three brokers, Redis under Sentinels, and the processes of each role, on one machine.

use crate::chaos::process::{self, Install, Server};
use crate::chaos::site::fold_settings;
use anyhow::{Context, Result};
use nowcast_services::redis::MASTER_NAME;
use nowcast_services::{Kafka, RedisSentinel};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The prefix of the topics.
pub(super) const PREFIX: &str = "chaos";
const CONFIG: &str = "chaos.toml";

/// Everything that runs. Dropping it ends all of it.
pub(super) struct Site {
    pub(super) roles: Vec<RoleProcess>,
    pub(super) kafka: Kafka,
    pub(super) redis: RedisSentinel,
    binary: PathBuf,
    folder: TempDir,
}

/// One process of the product.
pub(super) struct RoleProcess {
    pub(super) role: &'static str,
    install: Install,
    server: Option<Server>,
    pub(super) address: Option<SocketAddr>,
}

/// What is started for the rounds of faults, in this order: whoever takes events in makes the key
/// that all share.
pub(super) const TWO_OF_MOST: [&str; 5] = ["ingest", "process", "process", "serve", "serve"];

impl Site {
    /// Starts everything, with a process for each of `roles`, and waits until all of it is ready.
    pub(super) fn start(binary: Option<&Path>, roles: &[&'static str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary = process::binary(binary)?;
        let (kafka, redis) = (Kafka::start()?, RedisSentinel::start()?);
        let config = folder.path().join(CONFIG);
        std::fs::write(config, settings(folder.path(), &kafka, &redis))?;
        let mut site = Self {
            roles: Vec::new(),
            kafka,
            redis,
            binary,
            folder,
        };
        roles.iter().try_for_each(|role| site.add(role))?;
        site.roles.iter().try_for_each(RoleProcess::wait_ready)?;
        Ok(site)
    }

    /// Starts one process more.
    pub(super) fn add(&mut self, role: &'static str) -> Result<()> {
        let name = format!("{role}-{}", self.roles.len());
        let folder = self.folder.path();
        let mut process = RoleProcess {
            role,
            install: Install {
                binary: self.binary.clone(),
                data: folder.join(&name),
                config: folder.join(CONFIG),
                log: folder.join(format!("{name}.log")),
                command: vec!["run".to_owned(), role.to_owned()],
            },
            server: None,
            address: None,
        };
        process.start()?;
        self.roles.push(process);
        Ok(())
    }

    /// Where events are taken in.
    pub(super) fn ingest(&self) -> Result<SocketAddr> {
        let ingest = self.roles.iter().find(|process| process.role == "ingest");
        let address = ingest.and_then(|process| process.address);
        address.context("nobody takes events in")
    }

    /// Where requests are answered.
    pub(super) fn serving(&self) -> Vec<SocketAddr> {
        let serving = self.roles.iter().filter(|process| process.role == "serve");
        serving.filter_map(|process| process.address).collect()
    }

    /// The places of the processes of a role.
    pub(super) fn places(&self, role: &str) -> Vec<usize> {
        let all = self.roles.iter().enumerate();
        all.filter(|(_, process)| process.role == role)
            .map(|(at, _)| at)
            .collect()
    }
}

impl RoleProcess {
    /// Starts it and waits until it listens.
    pub(super) fn start(&mut self) -> Result<()> {
        let mut server = self.install.start()?;
        self.address = Some(server.wait_listening(&self.install)?);
        self.server = Some(server);
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub(super) fn wait_ready(&self) -> Result<()> {
        let address = self.address.context("it does not run")?;
        self.install.wait_ready(address)
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.address = None;
        self.server.take().map_or(Ok(()), Server::kill)
    }

    /// SIGTERM, and wait until it has given everything back.
    pub(super) fn drain(&mut self) -> Result<()> {
        self.address = None;
        let drained = self.server.take().map_or(Ok(()), Server::drain);
        drained.with_context(|| format!("{}:\n{}", self.role, self.install.last_words()))
    }

    /// A signal by its name.
    pub(super) fn signal(&self, name: &str) -> Result<()> {
        self.server
            .as_ref()
            .context("it does not run")?
            .signal(name)
    }
}

fn settings(folder: &Path, kafka: &Kafka, redis: &RedisSentinel) -> String {
    let sentinels: Vec<String> = redis
        .sentinel_addresses()
        .iter()
        .map(SocketAddr::to_string)
        .collect();
    format!(
        "shared_dir = \"{}\"\n[log]\nurl = \"kafka://{}/{PREFIX}\"\n[log.kafka]\ndelivery_timeout = \
         \"15s\"\nread_timeout = \"10s\"\n[store]\nurl = \"redis+sentinel://{}/{MASTER_NAME}/0\"\n\
         [store.redis]\nconnect_timeout = \"1s\"\nresponse_timeout = \"1s\"\n[serving]\n\
         wait_applied_max = \"15s\"\n{}",
        folder.join("shared").display(),
        kafka.bootstrap(),
        sentinels.join(","),
        fold_settings()
    )
}
