//! What a query looks up before the stages run: the history, and what models and neighbours make
//! of it.

use super::{ContentEvidence, Query, Touched};
use crate::live::{Profile, Touch};
use crate::model_set::LoadedModel;
use crate::recommender::Deps;
use crate::request::{Request, Subject};
use nowcast_models::{HistoryItem, ModelQuery};
use nowcast_store::ItemIdx;
use nowcast_types::{EventTypeCode, Timestamp};
use std::sync::Arc;

/// Most recently touched items whose neighbours are evidence; older ones add next to nothing.
const COVISIT_ITEMS_MAX: usize = 40;
/// Most recent interactions that content similarity looks at.
const CONTENT_ITEMS_MAX: usize = 20;
/// Strength above which an interaction is no stronger evidence about its neighbours.
const COVISIT_STRENGTH_MAX: f32 = 3.0;
impl<'a> Query<'a> {
    pub(super) fn touch_items(&mut self) {
        let mut touched: Vec<Touched> = Vec::new();
        for touch in self.profile.history.iter().rev() {
            if !self.marks.covers(touch.item) {
                continue;
            }
            match self.marks.touched(touch.item) {
                Some(at) => {
                    touched[at].strength += touch.strength;
                    touched[at].count += 1;
                }
                None => {
                    self.marks.set_touched(touch.item, touched.len());
                    touched.push(Touched {
                        item: touch.item,
                        strength: touch.strength,
                        count: 1,
                        last: touch.at,
                    });
                }
            }
        }
        self.touched = touched;
    }

    pub(super) fn fold_in_models(&mut self) {
        let is_rerank = self.is_rerank();
        let mut history: Vec<HistoryItem> = Vec::new();
        let models = Arc::clone(&self.models);
        let prepare = |loaded: &LoadedModel| {
            let places = loaded.model().content_map().is_some();
            let is_used = self.slot.uses(loaded.name(), is_rerank)
                || (places && self.slot.uses("newcomers", is_rerank));
            if !is_used {
                return None;
            }
            history.clear();
            history.extend(self.recent().iter().filter_map(|touch| {
                Some(HistoryItem {
                    item: loaded.to_model(touch.item)?,
                    weight: touch.strength,
                    age_s: age_s(self.request.now, touch.at),
                })
            }));
            let query = ModelQuery::new(&history).in_slot(self.request.slot);
            Some(loaded.model().prepare(&query))
        };
        self.prepared = models.iter().map(prepare).collect();
    }

    pub(super) fn gather_covisits(&mut self, deps: &Deps) {
        let uses = |name: &str| self.slot.uses(name, self.is_rerank());
        if !uses("covisit") && !uses("online") {
            return;
        }
        let liked = self.touched.iter().filter(|touched| touched.strength > 0.0);
        let liked: Vec<&Touched> = liked.take(COVISIT_ITEMS_MAX).collect();
        let seeds: Vec<ItemIdx> = liked.iter().map(|touched| touched.item).collect();
        let mut met: Vec<(usize, ItemIdx, f32)> = Vec::new();
        let mut company = vec![0.0_f64; seeds.len()];
        let mut collect = |place: usize, item: ItemIdx, weight: f32| {
            company[place] += f64::from(weight);
            met.push((place, item, weight));
        };
        deps.live
            .for_each_neighbour(&seeds, self.request.now, &mut collect);
        // Shares of the seed's own company, so that popular seeds do not shout louder; and the last
        // thing touched says most about the next.
        let says = liked.iter().zip(&company).enumerate();
        let says: Vec<f32> = says
            .map(|(order, (touched, company))| {
                let strength = touched.strength.min(COVISIT_STRENGTH_MAX);
                strength / (1.0 + order as f32) / *company as f32
            })
            .collect();
        for (place, item, weight) in met {
            if self.marks.add_covisit(item, says[place] * weight) {
                self.covisited.push(item);
            }
        }
    }

    pub(super) fn compare_content(&mut self, deps: &'a Deps) {
        if self.touched.is_empty() || !self.slot.uses("content", self.is_rerank()) {
            return;
        }
        let recent = self.recent();
        let recent = &recent[recent.len().saturating_sub(CONTENT_ITEMS_MAX)..];
        let newest_first = recent.iter().rev().enumerate();
        let history: Vec<HistoryItem> = newest_first
            .map(|(age_rank, touch)| HistoryItem {
                item: touch.item.0,
                weight: touch.strength / (1.0 + age_rank as f32),
                age_s: age_s(self.request.now, touch.at),
            })
            .collect();
        let index = deps.content.read();
        let profile = index.profile(&history);
        if !profile.is_empty() {
            self.content = Some(ContentEvidence { index, profile });
        }
    }
}

fn age_s(now: Timestamp, at: Timestamp) -> u32 {
    let seconds = now.since_ms(at) / 1000;
    seconds.clamp(0, i64::from(u32::MAX)) as u32
}

pub(super) fn fill_profile(request: &Request<'_>, deps: &Deps, profile: &mut Profile) {
    match request.subject {
        Subject::User(user) => {
            let live = &deps.live;
            live.profile(&user, request.stored, request.now, profile);
        }
        Subject::History(inputs) => {
            let table = deps.catalog.read();
            let known = inputs.iter().filter_map(|input| {
                let item = table.find(input.item_id)?;
                let says_something = input.strength.is_finite() && input.strength != 0.0;
                says_something.then_some(Touch {
                    item,
                    event_type: EventTypeCode::VIEW,
                    strength: input.strength,
                    at: input.timestamp,
                })
            });
            profile.history.extend(known);
        }
        Subject::Anonymous => {}
    }
    if profile.segment.is_none() {
        profile.segment = request.segment.map(Arc::from);
    }
}
