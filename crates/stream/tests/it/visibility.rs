//! When an event shows: waiting for it, its deadline, and the end of a partition.

use crate::rig::{PARTITIONS, Rig, block_on, lazy};
use crate::traffic::{START, click, user};
use nowcast_disk::SimFs;
use nowcast_stream::Readiness;
use nowcast_types::{PartitionId, Record, Stream};
use std::time::{Duration, Instant};

#[test]
fn a_waiter_is_told_when_its_event_is_visible() {
    let rig = Rig::open(&SimFs::new(1), lazy()).unwrap();
    let who = user(1);
    for n in 0..50 {
        let id = format!("e{n}");
        let item = format!("item-{n}");
        let (partition, offset) = rig.append_one(&Record::Event(click(&id, who, &item, n)));
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(block_on(
            rig.processor.wait_applied(partition, offset, deadline)
        ));
        let newest = rig.processor.with_user(&who, |user, tables| {
            let entry = user.history().last().copied().unwrap();
            tables.item(entry.item)
        });
        assert_eq!(newest, rig.catalog.find(&item), "event {n}");
        assert!(rig.processor.applied(partition) > offset);
    }
    assert_eq!(rig.wait_ready(), Readiness::Live);
    assert_eq!(rig.processor.watermark(), START.plus_ms(49));
}

#[test]
fn a_waiter_gives_up_at_the_deadline_and_when_the_partition_ends() {
    let rig = Rig::open(&SimFs::new(2), lazy()).unwrap();
    let partition = user(1).partition(PARTITIONS);
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(!block_on(rig.processor.wait_applied(partition, 10, soon)));
    assert!(!block_on(rig.processor.wait_applied(
        PartitionId(99),
        0,
        soon
    )));
    rig.processor.stop();
    let never = Instant::now() + Duration::from_secs(3_600);
    assert!(!block_on(rig.processor.wait_applied(partition, 10, never)));
    assert!(!block_on(rig.processor.wait_catalog_applied(10, never)));
}

#[test]
fn item_changes_are_visible_once_applied() {
    let rig = Rig::open(&SimFs::new(3), lazy()).unwrap();
    let offset = rig.put_item("a", Some(r#"{"available":false}"#));
    let deadline = Instant::now() + Duration::from_secs(60);
    assert!(block_on(
        rig.processor.wait_catalog_applied(offset, deadline)
    ));
    let item = rig.catalog.find("a").unwrap();
    assert!(!rig.catalog.view().is_live(item, START));
}

#[test]
fn late_events_are_copied_to_their_stream() {
    let rig = Rig::open(&SimFs::new(4), lazy()).unwrap();
    let who = user(1);
    rig.append_one(&Record::Event(click("now", who, "a", 100 * 3_600_000)));
    rig.append_one(&Record::Event(click("old", who, "b", 0)));
    rig.settle().unwrap();
    rig.processor.stop();
    let late = rig
        .log
        .read(Stream::Late, PartitionId(0), 0, 1 << 20)
        .unwrap();
    let records: Vec<_> = late.iter().flat_map(|batch| batch.records()).collect();
    assert_eq!(records.len(), 1);
    match &records[0].1 {
        Ok(Record::Event(event)) => assert_eq!(event.event_id, "old"),
        other => panic!("{other:?}"),
    }
    let counters = rig.processor.counters()[usize::from(who.partition(PARTITIONS).0)];
    assert_eq!((counters.applied, counters.late), (1, 1));
}
