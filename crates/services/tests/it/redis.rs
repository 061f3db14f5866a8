//! Redis alone, as a cluster and under Sentinels.

use nowcast_services::redis::{Reply, command};
use nowcast_services::{Redis, RedisCluster, RedisSentinel};
use std::time::{Duration, Instant};

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn redis_answers_and_with_append_only_keeps_data_over_a_kill() {
    let redis = Redis::start_with(&[("appendonly", "yes"), ("appendfsync", "always")]).unwrap();
    command(redis.address(), &["SET", "a", "1"]).unwrap();
    redis.server().kill().unwrap();
    assert!(command(redis.address(), &["GET", "a"]).is_err());
    redis.server().restart().unwrap();
    let answer = command(redis.address(), &["GET", "a"]).unwrap();
    assert_eq!(answer.into_text().unwrap(), "1");
}

#[test]
fn a_dropped_redis_is_stopped() {
    let redis = Redis::start().unwrap();
    let address = redis.address();
    drop(redis);
    assert!(command(address, &["PING"]).is_err());
}

#[test]
fn a_refused_setting_is_told_with_the_log() {
    let error = Redis::start_with(&[("no-such-setting", "yes")]).unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[test]
fn a_killed_cluster_master_is_replaced_and_keeps_its_keys() {
    let cluster = RedisCluster::start().unwrap();
    let master = cluster.master_of("user").unwrap();
    command(master.address(), &["SET", "user", "1"]).unwrap();
    // At most one replica can acknowledge.
    let acknowledged = command(master.address(), &["WAIT", "1", "60000"]).unwrap();
    assert_eq!(acknowledged, Reply::Integer(1));
    master.kill().unwrap();

    let heir = eventually("the failover", || {
        let now = cluster.master_of("user").ok()?;
        (now.address() != master.address()).then_some(now)
    });
    cluster.wait_whole().unwrap();
    let answer = command(heir.address(), &["GET", "user"]).unwrap();
    assert_eq!(answer.into_text().unwrap(), "1");

    master.restart().unwrap();
    cluster.wait_whole().unwrap();
}

#[test]
fn a_master_killed_under_sentinels_is_replaced() {
    let group = RedisSentinel::start().unwrap();
    let master = group.master().unwrap();
    master.kill().unwrap();
    let heir = eventually("the failover", || {
        let now = group.master().ok()?;
        (now.address() != master.address()).then_some(now)
    });
    eventually("a write to the heir", || {
        command(heir.address(), &["SET", "a", "1"]).ok()
    });
    master.restart().unwrap();
    group.wait_whole().unwrap();
}
