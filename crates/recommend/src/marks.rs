//! One small record per item of the catalogue for the length of one request: is it a candidate,
//! was it touched, what did the filters say.
//!
//! Beginning a request changes one number instead of clearing the table, so a request costs what
//! it looks at and not what the catalogue holds.
//!
//! A filter may be called by another thread while the request waits, never by two at once, and what
//! wakes the one makes visible what the other wrote. So all loads and stores are relaxed, which
//! processors do not tell from plain ones.

use nowcast_store::ItemIdx;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32};

/// No candidate.
const NO_CANDIDATE: u32 = u32::MAX;

/// What a request has found out about one item. Sixteen bytes, so that none lies across two cache
/// lines: a request looks at thousands, in no order.
#[derive(Debug)]
struct Mark {
    /// The request that the rest is of.
    epoch: AtomicU32,
    /// Position among the candidates.
    candidate: AtomicU32,
    /// Bits of the evidence from items met together with the history's.
    covisit: AtomicU32,
    /// 1 + position among the touched items; 0 for none.
    touched: AtomicU16,
    verdict: AtomicU8,
}

/// What the filters said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Unknown,
    /// The item may be recommended.
    Keep,
    /// It may not.
    Drop,
}

const _: () = assert!(size_of::<Mark>() == 16);

impl Mark {
    fn empty(epoch: u32) -> Self {
        Self {
            epoch: AtomicU32::new(epoch),
            candidate: AtomicU32::new(NO_CANDIDATE),
            covisit: AtomicU32::new(0),
            touched: AtomicU16::new(0),
            verdict: AtomicU8::new(Verdict::Unknown as u8),
        }
    }

    fn clear(&self, epoch: u32) {
        self.epoch.store(epoch, Relaxed);
        self.candidate.store(NO_CANDIDATE, Relaxed);
        self.covisit.store(0, Relaxed);
        self.touched.store(0, Relaxed);
        self.verdict.store(Verdict::Unknown as u8, Relaxed);
    }
}

/// The marks of all items. Items that the catalogue learned of after [`Marks::begin`] are not
/// covered: they are not marked and cannot become candidates of this request.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    epoch: u32,
    rows: Vec<Mark>,
}

impl Marks {
    /// Starts a request over a catalogue of `len` items.
    pub(crate) fn begin(&mut self, len: usize) {
        if self.rows.len() < len {
            self.rows.resize_with(len, || Mark::empty(0));
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.rows.fill_with(|| Mark::empty(0));
            self.epoch = 1;
        }
    }

    /// Whether an item has a mark.
    pub(crate) fn covers(&self, item: ItemIdx) -> bool {
        (item.0 as usize) < self.rows.len()
    }

    /// The mark of an item if this request has written one.
    #[inline]
    fn written(&self, item: ItemIdx) -> Option<&Mark> {
        let mark = self.rows.get(item.0 as usize)?;
        (mark.epoch.load(Relaxed) == self.epoch).then_some(mark)
    }

    /// The mark of an item, to be written; `None` if it is not covered.
    #[inline]
    fn writable(&self, item: ItemIdx) -> Option<&Mark> {
        let mark = self.rows.get(item.0 as usize)?;
        if mark.epoch.load(Relaxed) != self.epoch {
            mark.clear(self.epoch);
        }
        Some(mark)
    }

    /// Position among the candidates.
    #[inline]
    pub(crate) fn candidate(&self, item: ItemIdx) -> Option<usize> {
        let position = self.written(item)?.candidate.load(Relaxed);
        (position != NO_CANDIDATE).then_some(position as usize)
    }

    /// Position among the touched items.
    #[inline]
    pub(crate) fn touched(&self, item: ItemIdx) -> Option<usize> {
        usize::from(self.written(item)?.touched.load(Relaxed)).checked_sub(1)
    }

    /// Evidence from items met together with the history's; 0 for none.
    #[inline]
    pub(crate) fn covisit(&self, item: ItemIdx) -> f32 {
        let mark = self.written(item);
        mark.map_or(0.0, |mark| f32::from_bits(mark.covisit.load(Relaxed)))
    }

    /// What the filters said; `None` for an item that is not covered.
    #[inline]
    pub(crate) fn verdict(&self, item: ItemIdx) -> Option<Verdict> {
        let mark = self.rows.get(item.0 as usize)?;
        if mark.epoch.load(Relaxed) != self.epoch {
            return Some(Verdict::Unknown);
        }
        let verdict = mark.verdict.load(Relaxed);
        Some(if verdict == Verdict::Keep as u8 {
            Verdict::Keep
        } else if verdict == Verdict::Drop as u8 {
            Verdict::Drop
        } else {
            Verdict::Unknown
        })
    }

    pub(crate) fn set_candidate(&self, item: ItemIdx, position: usize) {
        if let Some(mark) = self.writable(item) {
            mark.candidate.store(position as u32, Relaxed);
        }
    }

    /// Positions above 65,534 are not kept.
    pub(crate) fn set_touched(&self, item: ItemIdx, position: usize) {
        if let Some(mark) = self.writable(item) {
            let touched = u16::try_from(position + 1).unwrap_or(0);
            mark.touched.store(touched, Relaxed);
        }
    }

    pub(crate) fn set_verdict(&self, item: ItemIdx, verdict: Verdict) {
        if let Some(mark) = self.writable(item) {
            mark.verdict.store(verdict as u8, Relaxed);
        }
    }

    /// Adds to the co-visitation evidence and returns whether it is the first of the item.
    pub(crate) fn add_covisit(&self, item: ItemIdx, weight: f32) -> bool {
        let Some(mark) = self.writable(item) else {
            return false;
        };
        let before = f32::from_bits(mark.covisit.load(Relaxed));
        mark.covisit.store((before + weight).to_bits(), Relaxed);
        before == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_request_sees_nothing_of_the_one_before() {
        let mut marks = Marks::default();
        marks.begin(2);
        marks.set_candidate(ItemIdx(1), 7);
        marks.set_touched(ItemIdx(1), 0);
        marks.set_verdict(ItemIdx(1), Verdict::Drop);
        assert_eq!(marks.candidate(ItemIdx(1)), Some(7));
        assert_eq!(marks.touched(ItemIdx(1)), Some(0));
        assert_eq!(marks.verdict(ItemIdx(1)), Some(Verdict::Drop));
        marks.begin(3);
        assert_eq!(marks.verdict(ItemIdx(1)), Some(Verdict::Unknown));
        assert!(marks.add_covisit(ItemIdx(1), 0.5));
        assert!(!marks.add_covisit(ItemIdx(1), 0.25));
        assert_eq!(marks.covisit(ItemIdx(1)), 0.75);
        assert_eq!(marks.candidate(ItemIdx(1)), None);
        assert_eq!(marks.touched(ItemIdx(1)), None);
        assert_eq!(marks.verdict(ItemIdx(1)), Some(Verdict::Unknown));
        assert!(!marks.covers(ItemIdx(3)), "beyond the catalogue");
    }

    #[test]
    fn the_epoch_wraps_without_reviving_old_marks() {
        let mut marks = Marks::default();
        marks.begin(1);
        marks.set_candidate(ItemIdx(0), 1);
        marks.epoch = u32::MAX;
        marks.begin(1);
        assert_eq!(marks.candidate(ItemIdx(0)), None);
    }
}
