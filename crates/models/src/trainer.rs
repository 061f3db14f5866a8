//! How models come to be: the trainer's contract and the ordered registry of all trainers.

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::model::Model;
use crate::params::{ParamDef, Params};
use crate::search_range::SearchRange;

/// Hears how far long work is and may stop it.
pub trait Progress: Sync {
    /// `done` of `total` steps of `what` are finished.
    fn report(&self, done: u64, total: u64, what: &str);

    /// Whether the work should end early with [`ModelError::Cancelled`]; asked between steps.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody listens.
impl Progress for () {
    fn report(&self, _done: u64, _total: u64, _what: &str) {}
}

/// A way to make a model.
///
/// Contract: equal data, parameters and seed give an equal artifact, byte for byte, whatever the
/// number of threads.
pub trait Trainer: Send + Sync {
    /// The model's name, as in `--model name`.
    fn name(&self) -> &'static str;

    /// The parameters it takes, with defaults that hold without tuning.
    fn params(&self) -> &'static [ParamDef];

    /// The parameters that a search may change; none if there is nothing to gain.
    fn search(&self) -> &'static [SearchRange] {
        &[]
    }

    /// Whether it learns from [`Interactions::slot_outcomes`], so that they are worth gathering.
    fn learns_slots(&self) -> bool {
        false
    }

    /// Learns from `data`.
    ///
    /// # Errors
    /// Unknown or bad parameters; data it cannot learn from; cancelled by `progress`.
    fn fit(
        &self,
        data: &Interactions,
        params: &Params,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError>;

    /// Brings the model of an earlier artifact of this trainer up to `data` for a small part of what
    /// [`Self::fit`] costs, or anew where that is one cheap pass: changed items get other parameters,
    /// new ones get some. `None` if this trainer has no such way, or if `params` ask for another
    /// shape. Equal arguments give an equal artifact.
    ///
    /// # Errors
    /// As [`Self::fit`]; [`ModelError::Damaged`] for an artifact that cannot be read.
    fn refresh(
        &self,
        _earlier: &[u8],
        _data: &Interactions,
        _params: &Params,
        _progress: &dyn Progress,
    ) -> Result<Option<Box<dyn Model>>, ModelError> {
        Ok(None)
    }

    /// Reads the payload that its models' `encode` wrote; the envelope is already verified.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] for anything inconsistent.
    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError>;
}

/// Every trainer, in the order shown to people. To add one, add a line.
#[must_use]
pub fn registry() -> &'static [&'static dyn Trainer] {
    &[
        &crate::popular::PopularTrainer,
        &crate::covisit::CovisitTrainer,
        &crate::item_knn::ItemKnnTrainer,
        &crate::ials::IalsTrainer,
        &crate::ease::EaseTrainer,
        &crate::graph::GraphTrainer,
        &crate::content::ContentTrainer,
        &crate::transitions::TransitionsTrainer,
        &crate::session_knn::SessionKnnTrainer,
        &crate::sequence::SequenceTrainer,
        &crate::blend::BlendTrainer,
    ]
}

/// The trainer of a name.
///
/// # Errors
/// [`ModelError::UnknownModel`], which lists the names.
pub fn trainer(name: &str) -> Result<&'static dyn Trainer, ModelError> {
    let found = registry().iter().find(|trainer| trainer.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = registry().iter().map(|trainer| trainer.name()).collect();
        ModelError::UnknownModel {
            name: name.to_owned(),
            valid: names.join(", "),
        }
    })
}
