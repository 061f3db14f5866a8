//! Measures freshness from outside: a click is acknowledged, and the clock runs until an answer
//! shows that it counted.
//!
//! The probe clicks the first item of its own list. A list never offers again what was clicked, so
//! the first answer without that item has seen the click.

use super::crowd::shown_items;
use super::tally::Tally;
use crate::client::Client;
use anyhow::{Context, bail};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Longest wait for a change before the probe calls it an error.
const PATIENCE: Duration = Duration::from_secs(5);

/// One click of `user`; returns the time from the acknowledgement to the changed answer.
///
/// # Errors
/// When the server refuses, or nothing changes within five seconds.
pub async fn click_to_change(client: &mut Client, user: &str) -> anyhow::Result<Duration> {
    let question = json!({ "user_id": user, "slot": "default", "k": 10 }).to_string();
    let answer = client
        .post("/v1/recommendations", question.clone())
        .await?
        .json()?;
    let first = shown_items(&answer)
        .next()
        .context("the list is empty, so there is nothing to click")?
        .to_owned();
    let click = json!({ "event_type": "click", "user_id": user, "item_id": first });
    client.post("/v1/events", click.to_string()).await?.json()?;
    let acknowledged = Instant::now();
    loop {
        let answer = client
            .post("/v1/recommendations", question.clone())
            .await?
            .json()?;
        let waited = acknowledged.elapsed();
        if !shown_items(&answer).any(|id| id == first) {
            return Ok(waited);
        }
        if waited > PATIENCE {
            bail!("the answer did not change within {} s", PATIENCE.as_secs());
        }
    }
}

/// Probes twice a second until `stop` turns true, with a new user every ten clicks.
pub async fn run(mut client: Client, tally: Arc<Tally>, mut stop: watch::Receiver<bool>) {
    let mut due = tokio::time::interval(Duration::from_millis(500));
    let mut number = 0_u64;
    while !*stop.borrow_and_update() {
        tokio::select! {
            _ = due.tick() => {
                let user = format!("probe-{:05}", number / 10);
                number += 1;
                match click_to_change(&mut client, &user).await {
                    Ok(took) => tally.freshness(took),
                    Err(error) => tally.error(&error),
                }
                tally.events(1);
            }
            changed = stop.changed() => if changed.is_err() { break },
        }
    }
}
