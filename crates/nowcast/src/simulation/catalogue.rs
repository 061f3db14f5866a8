//! Sends a simulated world's catalogue to a server.

use crate::client::{Client, ServerAddress};
use anyhow::Context;
use indicatif::ProgressBar;
use nowcast_sim::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections that send items side by side, so that group commit has something to group.
const CONNECTIONS: usize = 16;

/// Puts every item of `world`, and returns when all are acknowledged.
///
/// # Errors
/// The first item that the server refuses.
pub async fn send(
    world: &Arc<World>,
    address: &ServerAddress,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (world, next) = (Arc::clone(world), Arc::clone(&next));
        let (mut client, progress) = (Client::new(address.clone()), progress.clone());
        senders.spawn(async move {
            while let Some(item) = world.items().get(next.fetch_add(1, Ordering::Relaxed)) {
                let body = serde_json::to_vec(&item.item).context("an item is valid JSON")?;
                client
                    .put(&format!("/v1/items/{}", item.id), body)
                    .await?
                    .json()
                    .with_context(|| format!("item {} was refused", item.id))?;
                progress.inc(1);
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = senders.join_next().await {
        done.context("a sender of items panicked")??;
    }
    Ok(())
}
