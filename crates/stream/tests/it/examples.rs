//! Examples reach their stream in order and none is missing, however grudgingly the log takes them.

use crate::rig::{Rig, eager, fold_plan};
use crate::tampered_log::{Tamper, TamperedLog};
use crate::traffic::{START, click, user};
use nowcast_disk::SimFs;
use nowcast_features::FoldConfig;
use nowcast_log::{AppendAck, EventLog, LogError, MemoryLog, RecordBatch, StoredBatch};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Event, Origin, PartitionId, Record, Slate, SlateItem, SlateItems, Stream};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Of four appends of examples it has no room for the first and takes the second without saying so.
struct Grudging {
    appends: AtomicU64,
}

impl Tamper for Grudging {
    fn append(
        &self,
        log: &MemoryLog,
        stream: Stream,
        partition: PartitionId,
        batch: RecordBatch,
    ) -> AppendAck {
        if stream != Stream::Examples {
            return log.append(stream, partition, batch);
        }
        let refused = |error| AppendAck::ready(Err(error));
        match self.appends.fetch_add(1, Ordering::SeqCst) % 4 {
            0 => refused(LogError::Overloaded {
                stream,
                partition,
                queued_bytes: 1,
            }),
            1 => {
                log.append(stream, partition, batch).wait().unwrap();
                let reason = "no answer in time".to_owned();
                refused(LogError::Unavailable {
                    stream,
                    partition,
                    reason,
                })
            }
            _ => log.append(stream, partition, batch),
        }
    }
}

/// Shows an item to a user, who clicks it.
fn show_and_click(rig: &Rig, number: u64) {
    let who = user(number);
    let request_id = format!("r{number}");
    let mut items = Vec::new();
    SlateItems::push(
        &mut items,
        &SlateItem {
            item: stable_hash(b"item", 0),
            score: 0.0,
            facts: &[],
        },
    );
    rig.append_one(&Record::Slate(Slate {
        user: who,
        at: START,
        request_id: &request_id,
        slot: "home",
        situation: &[],
        items: SlateItems::new(&items, 0).unwrap(),
    }));
    rig.append_one(&Record::Event(Event {
        request_id: Some(&request_id),
        ..click(&format!("e{number}"), who, "item", 1_000)
    }));
}

#[test]
fn every_example_is_there_in_the_order_of_its_partition() {
    let log = TamperedLog::new(Grudging {
        appends: AtomicU64::new(0),
    });
    let mut config = FoldConfig::default();
    config.attribution.enabled = true;
    let (fs, plan) = (SimFs::new(1), fold_plan(&config));
    let open = || Rig::over(log.clone(), &fs, eager(), &plan).unwrap();
    let rig = open();
    for number in 0..60 {
        show_and_click(&rig, number);
    }
    // A stop whose last examples are not known to be durable leaves them to the next start.
    let is_whole = |rig: Rig| {
        rig.settle().unwrap();
        rig.processor.stop();
        rig.processor.durable_all() == rig.ends()
    };
    let is_done = is_whole(rig) || (0..6).any(|_| is_whole(open()));
    assert!(is_done, "no start made the examples durable");
    let mut last: BTreeMap<u16, Origin> = BTreeMap::new();
    let (mut learnt, mut all) = (0, 0);
    let batches = log
        .read(Stream::Examples, PartitionId(0), 0, usize::MAX)
        .unwrap();
    for (_, record) in batches.iter().flat_map(StoredBatch::records) {
        let Record::Example(example) = record.unwrap() else {
            panic!("a record of another stream")
        };
        assert_eq!(example.labels, "+click");
        all += 1;
        let before = last.get(&example.origin.partition);
        if before.is_none_or(|before| *before < example.origin) {
            learnt += 1;
            last.insert(example.origin.partition, example.origin);
        }
    }
    assert_eq!(learnt, 60, "of {all} in the stream");
    assert!(all > learnt, "nothing was sent twice, so nothing was tried");
}
