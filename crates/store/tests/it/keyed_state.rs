//! The smallest state a checkpoint can hold: keys and values, with every version remembered.

use nowcast_disk::SimFs;
use nowcast_store::sections::{self, SectionWriter};
use nowcast_store::{ChainId, CheckpointConfig, CheckpointStore, Damage, StoreError};
use nowcast_types::{ByteSize, ErrorKind, PartitionId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(crate) const CHAIN: ChainId = ChainId::events(PartitionId(3));
pub(crate) const DIR: &str = "checkpoints";

pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// A reproducible source of choices (SplitMix64).
pub(crate) struct Choices(pub(crate) u64);

impl Choices {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// The state after each position, so that a recovered one can be looked up.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) state: State,
    pub(crate) at: BTreeMap<u64, State>,
}

impl History {
    /// Changes some keys and returns the delta to `position`.
    pub(crate) fn step(&mut self, position: u64, choices: &mut Choices) -> Vec<u8> {
        let mut delta = SectionWriter::new();
        for _ in 0..=choices.below(6) {
            let key = vec![b'k', choices.below(12) as u8];
            if choices.below(4) == 0 {
                delta.push(1, &key, None);
                self.state.remove(&key);
            } else {
                let value = vec![choices.below(256) as u8; choices.below(40) as usize];
                delta.push(1, &key, Some(&value));
                self.state.insert(key, value);
            }
        }
        self.at.insert(position, self.state.clone());
        delta.into_bytes()
    }

    /// The whole state as one blob.
    pub(crate) fn full(&self) -> Vec<u8> {
        let mut full = SectionWriter::new();
        for (key, value) in &self.state {
            full.push(1, key, Some(value));
        }
        full.into_bytes()
    }
}

pub(crate) fn open(fs: &SimFs) -> Result<CheckpointStore, StoreError> {
    let config = CheckpointConfig {
        deltas_max: 4,
        delta_percent_max: 100,
        delta_bytes_min: ByteSize(1 << 20),
    };
    CheckpointStore::open(Arc::new(fs.clone()), Path::new(DIR), config)
}

/// What a restart finds: position and state, if any, and the damage on the way.
pub(crate) struct Found {
    pub(crate) newest: Option<(u64, State)>,
    pub(crate) damage: Vec<Damage>,
}

/// Recovers as the processor does: chains best first, until one reads without damage.
pub(crate) fn recover(store: &CheckpointStore) -> Result<Found, StoreError> {
    let mut recovery = store.recovery(CHAIN)?;
    let mut newest = None;
    'chains: while let Some(chain) = recovery.next_chain()? {
        let mut state = State::new();
        let mut blobs = chain.blobs();
        while let Some(blob) = blobs.next() {
            let blob = match blob {
                Ok(blob) => blob,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    recovery.reject(blobs.damage().unwrap().clone());
                    continue 'chains;
                }
                Err(error) => return Err(error),
            };
            sections::for_each(&blob, |_, key, value| {
                match value {
                    Some(value) => state.insert(key.to_vec(), value.to_vec()),
                    None => state.remove(key),
                };
            })?;
        }
        newest = Some((chain.position(), state, chain));
        break;
    }
    let damage = recovery.accept(newest.as_ref().map(|(_, _, chain)| chain));
    Ok(Found {
        newest: newest.map(|(position, state, _)| (position, state)),
        damage,
    })
}
