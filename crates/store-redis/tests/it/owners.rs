//! Two owners at once: the older one is shut out, whatever it does and whenever it wakes.

use crate::rig::{Owner, check_stored, fill, new_log, open, oracle, wait_until};
use crate::traffic::Traffic;
use nowcast_services::Redis;
use nowcast_stream::Readiness;
use std::sync::Arc;

#[test]
fn an_owner_that_wakes_after_a_takeover_changes_nothing() {
    let redis = Redis::start().unwrap();
    let (log, mut traffic) = (new_log(), Traffic::new(21, 80));
    let mut old = Owner::start(&log, Arc::new(open(&redis.url())), 1);
    fill(&log, &mut traffic, 200);
    old.settle();
    for epoch in 2..8 {
        let new = Owner::start(&log, Arc::new(open(&redis.url())), epoch);
        new.wait_live();
        fill(&log, &mut traffic, 200);
        wait_until(
            "the old owner is refused",
            || matches!(&old.processor.readiness(), Readiness::Failed(why) if why.contains("dismissed")),
        );
        new.settle();
        assert_eq!(new.processor.state_hashes(), oracle(&log), "epoch {epoch}");
        old = new;
    }
    drop(old);
    check_stored(&log, Arc::new(open(&redis.url())), 9);
}
