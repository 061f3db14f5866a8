//! Reading everything of a chain, in bounded steps.
//!
//! The reader owns the chain, so nothing changes meanwhile; should a failover take something back,
//! the head shows it and the reading starts again.

use crate::error::RedisStoreError;
use crate::head::Head;
use crate::keys::{DEDUP_STRIPES, Keys};
use crate::piece::unchecked;
use crate::store::Inner;
use nowcast_features::{Section, section_kind, user_slot};
use nowcast_store::sections::SectionWriter;
use nowcast_store::{ChainId, Epoch, Saved};
use nowcast_types::{Stream, UserKey};
use redis::{Cmd, FromRedisValue};
use std::time::Duration;

/// Rows asked for at once.
const ROWS_PER_STEP: usize = 1_000;
/// Users asked for at once.
const USERS_PER_STEP: usize = 1_000;
/// Bytes of event ids asked for at once, a multiple of 8.
const ID_BYTES_PER_STEP: usize = 1 << 20;
/// Bytes at which a new blob begins.
const BLOB_BYTES: usize = 4 << 20;
/// Pause before a state that changed under its reader is read again.
const PEEK_PAUSE: Duration = Duration::from_millis(50);
/// Times the head may change under the reader before it gives up.
const TRIES_MAX: u32 = 8;

/// Sections gathered into blobs of moderate size.
#[derive(Default)]
struct Gathered {
    blobs: Vec<Vec<u8>>,
    open: SectionWriter,
}

impl Gathered {
    fn push(&mut self, section: Section<'_>) {
        self.open.push(section.kind, section.key, section.value);
        if self.open.len() >= BLOB_BYTES {
            let full = std::mem::take(&mut self.open);
            self.blobs.push(full.into_bytes());
        }
    }

    fn into_blobs(mut self) -> Vec<Vec<u8>> {
        self.blobs.push(self.open.into_bytes());
        self.blobs
    }
}

impl Inner {
    /// Claims a chain, finishes what was begun, and reads its state; `None` if there is none.
    pub(crate) async fn load(
        &self,
        chain: ChainId,
        epoch: Epoch,
    ) -> Result<Option<Saved>, RedisStoreError> {
        let keys = self.keys(chain);
        for _ in 0..TRIES_MAX {
            self.claim(chain, epoch).await?;
            let mut head = self.head(chain).await?;
            if head.is_clearing || (head.position.is_none() && self.has_leftovers(&keys).await?) {
                self.clear(chain, epoch).await?;
                return Ok(None);
            }
            if head.staged > 0 {
                self.unstage(chain, epoch, head.staged).await?;
            }
            self.roll_forward(chain, epoch).await?;
            head = Head {
                rolling: None,
                staged: 0,
                ..head
            };
            let found = self.gather(chain, &head).await?;
            // Generations may have begun with a piece that was applied just now.
            let now = self.head(chain).await?;
            let same = Head {
                generation: now.generation,
                ..head.clone()
            };
            if now == same && now.generation == head.generation {
                return Ok(head.position.map(|position| Saved {
                    position,
                    blobs: found.into_blobs(),
                }));
            }
        }
        Err(RedisStoreError::Corrupt(format!(
            "{} changed {TRIES_MAX} times while its owner read it",
            keys.tag()
        )))
    }

    /// Reads the state of a chain that somebody else owns, as of one commit; `None` if there is
    /// none.
    pub(crate) async fn peek(&self, chain: ChainId) -> Result<Option<Saved>, RedisStoreError> {
        for _ in 0..TRIES_MAX {
            let head = self.head(chain).await?;
            if head.position.is_none() || head.is_clearing {
                return Ok(None);
            }
            if head.rolling.is_none() {
                let found = self.gather(chain, &head).await?;
                let now = self.head(chain).await?;
                if now.position == head.position && now.rolling.is_none() {
                    return Ok(head.position.map(|position| Saved {
                        position,
                        blobs: found.into_blobs(),
                    }));
                }
            }
            tokio::time::sleep(PEEK_PAUSE).await;
        }
        Err(RedisStoreError::Late(format!(
            "{} changed {TRIES_MAX} times while it was read",
            self.keys(chain).tag()
        )))
    }

    async fn gather(&self, chain: ChainId, head: &Head) -> Result<Gathered, RedisStoreError> {
        let keys = self.keys(chain);
        let mut found = Gathered::default();
        self.read_rows(&keys, &mut found).await?;
        if chain.stream == Stream::Events {
            self.read_users(&keys, &mut found).await?;
            self.read_ids(&keys, head, &mut found).await?;
        }
        Ok(found)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisStoreError> {
        let mut wire = self.link.wire().await?;
        match command.query_async(&mut wire).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.link.doubt().await;
                Err(self.link.fail(error))
            }
        }
    }

    async fn read_rows(&self, keys: &Keys, found: &mut Gathered) -> Result<(), RedisStoreError> {
        self.scan_rows(keys, |kind, key, value| {
            let value = Some(value);
            found.push(Section { kind, key, value });
        })
        .await
    }

    /// Calls `row` with every row, some perhaps twice.
    pub(crate) async fn scan_rows(
        &self,
        keys: &Keys,
        mut row: impl FnMut(u8, &[u8], &[u8]),
    ) -> Result<(), RedisStoreError> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(keys.rows()).arg(cursor);
            scan.arg("COUNT").arg(ROWS_PER_STEP);
            let (next, fields): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            for pair in fields.chunks_exact(2) {
                let (Some((kind, key)), Some(value)) = (pair[0].split_first(), unchecked(&pair[1]))
                else {
                    let problem = format!("a row of {} is damaged", keys.tag());
                    return Err(RedisStoreError::Corrupt(problem));
                };
                row(*kind, key, value);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    pub(crate) async fn index_chunks(&self, keys: &Keys) -> Result<u32, RedisStoreError> {
        let mut chunks = 0;
        while self
            .ask::<u64>(redis::cmd("EXISTS").arg(keys.index(chunks)))
            .await?
            > 0
        {
            chunks += 1;
        }
        Ok(chunks)
    }

    /// The users that the index names in one chunk; some may be gone.
    pub(crate) async fn index_chunk(
        &self,
        keys: &Keys,
        chunk: u32,
    ) -> Result<Vec<UserKey>, RedisStoreError> {
        let bytes: Vec<u8> = self.ask(redis::cmd("GET").arg(keys.index(chunk))).await?;
        let (users, _) = bytes.as_chunks::<16>();
        let named = users.iter().filter(|user| **user != [0; 16]);
        Ok(named.map(|user| UserKey(*user)).collect())
    }

    async fn read_users(&self, keys: &Keys, found: &mut Gathered) -> Result<(), RedisStoreError> {
        for chunk in 0..self.index_chunks(keys).await? {
            let users = self.index_chunk(keys, chunk).await?;
            for some in users.chunks(USERS_PER_STEP) {
                let mut get = redis::cmd("MGET");
                for user in some {
                    get.arg(keys.user(user));
                }
                let values: Vec<Option<Vec<u8>>> = self.ask(&get).await?;
                for (user, stored) in some.iter().zip(values) {
                    let Some(stored) = stored else { continue };
                    let value = unchecked(&stored).filter(|value| user_slot(value).is_some());
                    let Some(value) = value else {
                        let problem = format!("a user of {} is damaged", keys.tag());
                        return Err(RedisStoreError::Corrupt(problem));
                    };
                    found.push(Section {
                        kind: section_kind::USER,
                        key: &user.0,
                        value: Some(value),
                    });
                }
            }
        }
        Ok(())
    }

    async fn read_ids(
        &self,
        keys: &Keys,
        head: &Head,
        found: &mut Gathered,
    ) -> Result<(), RedisStoreError> {
        let newest = head.generation.unwrap_or(0);
        let mut chunk = 0_u32;
        for generation in newest.saturating_sub(1)..=newest {
            for stripe in 0..DEDUP_STRIPES {
                let key = keys.dedup(generation, stripe);
                for from in (0..).step_by(ID_BYTES_PER_STEP) {
                    let mut get = redis::cmd("GETRANGE");
                    get.arg(&key).arg(from).arg(from + ID_BYTES_PER_STEP - 1);
                    let ids: Vec<u8> = self.ask(&get).await?;
                    if !ids.is_empty() {
                        let mut name = generation.to_le_bytes().to_vec();
                        name.extend_from_slice(&chunk.to_le_bytes());
                        chunk += 1;
                        found.push(Section {
                            kind: section_kind::DEDUP,
                            key: &name,
                            value: Some(&ids),
                        });
                    }
                    if ids.len() < ID_BYTES_PER_STEP {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
