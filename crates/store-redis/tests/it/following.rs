//! Those who serve what others fold: the same reads, whatever is lost on the way.

use crate::rig::{Owner, PARTITIONS, config, fill, follower, new_log, wait_until};
use crate::traffic::{START, Traffic, user};
use nowcast_log::{AppendAck, Bounds, ChangeFeed, LogError, MemoryLog};
use nowcast_services::Redis;
use nowcast_services::redis::command;
use nowcast_store_redis::RedisStore;
use nowcast_stream::{Processor, PublishingStore, Readiness};
use nowcast_types::{Offset, PartitionId, Span};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const USERS: u64 = 80;

/// A feed in memory that can lose what is published.
#[derive(Default)]
pub(crate) struct Feed {
    entries: Mutex<Vec<Vec<Vec<u8>>>>,
    is_losing: AtomicBool,
}

impl Feed {
    fn new() -> Arc<Self> {
        let feed = Self::default();
        feed.entries
            .lock()
            .resize(usize::from(PARTITIONS), Vec::new());
        Arc::new(feed)
    }
}

impl ChangeFeed for Feed {
    fn publish(&self, partition: PartitionId, entry: &[u8]) -> AppendAck {
        let mut all = self.entries.lock();
        let entries = &mut all[usize::from(partition.0)];
        if !self.is_losing.load(Ordering::SeqCst) {
            entries.push(entry.to_vec());
        }
        let end = entries.len() as Offset;
        AppendAck::ready(Ok(end.saturating_sub(1)..end))
    }

    fn entries(
        &self,
        partition: PartitionId,
        from: Offset,
        _bytes_max: usize,
    ) -> Result<Vec<(Offset, Vec<u8>)>, LogError> {
        let all = self.entries.lock();
        let entries = all[usize::from(partition.0)].iter().cloned();
        Ok((0..).zip(entries).skip(from as usize).collect())
    }

    fn feed_bounds(&self, partition: PartitionId) -> Result<Bounds, LogError> {
        let end = self.entries.lock()[usize::from(partition.0)].len() as Offset;
        Ok(Bounds { earliest: 0, end })
    }

    fn wait_entries(&self, partition: PartitionId, offset: Offset, timeout: Duration) -> bool {
        let is_there = || self.entries.lock()[usize::from(partition.0)].len() as Offset > offset;
        if !is_there() {
            std::thread::park_timeout(timeout.min(Duration::from_millis(2)));
        }
        is_there()
    }

    fn entry_bytes_max(&self) -> usize {
        1 << 20
    }
}

fn redis_store(redis: &Redis) -> Arc<RedisStore> {
    let mut settings = config(&redis.url());
    settings.read_timeout = Span(30_000);
    Arc::new(RedisStore::open(settings).unwrap())
}

fn owner(log: &Arc<MemoryLog>, redis: &Redis, feed: &Arc<Feed>, epoch: u64) -> Owner {
    let store = PublishingStore::new(redis_store(redis), feed.clone());
    Owner::start(log, Arc::new(store), epoch)
}

/// Everything that serving reads: users, and what is popular and met together, by name.
fn seen(processor: &Processor) -> Vec<String> {
    let mut seen = Vec::new();
    for number in 0..USERS {
        let known = processor.with_user(&user(number), |user, view| {
            let state = view.state();
            let history = user.history();
            let history = history
                .iter()
                .map(|entry| state.item_id(entry.item).to_owned());
            let affinity = user.affinity(START).into_iter();
            let affinity = affinity
                .map(|(category, weight)| (state.category(category).to_owned(), weight.to_bits()));
            let segment = user.segment().map(|segment| state.segment(segment));
            format!(
                "{:?} {:?} {segment:?}",
                history.collect::<Vec<_>>(),
                affinity.collect::<Vec<_>>()
            )
        });
        seen.push(format!("user {number}: {known:?}"));
    }
    let catalog = processor.catalog();
    let as_of = processor.watermark();
    let mut items: Vec<String> = (0..catalog.len())
        .map(|item| {
            let item = nowcast_store::ItemIdx(item);
            let popularity = processor.popularity(&[item], as_of)[0];
            let near = processor.neighbours(item, as_of).into_iter();
            let near = near.map(|(other, weight)| (catalog.id(other), weight.to_bits()));
            let near: Vec<_> = near.collect();
            format!(
                "item {:?}: {:x} {near:?}",
                catalog.id(item),
                popularity.trending.to_bits()
            )
        })
        .collect();
    items.sort();
    seen.extend(items);
    seen
}

#[test]
fn who_follows_reads_what_the_owner_reads() {
    let redis = Redis::start().unwrap();
    let (log, mut traffic, feed) = (new_log(), Traffic::new(31, USERS), Feed::new());
    let owner = owner(&log, &redis, &feed, 1);
    fill(&log, &mut traffic, 200);
    owner.settle();
    // One begins in the middle, with what is stored; one was there from the start of the next.
    let follower = follower(&log, feed.clone(), redis_store(&redis));
    for round in 0..4 {
        fill(&log, &mut traffic, 100);
        owner.settle();
        let ends = owner.processor.applied_all();
        wait_until("the follower is level", || follower.applied_all() == ends);
        assert_eq!(seen(&follower), seen(&owner.processor), "round {round}");
        assert_eq!(follower.watermark(), owner.processor.watermark());
    }
    assert_eq!(follower.readiness(), Readiness::Live);
}

#[test]
fn what_is_lost_on_the_way_is_read_from_the_store() {
    let redis = Redis::start().unwrap();
    let (log, mut traffic, feed) = (new_log(), Traffic::new(32, USERS), Feed::new());
    let owner = owner(&log, &redis, &feed, 1);
    let follower = follower(&log, feed.clone(), redis_store(&redis));
    for is_heard_of_later in [true, false] {
        feed.is_losing.store(true, Ordering::SeqCst);
        fill(&log, &mut traffic, 100);
        owner.settle();
        feed.is_losing.store(false, Ordering::SeqCst);
        if is_heard_of_later {
            // The next entry does not follow what the follower has.
            fill(&log, &mut traffic, 100);
            owner.settle();
        }
        let ends = owner.processor.applied_all();
        wait_until("the follower is level", || follower.applied_all() == ends);
        assert_eq!(seen(&follower), seen(&owner.processor));
    }
}

#[test]
fn a_wiped_store_is_written_anew_and_followed_on() {
    let redis = Redis::start().unwrap();
    let (log, mut traffic, feed) = (new_log(), Traffic::new(33, USERS), Feed::new());
    let first = owner(&log, &redis, &feed, 1);
    let follower = follower(&log, feed.clone(), redis_store(&redis));
    fill(&log, &mut traffic, 200);
    first.settle();
    let ends = first.processor.applied_all();
    wait_until("the follower is level", || follower.applied_all() == ends);
    // Nothing happens afterwards: the owner must notice by itself.
    command(redis.address(), &["FLUSHALL"]).unwrap();
    let expected = seen(&first.processor);
    wait_until("users are read again", || seen(&follower) == expected);
    drop(first);
    let second = owner(&log, &redis, &feed, 2);
    fill(&log, &mut traffic, 100);
    second.settle();
    let ends = second.processor.applied_all();
    wait_until("the follower is level", || follower.applied_all() == ends);
    assert_eq!(seen(&follower), seen(&second.processor));
}
