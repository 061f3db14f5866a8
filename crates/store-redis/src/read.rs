//! What serving processes read: users by key, and the item side once when they start.

use crate::error::RedisStoreError;
use crate::piece::unchecked;
use crate::store::{Inner, RedisStore};
use bytes::Bytes;
use nowcast_store::sections::SectionWriter;
use nowcast_store::{ChainId, ItemRows};
use nowcast_types::UserKey;
use std::sync::Arc;
use std::time::Instant;

impl RedisStore {
    /// The sections of users, in the order asked for; `None` where nothing is stored. One round
    /// trip whatever their number: on a cluster, one per server that has some, side by side.
    ///
    /// Dropping the future abandons the read, so a caller's deadline is kept by its timer.
    ///
    /// # Errors
    /// [`RedisStoreError::Unavailable`] if Redis does not answer in time.
    pub async fn get_many(
        &self,
        users: &[(ChainId, UserKey)],
    ) -> Result<Vec<Option<Bytes>>, RedisStoreError> {
        let inner = self.inner.clone();
        let users = users.to_vec();
        // The connection belongs to the store's own runtime, whichever the caller's is.
        let read = self
            .runtime()
            .spawn(async move { inner.get_many(&users).await });
        match AbortOnDrop(read).await {
            Ok(outcome) => outcome,
            Err(_) => Err(RedisStoreError::Corrupt("a read has panicked".to_owned())),
        }
    }

    /// Reads the item side of a chain without owning it, for a replica to begin with. Blocks.
    ///
    /// # Errors
    /// Redis is away, or what it has is damaged.
    pub fn item_side(&self, chain: ChainId) -> Result<ItemRows, RedisStoreError> {
        let inner: Arc<Inner> = self.inner.clone();
        self.runtime().block_on(async move {
            let head = inner.head(chain).await?;
            let mut rows = SectionWriter::new();
            inner
                .scan_rows(&inner.keys(chain), |kind, key, value| {
                    rows.push(kind, key, Some(value));
                })
                .await?;
            Ok(ItemRows {
                position: head.position,
                blob: rows.into_bytes(),
            })
        })
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Inner {
    pub(crate) async fn get_many(
        &self,
        users: &[(ChainId, UserKey)],
    ) -> Result<Vec<Option<Bytes>>, RedisStoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let mut get = redis::cmd("MGET");
        for (chain, user) in users {
            get.arg(self.keys(*chain).user(user));
        }
        let mut wire = self.link.wire().await?;
        self.read_round_trips.increment(1);
        let answer = get.query_async::<Vec<Option<Vec<u8>>>>(&mut wire).await;
        self.read_seconds.record(started.elapsed().as_secs_f64());
        let stored = match answer {
            Ok(stored) => stored,
            Err(error) => {
                self.link.doubt().await;
                return Err(self.link.fail(error));
            }
        };
        Ok(stored.into_iter().map(|s| self.value(s)).collect())
    }

    /// A damaged value is no value: the answer falls back as for an unknown user, and is counted.
    fn value(&self, stored: Option<Vec<u8>>) -> Option<Bytes> {
        let stored = stored?;
        let Some(len) = unchecked(&stored).map(<[u8]>::len) else {
            self.read_damaged.increment(1);
            return None;
        };
        Some(Bytes::from(stored).slice(..len))
    }
}
