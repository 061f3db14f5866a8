//! The estimate against a server's own account.

use crate::rig::{Owner, PARTITIONS, fill, new_log, open};
use crate::traffic::Traffic;
use nowcast_services::Redis;
use nowcast_services::redis::command;
use nowcast_store_redis::{Sizes, estimate};
use std::sync::Arc;

const USERS: u64 = 3_000;
const BATCHES: u32 = 20_000;

fn used(redis: &Redis) -> u64 {
    let stats = command(redis.address(), &["INFO", "memory"]).unwrap();
    let stats = stats.into_text().unwrap();
    let line = stats.lines().find(|line| line.starts_with("used_memory:"));
    line.unwrap()["used_memory:".len()..]
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn the_estimate_is_within_a_third_of_what_the_server_uses() {
    let redis = Redis::start().unwrap();
    let empty = used(&redis);
    let (log, mut traffic) = (new_log(), Traffic::new(51, USERS));
    fill(&log, &mut traffic, BATCHES);
    let owner = Owner::start(&log, Arc::new(open(&redis.url())), 1);
    owner.settle();
    let (mut users, mut events) = (0, 0);
    let mut items = 0;
    for p in 0..PARTITIONS {
        owner
            .processor
            .with_partition(nowcast_types::PartitionId(p), |view| {
                let state = view.state();
                items = items.max(u64::from(state.items_len()));
                for key in state.user_keys() {
                    users += 1;
                    events += state.user(&key).unwrap().history().len() as u64;
                }
            });
    }
    let folded: u64 = owner.processor.applied_all().iter().sum();
    let sizes = Sizes {
        ids: folded,
        ..Sizes::guess(users, events / users, items, u64::from(PARTITIONS))
    };
    let expected = estimate(&sizes).total();
    let real = used(&redis);
    eprintln!(
        "{users} users of {} events, {items} items, {folded} ids: {real} bytes (empty {empty}), \
         estimated {expected} {:?}",
        events / users,
        estimate(&sizes)
    );
    assert!(expected * 3 < real * 4 && real * 3 < expected * 4);
}
