//! Parameters by trial: the defaults first, then drawn ones, then steps around the best so far.
//!
//! Drawing beats a grid because few parameters matter (Bergstra and Bengio 2012); the steps spend
//! the rest of the time where it is worth most. What a trial is worth is for the caller to say, who
//! must not look at a test part.

use nowcast_models::{Params, SearchRange};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Trials that are drawn for each parameter, after the defaults.
const DRAWN_PER_PARAMETER: usize = 3;
/// One later trial in so many is drawn as well, against a hill that is not the highest.
const DRAWN_EVERY: u32 = 5;
/// Length of the first steps around the best, as a share of the range, and of the last ones.
const STEP_FIRST: f64 = 0.25;
const STEP_LAST: f64 = 0.03;
/// What a step in vain leaves of its length.
const STEP_SHRINK: f64 = 0.9;

/// A search in progress. Deterministic for its seed and what it is told.
pub struct Search {
    ranges: Vec<SearchRange>,
    fixed: Params,
    defaults: Vec<Option<f64>>,
    rng: StdRng,
    trials: usize,
    step: f64,
    best: Option<Trial>,
}

/// Parameters with a place in the ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Share of each range; none where the trainer chooses by itself.
    shares: Vec<Option<f64>>,
    /// What it is worth; more is better.
    pub score: f64,
}

impl Search {
    /// Over `ranges`, with `fixed` parameters in every trial. `default_of` tells the text of a
    /// parameter's default.
    pub fn new(
        ranges: Vec<SearchRange>,
        fixed: Params,
        default_of: impl Fn(&str) -> String,
        seed: u64,
    ) -> Self {
        let share = |range: &SearchRange| range.share_of(&default_of(range.name));
        Self {
            defaults: ranges.iter().map(share).collect(),
            ranges,
            fixed,
            rng: StdRng::seed_from_u64(seed),
            trials: 0,
            step: STEP_FIRST,
            best: None,
        }
    }

    /// The parameters of the next trial, and the shares to report it by.
    pub fn propose(&mut self) -> (Params, Vec<Option<f64>>) {
        let drawn = 1 + DRAWN_PER_PARAMETER * self.ranges.len();
        let is_drawn = self.trials < drawn || self.rng.random_range(0..DRAWN_EVERY) == 0;
        let shares = match &self.best {
            None => return (self.fixed.clone(), vec![None; self.ranges.len()]),
            Some(_) if is_drawn => self.draw(),
            Some(best) => {
                let from = best.shares.clone();
                self.step_from(&from)
            }
        };
        (self.params(&shares), shares)
    }

    fn draw(&mut self) -> Vec<Option<f64>> {
        let rng = &mut self.rng;
        self.ranges.iter().map(|_| Some(rng.random())).collect()
    }

    /// Moves about half of the parameters, at least one.
    fn step_from(&mut self, from: &[Option<f64>]) -> Vec<Option<f64>> {
        let one = self.rng.random_range(0..self.ranges.len());
        let mut shares = from.to_vec();
        for (at, share) in shares.iter_mut().enumerate() {
            if at != one && self.rng.random_range(0..2) == 0 {
                continue;
            }
            let start = share
                .or(self.defaults[at])
                .unwrap_or_else(|| self.rng.random());
            let way = self.rng.random_range(-1.0..1.0) * self.step;
            *share = Some((start + way).clamp(0.0, 1.0));
        }
        shares
    }

    fn params(&self, shares: &[Option<f64>]) -> Params {
        let pairs = self.ranges.iter().zip(shares);
        pairs.fold(self.fixed.clone(), |params, (range, share)| match share {
            Some(share) => params.with(range.name, range.at(*share)),
            None => params,
        })
    }

    /// Takes what a proposal was worth; true if it is the best so far.
    pub fn report(&mut self, shares: Vec<Option<f64>>, score: f64) -> bool {
        self.trials += 1;
        let is_best = self.best.as_ref().is_none_or(|best| score > best.score);
        if is_best {
            self.best = Some(Trial { shares, score });
        } else if self.trials > DRAWN_PER_PARAMETER * self.ranges.len() {
            self.step = (self.step * STEP_SHRINK).max(STEP_LAST);
        }
        is_best
    }

    /// The best parameters so far and their worth; `None` before the first report.
    #[must_use]
    pub fn best(&self) -> Option<(Params, f64)> {
        let best = self.best.as_ref()?;
        Some((self.params(&best.shares), best.score))
    }

    /// How many trials were reported.
    #[must_use]
    pub const fn trials(&self) -> usize {
        self.trials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(seed: u64) -> Search {
        let ranges = vec![
            SearchRange::linear("x", 0.0, 1.0),
            SearchRange::log("y", 0.01, 100.0),
        ];
        let default = |name: &str| if name == "x" { "0.9" } else { "auto" }.to_owned();
        Search::new(ranges, Params::new().with("z", 7), default, seed)
    }

    fn value(params: &Params, name: &str) -> Option<f64> {
        let text = params.iter().find(|(known, _)| *known == name)?.1;
        text.parse().ok()
    }

    /// Highest at x = 0.3, y = 2; the defaults are worth little.
    fn worth(params: &Params) -> f64 {
        let (Some(x), Some(y)) = (value(params, "x"), value(params, "y")) else {
            return -10.0;
        };
        -(x - 0.3).powi(2) - (y / 2.0).ln().powi(2) / 20.0
    }

    #[test]
    fn it_climbs_from_the_defaults_to_the_top() {
        let mut search = search(5);
        let (first, _) = search.propose();
        assert_eq!(value(&first, "x"), None, "the defaults come first");
        assert_eq!(
            value(&first, "z"),
            Some(7.0),
            "what is fixed is in every trial"
        );
        for _ in 0..120 {
            let (params, shares) = search.propose();
            let worth = worth(&params);
            search.report(shares, worth);
        }
        let (best, score) = search.best().unwrap();
        assert!(score > -0.01, "{best:?} {score}");
        assert_eq!(worth(&best), score, "the best is told as it was tried");
        assert_eq!(search.trials(), 120);
    }

    #[test]
    fn equal_seeds_search_alike_and_a_worse_trial_is_never_the_best() {
        let (mut one, mut other) = (search(9), search(9));
        for _ in 0..20 {
            let (a, shares) = one.propose();
            let (b, _) = other.propose();
            assert_eq!(a, b);
            let before = one.best().map_or(f64::MIN, |(_, score)| score);
            one.report(shares.clone(), worth(&a));
            other.report(shares, worth(&b));
            assert!(one.best().unwrap().1 >= before);
        }
    }
}
