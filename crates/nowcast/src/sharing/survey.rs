//! How the processes that share the work are doing: who is there, and how far each partition is.

use super::members::{self, Note};
use crate::backends::Cluster;
use anyhow::Context;
use metrics::gauge;
use nowcast_engine::Engine;
use nowcast_log::EventLog;
use nowcast_store::{ChainId, StateReader};
use nowcast_types::{Offset, PartitionId, Stream};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the monitor looks.
const BEAT: Duration = Duration::from_secs(5);

/// What was found at one moment.
#[derive(Debug, Serialize)]
pub struct Survey {
    /// Everyone who is there.
    pub members: Vec<Member>,
    /// Every partition of the events.
    pub partitions: Vec<Standing>,
    /// Records stored and not committed, over all partitions.
    pub lag: u64,
}

/// One process.
#[derive(Debug, Serialize)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What it says of itself.
    #[serde(flatten)]
    pub note: Note,
}

/// How far a partition is.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// Which.
    pub partition: u16,
    /// The epoch of its owner; 0 if it never had one.
    pub epoch: u64,
    /// The position of the last commit.
    pub committed: Offset,
    /// Where the log ends.
    pub log_end: Offset,
    /// Records between the two.
    pub lag: u64,
    /// Who says that it folds the partition.
    pub owner: Option<String>,
}

impl Survey {
    /// Looks.
    ///
    /// # Errors
    /// Kafka or Redis is away.
    pub fn take(cluster: &Cluster) -> anyhow::Result<Self> {
        let notes = members::all(&cluster.redis).context("store.url")?;
        let members: Vec<Member> = notes
            .into_iter()
            .map(|(id, note)| Member { id, note })
            .collect();
        let standing = |partition: u16| -> anyhow::Result<Standing> {
            let chain = ChainId::events(PartitionId(partition));
            let bounds = cluster.kafka.bounds(Stream::Events, chain.partition);
            let log_end = bounds.context("log.url")?.end;
            let stored = cluster.redis.standing(chain).context("store.url")?;
            let committed = stored.position.unwrap_or(0);
            let mut owners = members.iter();
            let owner = owners.find(|member| member.note.partitions.contains(&partition));
            Ok(Standing {
                partition,
                epoch: stored.epoch.0,
                committed,
                log_end,
                lag: log_end.saturating_sub(committed),
                owner: owner.map(|member| member.note.address.clone()),
            })
        };
        let partitions = 0..cluster.kafka.partitions(Stream::Events);
        let partitions = partitions
            .map(standing)
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            lag: partitions.iter().map(|standing| standing.lag).sum(),
            members,
            partitions,
        })
    }

    /// The survey in a few lines.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut lines = vec![format!(
            "{:<22} {:<14} {:<10} {:<9} partitions",
            "address", "roles", "state", "version"
        )];
        for Member { note, .. } in &self.members {
            let partitions: Vec<String> = note.partitions.iter().map(u16::to_string).collect();
            lines.push(format!(
                "{:<22} {:<14} {:<10} {:<9} {}",
                note.address,
                note.roles.join(","),
                note.state,
                note.version,
                partitions.join(" ")
            ));
        }
        lines.push(format!(
            "{:<10} {:>8} {:>12} {:>12} {:>8}  owner",
            "partition", "epoch", "committed", "log end", "lag"
        ));
        for standing in &self.partitions {
            lines.push(format!(
                "{:<10} {:>8} {:>12} {:>12} {:>8}  {}",
                standing.partition,
                standing.epoch,
                standing.committed,
                standing.log_end,
                standing.lag,
                standing.owner.as_deref().unwrap_or("nobody")
            ));
        }
        lines.push(format!("{} records are not committed", self.lag));
        lines.join("\n")
    }

    fn measure(&self) {
        for standing in &self.partitions {
            let partition = standing.partition.to_string();
            gauge!("nowcast_cluster_lag_records", "partition" => partition.clone())
                .set(standing.lag as f64);
            gauge!("nowcast_cluster_owned", "partition" => partition)
                .set(f64::from(u8::from(standing.owner.is_some())));
        }
        let mut by_role: BTreeMap<&str, u32> =
            BTreeMap::from(["ingest", "process", "serve", "train", "monitor"].map(|r| (r, 0)));
        for role in self.members.iter().flat_map(|member| &member.note.roles) {
            if let Some(count) = by_role.get_mut(role.as_str()) {
                *count += 1;
            }
        }
        for (role, count) in by_role {
            gauge!("nowcast_cluster_members", "role" => role).set(f64::from(count));
        }
    }
}

/// Surveys now and then, for metrics, until stopped.
pub struct Monitor {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Monitor {
    /// Starts looking; what it finds are metrics of the engine.
    ///
    /// # Errors
    /// No thread to be had.
    pub fn start(cluster: &Cluster, engine: &Arc<Engine>) -> std::io::Result<Self> {
        let (cluster, engine) = (cluster.clone(), Arc::clone(engine));
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(move || {
                loop {
                    let is_seen = Survey::take(&cluster)
                        .inspect_err(|error| tracing::warn!(%error, "nothing can be seen"));
                    engine.metrics().within(|| {
                        gauge!("nowcast_cluster_visible").set(f64::from(u8::from(is_seen.is_ok())));
                        if let Ok(survey) = &is_seen {
                            survey.measure();
                        }
                    });
                    if stopped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self { stop, thread })
    }

    /// Looks no more.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the monitor has panicked");
        }
    }
}
