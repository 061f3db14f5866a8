//! Commits too big for one script call: pieces are staged where nobody looks, then sealed, then
//! applied one by one.
//!
//! The seal is the commit: one small script that moves the position and says that the pieces count.
//! Before it the old state stands and leftovers are thrown away; after it whoever owns the chain
//! next applies what is left before reading. So Redis is never busy for longer than one piece, and
//! no crash leaves half a commit. Readers of single users may see new rows while others are old.

use crate::error::RedisStoreError;
use crate::head::Head;
use crate::piece::Piece;
use crate::script::{Answer, Guard, HeadChange, Step, run, text};
use crate::store::Inner;
use nowcast_store::{ChainId, Epoch};

impl Inner {
    pub(crate) async fn head(&self, chain: ChainId) -> Result<Head, RedisStoreError> {
        let mut wire = self.link.wire().await?;
        match Head::read(&mut wire, &self.keys(chain)).await {
            Ok(head) => head,
            Err(error) => {
                self.link.doubt().await;
                Err(self.link.fail(error))
            }
        }
    }

    /// Replaces everything by the pieces.
    pub(crate) async fn commit_full(
        &self,
        chain: ChainId,
        epoch: Epoch,
        step: &Step,
        pieces: Vec<Vec<u8>>,
    ) -> Result<(), RedisStoreError> {
        self.claim(chain, epoch).await?;
        let head = self.head(chain).await?;
        if head.nonce.as_deref() != Some(&step.nonce) {
            self.clear(chain, epoch).await?;
        }
        self.commit_staged(chain, epoch, step, pieces).await
    }

    /// Stages, seals and applies; goes on where an earlier try of the same commit ended.
    pub(crate) async fn commit_staged(
        &self,
        chain: ChainId,
        epoch: Epoch,
        step: &Step,
        pieces: Vec<Vec<u8>>,
    ) -> Result<(), RedisStoreError> {
        let head = self.head(chain).await?;
        let is_sealed =
            head.nonce.as_deref() == Some(&step.nonce) && head.position == Some(step.position);
        if !is_sealed {
            self.stage(chain, epoch, &pieces).await?;
            self.seal(chain, epoch, step, pieces.len()).await?;
        }
        drop(pieces);
        self.roll_forward(chain, epoch).await
    }

    async fn stage(
        &self,
        chain: ChainId,
        epoch: Epoch,
        pieces: &[Vec<u8>],
    ) -> Result<(), RedisStoreError> {
        let keys = self.keys(chain);
        let mut change = HeadChange {
            set: vec![("staged", pieces.len().to_string())],
            removed: Vec::new(),
        };
        for (n, blob) in (0..).zip(pieces) {
            let piece = Piece {
                // A string like those of ids, replaced as a whole.
                removed: vec![keys.staged(n)],
                appended: vec![(keys.staged(n), blob.clone())],
                ..Piece::default()
            };
            self.apply(chain, (epoch, &Guard::Owner), piece, &change)
                .await?;
            change = HeadChange::default();
        }
        Ok(())
    }

    async fn seal(
        &self,
        chain: ChainId,
        epoch: Epoch,
        step: &Step,
        pieces: usize,
    ) -> Result<(), RedisStoreError> {
        let keys = self.keys(chain);
        let mut call = self.scripts.seal.key(keys.head());
        for n in 0..pieces as u32 {
            call.key(keys.staged(n));
        }
        call.arg(epoch.0).arg(text(step.follows));
        call.arg(step.position).arg(&step.nonce).arg(pieces);
        match run(&self.link, &call).await? {
            // A failover took a piece: what was sent is sent again.
            Answer::Incomplete => Err(RedisStoreError::Corrupt(
                "a staged piece of a commit is gone".to_owned(),
            )),
            answer => Ok(answer.check(chain, epoch, Some(step))?),
        }
    }

    /// Applies what is sealed and not applied yet, whoever sealed it.
    pub(crate) async fn roll_forward(
        &self,
        chain: ChainId,
        epoch: Epoch,
    ) -> Result<(), RedisStoreError> {
        while self.roll_one(chain, epoch).await? {}
        Ok(())
    }

    /// Applies the next sealed piece; false if there is none.
    async fn roll_one(&self, chain: ChainId, epoch: Epoch) -> Result<bool, RedisStoreError> {
        let keys = self.keys(chain);
        let head = self.head(chain).await?;
        let (Some((pieces, next)), Some(nonce)) = (head.rolling, head.nonce) else {
            return Ok(false);
        };
        let step = Step {
            follows: None,
            position: head.position.unwrap_or(0),
            nonce,
        };
        let mut wire = self.link.wire().await?;
        let get = redis::cmd("GET").arg(keys.staged(next)).to_owned();
        let answer = get.query_async(&mut wire).await;
        let blob: Option<Vec<u8>> = answer.map_err(|error| self.link.fail(error))?;
        let Some(blob) = blob else {
            let problem = format!("piece {next} of a sealed commit of {}", keys.tag());
            return Err(RedisStoreError::Corrupt(problem));
        };
        let mut piece = Piece::of_blob(&keys, chain.stream, step.position, &blob)?;
        piece.removed.push(keys.staged(next));
        let change = if next + 1 < pieces {
            HeadChange {
                set: vec![("next", (next + 1).to_string())],
                removed: Vec::new(),
            }
        } else {
            HeadChange {
                set: Vec::new(),
                removed: vec!["pieces", "next"],
            }
        };
        let guard = Guard::Roll(&step, next);
        self.apply(chain, (epoch, &guard), piece, &change).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RedisConfig;
    use crate::piece::split;
    use crate::store::RedisStore;
    use nowcast_services::Redis;
    use nowcast_store::sections::SectionWriter;
    use nowcast_store::{Commit, Content, Saved, StateStore, Verdict};
    use nowcast_types::PartitionId;

    const CHAIN: ChainId = ChainId::events(PartitionId(0));

    fn open(redis: &Redis) -> RedisStore {
        let config = RedisConfig {
            url: redis.url(),
            ..RedisConfig::default()
        };
        RedisStore::open(config).unwrap()
    }

    fn load(store: &RedisStore, epoch: u64) -> Option<(u64, usize)> {
        let mut rows = 0;
        let mut count = |saved: Saved| {
            for blob in &saved.blobs {
                nowcast_store::sections::for_each(blob, |_, _, _| rows += 1).unwrap();
            }
            Verdict::Accept
        };
        let loaded = store.load(CHAIN, Epoch(epoch), &mut count).unwrap();
        loaded.position.map(|position| (position, rows))
    }

    fn rows(n: u32) -> Vec<u8> {
        let mut blob = SectionWriter::new();
        for key in 0..n {
            blob.push(2, &key.to_le_bytes(), Some(&[7; 100]));
        }
        blob.into_bytes()
    }

    #[test]
    fn a_crash_before_the_seal_leaves_the_old_state_and_after_it_the_new_one() {
        let redis = Redis::start().unwrap();
        let store = open(&redis);
        assert_eq!(load(&store, 1), None);
        let first = rows(3);
        let commit = Commit {
            epoch: Epoch(1),
            follows: None,
            position: 10,
            content: Content::Delta(&first),
        };
        store.commit(CHAIN, &commit).unwrap();
        let step = Step {
            follows: Some(10),
            position: 20,
            nonce: "n".to_owned(),
        };
        let pieces = split(&rows(1_000), 8 << 10).unwrap();
        assert!(pieces.len() > 5);
        let inner = store.inner.clone();
        let staged = inner.stage(CHAIN, Epoch(1), &pieces);
        store.runtime().block_on(staged).unwrap();
        drop(store);

        let store = open(&redis);
        assert_eq!(load(&store, 2), Some((10, 3)), "nothing was sealed");
        let keys = inner.keys(CHAIN);
        let exists = |key: Vec<u8>| {
            let key = String::from_utf8(key).unwrap();
            let reply = nowcast_services::redis::command(redis.address(), &["EXISTS", &key]);
            format!("{:?}", reply.unwrap())
        };
        assert_eq!(exists(keys.staged(0)), exists(b"absent".to_vec()));
        let inner = store.inner.clone();
        store
            .runtime()
            .block_on(async {
                inner.stage(CHAIN, Epoch(2), &pieces).await?;
                inner.seal(CHAIN, Epoch(2), &step, pieces.len()).await?;
                inner.roll_one(CHAIN, Epoch(2)).await
            })
            .unwrap();
        drop(store);

        let store = open(&redis);
        assert_eq!(load(&store, 3), Some((20, 1_000)), "the seal is the commit");
        assert_eq!(load(&store, 3), Some((20, 1_000)));
    }

    #[test]
    fn an_interrupted_removal_is_finished_by_the_next_owner() {
        let redis = Redis::start().unwrap();
        let store = open(&redis);
        load(&store, 1);
        let first = rows(3);
        let commit = Commit {
            epoch: Epoch(1),
            follows: None,
            position: 10,
            content: Content::Delta(&first),
        };
        store.commit(CHAIN, &commit).unwrap();
        let begin = HeadChange {
            set: vec![("clearing", "1".to_owned())],
            removed: vec!["position", "nonce"],
        };
        let guard = (Epoch(1), &Guard::Owner);
        let inner = store.inner.clone();
        let begun = inner.apply(CHAIN, guard, Piece::default(), &begin);
        store.runtime().block_on(begun).unwrap();
        assert_eq!(load(&store, 2), None);
        let one = rows(1);
        let again = Commit {
            epoch: Epoch(2),
            follows: None,
            position: 5,
            content: Content::Delta(&one),
        };
        store.commit(CHAIN, &again).unwrap();
        assert_eq!(load(&store, 2), Some((5, 1)));
    }
}
