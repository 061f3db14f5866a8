//! Stopping and starting: what is kept, what is folded again, what a changed plan means.

use crate::rig::{PARTITIONS, Rig, eager, fold_plan, lazy};
use crate::tampered_log::{Tamper, TamperedLog};
use crate::traffic::{Traffic, click, user};
use nowcast_disk::SimFs;
use nowcast_features::FoldConfig;
use nowcast_log::{EventLog, LogError, MemoryLog, StoredBatch};
use nowcast_stream::{Readiness, StreamConfig};
use nowcast_types::{Offset, PartitionId, Record, Stream, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the records read from the events.
struct Watched {
    read: AtomicU64,
}

impl Tamper for Watched {
    fn read(
        &self,
        log: &MemoryLog,
        (stream, partition): (Stream, PartitionId),
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        let batches = log.read(stream, partition, from, bytes_max)?;
        if stream == Stream::Events {
            let records: u64 = batches.iter().map(|b| u64::from(b.count())).sum();
            self.read.fetch_add(records, Ordering::SeqCst);
        }
        Ok(batches)
    }
}

fn watched() -> Arc<TamperedLog<Watched>> {
    TamperedLog::new(Watched {
        read: AtomicU64::new(0),
    })
}

fn fill(rig: &Rig, seed: u64, batches: u32) {
    let mut traffic = Traffic::new(seed);
    for _ in 0..batches {
        let (partition, batch) = traffic.next_batch(PARTITIONS);
        rig.append(partition, batch);
    }
    rig.settle().unwrap();
}

#[test]
fn after_a_graceful_stop_nothing_is_folded_again() {
    let (fs, log) = (SimFs::new(1), watched());
    let plan = fold_plan(&FoldConfig::default());
    let rig = Rig::over(log.clone(), &fs, lazy(), &plan).unwrap();
    fill(&rig, 1, 200);
    rig.processor.stop();
    let hashes = rig.processor.state_hashes();
    assert_eq!(hashes, rig.oracle());
    drop(rig);
    log.read.store(0, Ordering::SeqCst);
    let rig = Rig::over(log.clone(), &fs, lazy(), &plan).unwrap();
    assert_eq!(rig.wait_ready(), Readiness::Live);
    assert_eq!(rig.processor.state_hashes(), hashes);
    assert_eq!(log.read.load(Ordering::SeqCst), 0);
    assert_eq!(rig.processor.lag(), [0, 0, 0]);
}

#[test]
fn the_state_does_not_depend_on_batching_or_checkpoints() {
    let mut hashes = Vec::new();
    for (fold_batch_records, base) in [(1, eager()), (7, lazy()), (256, eager())] {
        let config = StreamConfig {
            fold_batch_records,
            ..base
        };
        let rig = Rig::open(&SimFs::new(2), config).unwrap();
        fill(&rig, 2, 150);
        hashes.push(rig.processor.state_hashes());
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}

#[test]
fn another_fold_plan_rebuilds_from_the_log() {
    let (fs, log) = (SimFs::new(3), watched());
    let plan = fold_plan(&FoldConfig::default());
    let rig = Rig::over(log.clone(), &fs, eager(), &plan).unwrap();
    fill(&rig, 3, 100);
    let before = rig.processor.state_hashes();
    let late = || log.bounds(Stream::Late, PartitionId(0)).unwrap().end;
    let late_before = late();
    assert!(late_before > 0);
    drop(rig);
    let changed = FoldConfig {
        history_len: 7,
        ..FoldConfig::default()
    };
    let changed = fold_plan(&changed);
    for _ in 0..2 {
        let rig = Rig::over(log.clone(), &fs, eager(), &changed).unwrap();
        rig.settle().unwrap();
        assert_eq!(rig.processor.state_hashes(), rig.oracle());
        assert_ne!(rig.processor.state_hashes(), before);
    }
    assert_eq!(late(), late_before, "late events are not copied again");
}

#[test]
fn an_erased_user_stays_erased_over_restarts() {
    let fs = SimFs::new(4);
    let rig = Rig::open(&fs, eager()).unwrap();
    let (gone, stays) = (user(1), user(2));
    for (at, who) in [gone, stays].into_iter().enumerate() {
        let id = format!("e{at}");
        rig.append_one(&Record::Event(click(&id, who, "item-1", at as i64)));
    }
    rig.settle().unwrap();
    assert!(rig.processor.with_user(&gone, |_, _| ()).is_some());
    rig.append_one(&Record::Erase {
        user: gone,
        at: Timestamp(0),
    });
    rig.settle().unwrap();
    assert!(rig.processor.with_user(&gone, |_, _| ()).is_none());
    drop(rig);
    for _ in 0..2 {
        let rig = Rig::open(&fs, eager()).unwrap();
        rig.settle().unwrap();
        assert_eq!(rig.wait_ready(), Readiness::Live);
        assert!(rig.processor.with_user(&gone, |_, _| ()).is_none());
        assert!(rig.processor.with_user(&stays, |_, _| ()).is_some());
    }
}

#[test]
fn the_catalogue_comes_back_with_its_deletions() {
    let fs = SimFs::new(5);
    let rig = Rig::open(&fs, eager()).unwrap();
    for n in 0..300 {
        rig.put_item(
            &format!("item-{n}"),
            Some(r#"{"categories":["a"],"attributes":{"n":0.1}}"#),
        );
        if n % 5 == 0 {
            rig.put_item(&format!("item-{n}"), None);
        }
    }
    rig.settle().unwrap();
    let dump = rig.catalog.dump();
    assert_eq!(rig.catalog.stats().listed, 240);
    drop(rig);
    fs.crash();
    for _ in 0..2 {
        let rig = Rig::open(&fs, eager()).unwrap();
        rig.settle().unwrap();
        rig.wait_ready();
        assert_eq!(rig.catalog.dump(), dump);
    }
}
