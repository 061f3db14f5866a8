//! A flipped bit in any checkpoint file: the state is right all the same, or the start is refused.

use crate::rig::{PARTITIONS, Rig, eager};
use crate::traffic::{Choices, Traffic};
use nowcast_disk::SimFs;
use std::path::Path;

#[test]
fn flipped_bits_never_become_wrong_state() {
    let fs = SimFs::new(1);
    let rig = Rig::open(&fs, eager()).unwrap();
    let mut traffic = Traffic::new(1);
    for round in 0..60 {
        let (partition, batch) = traffic.next_batch(PARTITIONS);
        rig.append(partition, batch);
        rig.put_item(&format!("item-{round}"), Some(r#"{"tags":["x"]}"#));
        if round % 6 == 0 {
            rig.settle().unwrap();
        }
    }
    rig.settle().unwrap();
    rig.processor.stop();
    let (hashes, rows) = (rig.processor.state_hashes(), rig.catalog.dump());
    drop(rig);
    let is_checkpoint = |path: &Path| path.starts_with("checkpoints");
    let files: Vec<_> = fs
        .files()
        .into_iter()
        .filter(|(path, _)| is_checkpoint(path))
        .collect();
    assert!(
        files.len() >= 2 * (usize::from(PARTITIONS) + 1),
        "two files of each chain, to damage either: {files:?}"
    );
    let mut choices = Choices(1);
    for flip in 0..150_u64 {
        let (path, len) = &files[flip as usize % files.len()];
        let damaged = fs.fork(flip);
        damaged.flip_bit(path, choices.below(len * 8)).unwrap();
        let rig = Rig::open(&damaged, eager()).unwrap();
        rig.settle().unwrap();
        assert_eq!(rig.processor.state_hashes(), hashes, "{}", path.display());
        assert_eq!(rig.catalog.dump(), rows, "{}", path.display());
        // The full checkpoint that follows damage must be as good as the old chain.
        rig.processor.stop();
        drop(rig);
        let rig = Rig::open(&damaged, eager()).unwrap();
        rig.settle().unwrap();
        rig.wait_ready();
        assert_eq!(
            rig.processor.state_hashes(),
            hashes,
            "{} again",
            path.display()
        );
    }
}
