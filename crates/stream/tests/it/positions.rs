//! Positions that cannot be right are errors; retention keeps what a restart needs.

use crate::rig::{PARTITIONS, Rig, eager, fold_plan, lazy, log_config};
use crate::traffic::Traffic;
use nowcast_disk::SimFs;
use nowcast_features::FoldConfig;
use nowcast_log::{EmbeddedLog, EventLog, LogConfig, MemoryLog};
use nowcast_stream::Readiness;
use nowcast_types::{ByteSize, PartitionId, Stream};
use std::path::Path;
use std::sync::Arc;

fn fill(rig: &Rig, batches: u32) {
    let mut traffic = Traffic::new(1);
    for _ in 0..batches {
        let (partition, batch) = traffic.next_batch(PARTITIONS);
        rig.append(partition, batch);
    }
    rig.settle().unwrap();
}

fn failure(rig: &Rig) -> String {
    match rig.wait_ready() {
        Readiness::Failed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_ahead_of_the_log_is_an_alarm() {
    let fs = SimFs::new(1);
    let plan = fold_plan(&FoldConfig::default());
    let rig = Rig::over(Arc::new(MemoryLog::new(PARTITIONS)), &fs, lazy(), &plan).unwrap();
    fill(&rig, 50);
    drop(rig);
    // The log has lost everything; the checkpoints remember.
    let empty = Arc::new(MemoryLog::new(PARTITIONS));
    let rig = Rig::over(empty, &fs, lazy(), &plan).unwrap();
    assert!(failure(&rig).contains("the log ends at 0"));
}

#[test]
fn a_hole_between_checkpoint_and_log_is_an_alarm() {
    let fs = SimFs::new(2);
    let plan = fold_plan(&FoldConfig::default());
    let log = Arc::new(MemoryLog::new(PARTITIONS));
    let rig = Rig::over(log.clone(), &fs, lazy(), &plan).unwrap();
    fill(&rig, 50);
    drop(rig);
    let other_disk = SimFs::new(3);
    for partition in (0..PARTITIONS).map(PartitionId) {
        let end = log.bounds(Stream::Events, partition).unwrap().end;
        log.truncate_before(Stream::Events, partition, end).unwrap();
    }
    // With its checkpoints it starts, without them it would start with a hole.
    let rig = Rig::over(log.clone(), &fs, lazy(), &plan).unwrap();
    assert_eq!(rig.wait_ready(), Readiness::Live);
    drop(rig);
    let rig = Rig::over(log, &other_disk, lazy(), &plan).unwrap();
    assert!(failure(&rig).contains("the log begins at"));
}

#[test]
fn retention_never_removes_what_a_restart_needs() {
    let fs = SimFs::new(4);
    let plan = fold_plan(&FoldConfig::default());
    let open_log = || -> Arc<dyn EventLog> {
        let config = LogConfig {
            segment_bytes: ByteSize(16 << 10),
            retention_bytes: ByteSize(16 << 10),
            ..log_config()
        };
        let fs = Arc::new(fs.clone());
        Arc::new(EmbeddedLog::open(fs, Path::new("log"), config, PARTITIONS).unwrap())
    };
    let earliest = |rig: &Rig| -> Vec<u64> {
        let bounds = |p| rig.log.bounds(Stream::Events, PartitionId(p)).unwrap();
        (0..PARTITIONS).map(|p| bounds(p).earliest).collect()
    };
    // No checkpoint yet: everything stays, whatever retention says.
    let rig = Rig::over(open_log(), &fs, lazy(), &plan).unwrap();
    fill(&rig, 600);
    assert_eq!(earliest(&rig), [0, 0, 0]);
    rig.processor.stop();
    let hashes = rig.processor.state_hashes();
    assert_eq!(hashes, rig.oracle());
    drop(rig);
    // With checkpoints it goes, but never beyond them.
    for _ in 0..3 {
        let rig = Rig::over(open_log(), &fs, eager(), &plan).unwrap();
        fill(&rig, 300);
        for (earliest, durable) in earliest(&rig).iter().zip(rig.processor.durable_all()) {
            assert!(*earliest <= durable);
        }
        rig.processor.stop();
        let hashes = rig.processor.state_hashes();
        drop(rig);
        fs.crash();
        let rig = Rig::over(open_log(), &fs, eager(), &plan).unwrap();
        rig.settle().unwrap();
        assert_eq!(rig.processor.state_hashes(), hashes);
        drop(rig);
    }
    let rig = Rig::over(open_log(), &fs, eager(), &plan).unwrap();
    assert!(
        earliest(&rig).iter().all(|earliest| *earliest > 0),
        "retention did work"
    );
}
