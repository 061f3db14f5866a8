//! Removing all that is stored of a chain, in steps each of which only its owner may take.
//!
//! The position goes first, so that what is left is no state to anybody; the mark `clearing` makes
//! the next owner finish what a crash interrupted.

use crate::error::RedisStoreError;
use crate::keys::{DEDUP_STRIPES, Keys};
use crate::piece::Piece;
use crate::script::{Guard, HeadChange};
use crate::store::Inner;
use nowcast_store::{ChainId, Epoch};
use nowcast_types::Stream;

/// Keys removed by one script call.
const KEYS_PER_CALL: usize = 4_096;

impl Inner {
    /// Leaves nothing of a chain but who owns it.
    pub(crate) async fn clear(&self, chain: ChainId, epoch: Epoch) -> Result<(), RedisStoreError> {
        let keys = self.keys(chain);
        let head = self.head(chain).await?;
        let begin = HeadChange {
            set: vec![("clearing", "1".to_owned())],
            removed: vec!["position", "nonce"],
        };
        let owner = (epoch, &Guard::Owner);
        self.apply(chain, owner, Piece::default(), &begin).await?;
        if chain.stream == Stream::Events {
            self.clear_users(chain, epoch).await?;
        }
        let mut rest = vec![keys.rows()];
        let newest = head.generation.unwrap_or(0);
        for generation in newest.saturating_sub(1)..=newest {
            rest.extend((0..DEDUP_STRIPES).map(|stripe| keys.dedup(generation, stripe)));
        }
        let staged = head
            .staged
            .max(head.rolling.map_or(0, |(pieces, _)| pieces));
        rest.extend((0..staged).map(|piece| keys.staged(piece)));
        let end = HeadChange {
            set: Vec::new(),
            removed: vec!["clearing", "generation", "staged", "pieces", "next"],
        };
        self.remove(chain, epoch, rest, &end).await
    }

    /// Throws away pieces that were staged and never sealed.
    pub(crate) async fn unstage(
        &self,
        chain: ChainId,
        epoch: Epoch,
        staged: u32,
    ) -> Result<(), RedisStoreError> {
        let keys = self.keys(chain);
        let pieces = (0..staged).map(|piece| keys.staged(piece)).collect();
        let end = HeadChange {
            set: Vec::new(),
            removed: vec!["staged"],
        };
        self.remove(chain, epoch, pieces, &end).await
    }

    async fn clear_users(&self, chain: ChainId, epoch: Epoch) -> Result<(), RedisStoreError> {
        let keys = self.keys(chain);
        let none = HeadChange::default();
        let chunks = self.index_chunks(&keys).await?;
        for chunk in (0..chunks).rev() {
            let users = self.index_chunk(&keys, chunk).await?;
            for some in users.chunks(KEYS_PER_CALL) {
                let some = some.iter().map(|user| keys.user(user)).collect();
                self.remove(chain, epoch, some, &none).await?;
            }
            // From the last to the first, so that a chunk is there while an earlier one is.
            self.remove(chain, epoch, vec![keys.index(chunk)], &none)
                .await?;
        }
        Ok(())
    }

    async fn remove(
        &self,
        chain: ChainId,
        epoch: Epoch,
        removed: Vec<Vec<u8>>,
        change: &HeadChange,
    ) -> Result<(), RedisStoreError> {
        let piece = Piece {
            removed,
            ..Piece::default()
        };
        self.apply(chain, (epoch, &Guard::Owner), piece, change)
            .await
    }

    /// Whether rows or users are there that belong to no position.
    pub(crate) async fn has_leftovers(&self, keys: &Keys) -> Result<bool, RedisStoreError> {
        let mut wire = self.link.wire().await?;
        let answer = redis::cmd("EXISTS")
            .arg(keys.rows())
            .arg(keys.index(0))
            .query_async::<u64>(&mut wire)
            .await;
        Ok(answer.map_err(|error| self.link.fail(error))? > 0)
    }
}
