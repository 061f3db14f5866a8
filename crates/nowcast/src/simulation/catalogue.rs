//! Sends a simulated world's catalogue to a server.

use crate::client::Client;
use anyhow::Context;
use nowcast_sim::World;
use serde_json::{Value, json};

/// Items in one request.
const ITEMS_PER_REQUEST: usize = 500;

/// Puts every item of `world`; when it returns, the last of them can be recommended.
///
/// # Errors
/// When the server refuses an item.
pub async fn send(world: &World, client: &mut Client) -> anyhow::Result<()> {
    for part in world.items().chunks(ITEMS_PER_REQUEST) {
        let entries = part
            .iter()
            .map(|item| {
                let mut entry = serde_json::to_value(&item.item)?;
                entry["item_id"] = json!(item.id);
                Ok(entry)
            })
            .collect::<Result<Vec<Value>, serde_json::Error>>()
            .context("items are plain data")?;
        let receipt = client
            .post("/v1/items?wait=applied", Value::Array(entries).to_string())
            .await?
            .json()
            .context("the catalogue was refused")?;
        anyhow::ensure!(
            receipt["refused"] == 0,
            "items were refused: {}",
            receipt["errors"]
        );
    }
    Ok(())
}

/// The catalogue as the page shows it: id, title, kind, categories and tags.
#[must_use]
pub fn listing(world: &World) -> Value {
    world
        .items()
        .iter()
        .map(|item| {
            json!({
                "id": item.id,
                "title": item.item.attributes.get("title"),
                "kind": item.item.attributes.get("kind"),
                "categories": item.item.categories,
                "tags": item.item.tags,
            })
        })
        .collect()
}
