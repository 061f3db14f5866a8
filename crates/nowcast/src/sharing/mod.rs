//! What a process does for the others it shares partitions with: it takes and gives back what the
//! group says, and leaves word that it is there.

pub mod keeping;
pub mod members;
pub mod survey;

use crate::backends::Cluster;
use crate::roles::{Part, Role};
use anyhow::Context;
use keeping::Keeping;
use members::Membership;
use nowcast_engine::Engine;
use std::net::SocketAddr;
use std::sync::Arc;
use survey::Monitor;

/// A process among others.
pub struct Sharing {
    membership: Membership,
    keeping: Option<Keeping>,
    monitor: Option<Monitor>,
}

impl Sharing {
    /// Joins the others.
    ///
    /// # Errors
    /// The brokers do not answer; no thread to be had.
    pub fn start(
        cluster: &Cluster,
        engine: &Arc<Engine>,
        part: &Part,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let keeps = matches!(part, Part::Some(roles) if roles.contains(&Role::Process));
        let keeping = keeps
            .then(|| Keeping::start(&cluster.kafka, engine.processor()))
            .transpose()
            .context("cannot share the partitions")?;
        let watches = matches!(part, Part::Some(roles) if roles.contains(&Role::Monitor));
        let monitor = watches
            .then(|| Monitor::start(cluster, engine))
            .transpose()
            .context("cannot watch the others")?;
        let membership = Membership::start(&cluster.redis, engine, part, address)
            .context("cannot leave word that this process is here")?;
        Ok(Self {
            membership,
            keeping,
            monitor,
        })
    }

    /// Gives every partition back, with a last commit, and takes back the word of being here.
    pub fn stop(self) {
        if let Some(keeping) = self.keeping {
            keeping.stop();
        }
        if let Some(monitor) = self.monitor {
            monitor.stop();
        }
        self.membership.stop();
    }
}
