//! A server that does not answer: the fold stops at its bound and goes on afterwards.

use crate::rig::{Owner, PARTITIONS, check_stored, config, fill, new_log, oracle, wait_until};
use crate::traffic::Traffic;
use nowcast_log::EventLog;
use nowcast_services::Redis;
use nowcast_store_redis::{RedisConfig, RedisStore};
use nowcast_types::{ByteSize, PartitionId, Span, Stream};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn the_fold_waits_for_a_frozen_server() {
    let redis = Redis::start().unwrap();
    let settings = RedisConfig {
        response_timeout: Span(300),
        backlog_bytes_max: ByteSize(16 << 10),
        ..config(&redis.url())
    };
    let store = Arc::new(RedisStore::open(settings).unwrap());
    let (log, mut traffic) = (new_log(), Traffic::new(31, 80));
    fill(&log, &mut traffic, 50);
    let owner = Owner::start(&log, store.clone(), 1);
    owner.settle();
    redis.server().freeze().unwrap();
    fill(&log, &mut traffic, 20_000);
    // It folds up to its bound, plus one read of the log, and then no further.
    let mut last = (Vec::new(), Instant::now());
    wait_until("it stands still", || {
        let applied = owner.processor.applied_all();
        if applied != last.0 {
            last = (applied, Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(3)
    });
    let ends: Vec<u64> = (0..PARTITIONS)
        .map(|p| log.bounds(Stream::Events, PartitionId(p)).unwrap().end)
        .collect();
    for (applied, end) in owner.processor.applied_all().iter().zip(&ends) {
        assert!(applied < end, "{applied} of {end}: it did not wait");
    }
    redis.server().thaw().unwrap();
    owner.settle();
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 2);
}
