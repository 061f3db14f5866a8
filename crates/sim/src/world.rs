//! The catalogue, with what the engine may know of it (titles, categories, tags) and what only
//! readers feel (how good a piece really is).

use crate::reader::Reader;
use crate::rng::SimRng;
use crate::subjects::{KINDS, SUBJECTS};
use crate::titles;
use nowcast_types::{AttributeValue, Item};
use std::collections::BTreeSet;

/// How large a world is.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// Items in the catalogue.
    pub items: usize,
    /// Chance that a reader's favourite subject changes, per visit.
    pub drift_per_visit: f64,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            items: 600,
            drift_per_visit: 0.005,
        }
    }
}

/// One item as the catalogue shows it.
#[derive(Debug, Clone)]
pub struct WorldItem {
    /// The item's id.
    pub id: String,
    /// The row, as a client would send it.
    pub item: Item,
}

/// What makes a reader want an item.
#[derive(Debug, Clone)]
pub(crate) struct Traits {
    pub(crate) subject: usize,
    pub(crate) second_subject: Option<usize>,
    /// Indices into the subject's tags.
    pub(crate) tags: Vec<usize>,
    /// How good it is to anyone, about -2 to 2. Never told to the engine.
    pub(crate) quality: f64,
}

/// A catalogue and the seed of its readers.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    drift_per_visit: f64,
    items: Vec<WorldItem>,
    traits: Vec<Traits>,
}

impl World {
    /// The world of `seed`.
    #[must_use]
    pub fn new(seed: u64, options: &WorldOptions) -> Self {
        let mut rng = SimRng::derive(seed, 0);
        let mut taken = BTreeSet::new();
        let (items, traits) = (0..options.items)
            .map(|number| invent_item(number, &mut rng, &mut taken))
            .unzip();
        Self {
            seed,
            drift_per_visit: options.drift_per_visit,
            items,
            traits,
        }
    }

    /// The catalogue; a slate names items by their index here.
    #[must_use]
    pub fn items(&self) -> &[WorldItem] {
        &self.items
    }

    /// Reader `index` of this world, on their first visit.
    #[must_use]
    pub fn reader(&self, index: u64) -> Reader {
        Reader::new(SimRng::derive(self.seed, index + 1), self.drift_per_visit)
    }

    pub(crate) fn traits(&self, item: usize) -> &Traits {
        &self.traits[item]
    }
}

fn invent_item(
    number: usize,
    rng: &mut SimRng,
    taken: &mut BTreeSet<String>,
) -> (WorldItem, Traits) {
    let subject = rng.below(SUBJECTS.len());
    let second_subject = rng
        .chance(0.25)
        .then(|| rng.below(SUBJECTS.len()))
        .filter(|&second| second != subject);
    let about = &SUBJECTS[subject];
    let mut tags: Vec<usize> = (0..1 + rng.below(3))
        .map(|_| rng.below(about.tags.len()))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    let kind = *rng.pick(&KINDS);
    let title = titles::invent(kind, about, rng, taken);
    let mut labels: Vec<String> = tags.iter().map(|&tag| about.tags[tag].to_owned()).collect();
    labels.push(kind.to_owned());
    let mut item = Item {
        categories: vec![about.name.to_owned()],
        tags: labels,
        ..Item::default()
    };
    item.categories
        .extend(second_subject.map(|second| SUBJECTS[second].name.to_owned()));
    item.attributes
        .insert("title".to_owned(), AttributeValue::Text(title));
    item.attributes
        .insert("kind".to_owned(), AttributeValue::Text(kind.to_owned()));
    item.attributes.insert(
        "minutes".to_owned(),
        AttributeValue::Number((3 + rng.below(120)) as f64),
    );
    let world_item = WorldItem {
        id: format!("{kind}-{number:04}"),
        item,
    };
    let traits = Traits {
        subject,
        second_subject,
        tags,
        quality: rng.normal(),
    };
    (world_item, traits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_one_world() {
        let options = WorldOptions::default();
        let (a, b) = (World::new(3, &options), World::new(3, &options));
        let other = World::new(4, &options);
        let title = |world: &World, i: usize| world.items()[i].item.attributes["title"].clone();
        assert!((0..600).all(|i| a.items()[i].item == b.items()[i].item));
        assert!((0..600).any(|i| title(&a, i) != title(&other, i)));
    }

    #[test]
    fn ids_and_titles_are_unique() {
        let world = World::new(1, &WorldOptions::default());
        let ids: BTreeSet<_> = world.items().iter().map(|item| &item.id).collect();
        assert_eq!(ids.len(), 600);
    }
}
