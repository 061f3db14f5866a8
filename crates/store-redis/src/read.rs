//! What serving processes read: users by key, and the item side once when they start.

use crate::error::RedisStoreError;
use crate::link::{Link, SharedLink};
use crate::piece::unchecked;
use crate::store::{Inner, RedisStore};
use bytes::Bytes;
use nowcast_store::sections::SectionWriter;
use nowcast_store::{ChainId, ItemRows};
use nowcast_types::UserKey;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

impl RedisStore {
    /// The sections of users, in the order asked for; `None` where nothing is stored. One round
    /// trip whatever their number: on a cluster, one per server that has some, side by side.
    ///
    /// Dropping the future abandons the read, so a caller's deadline is kept by its timer. Must be
    /// awaited by a task of a Tokio runtime, whose own threads then talk to Redis.
    ///
    /// # Errors
    /// [`RedisStoreError::Unavailable`] if Redis does not answer in time.
    pub async fn get_many(
        &self,
        users: &[(ChainId, UserKey)],
    ) -> Result<Vec<Option<Bytes>>, RedisStoreError> {
        let link = self.inner.link_of_this_runtime()?;
        self.inner.get_many(&link, users).await
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

impl Inner {
    /// A connection lives in the runtime that made it, and dies with it.
    fn link_of_this_runtime(&self) -> Result<SharedLink, RedisStoreError> {
        let runtime = Handle::current().id();
        let mut readers = self.readers.lock();
        match &*readers {
            Some((owner, link)) if *owner == runtime => Ok(link.clone()),
            _ => {
                let link = Arc::new(Link::new(&self.config)?);
                *readers = Some((runtime, link.clone()));
                Ok(link)
            }
        }
    }

    pub(crate) async fn get_many(
        &self,
        link: &Link,
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
        let mut wire = link.wire().await?;
        self.read_round_trips.increment(1);
        let answer = get.query_async::<Vec<Option<Vec<u8>>>>(&mut wire).await;
        self.read_seconds.record(started.elapsed().as_secs_f64());
        let stored = match answer {
            Ok(stored) => stored,
            Err(error) => {
                link.doubt().await;
                return Err(link.fail(error));
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
