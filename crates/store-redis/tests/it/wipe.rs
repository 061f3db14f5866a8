//! Everything gone while the owner runs, and while nobody does.

use crate::rig::{Owner, check_stored, fill, new_log, open, oracle};
use crate::traffic::Traffic;
use nowcast_services::Redis;
use nowcast_services::redis::command;
use std::sync::Arc;

#[test]
fn a_wiped_server_is_filled_again_by_the_running_owner() {
    let redis = Redis::start().unwrap();
    let store = Arc::new(open(&redis.url()));
    let (log, mut traffic) = (new_log(), Traffic::new(11, 80));
    let owner = Owner::start(&log, store.clone(), 1);
    for _ in 0..3 {
        fill(&log, &mut traffic, 300);
        command(redis.address(), &["FLUSHALL"]).unwrap();
        fill(&log, &mut traffic, 100);
        owner.settle();
    }
    // The last wipe comes when all is committed: the next commit notices.
    command(redis.address(), &["FLUSHALL"]).unwrap();
    fill(&log, &mut traffic, 100);
    owner.settle();
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 2);
}

#[test]
fn an_owner_that_starts_on_a_wiped_server_folds_the_log_from_its_beginning() {
    let redis = Redis::start().unwrap();
    let store = Arc::new(open(&redis.url()));
    let (log, mut traffic) = (new_log(), Traffic::new(12, 80));
    let owner = Owner::start(&log, store.clone(), 5);
    fill(&log, &mut traffic, 300);
    owner.settle();
    drop(owner);
    command(redis.address(), &["FLUSHALL"]).unwrap();
    let owner = Owner::start(&log, store.clone(), 6);
    owner.settle();
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 7);
}

#[test]
fn a_head_that_is_gone_makes_the_rest_no_state() {
    let redis = Redis::start().unwrap();
    let store = Arc::new(open(&redis.url()));
    let (log, mut traffic) = (new_log(), Traffic::new(13, 80));
    let owner = Owner::start(&log, store.clone(), 1);
    fill(&log, &mut traffic, 300);
    owner.settle();
    drop(owner);
    command(redis.address(), &["DEL", "{nowcast:1}h"]).unwrap();
    let owner = Owner::start(&log, store.clone(), 2);
    owner.settle();
    assert_eq!(owner.processor.state_hashes(), oracle(&log));
    drop(owner);
    check_stored(&log, store, 3);
}
