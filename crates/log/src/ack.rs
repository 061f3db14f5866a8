//! The answer to an append: a future for async callers, a wait for threads.
//!
//! All appends of one group commit share one cell, so that an append allocates nothing of its own.
//! A log whose commits are not groups (a broker's) answers each append by its [`AppendPromise`].

use crate::error::LogError;
use nowcast_types::Offset;
use parking_lot::{Condvar, Mutex};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Completes with the offsets of a batch once it is durable, or with why it is not.
///
/// Dropping it changes nothing: the batch is committed all the same.
#[derive(Debug)]
#[must_use = "an append is only durable once its acknowledgement has completed"]
pub struct AppendAck(Inner);

#[derive(Debug)]
enum Inner {
    Ready(Result<Range<Offset>, LogError>),
    Pending {
        group: Arc<GroupAck>,
        /// Records of the group before this batch.
        first: u64,
        count: u64,
        /// Where this future's waker is kept in the group, once it was polled.
        slot: Option<usize>,
    },
    Promised {
        answer: Arc<Answer<Range<Offset>>>,
        slot: Option<usize>,
    },
}

/// The sending side of an [`AppendAck`], for logs outside of this crate.
///
/// Whoever holds it must complete it: the other side waits for ever otherwise.
#[derive(Debug)]
pub struct AppendPromise(Arc<Answer<Range<Offset>>>);

impl AppendPromise {
    /// Answers the append. Only the first answer counts.
    pub fn complete(&self, answer: Result<Range<Offset>, LogError>) {
        self.0.complete(answer);
    }
}

impl AppendAck {
    /// An answer that is to come, and the promise that brings it.
    pub fn promised() -> (AppendPromise, Self) {
        let answer = Arc::new(Answer::default());
        let ack = Self(Inner::Promised {
            answer: answer.clone(),
            slot: None,
        });
        (AppendPromise(answer), ack)
    }

    /// An answer that is already known.
    pub fn ready(answer: Result<Range<Offset>, LogError>) -> Self {
        Self(Inner::Ready(answer))
    }

    pub(crate) fn pending(group: Arc<GroupAck>, first: u64, count: u64) -> Self {
        Self(Inner::Pending {
            group,
            first,
            count,
            slot: None,
        })
    }

    /// Blocks the thread until the answer is there. Not for async code: await it instead.
    ///
    /// # Errors
    /// Why the batch is not known to be durable.
    pub fn wait(self) -> Result<Range<Offset>, LogError> {
        match self.0 {
            Inner::Ready(answer) => answer,
            Inner::Pending {
                group,
                first,
                count,
                ..
            } => offsets(group.wait(), first, count),
            Inner::Promised { answer, .. } => answer.wait(),
        }
    }
}

impl Future for AppendAck {
    type Output = Result<Range<Offset>, LogError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Inner::Ready(answer) => Poll::Ready(answer.clone()),
            Inner::Pending {
                group,
                first,
                count,
                slot,
            } => match group.poll(slot, context.waker()) {
                Some(answer) => Poll::Ready(offsets(answer, *first, *count)),
                None => Poll::Pending,
            },
            Inner::Promised { answer, slot } => match answer.poll(slot, context.waker()) {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending,
            },
        }
    }
}

fn offsets(
    base: Result<Offset, LogError>,
    first: u64,
    count: u64,
) -> Result<Range<Offset>, LogError> {
    let start = base? + first;
    Ok(start..start + count)
}

/// The shared answer of one group commit: the offset of its first record.
pub(crate) type GroupAck = Answer<Offset>;

/// One answer that many may wait for, as threads or as futures.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    state: Mutex<AnswerState<T>>,
    is_done: Condvar,
}

#[derive(Debug)]
struct AnswerState<T> {
    answer: Option<Result<T, LogError>>,
    wakers: Vec<Waker>,
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(AnswerState {
                answer: None,
                wakers: Vec::new(),
            }),
            is_done: Condvar::new(),
        }
    }
}

impl<T: Clone> Answer<T> {
    /// Answers everyone, now and later.
    pub(crate) fn complete(&self, answer: Result<T, LogError>) {
        let mut state = self.state.lock();
        state.answer.get_or_insert(answer);
        let wakers = std::mem::take(&mut state.wakers);
        self.is_done.notify_all();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wait(&self) -> Result<T, LogError> {
        let mut state = self.state.lock();
        loop {
            if let Some(answer) = &state.answer {
                return answer.clone();
            }
            self.is_done.wait(&mut state);
        }
    }

    fn poll(&self, slot: &mut Option<usize>, waker: &Waker) -> Option<Result<T, LogError>> {
        let mut state = self.state.lock();
        if let Some(answer) = &state.answer {
            return Some(answer.clone());
        }
        match *slot {
            Some(slot) => state.wakers[slot].clone_from(waker),
            None => {
                *slot = Some(state.wakers.len());
                state.wakers.push(waker.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct CountedWake(AtomicUsize);

    impl Wake for CountedWake {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_append_of_a_group_gets_its_own_offsets() {
        let group = Arc::new(GroupAck::default());
        let mut first = AppendAck::pending(group.clone(), 0, 2);
        let second = AppendAck::pending(group.clone(), 2, 3);
        let wakes = Arc::new(CountedWake(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        for _ in 0..3 {
            assert!(Pin::new(&mut first).poll(&mut context).is_pending());
        }
        group.complete(Ok(10));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(Ok(offsets)) = Pin::new(&mut first).poll(&mut context) else {
            panic!("completed");
        };
        assert_eq!(offsets, 10..12);
        assert_eq!(second.wait().unwrap(), 12..15);
    }

    #[test]
    fn a_promise_wakes_its_future_and_the_first_answer_counts() {
        let (promise, mut ack) = AppendAck::promised();
        let wakes = Arc::new(CountedWake(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut ack).poll(&mut context).is_pending());
        promise.complete(Ok(3..5));
        promise.complete(Ok(7..9));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(ack.wait().unwrap(), 3..5);
    }
}
