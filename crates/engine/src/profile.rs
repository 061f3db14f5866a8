//! What is known of a user or of an item, to look at: profiles and feature values.

use crate::engine::Engine;
use crate::error::EngineError;
use nowcast_features::{EntityKind, ViewId};
use nowcast_recommend::RecommendError;
use nowcast_stream::{Feature, FeatureEntity, PartitionView};
use nowcast_types::{PartitionId, Timestamp};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// What is known of a user.
#[derive(Debug, Clone, Serialize)]
pub struct Profile {
    /// The pseudonym.
    pub user_key: String,
    /// The segment of the user's record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The attributes of the user's record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<serde_json::Value>,
    /// Interactions, newest first.
    pub history: Vec<ProfileEntry>,
    /// Interactions remembered, shown or not.
    pub history_len: usize,
    /// Categories and their decayed weight, the strongest liking first.
    pub affinity: Vec<CategoryWeight>,
    /// The present or last session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionReport>,
    /// Feature values by view.
    pub features: BTreeMap<String, FeatureNumber>,
    /// The position of the log that the profile reflects.
    pub position: Position,
}

/// One interaction.
#[derive(Debug, Clone, Serialize)]
pub struct ProfileEntry {
    /// With what.
    pub item_id: String,
    /// How.
    pub event_type: String,
    /// When, in seconds since 1970.
    pub time_s: u32,
    /// Signed strength as implicit feedback.
    pub strength: f32,
}

/// A category and its weight.
#[derive(Debug, Clone, Serialize)]
pub struct CategoryWeight {
    /// The category.
    pub category: String,
    /// Its decayed weight.
    pub weight: f64,
}

/// A session.
#[derive(Debug, Clone, Serialize)]
pub struct SessionReport {
    /// When it began, in milliseconds since 1970.
    pub started_at: Timestamp,
    /// When its latest event happened.
    pub last_at: Timestamp,
    /// Time between the two, in milliseconds.
    pub duration_ms: i64,
    /// Interactions with items.
    pub depth: u32,
    /// Milliseconds of attention.
    pub engaged_ms: u32,
    /// How engaged it is, 0 to 1.
    pub engagement: f64,
    /// Sessions so far, this one included.
    pub ordinal: u32,
}

/// A position in a partition of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The partition.
    pub partition: u16,
    /// The next offset to be folded.
    pub offset: u64,
}

/// A feature's value on the wire: a number, a list of names with scores, or null.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureNumber(pub Feature);

impl Serialize for FeatureNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Feature::Missing => serializer.serialize_none(),
            Feature::Number(number) => serializer.serialize_f64(*number),
            Feature::Ranked(names) => names.serialize(serializer),
        }
    }
}

/// Whose features are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct FeatureCall<'a> {
    /// A raw user id.
    pub user_id: Option<&'a str>,
    /// An item.
    pub item_id: Option<&'a str>,
    /// A category.
    pub category: Option<&'a str>,
    /// A segment; with an item, the item within it too.
    pub segment: Option<&'a str>,
    /// Names of views; all if absent.
    pub views: Option<&'a [&'a str]>,
}

/// Values of feature views.
#[derive(Debug, Clone, Serialize)]
pub struct FeatureReport {
    /// When, in milliseconds since 1970.
    pub as_of: Timestamp,
    /// One entry per view that fits the call.
    pub features: Vec<FeatureEntry>,
}

/// The value of one view.
#[derive(Debug, Clone, Serialize)]
pub struct FeatureEntry {
    /// The view.
    pub name: String,
    /// Whom it describes: `user`, `item`, `category`, `segment`, `item_segment` or `global`.
    pub entity: &'static str,
    /// Its value; null if there was no event that counts.
    pub value: FeatureNumber,
}

impl Engine {
    /// What is known of a user (or, with `is_visitor`, of a session id), with the newest
    /// `history_max` interactions; `None` if nothing is.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a bad id.
    pub fn profile(
        &self,
        id: &str,
        is_visitor: bool,
        history_max: usize,
    ) -> Result<Option<Profile>, EngineError> {
        let user = self.subject_key(id, is_visitor);
        let now = self.now();
        let partition = user.partition(self.processor.partitions());
        let views = self.processor.plan().views();
        let views: Vec<(ViewId, String)> = views
            .map(|(id, view)| (id, view.name().to_owned()))
            .collect();
        let profile = self.processor.with_user(&user, |known, view| {
            let state = view.state();
            let history = known.history();
            Profile {
                user_key: user.to_string(),
                segment: known
                    .segment()
                    .map(|segment| state.segment(segment).to_owned()),
                attributes: known
                    .attributes()
                    .and_then(|json| serde_json::from_str(json).ok()),
                history: history
                    .iter()
                    .rev()
                    .take(history_max)
                    .map(|entry| ProfileEntry {
                        item_id: state.item_id(entry.item).to_owned(),
                        event_type: self.types.name(entry.event_type).to_owned(),
                        time_s: entry.time_s,
                        strength: entry.strength(),
                    })
                    .collect(),
                history_len: history.len(),
                affinity: known
                    .affinity(now)
                    .into_iter()
                    .map(|(category, weight)| CategoryWeight {
                        category: state.category(category).to_owned(),
                        weight,
                    })
                    .collect(),
                session: known.session().map(|session| SessionReport {
                    started_at: session.start,
                    last_at: session.last,
                    duration_ms: session.duration_ms(),
                    depth: session.depth,
                    engaged_ms: session.engaged_ms,
                    engagement: session.engagement(),
                    ordinal: session.ordinal,
                }),
                features: BTreeMap::new(),
                position: position(partition, view),
            }
        });
        Ok(profile.map(|mut profile| {
            for (id, name) in views {
                let is_users = self.entity_of(id) == Some(EntityKind::User);
                if is_users {
                    let value = self.processor.feature(id, FeatureEntity::User(user), now);
                    profile.features.insert(name, FeatureNumber(value));
                }
            }
            profile
        }))
    }

    fn entity_of(&self, view: ViewId) -> Option<EntityKind> {
        self.processor.plan().view(view).map(|view| view.entity())
    }

    /// The present values of feature views.
    ///
    /// # Errors
    /// A view that does not exist.
    pub fn features(&self, call: &FeatureCall<'_>) -> Result<FeatureReport, EngineError> {
        let plan = self.processor.plan();
        let as_of = self.now();
        let wanted: Vec<ViewId> = match call.views {
            None => plan.views().map(|(id, _)| id).collect(),
            Some(names) => names
                .iter()
                .map(|name| {
                    plan.find_view(name).ok_or_else(|| EngineError::NotFound {
                        what: "feature view",
                        id: name.chars().take(64).collect(),
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let mut features = Vec::new();
        for id in wanted {
            let Some(view) = plan.view(id) else { continue };
            let Some((entity, name)) = self.entity(view.entity(), call) else {
                continue;
            };
            features.push(FeatureEntry {
                name: view.name().to_owned(),
                entity: name,
                value: FeatureNumber(self.processor.feature(id, entity, as_of)),
            });
        }
        Ok(FeatureReport { as_of, features })
    }

    /// The entity of a kind that the call names, if it names one.
    fn entity<'c>(
        &self,
        kind: EntityKind,
        call: &FeatureCall<'c>,
    ) -> Option<(FeatureEntity<'c>, &'static str)> {
        let item = || self.catalog.find(call.item_id?);
        Some(match kind {
            EntityKind::User => {
                let user = self.pseudonymizer.user(call.user_id?);
                (FeatureEntity::User(user), "user")
            }
            EntityKind::Item => (FeatureEntity::Item(item()?), "item"),
            EntityKind::Category => (FeatureEntity::Category(call.category?), "category"),
            EntityKind::Segment => (FeatureEntity::Segment(call.segment?), "segment"),
            EntityKind::ItemSegment => {
                let entity = FeatureEntity::ItemSegment(item()?, call.segment?);
                (entity, "item_segment")
            }
            EntityKind::Global => (FeatureEntity::Global, "global"),
        })
    }
}

fn position(partition: PartitionId, view: &PartitionView) -> Position {
    Position {
        partition: partition.0,
        offset: view.state().position(),
    }
}

impl EngineError {
    /// There is no such item.
    #[must_use]
    pub fn no_item(item_id: &str) -> Self {
        let id = item_id.chars().take(64).collect();
        Self::Recommend(RecommendError::UnknownItem(id))
    }
}
