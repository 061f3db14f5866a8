//! A log that is away for a while: partitions pause, say so, and go on.

use crate::rig::{PARTITIONS, Rig, fold_plan, lazy};
use crate::tampered_log::{Tamper, TamperedLog};
use crate::traffic::{click, user};
use nowcast_disk::SimFs;
use nowcast_features::FoldConfig;
use nowcast_log::{Bounds, EventLog, LogError, MemoryLog, StoredBatch};
use nowcast_stream::Readiness;
use nowcast_types::{Offset, PartitionId, Record, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Takes appends always, and answers readers only while it is not away.
struct Remote {
    is_away: AtomicBool,
    bounds_asked: AtomicU64,
}

type RemoteLog = TamperedLog<Remote>;

fn remote(is_away: bool) -> Arc<RemoteLog> {
    TamperedLog::new(Remote {
        is_away: AtomicBool::new(is_away),
        bounds_asked: AtomicU64::new(0),
    })
}

impl Remote {
    fn there(&self, stream: Stream, partition: PartitionId) -> Result<(), LogError> {
        if self.is_away.load(Ordering::SeqCst) {
            let reason = "the brokers are away".to_owned();
            return Err(LogError::Unavailable {
                stream,
                partition,
                reason,
            });
        }
        Ok(())
    }
}

impl Tamper for Remote {
    fn read(
        &self,
        log: &MemoryLog,
        (stream, partition): (Stream, PartitionId),
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        self.there(stream, partition)?;
        log.read(stream, partition, from, bytes_max)
    }

    fn bounds(
        &self,
        log: &MemoryLog,
        stream: Stream,
        partition: PartitionId,
    ) -> Result<Bounds, LogError> {
        self.bounds_asked.fetch_add(1, Ordering::SeqCst);
        self.there(stream, partition)?;
        log.bounds(stream, partition)
    }
}

fn open(log: &Arc<RemoteLog>) -> Rig {
    let plan = fold_plan(&FoldConfig::default());
    Rig::over(log.clone(), &SimFs::new(1), lazy(), &plan).unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn partitions_pause_while_the_log_is_away_and_then_go_on() {
    let log = remote(false);
    let rig = open(&log);
    assert_eq!(rig.wait_ready(), Readiness::Live);
    log.is_away.store(true, Ordering::SeqCst);
    wait_until(
        "it says that the log is away",
        || matches!(rig.processor.readiness(), Readiness::Stalled(reason) if reason.contains("away")),
    );
    rig.append_one(&Record::Event(click("e1", user(1), "item", 0)));
    let known = rig.processor.bounds(PartitionId(0));
    assert_eq!(known.end, 0, "nobody waits for a log that is away");
    log.is_away.store(false, Ordering::SeqCst);
    rig.settle().unwrap();
    wait_until("it is live again", || {
        rig.processor.readiness() == Readiness::Live
    });
    assert_eq!(rig.processor.state_hashes(), rig.oracle());
}

#[test]
fn a_start_while_the_log_is_away_waits_for_it() {
    let log = remote(true);
    let rig = open(&log);
    wait_until("it says that the log is away", || {
        rig.processor.stalls().iter().all(Option::is_some)
    });
    assert_eq!(rig.processor.readiness(), Readiness::Restoring);
    log.is_away.store(false, Ordering::SeqCst);
    assert_eq!(rig.wait_ready(), Readiness::Live);
}

#[test]
fn a_start_can_be_given_up_while_the_log_is_away() {
    let rig = open(&remote(true));
    rig.processor.stop();
    assert!(!matches!(rig.processor.readiness(), Readiness::Failed(_)));
}

#[test]
fn the_end_of_the_log_is_not_asked_for_with_every_batch() {
    let log = remote(false);
    let rig = open(&log);
    assert_eq!(rig.wait_ready(), Readiness::Live);
    let (before, start) = (log.bounds_asked.load(Ordering::SeqCst), Instant::now());
    for at in 0..200 {
        let id = format!("e{at}");
        let (partition, offset) = rig.append_one(&Record::Event(click(&id, user(1), "item", at)));
        wait_until("it is folded", || rig.processor.applied(partition) > offset);
    }
    let asked = log.bounds_asked.load(Ordering::SeqCst) - before;
    // Four times a second and partition, and never once per batch.
    let allowed = 2 + start.elapsed().as_millis() as u64 / 250 * u64::from(PARTITIONS + 1);
    assert!(
        asked <= allowed,
        "{asked} questions for 200 batches, at most {allowed}"
    );
}
