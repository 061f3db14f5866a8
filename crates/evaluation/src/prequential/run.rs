//! The loop: guess, score, learn.

use super::arm::Arm;
use super::curve::{self, Curve};
use super::export::Export;
use super::refresh::Refresh;
use super::stream_file::{EventStream, StreamColumns, StreamEvent, load};
use super::world::World;
use crate::error::EvaluationError;
use crate::process_usage::ProcessUsage;
use crate::report::EvaluationRow;
use nowcast_features::FoldConfig;
use nowcast_models::metrics::Coverage;
use nowcast_models::online::{ONLINE_PARAMS, OnlineConfig};
use nowcast_models::{Metric, Params, Progress};
use nowcast_recommend::{RecommendConfig, SeenPolicy, SlotConfig};
use nowcast_types::Timestamp;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Models are trained anew when the stream has grown by this share since the last time.
const TRAIN_GROWTH: f64 = 0.05;
/// Event time between rebuilds of the popularity tables in live mode.
const TRENDING_REFRESH_MS: i64 = 60_000;
/// With `auto`, seen items are recommended again if at least this share of the warm-up repeats.
const REPEAT_SHARE_MIN: f64 = 0.02;

/// What becomes of items that the user has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeenChoice {
    /// As the first fifth of the stream suggests: kept if people come back to items.
    #[default]
    Auto,
    /// Recommended again.
    Keep,
    /// Not recommended again.
    Remove,
}

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct PrequentialOptions {
    /// The file and its columns.
    pub columns: StreamColumns,
    /// Names of arms, in the order of the results.
    pub models: Vec<String>,
    /// What to measure.
    pub metrics: Vec<Metric>,
    /// When each arm learns.
    pub refreshes: Vec<Refresh>,
    /// What becomes of items that the user has had.
    pub seen: SeenChoice,
    /// Share of the stream, at its beginning, that is learnt and never scored.
    pub warm_up_share: f64,
    /// Where to leave what the online ranker was told when it was live.
    pub export: Option<PathBuf>,
    /// Where to leave how every arm did hour by hour.
    pub curve: Option<PathBuf>,
    /// Parameters of the trained models.
    pub params: Params,
    /// Seed of the trainings.
    pub seed: u64,
    /// How events are folded.
    pub fold: FoldConfig,
    /// The site's pipeline; arms are made from its default slot.
    pub recommend: RecommendConfig,
}

/// Runs every arm in every mode over the stream.
///
/// # Errors
/// Unreadable files, unknown columns or arms, failed trainings.
pub fn evaluate_prequential(
    options: &PrequentialOptions,
    progress: &dyn Progress,
) -> Result<Vec<EvaluationRow>, EvaluationError> {
    let arms: Vec<&Arm> = options
        .models
        .iter()
        .map(|name| Arm::find(name))
        .collect::<Result<_, _>>()?;
    let stream = load(&options.columns)?;
    let share = options.warm_up_share;
    if !(0.0..1.0).contains(&share) {
        let text = format!("the warm-up must be a share from 0 to below 1, not {share}");
        return Err(EvaluationError::Options(text));
    }
    let warm_up = (stream.events.len() as f64 * share) as usize;
    let first_scored = stream.events[warm_up..]
        .iter()
        .position(|event| is_scored(&stream, event));
    if first_scored.is_none() {
        let path = options.columns.path.display();
        return Err(EvaluationError::Options(format!(
            "{path}: nothing to score after the first {warm_up} of {} events",
            stream.events.len()
        )));
    }
    let keeps_seen = match options.seen {
        SeenChoice::Keep => true,
        SeenChoice::Remove => false,
        SeenChoice::Auto => repeat_share(&stream.events[..warm_up]) >= REPEAT_SHARE_MIN,
    };
    let default = options
        .recommend
        .slots
        .get("default")
        .cloned()
        .unwrap_or_default();
    let plans: Vec<(&Arm, Refresh)> = arms
        .iter()
        .flat_map(|arm| options.refreshes.iter().map(|r| (*arm, *r)))
        .collect();
    let total = (plans.len() * stream.events.len()) as u64;
    let done = AtomicU64::new(0);
    let seen = if keeps_seen {
        SeenPolicy::Keep
    } else {
        SeenPolicy::Remove
    };
    let run = |(arm, refresh): &(&Arm, Refresh)| {
        let pass = Pass {
            options,
            stream: &stream,
            warm_up,
            arm,
            refresh: *refresh,
            slot: arm.slot(&default, seen),
        };
        pass.run(&|| {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(256) {
                progress.report(done, total, "events");
            }
        })
    };
    let results: Vec<(EvaluationRow, Curve)> =
        plans.par_iter().map(run).collect::<Result<_, _>>()?;
    if let Some(path) = &options.curve {
        let named = plans.iter().zip(&results);
        let curves = named.map(|((arm, refresh), (_, curve))| (arm.name, refresh.name(), curve));
        curve::write(path, &options.metrics, curves)?;
    }
    Ok(results.into_iter().map(|(row, _)| row).collect())
}

/// Whether an event is guessed: something liked, or chosen from what was shown.
fn is_scored(stream: &EventStream, event: &StreamEvent) -> bool {
    if stream.has_impressions {
        return !event.shown.is_empty();
    }
    stream.types.strength(event.event_type, None) > 0.0
}

/// Share of events whose user had the item before.
fn repeat_share(events: &[StreamEvent]) -> f64 {
    let mut pairs = HashSet::new();
    let repeats = events
        .iter()
        .filter(|e| !pairs.insert((e.user_index, e.item)))
        .count();
    repeats as f64 / events.len().max(1) as f64
}

/// One arm in one mode over the whole stream.
struct Pass<'a> {
    options: &'a PrequentialOptions,
    stream: &'a EventStream,
    warm_up: usize,
    arm: &'a Arm,
    refresh: Refresh,
    slot: SlotConfig,
}

impl Pass<'_> {
    fn run(&self, step: &dyn Fn()) -> Result<(EvaluationRow, Curve), EvaluationError> {
        let started = (Instant::now(), ProcessUsage::now());
        let events = &self.stream.events;
        let online = self.online_config()?;
        let mut world = World::new(self.stream, &self.options.fold, self.slot.clone(), online)?;
        let mut score = Score::new(self.stream, &self.options.metrics);
        let mut trained = Trained::default();
        let mut export = self.export()?;
        let first = self.first_answered();
        let (mut learnt, mut refreshed_at) = (first, Timestamp::MIN);
        let mut period = self.refresh.period(events[first].time);
        let catch_up = |world: &mut World<'_>, from: usize, to: usize, trained: &mut Trained| {
            world.learn(&events[from..to])?;
            if to > 0 {
                world.refresh_trending(events[to - 1].time);
            }
            trained.train_if_grown(self, world, to)
        };
        catch_up(&mut world, 0, first, &mut trained)?;
        for (at, event) in events.iter().enumerate().skip(first) {
            let refresh = if at < self.warm_up {
                Refresh::Live
            } else {
                self.refresh
            };
            let now = refresh.period(event.time);
            if now != period || at == self.warm_up {
                period = now;
                catch_up(&mut world, learnt, at, &mut trained)?;
                learnt = at;
            }
            if !refresh.is_batch() && event.time.since_ms(refreshed_at) >= TRENDING_REFRESH_MS {
                refreshed_at = event.time;
                world.refresh_trending(event.time);
            }
            if is_scored(self.stream, event) {
                let mut answer = world.recommend(event, score.depth)?;
                if at >= self.warm_up {
                    score.add(event, answer.items.iter().map(|item| &*item.item_id));
                }
                let choice = world.keep_choice(event, &mut answer);
                if let Some((export, (facts, chosen))) = export.as_mut().zip(choice) {
                    export.add(facts, *chosen)?;
                }
            }
            if !refresh.is_batch() {
                world.learn(&events[at..=at])?;
                learnt = at + 1;
            }
            step();
        }
        if let Some(export) = export {
            export.finish()?;
        }
        let used = ProcessUsage::now();
        let row = EvaluationRow {
            model: self.arm.name.to_owned(),
            params: self.params(),
            seed: self.options.seed,
            refresh: Some(self.refresh.name().to_owned()),
            metrics: score.means(),
            coverage: (!self.stream.has_impressions).then(|| score.coverage.share()),
            events_scored: Some(score.scored),
            train_seconds: trained.seconds,
            // Of the process: with several passes side by side it counts them all.
            cpu_seconds: used.cpu_seconds - started.1.cpu_seconds,
            evaluate_seconds: started.0.elapsed().as_secs_f64() - trained.seconds,
            users: self.stream.users as u64,
            items: self.stream.items.len() as u64,
            interactions: events.len() as u64,
            peak_rss_mb: used.peak_rss_mb,
            ..EvaluationRow::default()
        };
        Ok((row, score.curve))
    }

    /// An arm that learns from choices answers from the beginning, so that it has something to
    /// learn from, and is scored after the warm-up as all others.
    fn first_answered(&self) -> usize {
        if self.arm.learns_choices() {
            0
        } else {
            self.warm_up
        }
    }

    fn export(&self) -> Result<Option<Export>, EvaluationError> {
        let is_live = self.arm.learns_choices() && self.refresh == Refresh::Live;
        let path = self.options.export.as_deref().filter(|_| is_live);
        path.map(Export::create).transpose()
    }

    fn online_config(&self) -> Result<OnlineConfig, EvaluationError> {
        let params = self.options.params.only(ONLINE_PARAMS);
        Ok(OnlineConfig::from_params(&params, self.options.seed)?)
    }

    fn params(&self) -> BTreeMap<String, serde_json::Value> {
        let seen = match self.slot.seen {
            SeenPolicy::Keep => "keep",
            SeenPolicy::Remove => "remove",
        };
        let mut params = BTreeMap::from([("seen".to_owned(), seen.into())]);
        for (name, value) in self.options.params.iter() {
            params.insert(name.to_owned(), value.into());
        }
        params
    }
}

/// When models were trained last, and how long all trainings took.
#[derive(Default)]
struct Trained {
    upto: usize,
    seconds: f64,
}

impl Trained {
    fn train_if_grown(
        &mut self,
        pass: &Pass<'_>,
        world: &World<'_>,
        upto: usize,
    ) -> Result<(), EvaluationError> {
        if (upto as f64) < self.upto as f64 * (1.0 + TRAIN_GROWTH) || upto == self.upto {
            return Ok(());
        }
        let started = Instant::now();
        world.train(
            pass.arm.trains,
            upto,
            &pass.options.params,
            pass.options.seed,
        )?;
        self.upto = upto;
        self.seconds += started.elapsed().as_secs_f64();
        Ok(())
    }
}

/// Sums of the metrics so far.
struct Score<'a> {
    metrics: &'a [Metric],
    sums: Vec<f64>,
    scored: u64,
    depth: usize,
    numbers: HashMap<&'a str, u32>,
    coverage: Coverage,
    curve: Curve,
    /// The metrics of the guess at hand.
    values: Vec<f64>,
}

impl<'a> Score<'a> {
    fn new(stream: &'a EventStream, metrics: &'a [Metric]) -> Self {
        let numbered = (0_u32..).zip(&stream.items);
        Self {
            metrics,
            sums: vec![0.0; metrics.len()],
            scored: 0,
            depth: metrics.iter().map(|metric| metric.k).max().unwrap_or(1),
            numbers: numbered.map(|(number, id)| (id.as_str(), number)).collect(),
            coverage: Coverage::new(stream.items.len()),
            curve: Curve::default(),
            values: Vec::new(),
        }
    }

    fn add<'b>(&mut self, event: &StreamEvent, ids: impl Iterator<Item = &'b str>) {
        let list: Vec<u32> = ids.filter_map(|id| self.numbers.get(id).copied()).collect();
        let value = |metric: &Metric| metric.value(&list, 1, |item| item == event.item);
        self.values.clear();
        self.values.extend(self.metrics.iter().map(value));
        for (sum, value) in self.sums.iter_mut().zip(&self.values) {
            *sum += value;
        }
        self.curve.add(event.time, &self.values);
        self.coverage.add(list);
        self.scored += 1;
    }

    fn means(&self) -> BTreeMap<String, f64> {
        let scored = self.scored.max(1) as f64;
        let named = |(metric, sum): (&Metric, &f64)| (metric.to_string(), sum / scored);
        self.metrics.iter().zip(&self.sums).map(named).collect()
    }
}
