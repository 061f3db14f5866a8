//! Reading chains that others own.
//!
//! For callers that block it runs on the store's own runtime; one on a worker of another runtime
//! gives that worker's other tasks away while it waits. Tasks await their reads on their own.

use crate::error::RedisStoreError;
use crate::store::{Inner, RedisStore};
use bytes::Bytes;
use nowcast_store::{
    ChainId, Epoch, ItemRows, Saved, SectionRead, Standing, StateReader, StoreError,
};
use nowcast_types::UserKey;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Longest wait for small reads that no request waits for.
const PATIENCE: Duration = Duration::from_secs(10);

impl RedisStore {
    /// Runs `call` on the store's runtime and waits for it, at most for `patience`.
    pub(crate) fn ask_within<T, F>(
        &self,
        patience: Duration,
        call: impl FnOnce(Arc<Inner>) -> F,
    ) -> Result<T, RedisStoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RedisStoreError>> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let call = call(self.inner.clone());
        let task = self.runtime().spawn(async move {
            // Whoever asked may have given up.
            let _ = answer.send(call.await);
        });
        let outcome = aside(|| answered.recv_timeout(patience));
        outcome.unwrap_or_else(|_| {
            task.abort();
            Err(late(patience))
        })
    }
}

fn late(patience: Duration) -> RedisStoreError {
    RedisStoreError::Late(format!("no answer within {} ms", patience.as_millis()))
}

/// The section of the one user who was asked for.
fn only(stored: Vec<Option<Bytes>>) -> Option<Vec<u8>> {
    let stored = stored.into_iter().next().flatten();
    stored.map(|section| section.to_vec())
}

/// Blocks without holding up the tasks that share this thread, if any do.
fn aside<T>(wait: impl FnOnce() -> T) -> T {
    let is_shared = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if is_shared {
        tokio::task::block_in_place(wait)
    } else {
        wait()
    }
}

impl StateReader for RedisStore {
    fn user(&self, chain: ChainId, user: &UserKey) -> Result<Option<Vec<u8>>, StoreError> {
        let users = [(chain, *user)];
        let patience = self.inner.config.read_timeout.duration();
        let read = self.ask_within(patience, |inner| async move {
            inner.get_many(&inner.link, &users).await
        });
        Ok(only(read?))
    }

    fn user_awaited(&self, chain: ChainId, user: UserKey) -> SectionRead<'_> {
        Box::pin(async move {
            let patience = self.inner.config.read_timeout.duration();
            let users = [(chain, user)];
            let read = tokio::time::timeout(patience, self.get_many(&users)).await;
            Ok(only(read.unwrap_or_else(|_| Err(late(patience)))?))
        })
    }

    fn item_rows(&self, chain: ChainId) -> Result<ItemRows, StoreError> {
        Ok(self.item_side(chain)?)
    }

    fn whole(&self, chain: ChainId) -> Result<Option<Saved>, StoreError> {
        let patience = self.inner.config.load_timeout.duration();
        let peek = self.ask_within(patience, |inner| async move { inner.peek(chain).await });
        Ok(peek?)
    }

    fn standing(&self, chain: ChainId) -> Result<Standing, StoreError> {
        let head = self.ask_within(PATIENCE, |inner| async move { inner.head(chain).await })?;
        Ok(Standing {
            epoch: Epoch(head.epoch.unwrap_or(0)),
            position: head.position,
        })
    }
}
