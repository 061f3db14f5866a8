//! The budget of retries: a tenth of the calls, and what was saved up.

/// Retries that each call earns.
const EARNED: f64 = 0.1;

/// A bucket of retries, full to begin with. A service that fails every call gets 1.1 times the
/// calls, not several times.
#[derive(Debug)]
pub struct RetryBudget {
    saved: f64,
    saved_max: f64,
}

impl RetryBudget {
    /// At most `saved_max` retries can be saved up.
    #[must_use]
    pub fn new(saved_max: u32) -> Self {
        let saved_max = f64::from(saved_max);
        Self {
            saved: saved_max,
            saved_max,
        }
    }

    /// Counts a call.
    pub const fn earn(&mut self) {
        self.saved = (self.saved + EARNED).min(self.saved_max);
    }

    /// Takes a retry, if there is one.
    pub const fn spend(&mut self) -> bool {
        let has_one = self.saved >= 1.0;
        if has_one {
            self.saved -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_down_gets_a_tenth_more_calls() {
        for saved in [10, 20] {
            let mut budget = RetryBudget::new(saved);
            let mut retries = 0;
            for _ in 0..1_000 {
                budget.earn();
                while budget.spend() {
                    retries += 1;
                }
            }
            let most = 101 + saved;
            assert!((90 + saved..=most).contains(&retries), "{retries}");
        }
    }

    #[test]
    fn no_budget_is_no_retry() {
        let mut budget = RetryBudget::new(0);
        (0..100).for_each(|_| budget.earn());
        assert!(!budget.spend());
    }
}
