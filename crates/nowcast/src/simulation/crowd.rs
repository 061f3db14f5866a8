//! Readers coming and going at a steady rate: ask, read, click, report.
//!
//! The rate is open loop: a visit is due when it is due, whether or not the server has answered
//! the one before, because real readers do not wait for each other.

use super::arms::Arm;
use super::tally::{Tally, Visit};
use crate::client::{Client, ServerAddress};
use anyhow::Context;
use nowcast_sim::{Reader, SimEvent, SimRng, World};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How many come, how often.
#[derive(Debug, Clone)]
pub struct CrowdOptions {
    /// Seed of who clicks what.
    pub seed: u64,
    /// Distinct readers.
    pub readers: u64,
    /// Visits a second, all readers together.
    pub visits_per_second: f64,
    /// Length of a list.
    pub slate_len: usize,
    /// Readers are visited by this many connections side by side.
    pub connections: usize,
    /// Everybody belongs to the personalized arm.
    pub one_arm: bool,
}

/// Runs visits until `stop` turns true.
pub async fn run(
    world: Arc<World>,
    address: ServerAddress,
    options: CrowdOptions,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
) {
    let indices: Arc<HashMap<String, usize>> = Arc::new(
        world
            .items()
            .iter()
            .enumerate()
            .map(|(index, item)| (item.id.clone(), index))
            .collect(),
    );
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..options.connections.max(1) as u64 {
        let worker = Worker {
            readers: (number..options.readers.max(1))
                .step_by(options.connections.max(1))
                .map(|index| (format!("reader-{index:04}"), world.reader(index)))
                .collect(),
            world: Arc::clone(&world),
            indices: Arc::clone(&indices),
            client: Client::new(address.clone()),
            rng: SimRng::derive(options.seed, number),
            slate_len: options.slate_len,
            one_arm: options.one_arm,
            tally: Arc::clone(&tally),
        };
        if !worker.readers.is_empty() {
            let every = options.connections as f64 / options.visits_per_second.max(0.001);
            workers.spawn(worker.run(Duration::from_secs_f64(every), stop.clone()));
        }
    }
    while workers.join_next().await.is_some() {}
}

struct Worker {
    readers: Vec<(String, Reader)>,
    world: Arc<World>,
    indices: Arc<HashMap<String, usize>>,
    client: Client,
    rng: SimRng,
    slate_len: usize,
    one_arm: bool,
    tally: Arc<Tally>,
}

impl Worker {
    async fn run(mut self, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut due = tokio::time::interval(every);
        // After a stall, catch up: the visits were due.
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while !*stop.borrow_and_update() {
            tokio::select! {
                _ = due.tick() => {
                    if let Err(error) = self.visit().await {
                        self.tally.error(&error);
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
    }

    async fn visit(&mut self) -> anyhow::Result<()> {
        let chosen = self.rng.below(self.readers.len());
        let (reader_id, reader) = &mut self.readers[chosen];
        let arm = if self.one_arm {
            Arm::Personalized
        } else {
            Arm::of(reader_id)
        };
        let found = reader.arrive(&self.world);

        let asked = Instant::now();
        let question = json!({ "user_id": reader_id, "slot": arm.slot(), "k": self.slate_len });
        let answer = self
            .client
            .post("/v1/recommendations", question.to_string())
            .await?
            .json()?;
        let answered = asked.elapsed();
        let slate: Vec<usize> = shown_items(&answer)
            .filter_map(|id| self.indices.get(id).copied())
            .collect();
        let request_id = answer["request_id"].as_str().unwrap_or_default();

        let reaction = reader.react(&self.world, &slate, &mut self.rng);
        let clicks = reaction.clicks() as u64;
        let sender = EventWriter {
            reader_id,
            world: &self.world,
        };
        let mut events: Vec<Value> = found.iter().map(|event| sender.write(event)).collect();
        for event in &reaction.events {
            let mut written = sender.write(event);
            written["slot"] = json!(arm.slot());
            written["request_id"] = json!(request_id);
            events.push(written);
        }
        let mut acknowledge = None;
        if !events.is_empty() {
            let sent = Instant::now();
            let body = Value::Array(events.clone()).to_string();
            self.client.post("/v1/events", body).await?.json()?;
            acknowledge = Some(sent.elapsed());
        }
        self.tally.visit(&Visit {
            arm,
            shown: slate.len() as u64,
            clicks,
            rung: answer["rung"].as_str().unwrap_or("unknown").to_owned(),
            answer: answered,
            acknowledge,
            events: (events.len() + slate.len()) as u64,
        });
        Ok(())
    }
}

/// Item ids of an answer of `/v1/recommendations`, best first.
pub fn shown_items(answer: &Value) -> impl Iterator<Item = &str> {
    answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["item_id"].as_str())
}

struct EventWriter<'a> {
    reader_id: &'a str,
    world: &'a World,
}

impl EventWriter<'_> {
    /// The event as the API takes it. The server stamps it on arrival: simulated reading takes no
    /// real time.
    fn write(&self, event: &SimEvent) -> Value {
        let mut written = json!({
            "event_type": event.event_type,
            "user_id": self.reader_id,
            "item_id": self.world.items()[event.item].id,
        });
        if let Some(value) = event.value {
            written["value"] = json!(value);
        }
        written
    }
}

/// Waits until the server at `address` says it is ready.
///
/// # Errors
/// After `patience`, with the last answer.
pub async fn wait_ready(address: &ServerAddress, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    let mut client = Client::new(address.clone());
    loop {
        let last = client.get("/readyz").await.and_then(|reply| {
            if reply.status == 200 {
                Ok(())
            } else {
                Err(anyhow::anyhow!("/readyz answered {}", reply.status))
            }
        });
        match last {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).context("the server is not ready");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
