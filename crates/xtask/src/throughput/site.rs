//! Three brokers, Redis, a process for each role, and an embedded server beside them.

use super::load::ITEMS;
use super::plain::PARTITIONS;
use crate::product::client::Client;
use crate::product::process::{self, Install, Server};
use anyhow::{Context, Result, ensure};
use nowcast_services::{Kafka, Redis};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The prefix of the topics.
pub(super) const PREFIX: &str = "throughput";
/// Longest wait for a backlog to be folded.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(10);

/// Everything that runs. Dropping it ends all of it.
pub(super) struct Site {
    pub(super) ingest: Role,
    pub(super) serve: Role,
    pub(super) embedded: Role,
    pub(super) process: Option<Role>,
    pub(super) kafka: Kafka,
    pub(super) redis: Redis,
    binary: PathBuf,
    folder: TempDir,
}

/// One process of the product.
pub(super) struct Role {
    pub(super) address: SocketAddr,
    server: Server,
}

/// How fast a backlog was folded.
pub(super) struct Folding {
    pub(super) events_per_second: f64,
    pub(super) events_per_cpu_second: f64,
}

impl Site {
    /// Starts everything but the processor.
    pub(super) fn start(binary: Option<&Path>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary = process::binary(binary)?;
        let (kafka, redis) = (Kafka::start()?, Redis::start()?);
        let shared = format!(
            "shared_dir = \"{}\"\n[log]\nurl = \"kafka://{}/{PREFIX}\"\n[store]\nurl = \"{}\"\n\
             [events]\npartitions = {PARTITIONS}\n[training]\nenabled = false\n",
            folder.path().join("shared").display(),
            kafka.bootstrap(),
            redis.url(),
        );
        std::fs::write(folder.path().join("shared.toml"), shared)?;
        let alone = format!("[events]\npartitions = {PARTITIONS}\n[training]\nenabled = false\n");
        std::fs::write(folder.path().join("alone.toml"), alone)?;
        let start =
            |name, config, command: &[&str]| role(&binary, folder.path(), name, config, command);
        Ok(Self {
            ingest: start("ingest", "shared.toml", &["run", "ingest"])?,
            serve: start("serve", "shared.toml", &["run", "serve"])?,
            embedded: start("embedded", "alone.toml", &["up"])?,
            process: None,
            kafka,
            redis,
            binary,
            folder,
        })
    }

    /// Puts the items of the stream into both installations.
    pub(super) fn put_items(&self) -> Result<()> {
        let items: Vec<Value> = (0..ITEMS)
            .map(|item| json!({ "item_id": format!("i{item}"), "categories": [format!("c{}", item % 12)] }))
            .collect();
        for role in [&self.ingest, &self.embedded] {
            let mut client = Client::connect(role.address)?;
            let answer =
                client.send("POST", "/v1/items", &Value::from(items.clone()).to_string())?;
            ensure!(answer.is_success(), "items were refused: {answer:?}");
        }
        Ok(())
    }

    /// Starts the processor and waits until it has folded `events` from the log, and committed
    /// them to Redis.
    pub(super) fn fold_backlog(&mut self, events: usize) -> Result<Folding> {
        let config = ["run", "process"];
        let process = role(
            &self.binary,
            self.folder.path(),
            "process",
            "shared.toml",
            &config,
        )?;
        let process = self.process.insert(process);
        let deadline = Instant::now() + PATIENCE;
        let (mut client, mut first) = (Client::connect(process.address)?, None);
        loop {
            let (folded, durable) = positions(&mut client)?;
            let cpu = process.server.cpu_seconds()?;
            let (since, folded_before, cpu_before) =
                *first.get_or_insert((Instant::now(), folded, cpu));
            if folded == folded_before {
                // Groups form and partitions are claimed before anything is folded.
                first = Some((Instant::now(), folded, cpu));
            }
            if durable >= events as u64 {
                let done = (folded - folded_before) as f64;
                return Ok(Folding {
                    events_per_second: done / since.elapsed().as_secs_f64(),
                    events_per_cpu_second: done / (cpu - cpu_before).max(f64::EPSILON),
                });
            }
            ensure!(
                Instant::now() < deadline,
                "{durable} of {events} are folded"
            );
            std::thread::sleep(POLL);
        }
    }
}

/// What is folded and what is committed, over all partitions.
fn positions(client: &mut Client) -> Result<(u64, u64)> {
    let answer = client.send("GET", "/v1/status", "")?;
    let status: Value = serde_json::from_str(&answer.body)?;
    let partitions = status["partitions"].as_array().context("no partitions")?;
    let sum = |field: &str| partitions.iter().filter_map(|p| p[field].as_u64()).sum();
    Ok((sum("applied"), sum("durable")))
}

fn role(binary: &Path, folder: &Path, name: &str, config: &str, command: &[&str]) -> Result<Role> {
    let install = Install {
        binary: binary.to_owned(),
        data: folder.join(name),
        config: folder.join(config),
        log: folder.join(format!("{name}.log")),
        command: command.iter().map(|&word| word.to_owned()).collect(),
    };
    let mut server = install.start()?;
    let address = server.wait_listening(&install)?;
    install.wait_ready(address)?;
    Ok(Role { address, server })
}
