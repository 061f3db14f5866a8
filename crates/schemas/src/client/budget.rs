//! The budget of retries: a tenth of the calls, and a few more to begin with.

use parking_lot::Mutex;

/// Retries that can be saved up.
const SAVED_MAX: f64 = 10.0;
/// Retries that each call earns.
const EARNED: f64 = 0.1;

/// A bucket of retries. A registry that fails every call gets 1.1 times the calls, not 4 times.
#[derive(Debug)]
pub(super) struct RetryBudget(Mutex<f64>);

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self(Mutex::new(SAVED_MAX))
    }

    /// Counts a call.
    pub(super) fn earn(&self) {
        let mut saved = self.0.lock();
        *saved = (*saved + EARNED).min(SAVED_MAX);
    }

    /// Takes a retry, if there is one.
    pub(super) fn spend(&self) -> bool {
        let mut saved = self.0.lock();
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
    fn a_failing_registry_gets_a_tenth_more_calls() {
        let budget = RetryBudget::new();
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.earn();
            while budget.spend() {
                retries += 1;
            }
        }
        assert!((100..=112).contains(&retries), "{retries}");
    }
}
