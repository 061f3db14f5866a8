//! Passes over all codes that concurrent queries share, as a log shares one sync among the appends
//! that came meanwhile.
//!
//! A query that comes while fewer passes are under way than there are processors begins its own at
//! once. Others queue up; whoever ends a pass passes its turn on to the first of them, which takes
//! along those behind it. There is no timer, and no thread but those of the queries: a query waits
//! for the shortest rest of the passes under way, and in a longer queue for those ahead of it.

use super::lent::{Lent, lend};
use crate::kernels::scan::QuantizedQuery;
use crate::model::Admit;
use crate::top_k::TopK;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Queries that share one pass over all codes; more would push each other out of the cache.
pub(super) const QUERIES_PER_PASS: usize = 16;

/// A query and what it has found.
pub(super) struct Search {
    pub(super) codes: QuantizedQuery,
    pub(super) top: TopK,
}

/// One pass: offers every item to the searches, by the filter of position and item.
pub(super) type Scan<'a> = &'a dyn Fn(&[QuantizedQuery], &mut [TopK], &dyn Fn(usize, u32) -> bool);

/// The passes of one index.
#[derive(Debug)]
pub(super) struct SharedPasses {
    at_once: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    under_way: usize,
    /// Empty unless as many passes are under way as may be.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    search: Search,
    filter: Lent<Reply>,
}

/// What a waiting query is told.
enum Reply {
    Found(TopK),
    /// It is its turn to begin a pass.
    Lead(Search),
}

impl SharedPasses {
    /// With at most `at_once` passes under way.
    pub(super) fn new(at_once: usize) -> Self {
        let queue = Mutex::default();
        Self { at_once, queue }
    }

    /// What a pass finds for `search`, its own or another's; none if a pass that others share
    /// panicked, in which case each may try alone. `admit` must not ask the same index.
    pub(super) fn join(&self, search: Search, admit: Admit<'_>, scan: Scan<'_>) -> Option<TopK> {
        let mut queue = self.queue.lock();
        if queue.under_way < self.at_once {
            queue.under_way += 1;
            drop(queue);
            return self.lead(search, admit, scan);
        }
        let reply = lend(admit, |filter| {
            queue.waiting.push_back(Waiting { search, filter });
            drop(queue);
        });
        match reply? {
            Reply::Found(top) => Some(top),
            Reply::Lead(search) => self.lead(search, admit, scan),
        }
    }

    /// A pass for `search` and those that wait. A filter that panics fails only its own query: the
    /// others scan again.
    fn lead(&self, search: Search, admit: Admit<'_>, scan: Scan<'_>) -> Option<TopK> {
        let _turn = Turn(self);
        let (mut queries, mut tops) = (vec![search.codes], vec![search.top]);
        let mut filters = Vec::new();
        for Waiting { search, filter } in self.take_along() {
            queries.push(search.codes);
            tops.push(search.top);
            filters.push(filter);
        }
        let admit = |at: usize, item| match at.checked_sub(1) {
            None => admit(item),
            Some(other) => filters[other].admits(item),
        };
        let mut pass = || scan(&queries, &mut tops, &admit);
        if filters.is_empty() {
            pass();
        } else {
            // What a panic leaves half done is dropped.
            catch_unwind(AssertUnwindSafe(pass)).ok()?;
        }
        let others = tops.split_off(1);
        for (filter, top) in filters.into_iter().zip(others) {
            filter.give_back(Reply::Found(top));
        }
        tops.pop()
    }

    fn take_along(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let others = queue.waiting.len().min(QUERIES_PER_PASS - 1);
        queue.waiting.drain(..others).collect()
    }
}

/// The right to one of the passes under way, passed on when it ends.
struct Turn<'a>(&'a SharedPasses);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.under_way -= 1;
        }
        drop(queue);
        if let Some(Waiting { search, filter }) = next {
            filter.give_back(Reply::Lead(search));
        }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (under_way, waiting) = (self.under_way, self.waiting.len());
        write!(f, "Queue({under_way} under way, {waiting} waiting)")
    }
}

#[cfg(test)]
mod tests;
