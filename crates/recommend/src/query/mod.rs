//! A request with everything that the stages read, looked up once: the subject's history and
//! segment, the models folded in, the popularity tables, what is excluded.
//!
//! It is also where the filters' verdicts are remembered, so that an item is judged once however
//! many sources come across it. The filters may be asked by another thread while the request waits
//! for a model.

mod prepare;

use crate::candidate::Candidate;
use crate::config::SeenPolicy;
use crate::error::RecommendError;
use crate::filter_expression::{BoundExpression, Outcome};
use crate::filters;
use crate::live::{Live, Profile, Touch, Trending};
use crate::marks::{Marks, Verdict};
use crate::model_set::{LoadedModel, ModelSet};
use crate::ranking::{Facts, LiveRanker, gather};
use crate::recommender::Deps;
use crate::request::{Request, Subject};
use crate::slot::Slot;
use crate::telemetry::Telemetry;
use nowcast_models::content::ContentProfile;
use nowcast_models::{ContentIndex, ContentMap, Prepared};
use nowcast_store::{Catalog, CatalogView, ItemIdx};
use nowcast_types::Timestamp;
use parking_lot::RwLockReadGuard;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Reasons that one filter can have.
pub(crate) const REASONS_MAX: usize = 8;

/// A distinct item of the subject's history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Touched {
    /// The item.
    pub item: ItemIdx,
    /// Sum of the strengths of all its interactions; below 0 is a dislike.
    pub strength: f32,
    /// How many interactions.
    pub count: u32,
    /// When the last of them was.
    pub last: Timestamp,
}

/// Content similarity as this request sees it.
pub struct ContentEvidence<'a> {
    /// The index, which does not change while the request lasts.
    pub index: RwLockReadGuard<'a, ContentIndex>,
    /// What the history is about.
    pub profile: ContentProfile,
}

/// What all requests share.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) deps: &'a Deps,
    pub(crate) static_items: &'a [String],
    pub(crate) telemetry: &'a Telemetry,
}

/// A request on its way through the stages.
pub struct Query<'a> {
    /// What was asked.
    pub request: &'a Request<'a>,
    pub(crate) slot: &'a Slot,
    /// The item table.
    pub catalog: &'a Catalog,
    /// Liveness and categories of all items, as of the start of the request.
    pub view: Arc<CatalogView>,
    /// The trained models.
    pub models: Arc<ModelSet>,
    /// The popularity tables.
    pub trending: Arc<Trending>,
    /// What is known of the subject.
    pub profile: Profile,
    /// The distinct items of the history, last touched first.
    pub touched: Vec<Touched>,
    /// Items met together with the recent history, in order of discovery.
    pub covisited: Vec<ItemIdx>,
    /// Content similarity, if the slot uses it and the history says something.
    pub content: Option<ContentEvidence<'a>>,
    /// The online ranker.
    pub ranker: &'a LiveRanker,
    facts: OnceLock<Facts>,
    pub(crate) live: &'a dyn Live,
    /// Items that the site offers when nothing better is known.
    pub static_items: &'a [String],
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) expression: Option<BoundExpression>,
    pub(crate) marks: Marks,
    /// By place in the set of models; `None` where the slot does not use the model.
    prepared: Vec<Option<Prepared>>,
    /// Ascending.
    excluded: Vec<ItemIdx>,
    removed: Vec<AtomicU32>,
}

impl<'a> Query<'a> {
    /// Looks everything up. `marks` is memory to use again, handed back by [`Query::into_marks`].
    pub(crate) fn new(
        request: &'a Request<'a>,
        slot: &'a Slot,
        site: Site<'a>,
        expression: Option<BoundExpression>,
        mut marks: Marks,
    ) -> Self {
        let deps = site.deps;
        let mut profile = Profile::default();
        prepare::fill_profile(request, deps, &mut profile);
        marks.begin(deps.catalog.len() as usize);
        let mut excluded: Vec<ItemIdx> = {
            let table = deps.catalog.read();
            let ids = request.exclude.iter();
            ids.filter_map(|id| table.find(id)).collect()
        };
        excluded.sort_unstable();
        let mut query = Self {
            request,
            slot,
            catalog: &deps.catalog,
            view: deps.catalog.view(),
            models: deps.models.load_full(),
            trending: deps.live.trending(),
            profile,
            touched: Vec::new(),
            covisited: Vec::new(),
            content: None,
            ranker: &deps.ranker,
            facts: OnceLock::new(),
            live: &*deps.live,
            static_items: site.static_items,
            telemetry: site.telemetry,
            expression,
            marks,
            prepared: Vec::new(),
            excluded,
            removed: counters(filters::registry().len() * REASONS_MAX),
        };
        query.touch_items();
        query.fold_in_models();
        query.gather_covisits(deps);
        query.compare_content(deps);
        query
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.request.now
    }

    /// Whether the caller brought the candidates.
    #[must_use]
    pub fn is_rerank(&self) -> bool {
        self.request.candidates.is_some()
    }

    /// Whether the slot removes what the subject has interacted with.
    #[must_use]
    pub fn removes_seen(&self) -> bool {
        self.slot.config.seen == SeenPolicy::Remove
    }

    /// The last interactions that models and scorers look at, newest last.
    #[must_use]
    pub fn recent(&self) -> &[Touch] {
        let history = &self.profile.history;
        &history[history.len().saturating_sub(self.slot.config.history_max)..]
    }

    /// What the subject did with an item.
    #[inline]
    #[must_use]
    pub fn touched(&self, item: ItemIdx) -> Option<&Touched> {
        self.touched.get(self.marks.touched(item)?)
    }

    /// Evidence for an item from those met together with the recent history; 0 for none.
    #[inline]
    #[must_use]
    pub fn covisit(&self, item: ItemIdx) -> f32 {
        self.marks.covisit(item)
    }

    /// Position of an item among the candidates, if it is one.
    #[inline]
    #[must_use]
    pub fn candidate(&self, item: ItemIdx) -> Option<usize> {
        self.marks.candidate(item)
    }

    /// A model by name with the subject folded in; `None` without one, or if the history says
    /// nothing to it.
    #[must_use]
    pub fn folded_in(&self, name: &str) -> Option<(&LoadedModel, &Prepared)> {
        let (at, loaded) = self.models.position(name)?;
        let prepared = self.prepared.get(at)?.as_ref()?;
        prepared.is_personalized().then_some((loaded, prepared))
    }

    /// The models that can place items they have never met, with their map and the subject.
    pub(crate) fn newcomers(&self) -> impl Iterator<Item = (&LoadedModel, &ContentMap, &Prepared)> {
        let prepared = self.models.iter().zip(&self.prepared);
        prepared.filter_map(|(loaded, prepared)| {
            let prepared = prepared.as_ref().filter(|one| one.is_personalized())?;
            Some((loaded, loaded.model().content_map()?, prepared))
        })
    }

    /// What the online ranker goes by. The candidates must be those of the request, complete with
    /// what hydrators attach; the facts are taken at the first call.
    #[must_use]
    pub fn facts(&self, candidates: &[Candidate]) -> &Facts {
        self.facts.get_or_init(|| gather(self, candidates))
    }

    /// Whether the request asked for an item not to be returned.
    #[must_use]
    pub fn is_excluded(&self, item: ItemIdx) -> bool {
        self.excluded.binary_search(&item).is_ok()
    }

    /// The segment's popular items.
    #[must_use]
    pub fn segment_list(&self) -> Option<&[(ItemIdx, f32)]> {
        let segment = self.profile.segment.as_deref()?;
        self.trending
            .tables
            .segments
            .get(segment)
            .map(Vec::as_slice)
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_late(&self) -> bool {
        let deadline = self.request.deadline;
        deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether every filter lets the item pass. Sources ask this before an item takes up room in
    /// their limit. The answer is remembered and a removal is counted once.
    #[inline]
    #[must_use]
    pub fn admits(&self, item: ItemIdx) -> bool {
        match self.marks.verdict(item) {
            Some(Verdict::Unknown) => self.judge(item) == Verdict::Keep,
            known => known == Some(Verdict::Keep),
        }
    }

    /// The same for a candidate of the caller that the catalogue does not know: it has no
    /// attributes, and only its id can be excluded.
    pub(crate) fn admits_unknown(&self, item_id: &str) -> bool {
        if self.request.exclude.contains(&item_id) {
            self.count_removed_by("excluded", 0);
            return false;
        }
        let Some(expression) = &self.expression else {
            return true;
        };
        let outcome = expression.evaluate(self.catalog, None);
        let reason = match outcome {
            Outcome::True => return true,
            Outcome::False => 0,
            Outcome::Failed => 1,
        };
        self.count_removed_by("expression", reason);
        false
    }

    fn count_removed_by(&self, filter: &str, reason: usize) {
        let mut registry = filters::registry().iter();
        if let Some(at) = registry.position(|known| known.name() == filter) {
            self.count_removed(at, reason, 1);
        }
    }

    fn judge(&self, item: ItemIdx) -> Verdict {
        let drop = filters::registry()
            .iter()
            .enumerate()
            .find_map(|(at, filter)| {
                let reason = filter
                    .is_enabled(self)
                    .then(|| filter.check(self, item))??;
                Some((at, reason))
            });
        let verdict = drop.map_or(Verdict::Keep, |(at, reason)| {
            self.count_removed(at, reason, 1);
            Verdict::Drop
        });
        self.marks.set_verdict(item, verdict);
        verdict
    }

    pub(crate) fn count_removed(&self, filter: usize, reason: usize, count: u32) {
        let counter = &self.removed[filter * REASONS_MAX + reason.min(REASONS_MAX - 1)];
        // One thread at a time asks the filters.
        counter.store(counter.load(Relaxed) + count, Relaxed);
    }

    /// Removals so far: filter, reason and count, in the order of the registry.
    pub(crate) fn removals(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        let counts = self
            .removed
            .iter()
            .map(|count| count.load(Relaxed))
            .enumerate();
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(at, count)| (at / REASONS_MAX, at % REASONS_MAX, count))
    }

    /// Gives the memory back.
    pub(crate) fn into_marks(self) -> Marks {
        self.marks
    }
}

fn counters(count: usize) -> Vec<AtomicU32> {
    (0..count).map(|_| AtomicU32::default()).collect()
}

/// Rejects requests that ask for more than the site allows.
pub(crate) fn check_bounds(
    request: &Request<'_>,
    slot: &Slot,
    list_len_max: usize,
) -> Result<(), RecommendError> {
    let k_max = slot.config.k_max;
    if request.candidates.is_none() && !(1..=k_max).contains(&request.k) {
        return Err(RecommendError::KOutOfRange {
            k: request.k,
            k_max,
        });
    }
    let history_len = match request.subject {
        Subject::History(inputs) => inputs.len(),
        Subject::User(_) | Subject::Anonymous => 0,
    };
    let lists = [
        ("exclude", request.exclude.len()),
        ("candidates", request.candidates.map_or(0, <[&str]>::len)),
        ("history", history_len),
    ];
    for (field, len) in lists {
        if len > list_len_max {
            let max = list_len_max;
            return Err(RecommendError::TooMany { field, len, max });
        }
    }
    Ok(())
}
