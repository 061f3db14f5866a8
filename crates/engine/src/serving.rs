//! Answers: a call in raw ids becomes a request of the pipeline, and what was shown becomes
//! impressions.

use crate::calls::{CallSubject, ListCall, ListSubject, RecommendCall};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::impressions::Shown;
use nowcast_log::AppendAck;
use nowcast_recommend::ranking::ITEM_FACTS_BYTES;
use nowcast_recommend::{Answer, Request, SimilarRequest, Subject, TrendingRequest};
use nowcast_stream::StoredUser;
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Slate, SlateItem, SlateItems, Timestamp, UserKey};
use std::sync::Arc;
use std::time::Instant;

impl Engine {
    /// Whether answers may wait for each other: the catalogue is so large that requests look through
    /// it together. A task should then not hold a worker meanwhile, or there are never more requests
    /// to come together than workers.
    #[must_use]
    pub fn shares_passes(&self) -> bool {
        self.recommender.deps().models.load().shares_passes()
    }

    /// Ranks items for a subject, or the candidates that the caller brings. CPU only, and as
    /// short as the call's deadline; see [`Self::shares_passes`] for when it waits for others.
    ///
    /// # Errors
    /// An unknown slot, a number outside its bounds, a filter that does not compile.
    pub fn recommend(&self, call: &RecommendCall<'_>) -> Result<Answer, EngineError> {
        let now = self.now();
        let user = self.user_of(call.subject);
        let session = match call.subject {
            CallSubject::User { session_id, .. } => session_id,
            CallSubject::Visitor { session_id } => Some(session_id),
            CallSubject::History(_) | CallSubject::Anonymous => None,
        };
        let subject = match (user, call.subject) {
            (Some(user), _) => Subject::User(user),
            (None, CallSubject::History(history)) => Subject::History(history),
            (None, _) => Subject::Anonymous,
        };
        let budget = call
            .deadline
            .unwrap_or(self.config.serving.deadline.duration());
        let is_taught = user.is_some() && self.teaches(call);
        let answer = self.recommender.recommend(&Request {
            request_id: call.request_id,
            stored: call.stored,
            keep_facts: is_taught,
            context: call.context,
            exclude: call.exclude,
            filter: call.filter,
            candidates: call.candidates,
            explain: call.explain,
            deadline: Instant::now().checked_add(budget),
            ..Request::new(subject, call.slot, call.k, now)
        })?;
        self.meters.answer();
        if let Some(user) = user {
            self.record(call, user, session, &answer, now);
        }
        Ok(answer)
    }

    /// Reads the subject's user where another process folds them, without blocking: for a task to
    /// await before [`Self::recommend`]. `None` if there is nothing to be read.
    pub async fn read_ahead(&self, subject: CallSubject<'_>) -> Option<StoredUser> {
        let user = self.user_of(subject)?;
        self.processor.read_ahead(&user).await
    }

    fn user_of(&self, subject: CallSubject<'_>) -> Option<UserKey> {
        match subject {
            CallSubject::User { user_id, .. } => Some(self.pseudonymizer.user(user_id)),
            CallSubject::Visitor { session_id } => Some(self.pseudonymizer.visitor(session_id)),
            CallSubject::History(_) | CallSubject::Anonymous => None,
        }
    }

    fn record(
        &self,
        call: &RecommendCall<'_>,
        user: UserKey,
        session: Option<&str>,
        answer: &Answer,
        at: Timestamp,
    ) {
        if !call.records_impressions || answer.items.is_empty() {
            return;
        }
        let slate = self.append_slate(call, user, answer, at);
        let is_counted = self.config.serving.record_impressions;
        if !is_counted && slate.is_none() {
            return;
        }
        self.impressions.record(Shown {
            user,
            session: session.map(|id| self.pseudonymizer.session(id)),
            request_id: call.request_id.to_owned(),
            slot: call.slot.to_owned(),
            items: answer
                .items
                .iter()
                .map(|item| Arc::clone(&item.item_id))
                .collect(),
            at,
            device: call.device,
            is_counted,
            slate,
        });
    }

    /// Whether what comes of the answer is to be learnt from: examples are labelled, and the online
    /// ranker has a say in the slot.
    fn teaches(&self, call: &RecommendCall<'_>) -> bool {
        self.config.fold.attribution.enabled
            && call.records_impressions
            && self
                .recommender
                .uses_online(call.slot, call.candidates.is_some())
    }

    /// Hands what the online ranker went by to the log, if the answer carries it.
    fn append_slate(
        &self,
        call: &RecommendCall<'_>,
        user: UserKey,
        answer: &Answer,
        at: Timestamp,
    ) -> Option<AppendAck> {
        let facts = answer.facts.as_ref()?;
        let mut situation = Vec::new();
        facts.situation.encode(&mut situation);
        let mut items = Vec::new();
        let shown = facts.items.iter().zip(&answer.items).enumerate();
        for (place, (facts, item)) in shown.take(self.config.online.shown_max) {
            let shown = SlateItem {
                item: stable_hash(item.item_id.as_bytes(), 0),
                score: answer.online_scores.get(place).copied().unwrap_or(0.0),
                facts: &facts.to_bytes(),
            };
            SlateItems::push(&mut items, &shown);
        }
        Some(self.ingestor.append_slate(Slate {
            user,
            at,
            request_id: call.request_id,
            slot: call.slot,
            situation: &situation,
            items: SlateItems::new(&items, ITEM_FACTS_BYTES)?,
        }))
    }

    /// Lists an item's neighbours or what is popular.
    ///
    /// # Errors
    /// An unknown item, a number outside its bounds, a filter that does not compile.
    pub fn list(&self, call: &ListCall<'_>) -> Result<Answer, EngineError> {
        let now = self.now();
        let answer = match call.about {
            ListSubject::Similar(item_id) => self.recommender.similar(&SimilarRequest {
                item_id,
                k: call.k,
                now,
                filter: call.filter,
                context: None,
            }),
            ListSubject::Trending(scope) => self.recommender.trending(&TrendingRequest {
                scope,
                k: call.k,
                now,
                filter: call.filter,
                context: None,
            }),
        };
        self.meters.answer();
        Ok(answer?)
    }
}
