//! Where the dead letters are: in a data folder, or with a running server.

use crate::cli::Shared;
use crate::client::{Client, ServerAddress};
use crate::roles::Role;
use crate::running;
use crate::settings;
use anyhow::Context;
use nowcast_engine::Engine;
use nowcast_intake::{BuiltInRegistry, DeadLetters, LetterView, Repair, Replayed, Wanted};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The dead letters to work on.
pub struct Place {
    runtime: Runtime,
    kind: Kind,
}

enum Kind {
    Folder(Folder),
    Server(Client),
}

struct Folder {
    letters: DeadLetters,
    engine: Arc<Engine>,
    _registry: Option<BuiltInRegistry>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.engine.close();
    }
}

#[derive(Deserialize)]
struct Letters<T> {
    letters: Vec<T>,
}

impl Place {
    /// Opens the data folder, or prepares to ask the server at `url`.
    ///
    /// # Errors
    /// When the folder is in use or damaged.
    pub fn open(shared: &Shared, url: Option<&str>, key: Option<String>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let kind = match url {
            Some(url) => Kind::Server(Client::new(ServerAddress::parse(url, key)?)),
            None => Kind::Folder(folder(shared)?),
        };
        Ok(Self { runtime, kind })
    }

    /// A page of letters.
    ///
    /// # Errors
    /// The log's, or the server's.
    pub fn list(&mut self, wanted: &Wanted) -> anyhow::Result<Vec<LetterView>> {
        match &mut self.kind {
            Kind::Folder(folder) => Ok(folder.letters.list(wanted)?),
            Kind::Server(client) => {
                let path = format!("/v1/dead-letters?{}", query(wanted));
                let reply = self.runtime.block_on(client.get(&path))?.json()?;
                Ok(read::<Letters<LetterView>>(reply)?.letters)
            }
        }
    }

    /// One letter.
    ///
    /// # Errors
    /// When it is not there.
    pub fn show(&mut self, offset: u64) -> anyhow::Result<LetterView> {
        match &mut self.kind {
            Kind::Folder(folder) => Ok(folder.letters.show(offset)?),
            Kind::Server(client) => {
                let path = format!("/v1/dead-letters/{offset}");
                read(self.runtime.block_on(client.get(&path))?.json()?)
            }
        }
    }

    /// Takes letters in; an answer for each.
    ///
    /// # Errors
    /// The log's, or the server's.
    pub fn replay(&mut self, repairs: &[Repair]) -> anyhow::Result<Vec<Replayed>> {
        match &mut self.kind {
            Kind::Folder(folder) => Ok(self.runtime.block_on(folder.letters.replay(repairs))?),
            Kind::Server(client) => {
                let body = json!({"letters": repairs}).to_string();
                let sent = client.post("/v1/dead-letters/replay", body);
                let reply = self.runtime.block_on(sent)?.json()?;
                Ok(read::<Letters<Replayed>>(reply)?.letters)
            }
        }
    }
}

fn folder(shared: &Shared) -> anyhow::Result<Folder> {
    let settings = settings::load_with(shared, vec![running::no_background_training()])?.settings;
    running::ensure_data(&settings)?;
    let (engine, _) = running::open_for(&settings, Role::Ingest)?;
    running::wait_live(&engine, Duration::from_secs(600))?;
    let registry = running::open_registry(&engine, &settings.registry)?;
    let decoder = running::decoder(&settings.intake, registry.as_ref())?;
    Ok(Folder {
        letters: running::dead_letters(&engine, &settings.intake, decoder),
        engine,
        _registry: registry,
    })
}

fn read<T: DeserializeOwned>(reply: Value) -> anyhow::Result<T> {
    serde_json::from_value(reply).context("the server's answer has another shape")
}

fn query(wanted: &Wanted) -> String {
    let mut pairs = vec![
        format!("limit={}", wanted.limit),
        format!("all={}", wanted.all),
        format!("bytes={}", wanted.bytes),
    ];
    pairs.extend(wanted.after.map(|after| format!("after={after}")));
    // Codes and topics are made of letters, digits, `.`, `_` and `-`.
    pairs.extend(wanted.code.as_ref().map(|code| format!("code={code}")));
    pairs.extend(wanted.topic.as_ref().map(|topic| format!("topic={topic}")));
    pairs.join("&")
}
