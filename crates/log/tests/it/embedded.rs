//! What is special to the log on disk: reopening, recycling, retention, refusal to open.

use crate::fixtures::{EVENTS, append, batch, open, read_numbers, small_config};
use nowcast_disk::{Fs, OpenMode, SimFs, StdFs};
use nowcast_log::{AppendAck, EmbeddedLog, EventLog, LogConfig, LogError};
use nowcast_types::{ByteSize, ErrorKind, PartitionId, Span, Stream, Timestamp};
use std::path::Path;
use std::sync::Arc;

fn sim(seed: u64) -> (SimFs, Arc<dyn Fs>) {
    let fs = SimFs::new(seed);
    (fs.clone(), Arc::new(fs))
}

fn fill(log: &EmbeddedLog, batches: u64) -> u64 {
    let mut end = log.bounds(EVENTS.0, EVENTS.1).unwrap().end;
    for _ in 0..batches {
        end = append(log, end..end + 2, 200).unwrap().end;
    }
    end
}

#[test]
fn a_reopened_log_goes_on_where_it_was() {
    let (_, fs) = sim(1);
    for round in 1..=5 {
        let log = open(fs.clone(), small_config()).unwrap();
        let end = fill(&log, 20);
        assert_eq!(end, round * 40);
        let numbers = read_numbers(&log).unwrap();
        assert!(numbers.iter().map(|(_, number)| *number).eq(0..end));
        assert_eq!(log.verify(EVENTS.0, EVENTS.1).unwrap().records, end);
    }
}

#[test]
fn real_files_work_like_simulated_ones() {
    let dir = tempfile::tempdir().unwrap();
    let open = || EmbeddedLog::open(Arc::new(StdFs), dir.path(), small_config(), 3).unwrap();
    let log = open();
    let end = fill(&log, 30);
    let other = PartitionId(2);
    log.append(Stream::Events, other, batch(0..3, 0))
        .wait()
        .unwrap();
    drop(log);
    let log = open();
    assert_eq!(read_numbers(&log).unwrap().len() as u64, end);
    assert_eq!(log.bounds(Stream::Events, other).unwrap().end, 3);
    assert_eq!(log.partitions(Stream::Events), 3);
}

#[test]
fn dropping_the_log_commits_what_is_queued() {
    let (sim, fs) = sim(2);
    let log = open(fs.clone(), small_config()).unwrap();
    let queue = |n| log.append(EVENTS.0, EVENTS.1, batch(n..n + 1, 100));
    let acks: Vec<AppendAck> = (0..50).map(queue).collect();
    drop(log);
    for (number, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.wait().unwrap().start, number as u64);
    }
    sim.crash();
    let log = open(fs, small_config()).unwrap();
    assert_eq!(log.bounds(EVENTS.0, EVENTS.1).unwrap().end, 50);
}

#[test]
fn only_one_value_has_the_folder_open() {
    let (_, fs) = sim(3);
    let log = open(fs.clone(), small_config()).unwrap();
    let error = open(fs.clone(), small_config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    drop(log);
    open(fs, small_config()).unwrap();
}

#[test]
fn another_number_of_partitions_is_refused() {
    let (_, fs) = sim(4);
    drop(open(fs.clone(), small_config()).unwrap());
    let error = EmbeddedLog::open(fs, Path::new("log"), small_config(), 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("1 event partitions"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let (_, fs) = sim(5);
    let config = LogConfig {
        queue_bytes_max: ByteSize(0),
        ..small_config()
    };
    let error = open(fs, config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("queue_bytes_max"), "{error}");
}

#[test]
fn a_missing_segment_is_damage() {
    let (_, fs) = sim(6);
    let log = open(fs.clone(), small_config()).unwrap();
    fill(&log, 40);
    drop(log);
    let dir = Path::new("log/events-000");
    let segments = fs.list(dir).unwrap();
    assert!(segments.len() > 3);
    fs.remove(&dir.join(&segments[1].name)).unwrap();
    let error = open(fs, small_config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&segments[1].name), "{error}");
}

#[test]
fn lost_metadata_beside_segments_is_damage() {
    let (_, fs) = sim(7);
    let log = open(fs.clone(), small_config()).unwrap();
    fill(&log, 1);
    drop(log);
    fs.remove(Path::new("log/log.meta")).unwrap();
    let error = open(fs, small_config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_torn_last_group_is_cut_off() {
    let (_, fs) = sim(8);
    let log = open(fs.clone(), small_config()).unwrap();
    append(&log, 0..2, 300).unwrap();
    let path = Path::new("log/events-000/00000000000000000000.segment");
    let file = fs.open(path, OpenMode::ReadWrite).unwrap();
    let mut kept = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut kept, 0).unwrap();
    append(&log, 2..4, 900).unwrap();
    drop(log);
    // As if the second group's last sectors and the mark had never been written.
    let from = 2048;
    let file = fs.open(path, OpenMode::ReadWrite).unwrap();
    file.write_at(&kept[from..], from as u64).unwrap();
    let log = open(fs, small_config()).unwrap();
    assert_eq!(read_numbers(&log).unwrap(), [(0, 0), (1, 1)]);
    append(&log, 2..3, 0).unwrap();
}

#[test]
fn retired_segments_are_used_again() {
    let (_, fs) = sim(9);
    let log = open(fs.clone(), small_config()).unwrap();
    for _ in 0..10 {
        let end = fill(&log, 20);
        log.protect(EVENTS.0, EVENTS.1, end).unwrap();
        log.truncate_before(EVENTS.0, EVENTS.1, end).unwrap();
    }
    let files = |dir: &str| fs.list(Path::new(dir)).unwrap().len();
    assert!(
        files("log/spares") <= 2,
        "one spare, and perhaps one being written"
    );
    assert_eq!(files("log/events-000"), 1);
    assert_eq!(log.stats(EVENTS.0, EVENTS.1).unwrap().segments, 1);
    let numbers = read_numbers(&log).unwrap();
    assert_eq!(numbers.last(), Some(&(399, 399)));
}

#[test]
fn a_spare_with_a_former_life_shows_none_of_it() {
    let (sim, fs) = sim(10);
    let config = LogConfig {
        segments_spare_max: 1,
        ..small_config()
    };
    let log = open(fs.clone(), config.clone()).unwrap();
    let end = fill(&log, 30);
    log.protect(EVENTS.0, EVENTS.1, end).unwrap();
    log.truncate_before(EVENTS.0, EVENTS.1, end).unwrap();
    let end = fill(&log, 9);
    drop(log);
    sim.crash();
    let log = open(fs, config).unwrap();
    assert_eq!(log.bounds(EVENTS.0, EVENTS.1).unwrap().end, end);
    assert_eq!(
        read_numbers(&log).unwrap().last(),
        Some(&(end - 1, end - 1))
    );
}

#[test]
fn retention_by_size_keeps_the_newest_segments() {
    let (_, fs) = sim(11);
    let config = LogConfig {
        retention_bytes: ByteSize(3 * (4 << 10)),
        ..small_config()
    };
    let log = open(fs, config).unwrap();
    fill(&log, 60);
    let stats = || log.stats(EVENTS.0, EVENTS.1).unwrap();
    assert!(
        stats().segments > 5,
        "nothing is in a checkpoint: {:?}",
        stats()
    );
    let end = log.bounds(EVENTS.0, EVENTS.1).unwrap().end;
    log.protect(EVENTS.0, EVENTS.1, end).unwrap();
    log.enforce_retention(Timestamp(0)).unwrap();
    assert_eq!(stats().segments, 3);
    // From now on each new segment retires an old one by itself.
    log.protect(EVENTS.0, EVENTS.1, u64::MAX).unwrap();
    fill(&log, 60);
    assert!(stats().segments <= 4, "{:?}", stats());
}

#[test]
fn retention_by_age_goes_by_event_time() {
    let (_, fs) = sim(12);
    let config = LogConfig {
        retention_age: Span(20_000),
        ..small_config()
    };
    let log = open(fs, config).unwrap();
    let end = fill(&log, 60);
    log.protect(EVENTS.0, EVENTS.1, end).unwrap();
    // Events are a second apart: as seen from before the oldest, nothing is old.
    log.enforce_retention(Timestamp(1_700_000_000_000)).unwrap();
    assert_eq!(log.bounds(EVENTS.0, EVENTS.1).unwrap().earliest, 0);
    log.enforce_retention(Timestamp(1_700_000_100_000)).unwrap();
    let earliest = log.bounds(EVENTS.0, EVENTS.1).unwrap().earliest;
    assert!(earliest > 40 && earliest <= 80, "{earliest}");
}

#[test]
fn a_batch_larger_than_a_segment_has_one_of_its_own() {
    let (_, fs) = sim(13);
    let log = open(fs.clone(), small_config()).unwrap();
    append(&log, 0..1, 0).unwrap();
    append(&log, 1..3, 6000).unwrap();
    append(&log, 3..4, 0).unwrap();
    drop(log);
    let log = open(fs, small_config()).unwrap();
    assert_eq!(read_numbers(&log).unwrap().len(), 4);
}

#[test]
fn a_batch_beyond_the_limit_is_refused() {
    let (_, fs) = sim(14);
    let log = open(fs, small_config()).unwrap();
    let error = append(&log, 0..1, nowcast_log::BATCH_BYTES_MAX).unwrap_err();
    assert!(matches!(error, LogError::BadBatch(_)), "{error}");
}

#[test]
fn an_acknowledgement_can_be_awaited() {
    let (_, fs) = sim(15);
    let log = open(fs, small_config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let offsets = runtime.block_on(async {
        let first = log.append(EVENTS.0, EVENTS.1, batch(0..2, 0));
        let second = log.append(EVENTS.0, EVENTS.1, batch(2..3, 0));
        (first.await, second.await)
    });
    assert_eq!(offsets.0.unwrap(), 0..2);
    assert_eq!(offsets.1.unwrap(), 2..3);
}
