//! What queries find that share passes, against what each finds alone.

use super::SharedPasses;
use crate::model::Scored;
use crate::seeded::Seeded;
use crate::vector_index::VectorIndex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

const SIDE: usize = 16;
/// More than go with the first one's successor, so that there is a third pass.
const FOLLOWERS: usize = 21;

/// An index just large enough to share passes, one at a time.
fn index() -> VectorIndex {
    let mut random = Seeded::new(4, 1);
    let items = crate::vector_index::SHARED_BYTES_MIN / (SIDE + 8) + 16;
    let vectors = (0..items * SIDE).map(|_| random.normal()).collect();
    let mut index = VectorIndex::new(vectors, SIDE);
    assert!(index.shares_passes());
    index.passes = SharedPasses::new(1);
    index
}

fn query(number: usize) -> Vec<f32> {
    let mut random = Seeded::new(5, number as u64);
    (0..SIDE).map(|_| random.normal()).collect()
}

/// Different lengths and filters, some of which turn down nearly all.
fn k(number: usize) -> usize {
    [0, 1, 10, 100][number % 4]
}

fn admits(number: usize, item: u32) -> bool {
    match number % 3 {
        0 => true,
        1 => item.is_multiple_of(2),
        _ => item % 997 == number as u32,
    }
}

fn alone(index: &VectorIndex, number: usize) -> Vec<Scored> {
    let admit = |_, item| admits(number, item);
    index.in_all(&[&query(number)], k(number), &admit).remove(0)
}

/// Asks from a thread each, all while the first pass is held up, and returns what the followers
/// found; none for one that panicked.
fn ask_together(
    index: &VectorIndex,
    filter: &(dyn Fn(usize, u32) -> bool + Sync),
) -> Vec<Option<Vec<Scored>>> {
    let queue = || index.passes.queue.lock();
    let (begun, gathered) = (Once::new(), Once::new());
    let hold = |_: usize, item| {
        begun.call_once(|| {});
        gathered.call_once(|| {
            while queue().waiting.len() < FOLLOWERS {
                thread::yield_now();
            }
        });
        admits(0, item)
    };
    let found = thread::scope(|scope| {
        let first = scope.spawn(|| index.nearest(&[&query(0)], 10, &hold));
        begun.wait();
        let ask = |number| {
            let admit = move |_: usize, item| filter(number, item);
            move || {
                index
                    .nearest(&[&query(number)], k(number), &admit)
                    .remove(0)
            }
        };
        let asked = (1..=FOLLOWERS).map(|number| scope.spawn(ask(number)));
        let asked: Vec<_> = asked.collect();
        first.join().unwrap();
        asked.into_iter().map(|one| one.join().ok()).collect()
    });
    assert_eq!(queue().under_way, 0, "every turn was passed on or is free");
    found
}

#[test]
fn queries_that_share_a_pass_find_what_they_find_alone() {
    let index = index();
    let leaders = Mutex::new(HashSet::new());
    let found = ask_together(&index, &|number, item| {
        leaders.lock().unwrap().insert(thread::current().id());
        admits(number, item)
    });
    for (number, list) in (1..).zip(found) {
        assert_eq!(list.unwrap(), alone(&index, number), "query {number}");
    }
    // Sixteen went together, then the rest.
    assert_eq!(leaders.into_inner().unwrap().len(), 2);
}

#[test]
fn a_filter_that_panics_fails_only_its_own_query() {
    let index = index();
    let asked = AtomicUsize::new(0);
    let found = ask_together(&index, &|number, item| {
        let is_planted = number == 6 && asked.fetch_add(1, Ordering::Relaxed) % 50 == 49;
        assert!(!is_planted, "planted");
        admits(number, item)
    });
    for (number, list) in (1..).zip(found) {
        let expected = (number != 6).then(|| alone(&index, number));
        assert_eq!(list, expected, "query {number}");
    }
}
