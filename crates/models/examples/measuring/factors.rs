//! The item vectors of a model that has such, from outside.

use nowcast_models::{Model, Prepared};

/// Item factors, a dimension at a time: the scores of a unit vector.
pub(crate) fn of_items(model: &dyn Model, factors: usize) -> Vec<f32> {
    let items: Vec<u32> = (0..model.items().len() as u32).collect();
    let mut all = vec![0.0; items.len() * factors];
    let mut scores = vec![0.0; items.len()];
    for dimension in 0..factors {
        let mut unit = vec![0.0; factors.next_multiple_of(16)];
        unit[dimension] = 1.0;
        model.score(&Prepared::Vector(unit), &items, &mut scores);
        for (to, score) in all[dimension..].iter_mut().step_by(factors).zip(&scores) {
            *to = *score;
        }
    }
    all
}
