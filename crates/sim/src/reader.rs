//! A reader: favourites that nobody is told, and how a list is read.
//!
//! The click model is the examination hypothesis (Richardson, Dominowska, Ragno 2007): a click
//! needs an eye on the place *and* liking of the item. Liking is a logistic function of subject,
//! tags and the item's hidden quality; what the reader already knows is hardly clicked again.

use crate::rng::SimRng;
use crate::subjects::SUBJECTS;
use crate::world::World;
use std::collections::HashSet;

/// Something a reader did.
#[derive(Debug, Clone, PartialEq)]
pub struct SimEvent {
    /// A built-in event type's name.
    pub event_type: &'static str,
    /// Index into [`World::items`].
    pub item: usize,
    /// Milliseconds for `dwell`, otherwise absent.
    pub value: Option<f32>,
    /// Place in the slate from 0; absent for what was found elsewhere.
    pub position: Option<usize>,
    /// Milliseconds after the slate was shown.
    pub after_ms: i64,
}

/// How a reader took a slate.
#[derive(Debug, Clone, Default)]
pub struct Reaction {
    /// What they did, in time order.
    pub events: Vec<SimEvent>,
    /// How many places, from the top, they looked at.
    pub examined: usize,
}

impl Reaction {
    /// Clicks among the events.
    #[must_use]
    pub fn clicks(&self) -> usize {
        self.events
            .iter()
            .filter(|e| e.event_type == "click")
            .count()
    }
}

/// Chance of looking on after each place of a list.
const LOOKS_ON: f64 = 0.90;
/// Log-odds of clicking an examined item that means nothing to the reader (2 %).
const LOG_ODDS_INDIFFERENT: f64 = -3.9;
/// Log-odds that a favourite subject adds.
const LOG_ODDS_SUBJECT: f64 = 2.1;
/// Log-odds that a second, favourite subject adds.
const LOG_ODDS_SECOND: f64 = 0.7;
/// Log-odds that each liked tag adds.
const LOG_ODDS_TAG: f64 = 0.7;
/// Log-odds per unit of hidden quality: what makes an item popular with everyone.
const LOG_ODDS_QUALITY: f64 = 0.55;
/// Share of a click's appeal that is left once the item is known.
const APPEAL_WHEN_KNOWN: f64 = 0.08;

/// Somebody with tastes.
#[derive(Debug, Clone)]
pub struct Reader {
    own: SimRng,
    /// Liking of each subject, 0 to 1.
    subjects: Vec<f32>,
    /// Liking of each tag of each subject, 0 or 1.
    tags: Vec<[bool; 6]>,
    known: HashSet<usize>,
    drift_per_visit: f64,
}

impl Reader {
    pub(crate) fn new(mut own: SimRng, drift_per_visit: f64) -> Self {
        let mut subjects = vec![0.0_f32; SUBJECTS.len()];
        for _ in 0..2 {
            subjects[own.below(SUBJECTS.len())] = 1.0;
        }
        let slight = own.below(SUBJECTS.len());
        subjects[slight] = subjects[slight].max(0.5);
        let tags = (0..SUBJECTS.len())
            .map(|_| std::array::from_fn(|_| own.chance(0.35)))
            .collect();
        Self {
            own,
            subjects,
            tags,
            known: HashSet::new(),
            drift_per_visit,
        }
    }

    /// Begins a visit: tastes may drift, and the reader may have found something without us
    /// (a search, a friend's link), which they then view.
    pub fn arrive(&mut self, world: &World) -> Vec<SimEvent> {
        if self.own.chance(self.drift_per_visit) {
            self.drift();
        }
        let mut events = Vec::new();
        if self.own.chance(0.3) {
            // Of a few things that came by, they open the one they like best.
            let passing: [usize; 5] = std::array::from_fn(|_| self.own.below(world.items().len()));
            let found = passing
                .into_iter()
                .max_by(|&a, &b| self.log_odds(world, a).total_cmp(&self.log_odds(world, b)))
                .unwrap_or(passing[0]);
            if self.known.insert(found) {
                events.push(SimEvent {
                    event_type: "view",
                    item: found,
                    value: None,
                    position: None,
                    after_ms: 0,
                });
            }
        }
        events
    }

    /// Reads a slate from the top and acts on it.
    pub fn react(&mut self, world: &World, slate: &[usize], rng: &mut SimRng) -> Reaction {
        let mut reaction = Reaction::default();
        let mut elapsed_ms = 400;
        for (position, &item) in slate.iter().enumerate() {
            reaction.examined = position + 1;
            elapsed_ms += 300 + rng.below(900) as i64;
            if rng.chance(self.click_probability(world, item)) {
                let dwell_ms = self.read(world, item, rng);
                let act = |event_type, value, after_ms| SimEvent {
                    event_type,
                    item,
                    value,
                    position: Some(position),
                    after_ms,
                };
                reaction.events.push(act("click", None, elapsed_ms));
                elapsed_ms += i64::from(dwell_ms);
                reaction
                    .events
                    .push(act("dwell", Some(dwell_ms as f32), elapsed_ms));
                if dwell_ms > 60_000 && rng.chance(0.3) {
                    reaction.events.push(act("like", None, elapsed_ms + 500));
                }
                self.known.insert(item);
            }
            if !rng.chance(LOOKS_ON) {
                break;
            }
        }
        reaction
    }

    /// Chance that this reader clicks `item` when looking at it: the truth that lists are
    /// measured against, never an input of the engine.
    #[must_use]
    pub fn click_probability(&self, world: &World, item: usize) -> f64 {
        let appeal = 1.0 / (1.0 + (-self.log_odds(world, item)).exp());
        if self.known.contains(&item) {
            appeal * APPEAL_WHEN_KNOWN
        } else {
            appeal
        }
    }

    fn log_odds(&self, world: &World, item: usize) -> f64 {
        let traits = world.traits(item);
        let liking = f64::from(self.subjects[traits.subject]);
        let liked_tags = traits
            .tags
            .iter()
            .filter(|&&tag| self.tags[traits.subject][tag])
            .count() as f64;
        let second = traits
            .second_subject
            .map_or(0.0, |second| f64::from(self.subjects[second]));
        LOG_ODDS_INDIFFERENT
            + LOG_ODDS_SUBJECT * liking
            + LOG_ODDS_SECOND * second
            + LOG_ODDS_TAG * liking * liked_tags
            + LOG_ODDS_QUALITY * traits.quality
    }

    /// Milliseconds spent on an item just opened: longer for what is liked, short for regret.
    fn read(&self, world: &World, item: usize, rng: &mut SimRng) -> u32 {
        let liked = self.log_odds(world, item) - LOG_ODDS_INDIFFERENT;
        let seconds = (2.0 + 0.6 * liked + 0.7 * rng.normal())
            .exp()
            .clamp(1.0, 600.0);
        (seconds * 1000.0) as u32
    }

    fn drift(&mut self) {
        let favourites: Vec<usize> = (0..self.subjects.len())
            .filter(|&subject| self.subjects[subject] >= 1.0)
            .collect();
        if let Some(&old) = favourites.first() {
            self.subjects[old] = 0.3;
        }
        let new = self.own.below(self.subjects.len());
        self.subjects[new] = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::WorldOptions;

    fn expected_ctr(list: impl Fn(&World, &Reader) -> Vec<usize>) -> f64 {
        let world = World::new(11, &WorldOptions::default());
        let readers: Vec<Reader> = (0..200).map(|i| world.reader(i)).collect();
        let total: f64 = readers
            .iter()
            .flat_map(|reader| {
                let slate = list(&world, reader);
                let world = &world;
                slate
                    .into_iter()
                    .map(move |item| reader.click_probability(world, item))
            })
            .sum();
        total / (200.0 * 10.0)
    }

    fn best_ten(world: &World, score: impl Fn(usize) -> f64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..world.items().len()).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        order.truncate(10);
        order
    }

    #[test]
    fn tastes_matter_more_than_quality_and_quality_more_than_chance() {
        let by_chance = expected_ctr(|_, _| (0..10).collect());
        let by_quality =
            expected_ctr(|world, _| best_ten(world, |item| world.traits(item).quality));
        let by_taste = expected_ctr(|world, reader| {
            best_ten(world, |item| reader.click_probability(world, item))
        });
        assert!(by_quality > 1.5 * by_chance, "{by_quality} vs {by_chance}");
        assert!(by_taste > 1.5 * by_quality, "{by_taste} vs {by_quality}");
    }

    #[test]
    fn the_top_of_a_list_is_read_more_often() {
        let world = World::new(2, &WorldOptions::default());
        let mut rng = SimRng::new(9);
        let slate: Vec<usize> = (0..10).collect();
        let mut clicks = [0_u32; 10];
        for index in 0..4_000 {
            let mut reader = world.reader(index);
            let reversed: Vec<usize> = slate.iter().rev().copied().collect();
            for order in [&slate, &reversed] {
                for event in reader.clone().react(&world, order, &mut rng).events {
                    if event.event_type == "click" {
                        clicks[event.position.unwrap()] += 1;
                    }
                }
            }
            reader.arrive(&world);
        }
        assert!(
            f64::from(clicks[0]) > 1.5 * f64::from(clicks[9]),
            "{clicks:?}"
        );
    }

    #[test]
    fn what_is_known_is_hardly_clicked_again() {
        let world = World::new(2, &WorldOptions::default());
        let mut reader = world.reader(0);
        let before = reader.click_probability(&world, 5);
        reader.known.insert(5);
        assert!(reader.click_probability(&world, 5) < 0.1 * before);
    }
}
