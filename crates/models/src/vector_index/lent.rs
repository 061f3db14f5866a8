//! A filter lent to another thread by one that waits: what a scope of threads would allow if the
//! threads were its own.
#![allow(unsafe_code)]

use crate::model::Admit;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A filter whose owner waits until this is gone.
pub(super) struct Lent<R> {
    filter: *const Filter,
    back: SyncSender<R>,
}

/// Whatever it borrows outlives its [`Lent`].
type Filter = dyn Fn(u32) -> bool + Sync;

// SAFETY: the filter is `Sync`, so a reference to it may go to another thread.
unsafe impl<R: Send> Send for Lent<R> {}

impl<R> Lent<R> {
    pub(super) fn admits(&self, item: u32) -> bool {
        // SAFETY: `lend`, which borrows the filter, neither returns nor unwinds before `self` is
        // consumed by `give_back` or dropped.
        let filter = unsafe { &*self.filter };
        filter(item)
    }

    /// Ends the loan with an answer.
    pub(super) fn give_back(self, answer: R) {
        // The owner waits, so the answer is taken.
        let _ = self.back.send(answer);
    }
}

/// Hands `filter` to whom `give` gives it, and waits for the answer; none if the loan was dropped.
pub(super) fn lend<R>(filter: Admit<'_>, give: impl FnOnce(Lent<R>)) -> Option<R> {
    let (back, returned) = sync_channel(1);
    let mut owner = Owner(Some(returned));
    // SAFETY: both are the same pointer; that the loan ends before the filter is the work of `Owner`.
    let filter = unsafe { std::mem::transmute::<Admit<'_>, *const Filter>(filter) };
    give(Lent { filter, back });
    owner.wait()
}

/// The other end of a loan, which it outlasts also when `give` panics.
struct Owner<R>(Option<Receiver<R>>);

impl<R> Owner<R> {
    /// Waits until the loan is given back or dropped.
    fn wait(&mut self) -> Option<R> {
        self.0.take()?.recv().ok()
    }
}

impl<R> Drop for Owner<R> {
    fn drop(&mut self) {
        self.wait();
    }
}
