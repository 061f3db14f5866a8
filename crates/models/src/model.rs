//! What a model is at request time, and the contract every model keeps.
//!
//! A request calls [`Model::prepare`] once and then [`Model::score`] and [`Model::retrieve`] with
//! the result, so the fold-in of the user is paid once however many stages ask.

use crate::content::{ContentMap, ContentProfile};
use crate::item_ids::ItemIds;

/// One entry of a history, in the item numbering of the model that is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryItem {
    /// Dense index in [`Model::items`]. Indices outside are ignored.
    pub item: u32,
    /// Signed strength as implicit feedback; non-finite weights are ignored.
    pub weight: f32,
    /// Seconds between the interaction and the request; 0 where times are unknown.
    pub age_s: u32,
}

/// What a model may know of the user and the request: the history, newest last, and the slot.
#[derive(Debug, Clone, Copy)]
pub struct ModelQuery<'a> {
    /// Interactions, newest last. Items may repeat.
    pub history: &'a [HistoryItem],
    /// Name of the slot that is to be filled, if the answer is for one.
    pub slot: Option<&'a str>,
}

impl<'a> ModelQuery<'a> {
    /// A query from a history, newest last, for no slot.
    #[must_use]
    pub const fn new(history: &'a [HistoryItem]) -> Self {
        Self {
            history,
            slot: None,
        }
    }

    /// The same for a slot.
    #[must_use]
    pub const fn in_slot(self, slot: &'a str) -> Self {
        Self {
            slot: Some(slot),
            ..self
        }
    }
}

/// An item and how well it fits; higher is better, comparable within one model and query only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Dense index in [`Model::items`].
    pub item: u32,
    /// The score, finite.
    pub score: f32,
}

/// A filter by item. While its owner waits, another thread may be the one that calls it.
pub type Admit<'a> = &'a (dyn Fn(u32) -> bool + Sync);

/// The same for several users: position of the user and item.
pub type AdmitByUser<'a> = &'a (dyn Fn(usize, u32) -> bool + Sync);

/// A user as one model sees them. Made by [`Model::prepare`], understood by the same model only.
#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    /// The history says nothing to this model, or the model does not personalize.
    Unpersonalized,
    /// A point in the space of the item vectors.
    Vector(Vec<f32>),
    /// The only items with a score other than 0, ascending by item.
    Sparse(Vec<Scored>),
    /// A point in the space of content features.
    Content(ContentProfile),
    /// What each part of a combination makes of the user.
    Parts {
        /// In the order of the combination.
        parts: Vec<PreparedPart>,
        /// Which of the slots that the combination tells apart is to be filled, if any.
        slot: Option<usize>,
    },
}

/// A user as one part of a combination sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedPart {
    pub(crate) prepared: Prepared,
    /// The part's best over its whole catalogue, best first: what its scores are measured by, and
    /// what it brings.
    pub(crate) best: Vec<Scored>,
    /// Whether the part has nothing beyond these.
    pub(crate) is_all: bool,
}

impl Prepared {
    /// Whether the history had a part in it.
    #[must_use]
    pub const fn is_personalized(&self) -> bool {
        !matches!(self, Self::Unpersonalized)
    }
}

/// A trained model: immutable, shared by all requests.
///
/// Contract, held by one conformance suite over [`crate::registry`]: no call panics, whatever the
/// indices, lengths or weights; equal inputs give equal bits; scores are finite; retrieved items
/// are distinct, admitted, in descending score, ties in ascending item; an item that `retrieve`
/// returns has the same score in `score`.
pub trait Model: Send + Sync {
    /// The name of the trainer that made it.
    fn name(&self) -> &'static str;

    /// The items it knows; every `u32` item of this trait is an index into them.
    fn items(&self) -> &ItemIds;

    /// Computes the user from the history (fold-in).
    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared;

    /// Writes the score of each of `items` to `out`; 0 for items it does not know.
    /// Touches `min(items.len(), out.len())` entries.
    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]);

    /// Replaces `out` by the at most `k` best items that `admit` accepts, best first.
    /// Items without evidence (score 0 of a sparse model) are not returned.
    /// `admit` must not ask the model.
    fn retrieve(&self, prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>);

    /// The at most `k` items most like `item`, best first, without itself.
    fn similar(&self, item: u32, k: usize) -> Vec<Scored>;

    /// How an item that the model has never met is placed by its content and scored beside the
    /// model's own; `None` if it cannot be.
    fn content_map(&self) -> Option<&ContentMap> {
        None
    }

    /// Appends the whole artifact, with its header and checksum, as [`crate::decode`] reads it.
    fn encode(&self, out: &mut Vec<u8>);

    /// Share of the true ten best that `retrieve` finds, as measured when the model was made; none
    /// where it looks at every item.
    fn index_recall(&self) -> Option<f32> {
        None
    }

    /// Whether `retrieve` may look at so many items that concurrent calls do it together: such a call
    /// may wait for others, and gains by having others beside it.
    fn shares_passes(&self) -> bool {
        false
    }

    /// Heap bytes of parameters.
    fn bytes(&self) -> usize;

    /// [`Model::retrieve`] for several users in one pass over the items, where the model can.
    /// `admit` gets the position of the user within `prepared` first.
    fn retrieve_batch(
        &self,
        prepared: &[Prepared],
        k: usize,
        admit: AdmitByUser<'_>,
        out: &mut Vec<Vec<Scored>>,
    ) {
        out.resize_with(prepared.len(), Vec::new);
        for (user, (one, list)) in prepared.iter().zip(out.iter_mut()).enumerate() {
            self.retrieve(one, k, &|item| admit(user, item), list);
        }
    }
}
