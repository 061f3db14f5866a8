//! One commit: a single script call if it is small enough, else staged pieces and a seal.

use crate::error::RedisStoreError;
use crate::keys::{Keys, index_place};
use crate::piece::{Piece, split};
use crate::script::{Guard, HeadChange, Step, apply, run};
use crate::store::Inner;
use nowcast_features::user_slot;
use nowcast_store::{ChainId, Commit, Content, Epoch};
use redis::Pipeline;

impl Inner {
    pub(crate) async fn commit(
        &self,
        chain: ChainId,
        commit: &Commit<'_>,
    ) -> Result<(), RedisStoreError> {
        let bytes_max = self.config.commit_bytes_max.bytes() as usize;
        let mut step = Step {
            follows: commit.follows,
            position: commit.position,
            nonce: format!("{}:{:?}", self.instance, commit.follows),
        };
        match commit.content {
            Content::Delta(blob) => {
                if commit
                    .follows
                    .is_some_and(|follows| commit.position <= follows)
                {
                    return Err(self.not_ahead(chain, commit).await?.into());
                }
                if blob.len() <= bytes_max {
                    let keys = self.keys(chain);
                    let piece = Piece::of_blob(&keys, chain.stream, step.position, blob)?;
                    let guard = Guard::Follow(&step);
                    let change = HeadChange::default();
                    self.apply(chain, (commit.epoch, &guard), piece, &change)
                        .await?;
                } else {
                    let pieces = split(blob, bytes_max)?;
                    self.commit_staged(chain, commit.epoch, &step, pieces)
                        .await?;
                }
            }
            Content::Full(blobs) => {
                step.follows = None;
                step.nonce.push_str(":full");
                let mut pieces = Vec::new();
                for blob in blobs {
                    pieces.extend(split(blob, bytes_max)?);
                }
                self.commit_full(chain, commit.epoch, &step, pieces).await?;
            }
        }
        self.wait_for_replicas(chain).await
    }

    /// Sends one piece; `Err` with the reason if it was refused.
    pub(crate) async fn apply(
        &self,
        chain: ChainId,
        (epoch, guard): (Epoch, &Guard<'_>),
        mut piece: Piece,
        change: &HeadChange,
    ) -> Result<(), RedisStoreError> {
        let keys = self.keys(chain);
        self.blank_index(&keys, &mut piece).await?;
        let ttl = self.user_ttl();
        let script = &self.scripts.commit;
        let call = apply(script, &keys, (epoch, guard), &piece, change, ttl);
        let answer = run(&self.link, &call).await?;
        let step = match guard {
            Guard::Follow(step) | Guard::Roll(step, _) => Some(*step),
            Guard::Owner => None,
        };
        Ok(answer.check(chain, epoch, step)?)
    }

    /// Removes users that go from the index as well. Where they are there stands in their rows.
    async fn blank_index(&self, keys: &Keys, piece: &mut Piece) -> Result<(), RedisStoreError> {
        if piece.users_removed.is_empty() {
            return Ok(());
        }
        let mut slots = Pipeline::new();
        for user in &piece.users_removed {
            slots.cmd("GETRANGE").arg(keys.user(user)).arg(0).arg(3);
        }
        let mut wire = self.link.wire().await?;
        let answer = slots.query_async(&mut wire).await;
        let rows: Vec<Vec<u8>> = answer.map_err(|error| self.link.fail(error))?;
        let places = rows
            .iter()
            .filter_map(|row| user_slot(row))
            .map(index_place);
        let blanks = places.map(|(chunk, byte)| (keys.index(chunk), byte, [0; 16]));
        piece.index.splice(0..0, blanks.collect::<Vec<_>>());
        Ok(())
    }

    /// The error for a commit that leads nowhere: fenced if the owner has changed, else stale.
    async fn not_ahead(
        &self,
        chain: ChainId,
        commit: &Commit<'_>,
    ) -> Result<nowcast_store::StoreError, RedisStoreError> {
        let head = self.head(chain).await?;
        if let Some(owner) = head.epoch.filter(|owner| *owner > commit.epoch.0) {
            return Ok(nowcast_store::StoreError::Fenced {
                chain,
                epoch: commit.epoch,
                owner: Epoch(owner),
            });
        }
        Ok(nowcast_store::StoreError::Stale {
            chain,
            follows: commit.follows,
            position: commit.position,
            stored: head.position,
        })
    }

    async fn wait_for_replicas(&self, chain: ChainId) -> Result<(), RedisStoreError> {
        let wanted = u64::from(self.config.replicas_min);
        if wanted == 0 {
            return Ok(());
        }
        let mut command = redis::cmd("WAIT");
        let timeout = self.config.replicas_timeout.duration();
        command.arg(wanted).arg(timeout.as_millis() as u64);
        let mut wire = self.link.wire().await?;
        let answer = wire.beside(&self.keys(chain).head(), command).await;
        let value = answer.map_err(|error| self.link.fail(error))?;
        let confirmed: u64 = redis::from_redis_value(value)
            .map_err(|error| RedisStoreError::Corrupt(error.to_string()))?;
        if confirmed < wanted {
            return Err(RedisStoreError::NotReplicated { confirmed, wanted });
        }
        Ok(())
    }
}
