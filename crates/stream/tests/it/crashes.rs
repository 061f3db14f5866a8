//! Power goes at any moment of a busy process: nothing acknowledged is lost or counted twice.

use crate::rig::{PARTITIONS, Rig, eager};
use crate::traffic::Traffic;
use nowcast_disk::{Fault, SimFs};
use nowcast_types::{PartitionId, Stream};

/// One life: traffic until the power goes. Returns the acknowledged end of each partition, and
/// whether the power went.
fn live(fs: &SimFs, traffic: &mut Traffic, batches: u32) -> (Vec<u64>, bool) {
    let mut acknowledged = vec![0; usize::from(PARTITIONS)];
    let Ok(rig) = Rig::open(fs, eager()) else {
        return (acknowledged, true);
    };
    acknowledged = rig.ends();
    for at in 0..batches {
        let (partition, batch) = traffic.next_batch(PARTITIONS);
        match rig.log.append(Stream::Events, partition, batch).wait() {
            Ok(offsets) => acknowledged[usize::from(partition.0)] = offsets.end,
            Err(_) => return (acknowledged, true),
        }
        // Let checkpoints happen between appends, not only at the end.
        if at % 8 == 0 && rig.settle().is_err() {
            return (acknowledged, true);
        }
    }
    rig.processor.stop();
    (acknowledged, false)
}

/// Restarts after a crash, compares with a fresh fold, and lives on a little.
fn check_after_crash(fs: &SimFs, acknowledged: &[u64], place: &str) {
    fs.crash();
    let rig = Rig::open(fs, eager()).unwrap();
    for (partition, (end, acknowledged)) in rig.ends().iter().zip(acknowledged).enumerate() {
        assert!(
            end >= acknowledged,
            "{place}: partition {partition} lost records"
        );
    }
    rig.settle()
        .unwrap_or_else(|reason| panic!("{place}: {reason}"));
    assert_eq!(rig.processor.state_hashes(), rig.oracle(), "{place}");
    let mut traffic = Traffic::new(99);
    for _ in 0..10 {
        let (partition, batch) = traffic.next_batch(PARTITIONS);
        rig.append(partition, batch);
    }
    rig.settle().unwrap();
    rig.processor.stop();
    assert_eq!(rig.processor.state_hashes(), rig.oracle(), "{place}, later");
    assert_eq!(rig.processor.durable_all(), rig.ends(), "{place}, stopped");
}

#[test]
fn power_loss_at_any_operation_leaves_the_state_of_the_acknowledged_log() {
    let mut crashes = 0;
    for seed in 1..=2 {
        // Every operation of the first hundreds, then coarser: threads make runs differ anyway.
        let mut nth = 1;
        loop {
            let fs = SimFs::new(seed * 1_000 + nth);
            fs.fault_at(nth, Fault::PowerOff);
            let (acknowledged, died) = live(&fs, &mut Traffic::new(seed), 60);
            check_after_crash(&fs, &acknowledged, &format!("seed {seed}, op {nth}"));
            crashes += u64::from(died);
            if !died && nth > 400 {
                break;
            }
            nth += 1 + nth / 12;
        }
    }
    assert!(crashes > 40, "only {crashes} runs met their crash");
}

#[test]
fn a_chain_of_crashes_still_gives_the_state_of_the_log() {
    let fs = SimFs::new(7);
    let mut traffic = Traffic::new(7);
    for life in 0..12_u64 {
        fs.fault_at(150 + life * 17, Fault::PowerOff);
        let (acknowledged, _) = live(&fs, &mut traffic, 80);
        fs.crash();
        let rig = Rig::open(&fs, eager()).unwrap();
        rig.settle().unwrap();
        assert!(
            rig.ends()
                .iter()
                .zip(&acknowledged)
                .all(|(end, acked)| end >= acked)
        );
        assert_eq!(rig.processor.state_hashes(), rig.oracle(), "life {life}");
        drop(rig);
    }
    let rig = Rig::open(&fs, eager()).unwrap();
    let end = |p| rig.log.bounds(Stream::Events, PartitionId(p)).unwrap().end;
    let records: u64 = (0..PARTITIONS).map(end).sum();
    rig.settle().unwrap();
    let counted: u64 = rig.processor.counters().iter().map(|c| c.received).sum();
    assert_eq!(counted, records, "each record is counted once");
    assert!(rig.processor.counters().iter().all(|c| c.is_balanced()));
}

#[test]
fn a_failed_checkpoint_is_made_good_by_a_full_one() {
    for fault in [Fault::Error, Fault::DiskFull] {
        let fs = SimFs::new(3);
        let mut traffic = Traffic::new(3);
        live(&fs, &mut traffic, 30);
        let rig = Rig::open(&fs, crate::rig::lazy()).unwrap();
        for _ in 0..30 {
            let (partition, batch) = traffic.next_batch(PARTITIONS);
            rig.append(partition, batch);
        }
        rig.settle().unwrap();
        // The next operation is the first of some partition's last checkpoint.
        fs.fault_at(2, fault);
        drop(rig);
        fs.crash();
        let rig = Rig::open(&fs, eager()).unwrap();
        rig.settle().unwrap();
        assert_eq!(rig.processor.state_hashes(), rig.oracle());
    }
}
