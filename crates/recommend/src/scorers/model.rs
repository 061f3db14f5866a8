//! What a trained model thinks of each candidate, given the folded-in history: one scorer per
//! model, by name.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// The score of one model.
pub(super) struct ModelScorer {
    /// Name of the model, and of the scorer.
    pub(super) model: &'static str,
}

impl Scorer for ModelScorer {
    fn name(&self) -> &'static str {
        self.model
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.folded_in(self.model).is_some()
    }

    fn score(&self, query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        let Some((loaded, prepared)) = query.folded_in(self.model) else {
            return;
        };
        // An item newer than the model has a number that the model does not know, and scores 0
        // unless the model can place it by its content.
        let own = |candidate: &Candidate| {
            let item = candidate.item.and_then(|item| loaded.to_model(item));
            item.unwrap_or(u32::MAX)
        };
        let items: Vec<u32> = candidates.iter().map(own).collect();
        loaded.model().score(prepared, &items, out);
        if let Some(map) = loaded.model().content_map()
            && items.contains(&u32::MAX)
        {
            let new =
                |(candidate, own): (&Candidate, &u32)| candidate.item.filter(|_| *own == u32::MAX);
            let new: Vec<Option<ItemIdx>> = candidates.iter().zip(&items).map(new).collect();
            loaded.newcomers().score((map, prepared), &new, out);
        }
    }
}
