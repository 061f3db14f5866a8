//! What the keys of a chain are called: all under one hash tag, so that on a cluster they share a
//! slot and one script can change them together.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `{ns:p}h` | hash | head: epoch, position, nonce of the last commit, what is staged |
//! | `{ns:p}u<16 bytes>` | string | a user |
//! | `{ns:p}r` | hash | rows of the item side and everything there is one of, by kind and key |
//! | `{ns:p}i<n>` | string | the keys of users 65,536 n and up, 16 bytes each, by row number |
//! | `{ns:p}d<generation>:<n>` | string | event ids, 8 bytes each, in stripes |
//! | `{ns:p}s<n>` | string | a staged piece of a commit too big for one script |
//!
//! `p` is the partition's number, or `catalog`.

use nowcast_store::ChainId;
use nowcast_types::{Stream, UserKey};

/// Users in one chunk of the index: 1 MiB of keys.
pub(crate) const INDEX_CHUNK_USERS: u32 = 1 << 16;
/// Strings over which the ids of one generation are spread, to keep each of moderate size.
pub(crate) const DEDUP_STRIPES: u64 = 16;
/// Positions after which ids go to the next stripe.
const STRIPE_POSITIONS: u64 = 1 << 14;

/// The keys of one chain.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    tag: String,
}

impl Keys {
    pub(crate) fn new(namespace: &str, chain: ChainId) -> Self {
        let tag = match chain.stream {
            Stream::Events => format!("{{{namespace}:{}}}", chain.partition.0),
            other => format!("{{{namespace}:{}}}", other.name()),
        };
        Self { tag }
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        self.with(b'h', &[])
    }

    pub(crate) fn rows(&self) -> Vec<u8> {
        self.with(b'r', &[])
    }

    pub(crate) fn user(&self, user: &UserKey) -> Vec<u8> {
        self.with(b'u', &user.0)
    }

    pub(crate) fn index(&self, chunk: u32) -> Vec<u8> {
        self.with(b'i', chunk.to_string().as_bytes())
    }

    pub(crate) fn dedup(&self, generation: u64, stripe: u64) -> Vec<u8> {
        self.with(b'd', format!("{generation}:{stripe}").as_bytes())
    }

    /// All stripes of a generation.
    pub(crate) fn dedup_all(&self, generation: u64) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..DEDUP_STRIPES).map(move |stripe| self.dedup(generation, stripe))
    }

    pub(crate) fn staged(&self, piece: u32) -> Vec<u8> {
        self.with(b's', piece.to_string().as_bytes())
    }

    fn with(&self, kind: u8, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.tag.len() + 1 + rest.len());
        key.extend_from_slice(self.tag.as_bytes());
        key.push(kind);
        key.extend_from_slice(rest);
        key
    }
}

/// The stripe for ids of a commit that leads to `position`.
pub(crate) const fn stripe(position: u64) -> u64 {
    position / STRIPE_POSITIONS % DEDUP_STRIPES
}

/// Where in the index a row number is: chunk and byte.
pub(crate) const fn index_place(slot: u32) -> (u32, u32) {
    (slot / INDEX_CHUNK_USERS, slot % INDEX_CHUNK_USERS * 16)
}
