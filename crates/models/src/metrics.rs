//! Ranking metrics with binary relevance, as the published tables compute them.

use crate::error::ModelError;
use std::fmt;
use std::str::FromStr;

/// A metric and the depth it looks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metric {
    /// What is measured.
    pub kind: MetricKind,
    /// How many ranked items are looked at, at least 1.
    pub k: usize,
}

/// What is measured of a ranked list, given the relevant items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricKind {
    /// Relevant items found, over all relevant items.
    Recall,
    /// Discounted gain `1 / log2(rank + 1)` (rank from 1), over the best possible within `k`.
    Ndcg,
    /// 1 over the rank of the first relevant item; 0 beyond `k`.
    Mrr,
    /// 1 if any relevant item is found.
    Hr,
    /// Relevant items found, over `k`.
    Precision,
}

const KINDS: [(MetricKind, &str); 5] = [
    (MetricKind::Recall, "recall"),
    (MetricKind::Ndcg, "ndcg"),
    (MetricKind::Mrr, "mrr"),
    (MetricKind::Hr, "hr"),
    (MetricKind::Precision, "precision"),
];

impl Metric {
    /// Measures `ranked`, best first, where `is_relevant` holds for `relevant_len` items in all.
    /// 0 when nothing is relevant.
    pub fn value(
        &self,
        ranked: &[u32],
        relevant_len: usize,
        is_relevant: impl Fn(u32) -> bool,
    ) -> f64 {
        if relevant_len == 0 {
            return 0.0;
        }
        let hits = (ranked.iter().take(self.k).enumerate())
            .filter(|(_, item)| is_relevant(**item))
            .map(|(position, _)| position);
        match self.kind {
            MetricKind::Recall => hits.count() as f64 / relevant_len as f64,
            MetricKind::Precision => hits.count() as f64 / self.k as f64,
            MetricKind::Hr => f64::from(u8::from(hits.count() > 0)),
            MetricKind::Mrr => {
                let first = hits.min();
                first.map_or(0.0, |position| 1.0 / (position + 1) as f64)
            }
            MetricKind::Ndcg => {
                let gain: f64 = hits.map(discount).sum();
                let best: f64 = (0..relevant_len.min(self.k)).map(discount).sum();
                gain / best
            }
        }
    }
}

impl Metric {
    /// Measures a list with one relevant item, which stands at `position`, counted from 0, or
    /// nowhere.
    #[must_use]
    pub fn of_position(&self, position: Option<usize>) -> f64 {
        let Some(position) = position.filter(|position| *position < self.k) else {
            return 0.0;
        };
        match self.kind {
            MetricKind::Recall | MetricKind::Hr => 1.0,
            MetricKind::Precision => 1.0 / self.k as f64,
            MetricKind::Mrr => 1.0 / (position + 1) as f64,
            MetricKind::Ndcg => discount(position),
        }
    }
}

/// Gain of a hit at `position`, counted from 0.
fn discount(position: usize) -> f64 {
    1.0 / ((position + 2) as f64).log2()
}

impl FromStr for Metric {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let parsed = text.trim().split_once('@').and_then(|(name, k)| {
            let (kind, _) = KINDS.iter().find(|(_, known)| *known == name)?;
            let k = k.parse().ok().filter(|k| (1..=10_000).contains(k))?;
            Some(Self { kind: *kind, k })
        });
        parsed.ok_or_else(|| ModelError::UnknownMetric {
            name: text.to_owned(),
            valid: KINDS.map(|(_, name)| format!("{name}@k")).join(", "),
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = KINDS
            .iter()
            .find(|(kind, _)| *kind == self.kind)
            .expect("every kind is in the table");
        write!(f, "{name}@{}", self.k)
    }
}

/// Reads `recall@20,ndcg@20`.
///
/// # Errors
/// [`ModelError::UnknownMetric`], which lists the names.
pub fn parse_metrics(text: &str) -> Result<Vec<Metric>, ModelError> {
    text.split(',').map(str::parse).collect()
}

/// How much of the catalogue is ever shown.
#[derive(Debug, Clone)]
pub struct Coverage {
    is_shown: Vec<bool>,
}

impl Coverage {
    /// Nothing shown yet, of `items_len` items.
    #[must_use]
    pub fn new(items_len: usize) -> Self {
        Self {
            is_shown: vec![false; items_len],
        }
    }

    /// Counts one list.
    pub fn add(&mut self, ranked: impl IntoIterator<Item = u32>) {
        for item in ranked {
            if let Some(flag) = self.is_shown.get_mut(item as usize) {
                *flag = true;
            }
        }
    }

    /// Share of items shown at least once, 0 to 1; 0 without items.
    #[must_use]
    pub fn share(&self) -> f64 {
        let shown = self.is_shown.iter().filter(|shown| **shown).count();
        shown as f64 / self.is_shown.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metric: &str, ranked: &[u32], relevant: &[u32], expected: f64) {
        let metric: Metric = metric.parse().unwrap();
        let value = metric.value(ranked, relevant.len(), |item| relevant.contains(&item));
        assert!((value - expected).abs() < 1e-12, "{metric}: {value}");
    }

    #[test]
    fn each_metric_equals_the_value_computed_by_hand() {
        // Hits at ranks 2 and 4; three are relevant.
        let (ranked, relevant) = ([10, 11, 12, 13, 14], [11, 13, 99]);
        check("recall@5", &ranked, &relevant, 2.0 / 3.0);
        check("recall@3", &ranked, &relevant, 1.0 / 3.0);
        check("precision@5", &ranked, &relevant, 0.4);
        check("hr@1", &ranked, &relevant, 0.0);
        check("hr@2", &ranked, &relevant, 1.0);
        check("mrr@5", &ranked, &relevant, 0.5);
        check("mrr@1", &ranked, &relevant, 0.0);
        // (1/log2 3 + 1/log2 5) / (1 + 1/log2 3 + 1/2)
        let gain = 1.0 / 3_f64.log2() + 1.0 / 5_f64.log2();
        let best = 1.0 + 1.0 / 3_f64.log2() + 0.5;
        check("ndcg@5", &ranked, &relevant, gain / best);
        // Within 2 only two can be hit.
        check(
            "ndcg@2",
            &ranked,
            &relevant,
            (1.0 / 3_f64.log2()) / (1.0 + 1.0 / 3_f64.log2()),
        );
    }

    #[test]
    fn one_relevant_item_is_measured_by_its_position_alone() {
        let ranked = [10, 11, 12, 13];
        for name in ["recall@3", "ndcg@3", "mrr@3", "hr@3", "precision@3"] {
            let metric: Metric = name.parse().unwrap();
            for (position, wanted) in ranked.iter().enumerate() {
                let value = metric.value(&ranked, 1, |item| item == *wanted);
                assert_eq!(
                    metric.of_position(Some(position)),
                    value,
                    "{name} {position}"
                );
            }
            assert_eq!(metric.of_position(None), 0.0);
        }
    }

    #[test]
    fn nothing_relevant_or_nothing_ranked_is_zero() {
        for metric in ["recall@5", "ndcg@5", "mrr@5", "hr@5", "precision@5"] {
            check(metric, &[1, 2], &[], 0.0);
            check(metric, &[], &[1], 0.0);
        }
    }

    #[test]
    fn unknown_metrics_list_the_known_ones() {
        for bad in ["recall", "recall@0", "map@10", "ndcg@x", ""] {
            let error = bad.parse::<Metric>().unwrap_err().to_string();
            assert!(error.contains("ndcg@k"), "{error}");
        }
        let metrics = parse_metrics("recall@20, ndcg@20").unwrap();
        assert_eq!(metrics[1].to_string(), "ndcg@20");
    }

    #[test]
    fn coverage_counts_each_item_once() {
        let mut coverage = Coverage::new(4);
        coverage.add([1, 1, 2]);
        coverage.add([2, 77]);
        assert_eq!(coverage.share(), 0.5);
    }
}
