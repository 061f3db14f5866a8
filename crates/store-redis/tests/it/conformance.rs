//! One suite for every store, on each kind of Redis.

use crate::rig::{cluster_url, open, sentinel_url};
use nowcast_services::{Redis, RedisCluster, RedisSentinel};
use nowcast_store::conformance;
use nowcast_store_redis::RedisConfig;
use nowcast_types::{ByteSize, Span};

#[test]
fn one_server_conforms() {
    let redis = Redis::start().unwrap();
    conformance::check(&open(&redis.url()));
}

#[test]
fn small_pieces_conform() {
    let redis = Redis::start().unwrap();
    let config = RedisConfig {
        url: redis.url(),
        commit_bytes_max: ByteSize(4 << 10),
        ..RedisConfig::default()
    };
    conformance::check(&nowcast_store_redis::RedisStore::open(config).unwrap());
}

#[test]
fn a_cluster_conforms_and_waits_for_its_replicas() {
    let cluster = RedisCluster::start().unwrap();
    conformance::check(&open(&cluster_url(&cluster)));
    let config = RedisConfig {
        url: cluster_url(&cluster),
        namespace: "replicated".to_owned(),
        replicas_min: 1,
        // A busy machine lets a replica wait for its turn longer than one would in earnest.
        replicas_timeout: Span(20_000),
        ..RedisConfig::default()
    };
    conformance::check(&nowcast_store_redis::RedisStore::open(config).unwrap());
}

#[test]
fn a_master_behind_sentinels_conforms() {
    let sentinels = RedisSentinel::start().unwrap();
    conformance::check(&open(&sentinel_url(&sentinels)));
}
