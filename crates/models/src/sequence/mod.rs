//! A self-attentive sequential model: what comes next, given everything in order.
//!
//! The network (`network`) reads a history and gives one vector per position; its inner products
//! with the item vectors are the scores of the next item. It is trained on every prefix of every
//! sequence by cross entropy against all items, or a weighted sample of them where the catalogue is
//! large (`loss`), with the gradients written by hand over the products in `kernels`. A part of
//! the users lend their last item to tell when to stop (`watch`); what is kept is the moving
//! average of the weights at the best epoch. Ideas: SASRec (Kang and McAuley, 2018), its training
//! with all negatives (Klenitskiy and Vasilev, 2023), relative positions (Shaw et al., 2018).
//! Only the order counts, never the clock.

mod attention;
mod backward;
mod forward;
mod loss;
mod model;
mod network;
mod recent;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod training;
mod watch;
mod windows;

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::model::Model;
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::trainer::{Progress, Trainer};
use crate::vector_index::ITEMS_MIN;
use model::SequenceModel;

const NAME: &str = "sequence";

/// Trains the sequential model from whole sequences.
pub struct SequenceTrainer;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "width",
        default: "64",
        doc: "values per item and position, a multiple of 16 times the heads, 16 to 512",
    },
    ParamDef {
        name: "heads",
        default: "2",
        doc: "attention heads, from 1 to 16",
    },
    ParamDef {
        name: "blocks",
        default: "2",
        doc: "attention blocks, from 1 to 8",
    },
    ParamDef {
        name: "length",
        default: "200",
        doc: "newest interactions that are looked at, from 2 to 1000",
    },
    ParamDef {
        name: "taps",
        default: "2",
        doc: "positions before each one that are mixed into it ahead of attention, from 0 to 8",
    },
    ParamDef {
        name: "dropout",
        default: "auto",
        doc: "share of values dropped while training, from 0 to 0.9; `auto` is 0.5 where an item \
              occurs 20 times or less on average, 0.2 where 100 times or more",
    },
    ParamDef {
        name: "epochs",
        default: "200",
        doc: "most passes over the data, from 1 to 10000",
    },
    ParamDef {
        name: "patience",
        default: "4",
        doc: "epochs without a better ranking of what is held out before the learning rate falls, \
              and after two falls the training ends, from 1 to 10000",
    },
    ParamDef {
        name: "work",
        default: "400",
        doc: "most work, in 10^12 floating-point operations, some 400 an hour on two cores, \
              from 0.001 to 1000000",
    },
    ParamDef {
        name: "held_out",
        default: "0.2",
        doc: "share of users whose last item is held out to watch the training, from 0 to 1",
    },
    ParamDef {
        name: "learning_rate",
        default: "0.003",
        doc: "length of a step, above 0 up to 1",
    },
    ParamDef {
        name: "weight_decay",
        default: "0.01",
        doc: "share of the learning rate by which weights shrink at each step, from 0 to 10",
    },
    ParamDef {
        name: "full_items",
        default: "20000",
        doc: "catalogues up to this size are scored in full by the loss, larger ones sampled",
    },
    ParamDef {
        name: "negatives",
        default: "4096",
        doc: "items drawn evenly for each step where the loss samples, from 1 to 1000000",
    },
    ITEMS_MIN,
];

const SEARCH: &[SearchRange] = &[
    SearchRange::linear("dropout", 0.1, 0.6),
    SearchRange::log("learning_rate", 0.0005, 0.01),
    SearchRange::log("weight_decay", 0.001, 0.3),
];

/// The parameters, typed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    width: usize,
    heads: usize,
    blocks: usize,
    length: usize,
    taps: usize,
    /// None: by how often items occur.
    dropout: Option<f32>,
    epochs: usize,
    patience: usize,
    work: f64,
    held_out: f64,
    learning_rate: f32,
    weight_decay: f32,
    full_items: usize,
    negatives: usize,
}

impl Settings {
    fn read(params: &ResolvedParams) -> Result<Self, ModelError> {
        let settings = Self {
            width: params.count("width", 16..=512)?,
            heads: params.count("heads", 1..=16)?,
            blocks: params.count("blocks", 1..=8)?,
            length: params.count("length", 2..=1000)?,
            taps: params.count("taps", 0..=8)?,
            dropout: match params.text("dropout") {
                "auto" => None,
                _ => Some(params.number("dropout", 0.0..=0.9)? as f32),
            },
            epochs: params.count("epochs", 1..=10_000)?,
            patience: params.count("patience", 1..=10_000)?,
            work: params.number("work", 0.001..=1e6)?,
            held_out: params.number("held_out", 0.0..=1.0)?,
            learning_rate: params.number("learning_rate", 1e-9..=1.0)? as f32,
            weight_decay: params.number("weight_decay", 0.0..=10.0)? as f32,
            full_items: params.count("full_items", 0..=10_000_000)?,
            negatives: params.count("negatives", 1..=1_000_000)?,
        };
        if !settings.width.is_multiple_of(16 * settings.heads) {
            return Err(ModelError::BadParam {
                name: "width".to_owned(),
                value: settings.width.to_string(),
                expected: format!("a multiple of {}, 16 for each head", 16 * settings.heads),
            });
        }
        Ok(settings)
    }
}

impl Trainer for SequenceTrainer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn params(&self) -> &'static [ParamDef] {
        PARAMS
    }

    fn search(&self) -> &'static [SearchRange] {
        SEARCH
    }

    fn fit(
        &self,
        data: &Interactions,
        params: &Params,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError> {
        let params = params.resolve(NAME, PARAMS)?;
        let settings = Settings::read(&params)?;
        let items_min = params.count(ITEMS_MIN.name, 1..=usize::MAX)?;
        let trained = training::train(data, &settings, seed, progress)?;
        let ids = data.item_ids().clone();
        let mut model = SequenceModel::new(ids, trained.shape, trained.parameters);
        if data.items_len() >= items_min {
            model.divide(data);
        }
        Ok(Box::new(model))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        SequenceModel::decode(reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}
