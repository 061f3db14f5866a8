//! A hash that never changes: partitioning, dedup memory and derived ids are persisted, so they
//! must give the same number on every machine and in every release.

/// XXH3-64 of `bytes` under `seed`. Not for attacker-chosen map keys.
#[must_use]
pub fn stable_hash(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_on_disk() {
        assert_eq!(stable_hash(b"nowcast", 0), stable_hash(b"nowcast", 0));
        assert_eq!(
            stable_hash(b"", 0),
            0x2d06_8005_38d3_94c2,
            "XXH3's published empty vector"
        );
    }
}
