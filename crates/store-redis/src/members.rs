//! Who is there: processes of an installation leave a note that fades unless it is renewed.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `{ns:members}ids` | set | ids of all who have left a note and not taken it back |
//! | `{ns:members}m:<id>` | string with a time to live | the note |
//!
//! What a note says is the business of whoever writes it. Nothing rests on these notes.

use crate::error::RedisStoreError;
use crate::store::{Inner, RedisStore};
use redis::{FromRedisValue, Pipeline};
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl RedisStore {
    /// Leaves or renews the note of `id` for `ttl`. Blocks.
    ///
    /// # Errors
    /// Redis is away.
    pub fn announce(&self, id: &str, note: &str, ttl: Duration) -> Result<(), RedisStoreError> {
        let (id, note) = (id.to_owned(), note.to_owned());
        let ttl_ms = ttl.as_millis() as u64;
        self.ask_within(PATIENCE, |inner| async move {
            let mut renew = redis::pipe();
            renew.sadd(inner.ids_key(), &id).ignore();
            renew.pset_ex(inner.note_key(&id), &note, ttl_ms).ignore();
            inner.run_together(&renew).await
        })
    }

    /// Takes the note of `id` back. Blocks.
    ///
    /// # Errors
    /// Redis is away.
    pub fn withdraw(&self, id: &str) -> Result<(), RedisStoreError> {
        let id = id.to_owned();
        self.ask_within(PATIENCE, |inner| async move {
            let mut forget = redis::pipe();
            forget.srem(inner.ids_key(), &id).ignore();
            forget.del(inner.note_key(&id)).ignore();
            inner.run_together(&forget).await
        })
    }

    /// The notes that have not faded, by id. Blocks.
    ///
    /// # Errors
    /// Redis is away.
    pub fn announced(&self) -> Result<Vec<(String, String)>, RedisStoreError> {
        self.ask_within(PATIENCE, |inner| async move {
            let mut list = redis::pipe();
            list.smembers(inner.ids_key());
            let (mut ids,): (Vec<String>,) = inner.run_together(&list).await?;
            ids.sort_unstable();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let mut read = redis::pipe();
            for id in &ids {
                read.get(inner.note_key(id));
            }
            let notes: Vec<Option<String>> = inner.run_together(&read).await?;
            let (faded, there): (Vec<_>, Vec<_>) = ids
                .into_iter()
                .zip(notes)
                .partition(|(_, note)| note.is_none());
            if !faded.is_empty() {
                let faded: Vec<String> = faded.into_iter().map(|(id, _)| id).collect();
                let mut forget = redis::pipe();
                forget.srem(inner.ids_key(), faded).ignore();
                inner.run_together::<()>(&forget).await?;
            }
            Ok(there
                .into_iter()
                .filter_map(|(id, note)| Some((id, note?)))
                .collect())
        })
    }
}

impl Inner {
    fn ids_key(&self) -> String {
        format!("{{{}:members}}ids", self.config.namespace)
    }

    fn note_key(&self, id: &str) -> String {
        format!("{{{}:members}}m:{id}", self.config.namespace)
    }

    async fn run_together<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, RedisStoreError> {
        let mut wire = self.link.wire().await?;
        match commands.query_async(&mut wire).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.link.doubt().await;
                Err(self.link.fail(error))
            }
        }
    }
}
