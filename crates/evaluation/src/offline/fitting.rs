//! What every protocol does before it measures: find the trainers, train, and note the cost; and how
//! a user of a file becomes the history of a request.

use crate::error::EvaluationError;
use crate::process_usage::ProcessUsage;
use crate::report::{EvaluationRow, params_json};
use nowcast_models::seeded::Seeded;
use nowcast_models::{HistoryItem, Interactions, Model, Params, Progress, Trainer, trainer};
use std::time::Instant;

/// The trainers of `names`. Each parameter must be known to one of them, else it is a typing error.
pub(super) fn trainers(
    names: &[String],
    params: &Params,
) -> Result<Vec<&'static dyn Trainer>, EvaluationError> {
    let found = names.iter().map(|name| trainer(name));
    let trainers: Vec<&dyn Trainer> = found.collect::<Result<_, _>>()?;
    let Some(first) = trainers.first() else {
        return Err(EvaluationError::Options("no model is named".to_owned()));
    };
    for (name, value) in params.iter() {
        let is_known = |t: &&dyn Trainer| t.params().iter().any(|def| def.name == name);
        if !trainers.iter().any(is_known) {
            let alone = Params::new().with(name, value);
            alone.resolve(first.name(), first.params())?;
        }
    }
    Ok(trainers)
}

/// A trained model, and a row that says what it is and what it cost.
pub(super) struct Fitted {
    pub(super) model: Box<dyn Model>,
    row: EvaluationRow,
    measured_from: Instant,
}

impl Fitted {
    /// Trains with those of `params` that the trainer has.
    pub(super) fn new(
        trainer: &dyn Trainer,
        data: &Interactions,
        params: &Params,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Self, EvaluationError> {
        let params = params.only(trainer.params());
        let (started, before) = (Instant::now(), ProcessUsage::now());
        let model = trainer.fit(data, &params, seed, progress)?;
        let (train_seconds, after) = (started.elapsed().as_secs_f64(), ProcessUsage::now());
        let row = EvaluationRow {
            model: trainer.name().to_owned(),
            params: params_json(&params.resolve(trainer.name(), trainer.params())?),
            seed,
            train_seconds,
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            items: data.items_len() as u64,
            interactions: data.len() as u64,
            ..EvaluationRow::default()
        };
        Ok(Self {
            model,
            row,
            measured_from: Instant::now(),
        })
    }

    /// The row, once everything is measured.
    pub(super) fn into_row(self) -> EvaluationRow {
        EvaluationRow {
            evaluate_seconds: self.measured_from.elapsed().as_secs_f64(),
            peak_rss_mb: ProcessUsage::now().peak_rss_mb,
            ..self.row
        }
    }
}

/// Items of a file, oldest first, as a request has them: files say neither strength nor time.
pub(super) fn history(items: &[u32]) -> Vec<HistoryItem> {
    let entry = |item: &u32| HistoryItem {
        item: *item,
        weight: 1.0,
        age_s: 0,
    };
    items.iter().map(entry).collect()
}

/// Says in which order a set of items is read.
const ORDER_SEED: u64 = 1;

/// Puts the items of a user into an order that means nothing, for files that hold sets: the order of
/// their lines is often that of item numbers or backwards in time, and a model that goes by order
/// would learn that.
pub(super) fn shuffle(user: usize, items: &mut [u32]) {
    let mut random = Seeded::new(ORDER_SEED, user as u64);
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}
