//! What a trained model retrieves for the folded-in history: one source per model, by name.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// The best items of one model.
pub(super) struct ModelSource {
    /// Name of the model, and of the source.
    pub(super) model: &'static str,
}

impl Source for ModelSource {
    fn name(&self) -> &'static str {
        self.model
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.folded_in(self.model).is_some()
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let Some((loaded, prepared)) = query.folded_in(self.model) else {
            return;
        };
        let admit = |own: u32| query.admits(loaded.to_catalog(own));
        let mut best = Vec::new();
        loaded.model().retrieve(prepared, limit, &admit, &mut best);
        out.extend(best.iter().map(|scored| loaded.to_catalog(scored.item)));
    }
}
