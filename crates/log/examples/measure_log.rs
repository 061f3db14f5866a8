//! Measures the log against the plain way of being durable, in turns within one run:
//! `cargo run --release -p nowcast-log --example measure_log [folder]`.
//!
//! The plain way appends to a growing file and syncs each write. On a busy machine only the ratios
//! of neighbouring lines mean something. Takes less than half a minute.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement, not a service"
)]

use nowcast_disk::{File, Fs, OpenMode, StdFs};
use nowcast_log::{AppendAck, EmbeddedLog, EventLog, LogConfig, RecordBatch, decode, encode};
use nowcast_types::{
    ByteSize, Consent, DeviceClass, Event, EventTypeCode, PartitionId, Record, SessionKey, Stream,
    Timestamp, UserKey,
};
use std::collections::VecDeque;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TURN: Duration = Duration::from_millis(600);
/// Longer, because a stall delays many.
const PACED_TURN: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
const EVENTS: (Stream, PartitionId) = (Stream::Events, PartitionId(0));

fn main() {
    let dir = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join("nowcast-measure-log");
    std::fs::create_dir_all(&dir).unwrap();
    codec();
    let config = LogConfig {
        segment_bytes: ByteSize(32 << 20),
        segments_spare_max: 4,
        ..LogConfig::default()
    };
    let log = EmbeddedLog::open(Arc::new(StdFs), &dir.join("log"), config, 1).unwrap();
    // Segments are recycled from here on, as in a log that has run for a while.
    let warm = batch(64 << 10);
    for _ in 0..(5 * (32 << 20)) / (64 << 10) {
        log.append(EVENTS.0, EVENTS.1, warm.clone()).wait().unwrap();
    }
    retire(&log);
    for round in 0..ROUNDS {
        println!("round {round}");
        for bytes in [4 << 10, 64 << 10] {
            report(
                &format!("plain append + sync, {bytes} B"),
                plain(&dir, bytes, false),
            );
            report(
                &format!("overwrite + sync, {bytes} B"),
                plain(&dir, bytes, true),
            );
            report(
                &format!("log, 1 in flight, {bytes} B"),
                through_log(&log, bytes, 1),
            );
            report(
                &format!("log, 32 in flight, {bytes} B"),
                through_log(&log, bytes, 32),
            );
        }
        report(
            "overwrite + sync of 4096 B, 2,000/s",
            plain_open_loop(&dir, 2000),
        );
        report("log, posts of 1 event, 2,000/s", open_loop(&log, 2000));
    }
    drop(log);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Latencies of acknowledged writes, and what they carried.
struct Run {
    latencies: Vec<Duration>,
    bytes: usize,
    took: Duration,
}

fn report(name: &str, mut run: Run) {
    run.latencies.sort_unstable();
    let at = |share: f64| {
        let index = (run.latencies.len() - 1) as f64 * share;
        run.latencies[index as usize].as_secs_f64() * 1e3
    };
    let seconds = run.took.as_secs_f64();
    println!(
        "  {name:<36} {:>7.0}/s {:>7.1} MB/s  p50 {:>6.2} ms  p99 {:>6.2} ms",
        run.latencies.len() as f64 / seconds,
        run.bytes as f64 / seconds / 1e6,
        at(0.5),
        at(0.99),
    );
}

fn plain(dir: &Path, bytes: usize, overwrites: bool) -> Run {
    let path = dir.join("plain");
    let file: Arc<dyn File> = StdFs.open(&path, OpenMode::CreateNew).unwrap();
    let len = 64 << 20;
    if overwrites {
        file.allocate(len).unwrap();
        file.sync_all().unwrap();
    }
    let (content, mut position) = (vec![7; bytes], 0);
    let mut latencies = Vec::new();
    let started = Instant::now();
    while started.elapsed() < TURN {
        let write = Instant::now();
        file.write_at(&content, position).unwrap();
        file.sync_data().unwrap();
        latencies.push(write.elapsed());
        position += bytes as u64;
        if overwrites {
            position %= len;
        }
    }
    let took = started.elapsed();
    StdFs.remove(&path).unwrap();
    Run {
        bytes: latencies.len() * bytes,
        latencies,
        took,
    }
}

/// Keeps `in_flight` batches waiting for their acknowledgement.
fn through_log(log: &EmbeddedLog, bytes: usize, in_flight: usize) -> Run {
    let content = batch(bytes);
    let mut waiting: VecDeque<(Instant, AppendAck)> = VecDeque::new();
    let mut latencies = Vec::new();
    let started = Instant::now();
    while started.elapsed() < TURN {
        while waiting.len() < in_flight {
            let sent = Instant::now();
            waiting.push_back((sent, log.append(EVENTS.0, EVENTS.1, content.clone())));
        }
        let (sent, ack) = waiting.pop_front().unwrap();
        ack.wait().unwrap();
        latencies.push(sent.elapsed());
        if latencies.len() % (1 + (32 << 20) / bytes) == 0 {
            retire(log);
        }
    }
    let took = started.elapsed();
    for (_, ack) in waiting {
        ack.wait().unwrap();
    }
    Run {
        bytes: latencies.len() * content.byte_len(),
        latencies,
        took,
    }
}

/// What the disk itself gives at a fixed rate; latency counts from when each write was due, so
/// that one stall counts for all that it delays, as it does for the log.
fn plain_open_loop(dir: &Path, per_second: u32) -> Run {
    let path = dir.join("plain");
    let file: Arc<dyn File> = StdFs.open(&path, OpenMode::CreateNew).unwrap();
    file.allocate(64 << 20).unwrap();
    file.sync_all().unwrap();
    let mut latencies = Vec::new();
    let started = Instant::now();
    let mut due = started;
    while started.elapsed() < PACED_TURN {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        file.write_at(&[7; 4096], latencies.len() as u64 * 4096 % (64 << 20))
            .unwrap();
        file.sync_data().unwrap();
        latencies.push(due.elapsed());
        due += Duration::from_secs(1) / per_second;
    }
    let took = started.elapsed();
    StdFs.remove(&path).unwrap();
    Run {
        bytes: latencies.len() * 4096,
        latencies,
        took,
    }
}

/// Single events at a fixed rate; latency counts from when each was due.
fn open_loop(log: &EmbeddedLog, per_second: u32) -> Run {
    let content = batch(1);
    let gap = Duration::from_secs(1) / per_second;
    let started = Instant::now();
    let (sender, acks) = std::sync::mpsc::channel::<(Instant, AppendAck)>();
    let waiter = std::thread::spawn(move || {
        let latency = |(due, ack): (Instant, AppendAck)| {
            ack.wait().unwrap();
            due.elapsed()
        };
        acks.into_iter().map(latency).collect::<Vec<Duration>>()
    });
    let mut due = started;
    while started.elapsed() < PACED_TURN {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        sender
            .send((due, log.append(EVENTS.0, EVENTS.1, content.clone())))
            .unwrap();
        due += gap;
    }
    drop(sender);
    let latencies = waiter.join().unwrap();
    Run {
        bytes: latencies.len() * content.byte_len(),
        latencies,
        took: started.elapsed(),
    }
}

fn retire(log: &EmbeddedLog) {
    let end = log.bounds(EVENTS.0, EVENTS.1).unwrap().end;
    log.protect(EVENTS.0, EVENTS.1, end).unwrap();
    log.truncate_before(EVENTS.0, EVENTS.1, end).unwrap();
}

fn event() -> Event<'static> {
    Event {
        event_id: "01HF7YAT31Z3M4Y8Q2P5R6S7T8",
        event_type: EventTypeCode::CLICK,
        user: UserKey([7; 16]),
        session: Some(SessionKey(81)),
        item_id: Some("article-1234567"),
        timestamp: Timestamp(1_700_000_000_123),
        received_at: Timestamp(1_700_000_000_456),
        value: None,
        slot: Some("home"),
        request_id: Some("01HF7YAT31Z3M4"),
        device: DeviceClass::Mobile,
        location: Some("DE"),
        utc_offset_minutes: 60,
        properties: None,
        categories: ["news", "sport"].into_iter().collect(),
        consent: Consent::ALL,
        schema_version: 1,
    }
}

/// A batch of at least `bytes` bytes.
fn batch(bytes: usize) -> RecordBatch {
    let mut batch = RecordBatch::with_capacity(bytes + 200);
    while batch.byte_len() < bytes {
        batch.push(&Record::Event(event()));
    }
    batch
}

/// The best of many short runs, since other processes only ever make one slower.
fn best_of_runs(mut run: impl FnMut()) -> Duration {
    const RUNS: usize = 300;
    const CALLS: u32 = 2000;
    let time = |_| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| run());
        started.elapsed() / CALLS
    };
    (0..RUNS).map(time).min().unwrap()
}

fn codec() {
    let record = Record::Event(event());
    let mut bytes = Vec::new();
    let encoding = best_of_runs(|| {
        bytes.clear();
        encode(black_box(&record), &mut bytes);
    });
    let decoding = best_of_runs(|| {
        black_box(decode(black_box(&bytes)).unwrap());
    });
    println!(
        "event of {} B: encode {encoding:?}, decode {decoding:?}",
        bytes.len()
    );
}
