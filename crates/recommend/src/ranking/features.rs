//! From facts to hashed features: which facts count, alone and together.
//!
//! Each line is one template: a field of its own, and the facts that are looked at together. All
//! are indicators, and every candidate of a request has as many, so what differs within the list is
//! what is learnt.

use super::facts::{Facts, ItemFacts, NONE, NOWHERE, Situation};
use nowcast_models::online::Feature;

/// Features of the items of a list, in one piece of memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeatureList {
    features: Vec<Feature>,
    stride: usize,
    priors: Vec<f32>,
}

impl FeatureList {
    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.priors.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.priors.is_empty()
    }

    /// The features of an item.
    ///
    /// # Panics
    /// When there is no such item.
    #[must_use]
    pub fn item(&self, at: usize) -> &[Feature] {
        &self.features[at * self.stride..(at + 1) * self.stride]
    }

    /// The margin that an item begins with.
    ///
    /// # Panics
    /// When there is no such item.
    #[must_use]
    pub fn prior(&self, at: usize) -> f32 {
        self.priors[at]
    }
}

/// The features of every item.
#[must_use]
pub fn features(facts: &Facts) -> FeatureList {
    let mut list = FeatureList {
        priors: facts.items.iter().map(prior).collect(),
        ..FeatureList::default()
    };
    for item in &facts.items {
        let mut put = Put {
            out: &mut list.features,
            field: 0,
        };
        put.templates(&facts.situation, item);
    }
    list.stride = list.features.len() / list.len().max(1);
    list
}

/// The first field of templates of the context.
const CONTEXT_FIELDS: u32 = 1_000;

/// Appends features, each in the next field.
struct Put<'a> {
    out: &'a mut Vec<Feature>,
    field: u32,
}

/// A difference, at most `most` either way; [`NOWHERE`] apart from all of those.
fn near(difference: i8, most: i8) -> u64 {
    if difference == NOWHERE {
        255
    } else {
        (i64::from(difference.clamp(-most, most)) + 128) as u64
    }
}

/// At most `most`; [`NONE`] apart from all of those.
fn upto(value: u8, most: u8) -> u64 {
    if value == NONE {
        255
    } else {
        u64::from(value.min(most))
    }
}

/// Facts that many templates look at, cut to what there is evidence for.
struct Cut {
    place: u64,
    order: u64,
    touched: u64,
    kind: u64,
    last_type: u64,
    last_age: u64,
    /// The last item, if it was none of the candidates: often a search, a filter, another page.
    elsewhere: u64,
    below_last: u64,
}

impl Put<'_> {
    /// One template over facts of up to 32 bits.
    fn add(&mut self, facts: &[u64]) {
        let mut value = 0x51_7C_C1_B7_u64;
        for fact in facts {
            value = (value.rotate_left(23) ^ fact).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        self.out.push(Feature::new(self.field, value));
        self.field += 1;
    }

    fn templates(&mut self, s: &Situation, f: &ItemFacts) {
        let cut = Cut {
            place: upto(f.place, 12),
            order: upto(f.order, 6),
            touched: u64::from(s.touched.min(3)),
            kind: u64::from(s.last.kind),
            last_type: u64::from(s.last.event_type),
            last_age: u64::from(s.last.age),
            elsewhere: if s.last.kind == 1 {
                u64::from(s.last.item)
            } else {
                0
            },
            below_last: near(f.below_last, 5),
        };
        self.places(s, f, &cut);
        self.touches(f, &cut);
        self.steps(s, f, &cut);
        self.prices(f, &cut);
        self.counts(s, f, &cut);
        // Last, so that fields do not depend on how much the context says.
        for context in &s.context {
            self.field = CONTEXT_FIELDS;
            self.add(&[u64::from(*context), cut.place]);
            self.add(&[u64::from(*context), cut.order]);
            self.add(&[u64::from(*context), u64::from(f.price_order)]);
        }
    }

    fn places(&mut self, s: &Situation, f: &ItemFacts, cut: &Cut) {
        let place = cut.place;
        self.add(&[u64::from(f.place)]);
        self.add(&[place, cut.below_last]);
        self.add(&[place, u64::from(s.history)]);
        self.add(&[place, cut.last_type]);
        self.add(&[place, cut.elsewhere]);
        self.add(&[place, u64::from(s.last.place)]);
        self.add(&[place, u64::from(s.last_place)]);
        self.add(&[place, cut.order]);
    }

    fn touches(&mut self, f: &ItemFacts, cut: &Cut) {
        let order = cut.order;
        let (own_type, types) = (u64::from(f.last_type), u64::from(f.types));
        let between = u64::from(f.overall_order.saturating_sub(f.order).min(4));
        self.add(&[upto(f.overall_order, 6), cut.kind]);
        self.add(&[order, own_type, cut.last_type]);
        self.add(&[order, own_type]);
        self.add(&[order, u64::from(f.age)]);
        self.add(&[order, upto(f.touches, 8)]);
        self.add(&[types]);
        self.add(&[types, order]);
        self.add(&[order, cut.last_age, cut.kind]);
        self.add(&[order, u64::from(f.dwell)]);
        self.add(&[order, u64::from(f.touches_order)]);
        self.add(&[
            u64::from(f.dwell_order),
            u64::from(f.touches_order),
            cut.touched.min(2),
        ]);
        self.add(&[order, between]);
        self.add(&[order, between, cut.kind]);
    }

    fn steps(&mut self, s: &Situation, f: &ItemFacts, cut: &Cut) {
        let below = cut.below_last;
        self.add(&[below, cut.touched]);
        self.add(&[below, cut.last_type]);
        self.add(&[below, cut.last_age]);
        self.add(&[below, cut.order]);
        self.add(&[near(f.below_lowest, 3), cut.touched]);
        self.add(&[near(f.below_second, 4), near(f.below_last, 3)]);
        self.add(&[below, near(s.trend, 3)]);
        self.add(&[below, near(s.trend, 3), cut.last_type]);
        self.add(&[below, cut.last_type, cut.last_age / 2]);
        self.add(&[below, cut.last_type, u64::from(s.touched.min(5))]);
        self.add(&[cut.order, upto(f.untouched_above, 5)]);
    }

    fn prices(&mut self, f: &ItemFacts, cut: &Cut) {
        let (price_order, share) = (u64::from(f.price_order), upto(f.price_share, 24));
        let (to_last, to_mean) = (near(f.price_to_last, 6), near(f.price_to_mean, 6));
        let (to_least, steps) = (near(f.price_to_least, 6), near(f.price_steps, 6));
        self.add(&[price_order]);
        self.add(&[share]);
        self.add(&[share, cut.order]);
        self.add(&[u64::from(f.price)]);
        self.add(&[upto(f.price_order, 5), cut.order]);
        self.add(&[share, cut.elsewhere]);
        self.add(&[price_order, cut.elsewhere]);
        self.add(&[to_last]);
        self.add(&[to_last, cut.order]);
        self.add(&[to_last, cut.below_last]);
        self.add(&[to_last, cut.last_type]);
        self.add(&[to_last, upto(f.place, 6)]);
        self.add(&[to_mean]);
        self.add(&[to_mean, cut.order]);
        self.add(&[to_least]);
        self.add(&[to_least, cut.order]);
        self.add(&[steps]);
        self.add(&[steps, cut.order]);
    }

    /// The item itself and what others did with it.
    fn counts(&mut self, s: &Situation, f: &ItemFacts, cut: &Cut) {
        let place = upto(f.place, 6);
        self.add(&[u64::from(f.item)]);
        self.add(&[u64::from(s.last.item), u64::from(f.item)]);
        self.add(&[u64::from(f.ctr)]);
        self.add(&[u64::from(f.ctr), place]);
        self.add(&[u64::from(f.ctr), cut.order]);
        self.add(&[upto(f.ctr_order, 6)]);
        self.add(&[upto(f.ctr_order, 6), place]);
        self.add(&[u64::from(f.trending)]);
        self.add(&[u64::from(f.popularity)]);
        self.add(&[u64::from(f.popularity), cut.order]);
        self.add(&[u64::from(f.covisit)]);
        self.add(&[u64::from(f.covisit), cut.order]);
        self.add(&[upto(f.covisit_order, 6)]);
        self.add(&[upto(f.covisit_order, 6), cut.order]);
    }
}

/// What holds before anything is learnt: what was touched last comes back, and the order that the
/// caller gave is good.
fn prior(f: &ItemFacts) -> f32 {
    let reciprocal = |order: u8| {
        if order == NONE {
            0.0
        } else {
            1.0 / (1.0 + f32::from(order))
        }
    };
    3.0 * reciprocal(f.order) + 2.0 * reciprocal(f.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_has_a_feature_of_each_template_and_equal_facts_equal_features() {
        let facts = Facts {
            situation: Situation {
                context: vec![1, 2],
                ..Situation::default()
            },
            items: vec![
                ItemFacts::default(),
                ItemFacts {
                    place: 3,
                    ..ItemFacts::default()
                },
                ItemFacts::default(),
            ],
        };
        let list = features(&facts);
        assert_eq!(list.len(), 3);
        assert_eq!(list.item(0), list.item(2));
        assert_ne!(list.item(0), list.item(1));
        assert!(list.item(0).iter().zip(list.item(1)).any(|(a, b)| a == b));
        assert!(features(&Facts::default()).is_empty());
    }
}
