//! The pipeline as a value: what an engine holds and asks.

use crate::answer::{Answer, RankedItem, Rung};
use crate::config::RecommendConfig;
use crate::error::RecommendError;
use crate::explain;
use crate::filter_expression::{BoundExpression, ExpressionCache};
use crate::live::Live;
use crate::marks::Marks;
use crate::model_set::{LiveContent, ModelSet};
use crate::pipeline::{self, Buffers, Slate};
use crate::query::{Query, Site, check_bounds};
use crate::ranking::{Facts, LiveRanker};
use crate::request::{
    HistoryInput, Request, SimilarRequest, Subject, TrendingRequest, TrendingScope,
};
use crate::scorers::{self, ONLINE};
use crate::selectors::Ranked;
use crate::slot::{self, DEFAULT_SLOT, SIMILAR_SLOT, Slot};
use crate::telemetry::Telemetry;
use crate::{side_effects, sources};
use arc_swap::ArcSwap;
use nowcast_store::{Catalog, ItemIdx};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Sets of scratch memory kept for the next requests; more requests at once allocate their own.
const SCRATCH_MAX: usize = 64;

/// Everything the pipeline reads.
#[derive(Clone)]
pub struct Deps {
    /// Live state of users and items.
    pub live: Arc<dyn Live>,
    /// The item table.
    pub catalog: Arc<Catalog>,
    /// The trained models; store a new set to publish it.
    pub models: Arc<ArcSwap<ModelSet>>,
    /// Content similarity over the catalogue.
    pub content: Arc<LiveContent>,
    /// The online ranker.
    pub ranker: Arc<LiveRanker>,
}

/// Answers requests. Share it by `Arc`; every call is synchronous and uses the CPU alone.
pub struct Recommender {
    deps: Deps,
    config: RecommendConfig,
    slots: BTreeMap<String, Slot>,
    expressions: ExpressionCache,
    telemetry: Telemetry,
    scratch: Mutex<Vec<Scratch>>,
}

#[derive(Default)]
struct Scratch {
    marks: Marks,
    buffers: Buffers,
}

impl Recommender {
    /// Builds the pipeline. Metric handles are taken from the recorder installed by now.
    ///
    /// # Errors
    /// A slot that names an unknown component or a number outside its range.
    pub fn new(deps: Deps, config: RecommendConfig) -> Result<Self, RecommendError> {
        Ok(Self {
            slots: slot::compile(&config)?,
            expressions: ExpressionCache::new(config.filter_cache_entries, config.filter_bytes_max),
            telemetry: Telemetry::new(),
            scratch: Mutex::default(),
            deps,
            config,
        })
    }

    /// What the pipeline reads.
    #[must_use]
    pub fn deps(&self) -> &Deps {
        &self.deps
    }

    /// The names of the configured slots, in ascending order.
    pub fn slot_names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// Whether answers of a slot are scored by the online ranker, so that their outcomes can teach it.
    #[must_use]
    pub fn uses_online(&self, slot: &str, is_rerank: bool) -> bool {
        let slot = self.slots.get(slot);
        slot.is_some_and(|slot| slot.uses(ONLINE, is_rerank))
    }

    /// Ranks items for a subject, or the candidates that the request brings.
    ///
    /// The answer is shorter than `k` only if fewer items may be recommended at all.
    ///
    /// # Errors
    /// An unknown slot, a number outside the slot's bounds, or a filter that does not compile.
    pub fn recommend(&self, request: &Request<'_>) -> Result<Answer, RecommendError> {
        let slot = self.slot(request.slot)?;
        check_bounds(request, slot, self.config.list_len_max)?;
        self.answer(request, slot, |query, buffers| {
            let slate = pipeline::run(query, buffers);
            finish(query, &slate)
        })
    }

    /// The items most like one item: what is recommended to somebody whose whole history it is,
    /// by the slot `similar` if there is one.
    ///
    /// # Errors
    /// As [`Self::recommend`], and an item that nobody has heard of.
    pub fn similar(&self, request: &SimilarRequest<'_>) -> Result<Answer, RecommendError> {
        if self.deps.catalog.find(request.item_id).is_none() {
            return Err(RecommendError::UnknownItem(request.item_id.to_owned()));
        }
        let history = [HistoryInput {
            item_id: request.item_id,
            strength: 1.0,
            timestamp: request.now,
        }];
        let has_own_slot = self.slots.contains_key(SIMILAR_SLOT);
        let slot = if has_own_slot {
            SIMILAR_SLOT
        } else {
            DEFAULT_SLOT
        };
        self.recommend(&Request {
            exclude: &[request.item_id],
            filter: request.filter,
            context: request.context,
            ..Request::new(Subject::History(&history), slot, request.k, request.now)
        })
    }

    /// The popular items of a scope, most popular first; empty if nothing has happened in it.
    ///
    /// # Errors
    /// `k` outside the default slot's bounds, or a filter that does not compile.
    pub fn trending(&self, request: &TrendingRequest<'_>) -> Result<Answer, RecommendError> {
        let slot = self.slot(DEFAULT_SLOT)?;
        let plain = Request {
            filter: request.filter,
            context: request.context,
            ..Request::new(Subject::Anonymous, DEFAULT_SLOT, request.k, request.now)
        };
        check_bounds(&plain, slot, self.config.list_len_max)?;
        self.answer(&plain, slot, |query, _| {
            let (list, source, rung) = match request.scope {
                TrendingScope::Global => {
                    let list = Some(&query.trending.tables.global);
                    (list, "trending_global", Rung::Trending)
                }
                TrendingScope::Category(name) => {
                    let label = query.catalog.category(name);
                    let list = label.and_then(|label| query.trending.tables.categories.get(&label));
                    (list, "trending_category", Rung::Trending)
                }
                TrendingScope::Segment(name) => {
                    let list = query.trending.tables.segments.get(name);
                    (list, "trending_segment", Rung::Segment)
                }
            };
            let admitted = list.into_iter().flatten();
            let admitted = admitted.filter(|(item, _)| query.admits(*item));
            let items = admitted.take(request.k).filter_map(|(item, popularity)| {
                Some(RankedItem {
                    item_id: query.catalog.id(*item)?,
                    score: *popularity,
                    source,
                    propensity: 1.0,
                    is_exploration: false,
                })
            });
            Answer {
                items: items.collect(),
                rung,
                models: Arc::clone(query.models.versions()),
                late: Vec::new(),
                explanation: None,
                facts: None,
                online_scores: Vec::new(),
            }
        })
    }

    fn slot(&self, name: &str) -> Result<&Slot, RecommendError> {
        self.slots.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.slot_names().collect();
            RecommendError::UnknownSlot {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }

    /// Prepares the query, lets `make` answer it, and looks after memory and metrics.
    fn answer(
        &self,
        request: &Request<'_>,
        slot: &Slot,
        make: impl FnOnce(&Query<'_>, &mut Buffers) -> Answer,
    ) -> Result<Answer, RecommendError> {
        let start = Instant::now();
        let expression = match request.filter {
            Some(text) => Some(BoundExpression::new(
                self.expressions.get(text)?,
                request.context,
            )),
            None => None,
        };
        let Scratch { marks, mut buffers } = self.scratch.lock().pop().unwrap_or_default();
        let site = Site {
            deps: &self.deps,
            static_items: &self.config.static_items,
            telemetry: &self.telemetry,
        };
        let query = Query::new(request, slot, site, expression, marks);
        self.telemetry.prepared(start);
        let answer = make(&query, &mut buffers);
        for (filter, reason, count) in query.removals() {
            self.telemetry.removed(filter, reason, count);
        }
        for side_effect in side_effects::registry() {
            if side_effect.is_enabled(&query) {
                side_effect.run(&query, &answer);
            }
        }
        let scratch = Scratch {
            marks: query.into_marks(),
            buffers,
        };
        let mut kept = self.scratch.lock();
        if kept.len() < SCRATCH_MAX {
            kept.push(scratch);
        }
        drop(kept);
        self.telemetry.finished(start);
        Ok(answer)
    }
}

fn finish(query: &Query<'_>, slate: &Slate) -> Answer {
    let table = query.catalog.read();
    let ranked_item = |ranked: &Ranked| {
        let candidate = &slate.candidates[ranked.candidate];
        let id = candidate.item.and_then(|item: ItemIdx| table.id(item));
        let given = query.request.candidates;
        let id = id.or_else(|| Some(given?[candidate.position as usize]));
        let source = match given {
            Some(_) => "request",
            None => sources::registry()[candidate.sources.trailing_zeros() as usize].name(),
        };
        RankedItem {
            item_id: Arc::from(id.unwrap_or_default()),
            score: ranked.score,
            source,
            propensity: ranked.propensity,
            is_exploration: ranked.is_exploration,
        }
    };
    let items: Vec<RankedItem> = slate.ranking.iter().map(ranked_item).collect();
    drop(table);
    let explanation = query
        .request
        .explain
        .then(|| explain::explain(query, slate, &items));
    Answer {
        rung: slate.rung(query.is_rerank()),
        models: Arc::clone(query.models.versions()),
        late: slate.late.clone(),
        explanation: explanation.map(Box::new),
        facts: query.request.keep_facts.then(|| facts_of(query, slate)),
        online_scores: online_scores(slate),
        items,
    }
}

/// What the online ranker gave each item of an answer, where the column was kept.
fn online_scores(slate: &Slate) -> Vec<f32> {
    let mut columns = slate.columns.iter();
    let own = columns.find(|column| scorers::registry()[column.scorer].name() == ONLINE);
    own.map_or_else(Vec::new, |column| {
        let ranked = slate.ranking.iter();
        ranked.map(|ranked| column.raw[ranked.candidate]).collect()
    })
}

/// The facts behind an answer, in the order of its items.
fn facts_of(query: &Query<'_>, slate: &Slate) -> Box<Facts> {
    let all = query.facts(&slate.candidates);
    let ranked = slate.ranking.iter();
    Box::new(Facts {
        situation: all.situation.clone(),
        items: ranked.map(|ranked| all.items[ranked.candidate]).collect(),
    })
}
