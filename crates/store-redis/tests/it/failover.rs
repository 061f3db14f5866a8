//! A server that dies under load: what it took with it is folded again from the log.

use crate::rig::{Owner, check_stored, cluster_url, fill, new_log, open, oracle, sentinel_url};
use crate::traffic::Traffic;
use nowcast_services::redis::command;
use nowcast_services::{Redis, RedisCluster, RedisSentinel};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_killed_master_of_a_cluster_costs_nothing() {
    let cluster = RedisCluster::start().unwrap();
    let store = Arc::new(open(&cluster_url(&cluster)));
    let (log, mut traffic) = (new_log(), Traffic::new(1, 80));
    let owner = Owner::start(&log, store.clone(), 1);
    for partition in [0, 1] {
        fill(&log, &mut traffic, 400);
        let key = format!("{{nowcast:{partition}}}h");
        cluster.master_of(&key).unwrap().kill().unwrap();
        fill(&log, &mut traffic, 400);
        owner.settle();
        for node in cluster.nodes() {
            if !node.is_running() {
                node.restart().unwrap();
            }
        }
        cluster.wait_whole().unwrap();
    }
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 2);
}

#[test]
fn the_sentinels_new_master_is_found() {
    let sentinels = RedisSentinel::start().unwrap();
    let store = Arc::new(open(&sentinel_url(&sentinels)));
    let (log, mut traffic) = (new_log(), Traffic::new(2, 80));
    let owner = Owner::start(&log, store.clone(), 1);
    fill(&log, &mut traffic, 300);
    owner.settle();
    sentinels.master().unwrap().kill().unwrap();
    fill(&log, &mut traffic, 300);
    owner.settle();
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 2);
}

/// A server restarted from an older dump is a replica that lacked the newest writes.
#[test]
fn a_lost_tail_is_noticed_while_running_and_folded_again() {
    let redis = Redis::start().unwrap();
    let store = Arc::new(open(&redis.url()));
    let (log, mut traffic) = (new_log(), Traffic::new(3, 80));
    let owner = Owner::start(&log, store.clone(), 1);
    fill(&log, &mut traffic, 300);
    owner.settle();
    command(redis.address(), &["SAVE"]).unwrap();
    fill(&log, &mut traffic, 300);
    owner.settle();
    redis.server().kill().unwrap();
    redis.server().restart().unwrap();
    fill(&log, &mut traffic, 300);
    owner.settle();
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 2);
}

#[test]
fn commits_wait_out_a_server_that_is_away_and_count_once() {
    let redis = Redis::start_with(&[("appendonly", "yes"), ("appendfsync", "always")]).unwrap();
    let store = Arc::new(open(&redis.url()));
    let (log, mut traffic) = (new_log(), Traffic::new(4, 80));
    let owner = Owner::start(&log, store.clone(), 1);
    for _ in 0..4 {
        fill(&log, &mut traffic, 100);
        redis.server().kill().unwrap();
        fill(&log, &mut traffic, 100);
        redis.server().restart().unwrap();
    }
    redis.server().stop(Duration::from_secs(30)).unwrap();
    redis.server().restart().unwrap();
    owner.settle();
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 2);
}
