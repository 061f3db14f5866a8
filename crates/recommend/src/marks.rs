//! One small record per item of the catalogue for the length of one request: is it a candidate,
//! was it touched, what did the filters say.
//!
//! Beginning a request changes one number instead of clearing the table, so a request costs what
//! it looks at and not what the catalogue holds.

use nowcast_store::ItemIdx;
use std::cell::Cell;

/// No candidate.
const NO_CANDIDATE: u32 = u32::MAX;

/// What a request has found out about one item. Sixteen bytes, so that none lies across two cache
/// lines: a request looks at thousands, in no order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    epoch: u32,
    candidate: u32,
    /// Evidence from items met together with the history's.
    pub(crate) covisit: f32,
    /// 1 + position among the touched items; 0 for none.
    touched: u16,
    pub(crate) verdict: Verdict,
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
    const EMPTY: Self = Self {
        epoch: 0,
        candidate: NO_CANDIDATE,
        covisit: 0.0,
        touched: 0,
        verdict: Verdict::Unknown,
    };

    /// Position among the candidates.
    pub(crate) fn candidate(&self) -> Option<usize> {
        (self.candidate != NO_CANDIDATE).then_some(self.candidate as usize)
    }

    /// Position among the touched items.
    pub(crate) fn touched(&self) -> Option<usize> {
        usize::from(self.touched).checked_sub(1)
    }
}

/// The marks of all items. Items that the catalogue learned of after [`Marks::begin`] are not
/// covered: they are not marked and cannot become candidates of this request.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    epoch: u32,
    rows: Vec<Cell<Mark>>,
}

impl Marks {
    /// Starts a request over a catalogue of `len` items.
    pub(crate) fn begin(&mut self, len: usize) {
        if self.rows.len() < len {
            self.rows.resize(len, Cell::new(Mark::EMPTY));
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.rows.fill(Cell::new(Mark::EMPTY));
            self.epoch = 1;
        }
    }

    /// The mark of an item, `None` if it is not covered.
    #[inline]
    pub(crate) fn get(&self, item: ItemIdx) -> Option<Mark> {
        let mark = self.rows.get(item.0 as usize)?.get();
        Some(if mark.epoch == self.epoch {
            mark
        } else {
            Mark {
                epoch: self.epoch,
                ..Mark::EMPTY
            }
        })
    }

    #[inline]
    fn update(&self, item: ItemIdx, change: impl FnOnce(&mut Mark)) {
        if let Some(mut mark) = self.get(item) {
            change(&mut mark);
            self.rows[item.0 as usize].set(mark);
        }
    }

    pub(crate) fn set_candidate(&self, item: ItemIdx, position: usize) {
        self.update(item, |mark| mark.candidate = position as u32);
    }

    /// Positions above 65,534 are not kept.
    pub(crate) fn set_touched(&self, item: ItemIdx, position: usize) {
        let touched = u16::try_from(position + 1).unwrap_or(0);
        self.update(item, |mark| mark.touched = touched);
    }

    pub(crate) fn set_verdict(&self, item: ItemIdx, verdict: Verdict) {
        self.update(item, |mark| mark.verdict = verdict);
    }

    /// Adds to the co-visitation evidence and returns whether it is the first of the item.
    pub(crate) fn add_covisit(&self, item: ItemIdx, weight: f32) -> bool {
        let mut is_first = false;
        self.update(item, |mark| {
            is_first = mark.covisit == 0.0;
            mark.covisit += weight;
        });
        is_first
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
        assert_eq!(marks.get(ItemIdx(1)).unwrap().candidate(), Some(7));
        assert_eq!(marks.get(ItemIdx(1)).unwrap().touched(), Some(0));
        marks.begin(3);
        let mark = marks.get(ItemIdx(1)).unwrap();
        assert_eq!((mark.candidate(), mark.touched()), (None, None));
        assert!(marks.get(ItemIdx(3)).is_none(), "beyond the catalogue");
    }

    #[test]
    fn the_epoch_wraps_without_reviving_old_marks() {
        let mut marks = Marks::default();
        marks.begin(1);
        marks.set_candidate(ItemIdx(0), 1);
        marks.epoch = u32::MAX;
        marks.begin(1);
        assert_eq!(marks.get(ItemIdx(0)).unwrap().candidate(), None);
    }
}
