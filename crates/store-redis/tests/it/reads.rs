//! What serving reads: users in one round trip, equal to the owner's; damage, expiry, the item side.

use crate::rig::{Owner, PARTITIONS, cluster_url, config, fill, new_log, open, plan};
use crate::traffic::{Traffic, user};
use nowcast_features::PartitionReplica;
use nowcast_services::redis::command;
use nowcast_services::{Redis, RedisCluster};
use nowcast_store::ChainId;
use nowcast_store_redis::{RedisConfig, RedisStore};
use nowcast_types::{PartitionId, Span, Timestamp};
use std::sync::Arc;

const USERS: u64 = 80;

fn chain_of(number: u64) -> ChainId {
    ChainId::events(user(number).partition(PARTITIONS))
}

fn get(store: &RedisStore, users: &[u64]) -> Vec<Option<bytes::Bytes>> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let wanted: Vec<_> = users.iter().map(|n| (chain_of(*n), user(*n))).collect();
    runtime.block_on(store.get_many(&wanted)).unwrap()
}

fn check_reads(url: &str) {
    let store = Arc::new(open(url));
    let (log, mut traffic) = (new_log(), Traffic::new(41, USERS));
    let owner = Owner::start(&log, store.clone(), 1);
    fill(&log, &mut traffic, 500);
    owner.settle();
    let mut replicas = Vec::new();
    for p in 0..PARTITIONS {
        let side = store.item_side(ChainId::events(PartitionId(p))).unwrap();
        assert_eq!(side.position, Some(owner.processor.applied(PartitionId(p))));
        let mut replica = PartitionReplica::new(plan());
        replica.apply(&[side.blob]).unwrap();
        replicas.push(replica);
    }
    let numbers: Vec<u64> = (0..=USERS).collect();
    let as_of = Timestamp(crate::traffic::START.0 + 3_600_000);
    let mut known = 0;
    for (number, section) in numbers.iter().zip(get(&store, &numbers)) {
        let key = user(*number);
        let replica = &replicas[usize::from(key.partition(PARTITIONS).0)];
        let local = owner.processor.with_user(&key, |user, _| {
            let rest = (user.session().copied(), user.segment(), user.active_s());
            let values = (user.affinity(as_of), user.features(as_of));
            (user.history().to_vec(), values, rest)
        });
        let remote = section.map(|section| {
            let remote = replica.read_user(&key, &section).unwrap();
            let user = replica.user(&remote);
            let rest = (user.session().copied(), user.segment(), user.active_s());
            let values = (user.affinity(as_of), user.features(as_of));
            (user.history().to_vec(), values, rest)
        });
        assert_eq!(remote, local, "user {number}");
        known += u32::from(local.is_some());
    }
    assert!(known > 40);
}

#[test]
fn what_a_server_gives_is_what_the_owner_knows() {
    let redis = Redis::start().unwrap();
    check_reads(&redis.url());
}

#[test]
fn what_a_cluster_gives_is_what_the_owner_knows() {
    let cluster = RedisCluster::start().unwrap();
    check_reads(&cluster_url(&cluster));
}

#[test]
fn any_number_of_users_of_a_server_is_one_command() {
    let redis = Redis::start().unwrap();
    let store = open(&redis.url());
    get(&store, &[1]);
    let calls = || {
        let stats = command(redis.address(), &["INFO", "commandstats"]).unwrap();
        let stats = stats.into_text().unwrap();
        let line = stats.lines().find(|line| line.starts_with("cmdstat_mget:"));
        let calls = line.unwrap().split("calls=").nth(1).unwrap();
        calls.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = calls();
    assert_eq!(get(&store, &(0..100).collect::<Vec<_>>()).len(), 100);
    assert_eq!(calls(), before + 1);
}

#[test]
fn a_user_expires_when_they_are_silent_for_long() {
    let redis = Redis::start().unwrap();
    let settings = RedisConfig {
        user_ttl: Span(3_600_000),
        ..config(&redis.url())
    };
    let store = Arc::new(RedisStore::open(settings).unwrap());
    let (log, mut traffic) = (new_log(), Traffic::new(42, 4));
    let owner = Owner::start(&log, store, 1);
    fill(&log, &mut traffic, 40);
    owner.settle();
    let stats = command(redis.address(), &["INFO", "keyspace"]).unwrap();
    let stats = stats.into_text().unwrap();
    let expires = stats.split("expires=").nth(1).unwrap();
    let expires: usize = expires.split(',').next().unwrap().parse().unwrap();
    let known = (0..4).filter(|n| owner.processor.with_user(&user(*n), |_, _| ()).is_some());
    assert_eq!(expires, known.count(), "users and nothing else expire");
}
