//! The budget of retries: a tenth of the calls, and what was saved up.

use parking_lot::Mutex;

/// Retries that each call earns.
const EARNED: f64 = 0.1;

/// A bucket of retries, full to begin with.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    saved: Mutex<f64>,
    saved_max: f64,
}

impl RetryBudget {
    pub(crate) fn new(saved_max: u32) -> Self {
        let saved_max = f64::from(saved_max);
        Self {
            saved: Mutex::new(saved_max),
            saved_max,
        }
    }

    /// Counts a call.
    pub(crate) fn earn(&self) {
        let mut saved = self.saved.lock();
        *saved = (*saved + EARNED).min(self.saved_max);
    }

    /// Takes a retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let mut saved = self.saved.lock();
        let has_one = *saved >= 1.0;
        if has_one {
            *saved -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_down_gets_a_tenth_more_calls() {
        let budget = RetryBudget::new(20);
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.earn();
            while budget.spend() {
                retries += 1;
            }
        }
        assert!((110..=121).contains(&retries), "{retries}");
    }

    #[test]
    fn no_budget_is_no_retry() {
        let budget = RetryBudget::new(0);
        (0..100).for_each(|_| budget.earn());
        assert!(!budget.spend());
    }
}
