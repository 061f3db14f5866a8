//! The thread of a group member: polls, claims what the group gives, tells the handler.

use super::{Epoch, Holding, Loss, OwnershipConfig, OwnershipHandler, Shared, group};
use crate::client::{self, Link};
use crate::error::KafkaLogError;
use crate::kafka_log::{Entry, KafkaLog};
use crate::topics::Topic;
use nowcast_log::{AppendAck, LogError};
use nowcast_types::{Offset, PartitionId, Stream};
use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a poll blocks when nothing is going on, and when claims are on their way.
const IDLE_STEP: Duration = Duration::from_millis(50);
const CLAIM_STEP: Duration = Duration::from_millis(2);

/// What the client calls back about the group; by the member's thread, inside its polls.
pub(super) struct MemberLink {
    link: Link,
    shared: Arc<Shared>,
    handler: Mutex<Box<dyn OwnershipHandler>>,
}

impl MemberLink {
    fn lose(&self, partition: u16, loss: Loss) {
        let holding = self.shared.holdings.lock().remove(&partition);
        if let Some(epoch) = holding.and_then(Holding::epoch) {
            count(match loss {
                Loss::Revoked => "revoked",
                Loss::Expired => "expired",
                Loss::Stopped => "stopped",
            });
            let partition = PartitionId(partition);
            self.handler.lock().lost(partition, epoch, loss);
        }
    }
}

fn count(change: &'static str) {
    metrics::counter!("nowcast_kafka_ownership_changes_total", "change" => change).increment(1);
}

impl ClientContext for MemberLink {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Link::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.link.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.link.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.link.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.link.generate_oauth_token(config)
    }
}

impl ConsumerContext for MemberLink {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let loss = if consumer.assignment_lost() {
                Loss::Expired
            } else {
                Loss::Revoked
            };
            for partition in partitions(list) {
                self.lose(partition, loss);
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            if let Err(error) = consumer.pause(list) {
                tracing::warn!(%error, "a group member fetches what it does not need");
            }
            let mut holdings = self.shared.holdings.lock();
            for partition in partitions(list) {
                holdings.insert(partition, self.shared.new_claim(None));
            }
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<u16> {
    let elements = list.elements();
    elements
        .iter()
        .filter_map(|element| u16::try_from(element.partition()).ok())
        .collect()
}

/// A claim on its way into the control topic.
struct Claim {
    grant: u64,
    ack: AppendAck,
    made: Instant,
}

pub(super) struct Member {
    log: Arc<KafkaLog>,
    consumer: Arc<BaseConsumer<MemberLink>>,
    shared: Arc<Shared>,
    claims: BTreeMap<u16, Claim>,
    /// A claim older than this when it is answered says nothing about now.
    claim_age_max: Duration,
}

impl Member {
    pub(super) fn join(
        log: Arc<KafkaLog>,
        config: &OwnershipConfig,
        handler: Box<dyn OwnershipHandler>,
        shared: Arc<Shared>,
    ) -> Result<Self, KafkaLogError> {
        let group = group(log.config(), &config.role);
        let mut settings = client::member(log.config(), &group)?;
        settings
            .set(
                "session.timeout.ms",
                config.session_timeout.ms().to_string(),
            )
            .set("heartbeat.interval.ms", config.heartbeat.ms().to_string());
        let link = MemberLink {
            link: Link::new("member", log.config()),
            shared: shared.clone(),
            handler: Mutex::new(handler),
        };
        let consumer = BaseConsumer::from_config_and_context(&settings, link)
            .map_err(KafkaLogError::client("make a group member"))?;
        let topic = Topic::Stream(Stream::Events).name(&log.config().topic_prefix);
        consumer
            .subscribe(&[&topic])
            .map_err(KafkaLogError::client("join the group"))?;
        Ok(Self {
            log,
            consumer: Arc::new(consumer),
            shared,
            claims: BTreeMap::new(),
            claim_age_max: config.session_timeout.duration() / 2,
        })
    }

    pub(super) fn consumer(&self) -> Arc<BaseConsumer<MemberLink>> {
        self.consumer.clone()
    }

    /// Runs until stopped, then gives everything back and leaves the group.
    pub(super) fn run(mut self) {
        while !self.shared.is_stopping.load(Ordering::Acquire) {
            let is_claiming = !self.claims.is_empty();
            let step = if is_claiming { CLAIM_STEP } else { IDLE_STEP };
            if let Some(Err(error)) = self.consumer.poll(step) {
                tracing::debug!(%error, "the group member reports");
            }
            self.take_reclaims();
            self.make_claims();
            self.take_answers();
        }
        let held: Vec<u16> = self.shared.holdings.lock().keys().copied().collect();
        for partition in held {
            self.consumer.context().lose(partition, Loss::Stopped);
        }
        self.consumer.unsubscribe();
        // Handles of callers keep the client alive; leaving does not wait for them.
        let leaving = Instant::now() + IDLE_STEP * 20;
        while Instant::now() < leaving && self.assigned() > 0 {
            self.consumer.poll(CLAIM_STEP);
        }
    }

    fn assigned(&self) -> usize {
        self.consumer.assignment().map_or(0, |list| list.count())
    }

    /// Owned partitions that need a higher epoch are claimed once more.
    fn take_reclaims(&self) {
        let reclaims = std::mem::take(&mut *self.shared.reclaims.lock());
        let mut holdings = self.shared.holdings.lock();
        for partition in reclaims {
            if let Some(holding @ Holding::Owned(_)) = holdings.get_mut(&partition) {
                *holding = self.shared.new_claim(holding.epoch());
            }
        }
    }

    fn make_claims(&mut self) {
        let wanted: BTreeMap<u16, u64> = {
            let holdings = self.shared.holdings.lock();
            let claiming = holdings
                .iter()
                .filter_map(|(partition, holding)| match holding {
                    Holding::Claiming { grant, .. } => Some((*partition, *grant)),
                    Holding::Owned(_) => None,
                });
            claiming.collect()
        };
        self.claims
            .retain(|partition, claim| wanted.get(partition) == Some(&claim.grant));
        for (partition, grant) in wanted {
            if !self.claims.contains_key(&partition) {
                let ack = append_claim(&self.log, partition);
                let made = Instant::now();
                self.claims.insert(partition, Claim { grant, ack, made });
            }
        }
    }

    fn take_answers(&mut self) {
        let mut answered = Vec::new();
        for (partition, claim) in &mut self.claims {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(answer) = Pin::new(&mut claim.ack).poll(&mut context) {
                answered.push((*partition, answer));
            }
        }
        for (partition, answer) in answered {
            if let Some(claim) = self.claims.remove(&partition) {
                self.take_answer(partition, &claim, answer);
            }
        }
    }

    fn take_answer(&self, partition: u16, claim: &Claim, answer: Result<Range<Offset>, LogError>) {
        let epoch = match answer {
            // The offset of the claim counts from 0, epochs from 1.
            Ok(offsets) => Epoch(offsets.end),
            Err(error) => {
                tracing::warn!(partition, %error, "a claim was not stored and is made again");
                return;
            }
        };
        if claim.made.elapsed() > self.claim_age_max || self.consumer.assignment_lost() {
            tracing::warn!(partition, "a claim took too long and is made again");
            return;
        }
        let mut holdings = self.shared.holdings.lock();
        match holdings.get_mut(&partition) {
            Some(holding @ Holding::Claiming { .. }) => *holding = Holding::Owned(epoch),
            _ => return,
        }
        drop(holdings);
        count("acquired");
        tracing::info!(partition, epoch = epoch.0, "acquired an event partition");
        let handler = &self.consumer.context().handler;
        handler.lock().acquired(PartitionId(partition), epoch);
    }
}

/// Appends a claim to a partition's place in the control topic.
pub(super) fn append_claim(log: &KafkaLog, partition: u16) -> AppendAck {
    let at_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    let claim = serde_json::json!({
        "claim": "owner",
        "partition": partition,
        "by": format!("process {}", std::process::id()),
        "at_ms": at_ms,
    });
    let (key, value) = (partition.to_string(), claim.to_string());
    let entry = Entry {
        key: key.as_bytes(),
        value: value.as_bytes(),
        kind: "claim",
        schema: "json",
    };
    log.append_entries(Topic::Control, PartitionId(partition), &[entry])
}
