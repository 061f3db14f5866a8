//! The laws of merging, for every registered aggregation.

use nowcast_features::aggregations::{
    AggregateValue, Aggregation, Params, Partial, Sample, Width, registry,
};
use nowcast_features::decay::DecayClock;
use proptest::prelude::*;

fn params() -> Params {
    Params {
        k: 4,
        prior_mean: 0.1,
        prior_strength: 10.0,
        window_s: 1_000_000,
        decay: DecayClock::new(600),
    }
}

/// Keys stay within the 8 counters of `top_k`, beyond which it is approximate by design.
fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (1_u32..50_000, -1e6_f64..1e6, 0_u64..8, any::<bool>());
    let sample = sample.prop_map(|(time_s, quantity, key, is_denominator)| Sample {
        time_s,
        quantity,
        key,
        is_denominator,
    });
    prop::collection::vec(sample, 0..60)
}

fn partial(aggregation: &dyn Aggregation, samples: &[Sample]) -> Vec<u32> {
    let mut words = match aggregation.width(&params()) {
        Width::Fixed(n) => vec![0; n],
        Width::UpTo(_) => Vec::new(),
    };
    aggregation.init(&mut words);
    for sample in samples {
        aggregation.update(&params(), &mut Partial::whole(&mut words), sample);
    }
    if let Width::UpTo(most) = aggregation.width(&params()) {
        assert!(words.len() <= most, "{} overflows", aggregation.name());
    }
    words
}

fn merged(aggregation: &dyn Aggregation, parts: &[&[u32]]) -> Vec<u32> {
    let mut into = partial(aggregation, &[]);
    for part in parts {
        aggregation.merge(&params(), &mut into, part);
    }
    into
}

/// Exact equality of words, except for the one aggregation in floating point.
fn assert_same(aggregation: &dyn Aggregation, a: &[u32], b: &[u32]) {
    let as_of_s = 50_000;
    let values = [a, b].map(|words| aggregation.value(&params(), words, as_of_s));
    match values {
        [AggregateValue::Number(a), AggregateValue::Number(b)]
            if aggregation.name() == "decayed_sum" =>
        {
            assert!(
                (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs())),
                "{a} {b}"
            );
        }
        _ => {
            assert_eq!(a, b, "{}", aggregation.name());
            assert_eq!(values[0], values[1]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn merging_is_commutative_and_associative(a in samples(), b in samples(), c in samples()) {
        for aggregation in registry() {
            let [a, b, c] = [&a, &b, &c].map(|samples| partial(*aggregation, samples));
            let ab = merged(*aggregation, &[&a, &b]);
            let ba = merged(*aggregation, &[&b, &a]);
            assert_same(*aggregation, &ab, &ba);
            let bc = merged(*aggregation, &[&b, &c]);
            assert_same(*aggregation, &merged(*aggregation, &[&ab, &c]), &merged(*aggregation, &[&a, &bc]));
        }
    }

    #[test]
    fn merged_parts_equal_one_pass(all in samples(), cut in 0_usize..60) {
        for aggregation in registry() {
            let (left, right) = all.split_at(cut.min(all.len()));
            let [left, right] = [left, right].map(|samples| partial(*aggregation, samples));
            let whole = partial(*aggregation, &all);
            assert_same(*aggregation, &merged(*aggregation, &[&left, &right]), &whole);
        }
    }

    #[test]
    fn the_order_of_events_does_not_show(all in samples(), seed in any::<u64>()) {
        let mut shuffled = all.clone();
        shuffled.sort_by_key(|s| nowcast_types::stable_hash::stable_hash(&s.quantity.to_le_bytes(), seed));
        for aggregation in registry() {
            assert_same(*aggregation, &partial(*aggregation, &all), &partial(*aggregation, &shuffled));
        }
    }
}
