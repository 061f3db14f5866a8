//! How long an event takes until a reader of Redis could see it, and what a read costs.
//!
//! `cargo run --release -p nowcast-store-redis --example commits -- [url] [events/s] [seconds] [interval ms]`
//! Without a url (or with `-`) it starts a server of its own. Events arrive at the given rate
//! whether or not earlier ones are done; 0 means as fast as the fold takes them. It prints one
//! line of JSON.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use hdrhistogram::Histogram;
use nowcast_features::{FoldConfig, FoldPlan};
use nowcast_log::{EventLog, MemoryLog, RecordBatch};
use nowcast_store::{Catalog, ChainId, Epoch};
use nowcast_store_redis::{RedisConfig, RedisStore};
use nowcast_stream::{Duty, Epochs, Processor, ProcessorDeps, StreamConfig};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Categories, Consent, DeviceClass, Event, EventTypeCode, EventTypes};
use nowcast_types::{Clock, PartitionId, Record, Span, Stream, Timestamp, UserKey};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PARTITIONS: u16 = 4;
const USERS: u64 = 20_000;
const ITEMS: u64 = 5_000;
/// Events of one batch when the rate is unbounded.
const FLOOD_BATCH: u64 = 256;

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(since.as_millis() as i64)
    }
}

fn user(number: u64) -> UserKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&stable_hash(&number.to_le_bytes(), 0).to_le_bytes());
    key[8..].copy_from_slice(&stable_hash(&number.to_le_bytes(), 1).to_le_bytes());
    UserKey(key)
}

fn push(batches: &mut [RecordBatch], n: u64, now: Timestamp) {
    let hash = stable_hash(&n.to_le_bytes(), 3);
    let (event_id, item_id) = (format!("e{n}"), format!("item-{}", hash % ITEMS));
    let who = user((hash >> 32) % USERS);
    let mut categories = Categories::new();
    categories.push(["news", "sport", "shoes"][(hash % 3) as usize]);
    batches[usize::from(who.partition(PARTITIONS).0)].push(&Record::Event(Event {
        event_id: &event_id,
        event_type: EventTypeCode::CLICK,
        user: who,
        session: None,
        item_id: Some(&item_id),
        timestamp: now,
        received_at: now,
        value: None,
        slot: None,
        request_id: None,
        device: DeviceClass::Mobile,
        location: None,
        utc_offset_minutes: 0,
        categories,
        properties: None,
        consent: Consent::ALL,
        schema_version: 1,
    }));
}

/// Microseconds up to a minute. A histogram without bounds would clamp what it records to the few
/// values it begins with.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}

/// When the event before each offset of a partition was due.
type Waiting = Vec<VecDeque<(u64, Instant)>>;

/// Notes every event that has become durable meanwhile.
fn settle(processor: &Processor, waiting: &mut Waiting, micros: &mut Histogram<u64>) {
    for (durable, queue) in processor.durable_all().into_iter().zip(waiting) {
        while queue.front().is_some_and(|(end, _)| *end <= durable) {
            if let Some((_, due)) = queue.pop_front() {
                micros.saturating_record(due.elapsed().as_micros() as u64);
            }
        }
    }
}

fn feed(
    log: &MemoryLog,
    processor: &Processor,
    rate: u64,
    span: Duration,
) -> (u64, Histogram<u64>) {
    let mut micros = histogram();
    let mut waiting: Waiting = (0..PARTITIONS).map(|_| VecDeque::new()).collect();
    let started = Instant::now();
    let mut sent = 0;
    while started.elapsed() < span {
        let due = match rate {
            0 if processor.lag().iter().sum::<u64>() > 50_000 => sent,
            0 => sent + FLOOD_BATCH,
            rate => (started.elapsed().as_secs_f64() * rate as f64) as u64,
        };
        let mut batches: Vec<RecordBatch> = (0..PARTITIONS).map(|_| RecordBatch::new()).collect();
        let now = Wall.now();
        // The first event of the batch was due when the one after the last batch was.
        let intended = match rate {
            0 => Instant::now(),
            rate => started + Duration::from_secs_f64(sent as f64 / rate as f64),
        };
        for n in sent..due {
            push(&mut batches, n, now);
        }
        for (p, batch) in batches.into_iter().enumerate() {
            if !batch.is_empty() {
                let ack = log.append(Stream::Events, PartitionId(p as u16), batch);
                waiting[p].push_back((ack.wait().unwrap().end, intended));
            }
        }
        sent = due;
        settle(processor, &mut waiting, &mut micros);
        std::thread::sleep(Duration::from_micros(500));
    }
    while waiting.iter().any(|queue| !queue.is_empty()) {
        settle(processor, &mut waiting, &mut micros);
        std::thread::sleep(Duration::from_micros(500));
    }
    (sent, micros)
}

/// Reads one user after another until told to stop, a thousand a second.
fn read(store: &RedisStore, stop: &AtomicBool) -> (Histogram<u64>, u64) {
    let mut failed = 0;
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let mut micros = histogram();
    runtime.block_on(async {
        for n in 0.. {
            if stop.load(Ordering::Acquire) {
                return;
            }
            let who = user(stable_hash(&u64::to_le_bytes(n), 9) % USERS);
            let chain = ChainId::events(who.partition(PARTITIONS));
            let started = Instant::now();
            if store.get_many(&[(chain, who)]).await.is_err() {
                failed += 1;
            }
            micros.saturating_record(started.elapsed().as_micros() as u64);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    (micros, failed)
}

fn main() {
    let mut words = std::env::args().skip(1);
    let url = words.next().filter(|word| word != "-");
    let mut number = |default: u64| words.next().map_or(default, |word| word.parse().unwrap());
    let (rate, seconds, interval_ms) = (number(1_000), number(20), number(20));
    let own = url
        .is_none()
        .then(|| nowcast_services::Redis::start().unwrap());
    let url = url.unwrap_or_else(|| own.as_ref().unwrap().url());
    let config = RedisConfig {
        url,
        namespace: format!("commits-{}", std::process::id()),
        ..RedisConfig::default()
    };
    let store = Arc::new(RedisStore::open(config).unwrap());
    let log = Arc::new(MemoryLog::new(PARTITIONS));
    let plan = FoldPlan::compile(&FoldConfig::default(), Arc::new(EventTypes::default()));
    let deps = ProcessorDeps {
        log: log.clone(),
        checkpoints: store.clone(),
        duty: Duty::All(Epochs::same(Epoch(1))),
        plan: plan.unwrap(),
        catalog: Arc::new(Catalog::new()),
        clock: Arc::new(Wall),
    };
    let stream = StreamConfig {
        checkpoint_interval: Span(interval_ms as i64),
        ..StreamConfig::default()
    };
    let processor = Processor::start(deps, stream).unwrap();
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let ((sent, visible), (reads, failed)) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&store, &stop));
        let fed = feed(&log, &processor, rate, Duration::from_secs(seconds));
        stop.store(true, Ordering::Release);
        (fed, reader.join().unwrap())
    });
    let per_s = sent as f64 / started.elapsed().as_secs_f64();
    let ms = |histogram: &Histogram<u64>, q| histogram.value_at_quantile(q) as f64 / 1_000.0;
    println!(
        r#"{{"events":{sent},"events_per_s":{per_s:.0},"interval_ms":{interval_ms},"visible_ms":{{"p50":{},"p99":{},"max":{}}},"read_ms":{{"p50":{},"p99":{}}},"reads":{},"reads_failed":{failed}}}"#,
        ms(&visible, 0.5),
        ms(&visible, 0.99),
        visible.max() as f64 / 1_000.0,
        ms(&reads, 0.5),
        ms(&reads, 0.99),
        reads.len(),
    );
}
