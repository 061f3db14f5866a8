//! Fits a model and decides whether it may serve.
//!
//! The gate: every score is finite, the model returns items at all, and it finds held-out
//! interactions at least about as well as the popular list, which is the least that anything
//! personal must do.

use crate::config::TrainingConfig;
use crate::error::TrainingError;
use crate::hold_out::{HeldOut, hold_out};
use nowcast_models::popular::PopularTrainer;
use nowcast_models::{Interactions, Model, ModelQuery, Params, Progress, Scored, Trainer, trainer};
use std::sync::Arc;

/// Depth at which held-out items are looked for.
const DEPTH: usize = 20;

/// With fewer users to ask, recall says nothing and only soundness is required.
const USERS_TO_JUDGE_MIN: usize = 20;

/// A trained model with its artifact and what validation said.
pub struct Fitted {
    /// The model, as decoded from the artifact: what was checked is what will serve.
    pub model: Arc<dyn Model>,
    /// Its bytes.
    pub artifact: Vec<u8>,
    /// What validation found.
    pub validation: Validation,
}

/// What validation found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Validation {
    /// Whether the model may serve.
    pub is_passed: bool,
    /// Why, in one sentence.
    pub reason: String,
    /// Share of held-out interactions among the first 20 recommendations; absent when too few
    /// users were there to ask.
    pub recall_at_20: Option<f64>,
    /// The same for the popular list.
    pub popular_recall_at_20: Option<f64>,
    /// Share of the true nearest items that the model's index finds; absent where it scans all.
    pub index_recall: Option<f32>,
    /// Users asked.
    pub users: usize,
}

/// Trains `name` on all but a few interactions and validates it with those. With an earlier
/// artifact it is only brought up to date: `None` if its trainer cannot do that.
///
/// An earlier model may have met some of what is held out now, so the figures of a refresh flatter
/// it a little.
///
/// # Errors
/// Unknown model, bad parameters, unusable data, an artifact that does not decode.
pub fn fit_validated(
    name: &str,
    data: &Interactions,
    earlier: Option<&[u8]>,
    config: &TrainingConfig,
    progress: &dyn Progress,
) -> Result<Option<Fitted>, TrainingError> {
    let trainer = trainer(name)?;
    let params = config.params_of(name);
    let (rest, held) = hold_out(data, config.validation_users_max, config.seed);
    let fitted = match earlier {
        None => trainer.fit(&rest, &params, config.seed, progress)?,
        Some(earlier) => match trainer.refresh(earlier, &rest, &params, progress)? {
            Some(refreshed) => refreshed,
            None => return Ok(None),
        },
    };
    let mut artifact = Vec::new();
    fitted.encode(&mut artifact);
    drop(fitted);
    let model: Arc<dyn Model> = nowcast_models::decode(&artifact)?.into();

    let popular = PopularTrainer.fit(&rest, &Params::new(), config.seed, &())?;
    let validation = judge(&*model, &*popular, &held, config.gate_share_of_popular);
    Ok(Some(Fitted {
        model,
        artifact,
        validation,
    }))
}

fn judge(model: &dyn Model, popular: &dyn Model, held: &[HeldOut], gate_share: f64) -> Validation {
    let verdict = |is_passed: bool, reason: String, recalls: Option<(f64, f64)>| Validation {
        is_passed,
        reason,
        recall_at_20: recalls.map(|(own, _)| own),
        popular_recall_at_20: recalls.map(|(_, popular)| popular),
        index_recall: model.index_recall(),
        users: held.len(),
    };
    if model.items().is_empty() {
        return verdict(false, "the model knows no item".to_owned(), None);
    }
    let own = ask(model, held);
    if !own.is_finite {
        return verdict(false, "a score is not finite".to_owned(), None);
    }
    if held.len() < USERS_TO_JUDGE_MIN {
        let reason = format!("sound; {} users are too few to judge recall", held.len());
        return verdict(true, reason, None);
    }
    if own.lists == 0 {
        return verdict(false, "the model recommends nothing".to_owned(), None);
    }
    let floor = ask(popular, held).recall;
    let is_passed = own.recall >= gate_share * floor;
    let relation = if is_passed { "reaches" } else { "is below" };
    let reason = format!(
        "recall@20 {:.4} {relation} {gate_share} of the popular list's {floor:.4}",
        own.recall
    );
    verdict(is_passed, reason, Some((own.recall, floor)))
}

struct Asked {
    recall: f64,
    lists: usize,
    is_finite: bool,
}

fn ask(model: &dyn Model, held: &[HeldOut]) -> Asked {
    let (mut hits, mut lists, mut is_finite) = (0_usize, 0_usize, true);
    let mut out: Vec<Scored> = Vec::new();
    for user in held {
        let prepared = model.prepare(&ModelQuery::new(&user.history));
        let is_new = |item: u32| user.history.iter().all(|entry| entry.item != item);
        model.retrieve(&prepared, DEPTH, &is_new, &mut out);
        is_finite &= out.iter().all(|scored| scored.score.is_finite());
        lists += usize::from(!out.is_empty());
        hits += usize::from(out.iter().any(|scored| scored.item == user.item));
    }
    Asked {
        recall: hits as f64 / held.len().max(1) as f64,
        lists,
        is_finite,
    }
}
