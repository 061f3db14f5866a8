//! What a broken and mended cluster holds: its answers, the state on Redis, the log folded again.

use super::Load;
use super::site::{PREFIX, Site};
use crate::chaos::client::Client;
use crate::chaos::comparison;
use crate::chaos::inspection;
use crate::chaos::oracle::Oracle;
use crate::chaos::recovery::fold_from_log;
use crate::chaos::served;
use crate::chaos::site::{self, PARTITIONS};
use crate::chaos::verdict::Verdict;
use anyhow::{Context, Result, ensure};
use nowcast_features::PartitionState;
use nowcast_log_kafka::{KafkaConfig, KafkaLog};
use nowcast_services::redis::MASTER_NAME;
use nowcast_store::{ChainId, StateReader};
use nowcast_store_redis::{RedisConfig, RedisStore};
use nowcast_types::{EventTypes, PartitionId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for those who serve to be up to date.
const PATIENCE: Duration = Duration::from_secs(60);

/// Judges a site whose load has ended.
pub(super) fn of(site: &mut Site, oracle: &Oracle, load: &Load) -> Result<Verdict> {
    served::catch_up(site.ingest()?, &load.opening)?;
    let serving = site.serving();
    let address = *serving.first().context("nobody serves")?;
    wait_level(address)?;
    let served = served::ask(address, oracle)?;
    for process in &mut site.roles {
        process.drain()?;
    }
    let (log, store) = open(site)?;
    let plan = site::cluster_plan()?;
    let mut verdict = Verdict {
        differences: served.differences,
        ..Verdict::default()
    };
    let mut stored = Vec::new();
    for partition in (0..PARTITIONS).map(PartitionId) {
        let saved = store.whole(ChainId::events(partition))?;
        let blobs = saved.map(|saved| saved.blobs).unwrap_or_default();
        let mut state = PartitionState::restore(plan.clone(), &blobs)?;
        fold_from_log(&log, partition, &mut state, |_, _| {})?;
        let mut replayed = PartitionState::new(plan.clone());
        fold_from_log(&log, partition, &mut replayed, |_, _| {})?;
        let (found, expected) = (state.state_hash(), replayed.state_hash());
        if found != expected {
            let partition = partition.0;
            verdict.differences.push(format!(
                "partition {partition}: stored {found:016x}, replayed {expected:016x}"
            ));
        }
        verdict.state_hashes.push(format!("{found:016x}"));
        stored.push(state);
    }
    let states: Vec<&PartitionState> = stored.iter().collect();
    let found = inspection::find(&states, &log, &served.users, load.start_ms)?;
    let comparison = comparison::compare(oracle, &found);
    verdict.lost = comparison.lost;
    verdict.doubled = comparison.doubled;
    verdict.differences.extend(comparison.differences);
    verdict.state_equal = verdict.differences.is_empty();
    Ok(verdict)
}

/// Waits until a server has heard of everything that is committed.
fn wait_level(address: SocketAddr) -> Result<()> {
    let mut client = Client::connect(address)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.send("GET", "/v1/status", "")?;
        let status: serde_json::Value = serde_json::from_str(&answer.body)?;
        if status["lag_events"] == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "it lags: {}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn open(site: &Site) -> Result<(KafkaLog, RedisStore)> {
    let kafka = KafkaConfig {
        brokers: site
            .kafka
            .bootstrap()
            .split(',')
            .map(str::to_owned)
            .collect(),
        topic_prefix: PREFIX.to_owned(),
        partitions: PARTITIONS,
        ..KafkaConfig::default()
    };
    let sentinels: Vec<String> = site
        .redis
        .sentinel_addresses()
        .iter()
        .map(SocketAddr::to_string)
        .collect();
    let redis = RedisConfig {
        url: format!("redis+sentinel://{}/{MASTER_NAME}/0", sentinels.join(",")),
        ..RedisConfig::default()
    };
    let log = KafkaLog::open(kafka, Arc::new(EventTypes::default()))?;
    Ok((log, RedisStore::open(redis)?))
}
