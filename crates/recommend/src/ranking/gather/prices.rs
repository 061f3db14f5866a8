//! Prices that the caller brings in the context, and what they say against each other and against
//! those of the candidates that were touched.

use super::{below_none, log2};
use crate::candidate::Candidate;
use crate::query::Query;
use crate::ranking::facts::{ItemFacts, NONE};
use serde_json::Value;

/// Key of the request's context that holds a price for each candidate, in their order.
const PRICES: &str = "prices";
/// Logarithms of ratios beyond this count as this.
const RATIO_MAX: f32 = 100.0;
/// Steps of the order beyond this count as this.
const STEPS_MAX: i32 = 100;

/// Fills in what prices say; nothing without any.
pub(super) fn add(query: &Query<'_>, candidates: &[Candidate], items: &mut [ItemFacts]) {
    let Some(Value::Array(prices)) = query.request.context.and_then(|map| map.get(PRICES)) else {
        return;
    };
    let price = |candidate: &Candidate| -> Option<f32> {
        let price = prices.get(candidate.position as usize)?.as_f64()? as f32;
        (price.is_finite() && price >= 0.0).then_some(price)
    };
    let own: Vec<Option<f32>> = candidates.iter().map(price).collect();
    let mut sorted: Vec<f32> = own.iter().flatten().copied().collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let mean = mean(&sorted).max(f32::MIN_POSITIVE);
    for (facts, price) in items.iter_mut().zip(&own) {
        let Some(price) = *price else { continue };
        let cheaper = sorted.partition_point(|other| *other < price);
        facts.price_order = below_none(cheaper);
        facts.price_share = below_none((8.0 * price / mean) as usize);
        facts.price = log2(price + 1.0, 2.0);
    }
    against_touched(&own, items);
}

fn against_touched(own: &[Option<f32>], items: &mut [ItemFacts]) {
    let pairs = || items.iter().zip(own);
    let touched = pairs().filter(|(facts, _)| facts.order != NONE);
    let touched: Vec<f32> = touched.filter_map(|(_, price)| *price).collect();
    let last = pairs().find(|(facts, _)| facts.order == 0);
    let Some((last_order, last_price)) = last.and_then(|(f, p)| Some((f.price_order, (*p)?)))
    else {
        return;
    };
    let least = touched.iter().copied().fold(f32::INFINITY, f32::min);
    let mean = mean(&touched);
    for (facts, price) in items.iter_mut().zip(own) {
        let Some(price) = *price else { continue };
        facts.price_to_last = ratio(price, last_price);
        facts.price_to_mean = ratio(price, mean);
        facts.price_to_least = ratio(price, least);
        let steps = i32::from(facts.price_order) - i32::from(last_order);
        facts.price_steps = steps.clamp(-STEPS_MAX, STEPS_MAX) as i8;
    }
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// Four times the logarithm to base 2 of a ratio, one added to each side.
fn ratio(price: f32, other: f32) -> i8 {
    let logarithm = ((price + 1.0) / (other + 1.0)).log2();
    (4.0 * logarithm).round().clamp(-RATIO_MAX, RATIO_MAX) as i8
}
