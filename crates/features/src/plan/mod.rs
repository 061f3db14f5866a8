//! The fold's configuration, checked once and laid out for speed: which views an event type
//! touches is a table lookup, and every number is in the unit the fold uses.

mod filter;
mod view;

use crate::aggregations::AggregateValue;
use crate::attribution::AttributionPlan;
use crate::config::{AttributionConfig, EntityKind, FoldConfig, ObjectiveConfig};
use crate::decay::DecayClock;
use crate::error::FeaturesError;
use nowcast_types::event_type::ValueMeaning;
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{EventTypeCode, EventTypes, Span, Timestamp};
use std::sync::Arc;
pub use view::{ViewId, ViewPlan};

/// Number of [`EntityKind`]s.
pub(crate) const ENTITY_KINDS: usize = 6;
/// Blocks that come before the views in a buffer: users keep their affinity there, items their
/// popularity by segment.
const OWN_BLOCKS: [usize; ENTITY_KINDS] = [1, 1, 0, 0, 0, 0];
/// Most words of an entity's buffer; a configuration that could pass it is refused.
const ENTITY_WORDS_MAX: usize = 1 << 18;

/// A fold's configuration, ready for use. Shared by all partitions.
#[derive(Debug)]
pub struct FoldPlan {
    pub(crate) history_len: usize,
    pub(crate) session_gap_ms: i64,
    pub(crate) clock_ahead_ms: i64,
    pub(crate) lateness_ms: i64,
    pub(crate) dedup_horizon_ms: i64,
    pub(crate) dedup_entries_max: usize,
    pub(crate) state_bytes_max: u64,
    pub(crate) affinity_decay: DecayClock,
    pub(crate) affinity_categories_max: usize,
    pub(crate) trending_decay: DecayClock,
    pub(crate) popular_decay: DecayClock,
    pub(crate) segments_max: usize,
    pub(crate) covisit: CovisitPlan,
    pub(crate) attribution: Option<AttributionPlan>,
    views: Vec<ViewPlan>,
    blocks: [usize; ENTITY_KINDS],
    by_event: Vec<EventPlan>,
    types: Arc<EventTypes>,
    fingerprint: u64,
}

/// Co-visitation, ready for use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CovisitPlan {
    pub(crate) recent_items: usize,
    pub(crate) neighbours_max: usize,
    pub(crate) decay: DecayClock,
    pub(crate) gap_max_s: u32,
    pub(crate) backward_weight: f32,
}

/// What the fold does with one event type.
#[derive(Debug, Default)]
pub(crate) struct EventPlan {
    pub(crate) is_known: bool,
    /// Whether it says anything about taste, so that it enters the history.
    pub(crate) is_interaction: bool,
    /// Whether `value` is milliseconds of attention.
    pub(crate) is_engagement: bool,
    /// Whether the user did something: everything but being shown an item.
    pub(crate) is_action: bool,
    /// Whether any view needs the item's categories.
    pub(crate) needs_categories: bool,
    views: [Vec<EventView>; ENTITY_KINDS],
}

/// A view that an event type touches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventView {
    pub(crate) view: u16,
    pub(crate) is_denominator: bool,
}

impl EventPlan {
    pub(crate) fn views(&self, entity: EntityKind) -> &[EventView] {
        &self.views[entity as usize]
    }
}

impl FoldPlan {
    /// Checks a configuration and lays it out.
    ///
    /// # Errors
    /// [`FeaturesError::Config`] names the first key that makes no sense.
    pub fn compile(
        config: &FoldConfig,
        types: Arc<EventTypes>,
    ) -> Result<Arc<Self>, FeaturesError> {
        check_bounds(config)?;
        let mut blocks = OWN_BLOCKS;
        let mut views: Vec<ViewPlan> = Vec::with_capacity(config.views.len());
        for view in &config.views {
            if views.iter().any(|other| other.name() == view.name) {
                let key = format!("views.{}.name", view.name);
                return Err(FeaturesError::config(key, "the name is taken"));
            }
            let block = &mut blocks[view.entity as usize];
            views.push(ViewPlan::compile(view, &types, *block)?);
            *block += 1;
        }
        for view in &views {
            let words: usize = views
                .iter()
                .filter(|other| other.entity == view.entity)
                .map(ViewPlan::words_max)
                .sum();
            if words > ENTITY_WORDS_MAX {
                let key = format!("views.{}.slots", view.name);
                let problem = format!(
                    "the views of one {:?} could take {words} words",
                    view.entity
                );
                return Err(FeaturesError::config(key, problem));
            }
        }
        Ok(Arc::new(Self {
            history_len: usize::from(config.history_len),
            session_gap_ms: config.session_gap.ms(),
            clock_ahead_ms: config.clock_ahead.ms(),
            lateness_ms: config.lateness.ms(),
            dedup_horizon_ms: config.dedup_horizon.ms(),
            dedup_entries_max: config.dedup_entries_max as usize,
            state_bytes_max: config.state_bytes_max.bytes(),
            affinity_decay: decay(config.affinity.half_life),
            affinity_categories_max: usize::from(config.affinity.categories_max),
            trending_decay: decay(config.popularity.trending_half_life),
            popular_decay: decay(config.popularity.popular_half_life),
            segments_max: usize::from(config.popularity.segments_max),
            covisit: CovisitPlan {
                recent_items: usize::from(config.covisit.recent_items),
                neighbours_max: usize::from(config.covisit.neighbours_max),
                decay: decay(config.covisit.half_life),
                gap_max_s: (config.covisit.gap_max.ms() / 1_000).clamp(0, i64::from(u32::MAX))
                    as u32,
                backward_weight: config.covisit.backward_weight,
            },
            attribution: AttributionPlan::compile(
                &config.attribution,
                &types,
                config.state_bytes_max.bytes(),
            )?,
            by_event: (0..=255)
                .map(|code| event_plan(code, &types, &views))
                .collect(),
            fingerprint: fingerprint(config, &types),
            views,
            blocks,
            types,
        }))
    }

    /// All views, in the order of the configuration.
    pub fn views(&self) -> impl ExactSizeIterator<Item = (ViewId, &ViewPlan)> {
        self.views
            .iter()
            .enumerate()
            .map(|(at, view)| (ViewId(at as u16), view))
    }

    /// The view called `name`.
    #[must_use]
    pub fn find_view(&self, name: &str) -> Option<ViewId> {
        self.views()
            .find(|(_, view)| view.name() == name)
            .map(|(id, _)| id)
    }

    /// A view; `None` for an id of another plan.
    #[must_use]
    pub fn view(&self, id: ViewId) -> Option<&ViewPlan> {
        self.views.get(usize::from(id.0))
    }

    /// Whether shown items are matched with what came of them.
    #[must_use]
    pub const fn labels_examples(&self) -> bool {
        self.attribution.is_some()
    }

    /// The event types the plan was compiled for.
    #[must_use]
    pub const fn event_types(&self) -> &Arc<EventTypes> {
        &self.types
    }

    /// A number that changes whenever state folded under the old configuration would differ.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Adds the partial of another partition; both must be of this view.
    pub fn merge_partials(&self, view: ViewId, into: &mut PartialValue, from: &PartialValue) {
        if let Some(view) = self.view(view) {
            view.aggregation.merge(&view.params, &mut into.0, &from.0);
        }
    }

    /// What a partial says as of a time.
    #[must_use]
    pub fn partial_value(
        &self,
        view: ViewId,
        partial: &PartialValue,
        as_of: Timestamp,
    ) -> AggregateValue {
        self.view(view).map_or(AggregateValue::Missing, |view| {
            view.value(&partial.0, as_of.seconds_u32())
        })
    }

    /// The half-life of trending popularity.
    #[must_use]
    pub const fn trending_decay(&self) -> &DecayClock {
        &self.trending_decay
    }

    pub(crate) fn blocks(&self, entity: EntityKind) -> usize {
        self.blocks[entity as usize]
    }

    pub(crate) fn event(&self, code: EventTypeCode) -> &EventPlan {
        &self.by_event[usize::from(code.0)]
    }

    pub(crate) fn view_at(&self, at: u16) -> &ViewPlan {
        &self.views[usize::from(at)]
    }
}

/// The partial aggregate of one view over its window, from one partition. Merge with
/// [`FoldPlan::merge_partials`], read with [`FoldPlan::partial_value`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialValue(pub(crate) Vec<u32>);

fn decay(half_life: Span) -> DecayClock {
    DecayClock::new((half_life.ms() / 1_000).clamp(1, i64::from(u32::MAX)) as u32)
}

fn check_bounds(config: &FoldConfig) -> Result<(), FeaturesError> {
    let spans = [
        ("session_gap", config.session_gap, 1_000),
        ("dedup_horizon", config.dedup_horizon, 1_000),
        ("affinity.half_life", config.affinity.half_life, 60_000),
        (
            "popularity.trending_half_life",
            config.popularity.trending_half_life,
            60_000,
        ),
        (
            "popularity.popular_half_life",
            config.popularity.popular_half_life,
            60_000,
        ),
        ("covisit.half_life", config.covisit.half_life, 60_000),
    ];
    for (key, span, least_ms) in spans {
        if span.ms() < least_ms {
            let problem = format!("{span} is below {}", Span(least_ms));
            return Err(FeaturesError::config(key, problem));
        }
    }
    let numbers = [
        ("history_len", u64::from(config.history_len), 1, 4_096),
        (
            "dedup_entries_max",
            u64::from(config.dedup_entries_max),
            2,
            1 << 30,
        ),
        (
            "affinity.categories_max",
            u64::from(config.affinity.categories_max),
            1,
            64,
        ),
        (
            "popularity.segments_max",
            u64::from(config.popularity.segments_max),
            0,
            64,
        ),
        (
            "covisit.recent_items",
            u64::from(config.covisit.recent_items),
            0,
            16,
        ),
        (
            "covisit.neighbours_max",
            u64::from(config.covisit.neighbours_max),
            1,
            1_024,
        ),
        (
            "state_bytes_max",
            config.state_bytes_max.bytes(),
            1 << 16,
            u64::MAX,
        ),
    ];
    for (key, value, least, most) in numbers {
        if value < least || value > most {
            let problem = format!("{value} is not from {least} to {most}");
            return Err(FeaturesError::config(key, problem));
        }
    }
    if config.lateness > config.dedup_horizon {
        let problem = format!(
            "{} is below the lateness {}: a repeated event could count twice",
            config.dedup_horizon, config.lateness
        );
        return Err(FeaturesError::config("dedup_horizon", problem));
    }
    let backward = config.covisit.backward_weight;
    if !(0.0..=1.0).contains(&backward) {
        let problem = format!("{backward} is not from 0 to 1");
        return Err(FeaturesError::config("covisit.backward_weight", problem));
    }
    Ok(())
}

fn event_plan(code: u8, types: &EventTypes, views: &[ViewPlan]) -> EventPlan {
    let Some(def) = types.get(EventTypeCode(code)) else {
        return EventPlan::default();
    };
    let mut plan = EventPlan {
        is_known: true,
        is_interaction: def.weight != 0.0,
        is_engagement: def.value == ValueMeaning::EngagedMs,
        is_action: def.code != EventTypeCode::IMPRESSION,
        needs_categories: def.weight != 0.0,
        ..EventPlan::default()
    };
    for (at, view) in views.iter().enumerate() {
        let is_denominator = view.per.contains(&code);
        if is_denominator || view.events.contains(&code) {
            plan.views[view.entity as usize].push(EventView {
                view: at as u16,
                is_denominator,
            });
            plan.needs_categories |= view.entity == EntityKind::Category
                || view.operand == crate::config::Operand::Category;
        }
    }
    plan
}

/// Raised when the same configuration gives state of another form.
const STATE_FORMAT: u32 = 2;

/// Covers everything that decides what state means, and nothing that only bounds what comes.
fn fingerprint(config: &FoldConfig, types: &EventTypes) -> u64 {
    let weights: Vec<_> = (0..=255)
        .filter_map(|code| types.get(EventTypeCode(code)))
        .map(|def| (def.code, &def.name, def.weight.to_bits(), def.value))
        .collect();
    let text = format!(
        "format {STATE_FORMAT}; {:?}",
        (
            config.history_len,
            config.session_gap,
            &config.affinity,
            &config.popularity,
            &config.covisit,
            &config.views,
            weights,
        )
    );
    let text = text + &attribution_text(&config.attribution);
    stable_hash(text.as_bytes(), 0)
}

/// What of attribution decides what state means; nothing while it is off.
fn attribution_text(config: &AttributionConfig) -> String {
    if !config.enabled {
        return String::new();
    }
    let of = |o: &ObjectiveConfig| format!("{} {:?} {:?}", o.name, o.events, o.value_min);
    let objectives: Vec<String> = config.objectives.iter().map(of).collect();
    format!("; attribution {} {objectives:?}", config.window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(change: impl FnOnce(&mut FoldConfig)) -> Result<Arc<FoldPlan>, FeaturesError> {
        let mut config = FoldConfig::default();
        change(&mut config);
        FoldPlan::compile(&config, Arc::new(EventTypes::default()))
    }

    #[test]
    fn the_default_compiles() {
        let plan = compile(|_| ()).unwrap();
        assert_eq!(plan.views().len(), 10);
        assert_eq!(plan.find_view("item_ctr_1h"), Some(ViewId(1)));
    }

    #[test]
    fn nonsense_is_refused_by_key() {
        type Change = fn(&mut FoldConfig);
        let cases: [(&str, Change); 9] = [
            ("history_len", |c| c.history_len = 0),
            ("dedup_horizon", |c| {
                c.lateness = Span(c.dedup_horizon.ms() + 1)
            }),
            ("views.item_ctr_1h.window", |c| c.views[1].slots = 7),
            ("views.item_ctr_1h.window", |c| {
                c.views[1].window = Span(1_000)
            }),
            ("views.item_ctr_1h.aggregation", |c| c.views[1].per.clear()),
            ("views.item_clicks_10m.events", |c| {
                c.views[0].events = vec!["clck".into()]
            }),
            ("views.item_clicks_10m.aggregation", |c| {
                c.views[0].aggregation = "median".into()
            }),
            ("views.item_clicks_10m.name", |c| {
                c.views[1].name = "item_clicks_10m".into()
            }),
            ("views.user_top_categories_1d.of", |c| {
                c.views[6].entity = EntityKind::Item
            }),
        ];
        for (expected, change) in cases {
            match compile(change) {
                Err(FeaturesError::Config { key, .. }) => assert_eq!(key, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn bounds_keep_the_fingerprint_and_meanings_change_it() {
        let base = compile(|_| ()).unwrap().fingerprint();
        let bound = compile(|c| c.dedup_entries_max = 10).unwrap().fingerprint();
        let meaning = compile(|c| c.history_len = 10).unwrap().fingerprint();
        assert_eq!(base, bound);
        assert_ne!(base, meaning);
    }
}
