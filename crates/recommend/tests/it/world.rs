//! A planted world: 60 items in three genres, readers who keep to one of them.

use arc_swap::ArcSwap;
use nowcast_models::{InteractionsBuilder, ItemContent, Params, trainer};
use nowcast_recommend::ranking::LiveRanker;
use nowcast_recommend::{
    Answer, Deps, Live, LiveContent, LoadedModel, ModelSet, Position, Profile, RecommendConfig,
    RecommendError, Recommender, Request, SlotConfig, Subject, Touch, Trending,
};
use nowcast_store::{Catalog, ItemIdx};
use nowcast_stream::StoredUser;
use nowcast_types::{
    AttributeValue, EventTypeCode, Item, ItemChange, PartitionId, Timestamp, UserKey,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const DAY_MS: i64 = 86_400_000;
pub(crate) const GENRES: [&str; 3] = ["crime", "poetry", "space"];
pub(crate) const PER_GENRE: usize = 20;
/// Of these, how many the trained model has never met.
const UNMET_PER_GENRE: usize = 1;

/// A user by a number.
pub(crate) fn user(number: u8) -> UserKey {
    UserKey([number; 16])
}

/// The id of the `n`-th item of a genre.
pub(crate) fn item_id(genre: &str, n: usize) -> String {
    format!("{genre}-{n:02}")
}

/// Live state, told by the test.
#[derive(Default)]
pub(crate) struct PlantedLive {
    pub(crate) profiles: HashMap<UserKey, Profile>,
    pub(crate) neighbours: HashMap<ItemIdx, Vec<(ItemIdx, f32)>>,
    pub(crate) trending: Arc<Trending>,
}

impl Live for PlantedLive {
    fn profile(
        &self,
        user: &UserKey,
        _stored: Option<&StoredUser>,
        _now: Timestamp,
        profile: &mut Profile,
    ) -> bool {
        let known = self.profiles.get(user);
        known.inspect(|known| profile.clone_from(known)).is_some()
    }

    fn for_each_neighbour(
        &self,
        seeds: &[ItemIdx],
        _now: Timestamp,
        neighbour: &mut dyn FnMut(usize, ItemIdx, f32),
    ) {
        for (place, seed) in seeds.iter().enumerate() {
            for (item, weight) in self.neighbours.get(seed).into_iter().flatten() {
                neighbour(place, *item, *weight);
            }
        }
    }

    fn trending(&self) -> Arc<Trending> {
        Arc::clone(&self.trending)
    }

    fn positions(&self) -> Vec<Position> {
        vec![
            Position::new(PartitionId(0), 41),
            Position::new(PartitionId(1), 7),
        ]
    }
}

/// What a test builds its recommender from.
pub(crate) struct World {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) live: PlantedLive,
    pub(crate) models: ModelSet,
    pub(crate) config: RecommendConfig,
    pub(crate) ranker: Arc<LiveRanker>,
}

impl World {
    /// The catalogue alone: nothing has happened.
    pub(crate) fn empty() -> Self {
        let world = Self {
            catalog: Arc::new(Catalog::new()),
            live: PlantedLive::default(),
            models: ModelSet::default(),
            config: RecommendConfig::default(),
            ranker: Arc::default(),
        };
        for (g, genre) in GENRES.iter().enumerate() {
            for n in 0..PER_GENRE {
                let item = Item {
                    categories: vec![(*genre).to_owned()],
                    tags: vec![format!("{genre}-tag"), format!("shelf-{}", n % 4)],
                    attributes: BTreeMap::from([
                        (
                            "price".to_owned(),
                            AttributeValue::Number((10 * g + n) as f64),
                        ),
                        (
                            "title".to_owned(),
                            AttributeValue::Text(format!("{genre} number {n}")),
                        ),
                    ]),
                    published_at: Some(NOW.plus_ms(-(n as i64 + 1) * DAY_MS)),
                    ..Item::default()
                };
                world.put(&item_id(genre, n), &item);
            }
        }
        world
    }

    /// Everything: popularity, co-visits within genres, a trained model, and user 1, who has read
    /// the first three items of `space` (the third last) and belongs to segment `students`.
    pub(crate) fn lively() -> Self {
        let mut world = Self::empty();
        world.plant_popularity();
        world.plant_neighbours();
        world.train();
        let history = (0..3).map(|n| world.touch("space", n, 1.0, (10 - n as i64) * 60_000));
        let history = history.collect();
        let space = world.catalog.intern_category("space");
        let profile = Profile {
            history,
            segment: Some(Arc::from("students")),
            affinity: vec![(space, 3.0)],
        };
        world.live.profiles.insert(user(1), profile);
        world
    }

    pub(crate) fn put(&self, id: &str, item: &Item) {
        let json = serde_json::to_string(item).unwrap();
        let change = ItemChange {
            item_id: id,
            at: NOW,
            item: Some(&json),
        };
        self.catalog.apply(&change).unwrap();
    }

    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Item)) {
        let mut item = self.catalog.item(self.idx(id)).unwrap();
        change(&mut item);
        self.put(id, &item);
    }

    pub(crate) fn idx(&self, id: &str) -> ItemIdx {
        self.catalog.find(id).unwrap()
    }

    pub(crate) fn touch(&self, genre: &str, n: usize, strength: f32, ago_ms: i64) -> Touch {
        Touch {
            item: self.idx(&item_id(genre, n)),
            event_type: EventTypeCode::VIEW,
            strength,
            at: NOW.plus_ms(-ago_ms),
        }
    }

    /// Later items of a genre are less popular; `crime` is the most popular genre, and `poetry`
    /// that of the students.
    fn plant_popularity(&mut self) {
        let mut trending = Trending::default();
        let tables = &mut trending.tables;
        for (g, genre) in GENRES.iter().enumerate() {
            let label = self.catalog.intern_category(genre);
            for n in 0..PER_GENRE {
                let item = self.idx(&item_id(genre, n));
                let popularity = (100 - 30 * g - n) as f32;
                tables.global.push((item, popularity));
                tables
                    .categories
                    .entry(label)
                    .or_default()
                    .push((item, popularity));
                tables.trending.push(popularity);
                tables.popular.push(2.0 * popularity);
                trending.ctr.push(0.01 * (n + 1) as f32);
                if *genre == "poetry" {
                    let students = tables.segments.entry(Arc::from("students"));
                    students.or_default().push((item, 50.0 - n as f32));
                }
            }
        }
        tables.global.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.live.trending = Arc::new(trending);
    }

    /// Items are met together with the five after them in their genre, the nearest most.
    fn plant_neighbours(&mut self) {
        for genre in GENRES {
            for n in 0..PER_GENRE {
                let after = (n + 1..PER_GENRE).take(5);
                let met = after.map(|m| (self.idx(&item_id(genre, m)), 1.0 / (m - n) as f32));
                let met = met.collect();
                self.live
                    .neighbours
                    .insert(self.idx(&item_id(genre, n)), met);
            }
        }
    }

    /// Models over 90 readers who each read half of one genre, but for the last items, which nobody
    /// has met.
    fn train(&mut self) {
        let mut builder = InteractionsBuilder::default();
        let ids: Vec<Vec<u32>> = GENRES
            .iter()
            .map(|genre| {
                (0..PER_GENRE - UNMET_PER_GENRE)
                    .map(|n| builder.push_item(&item_id(genre, n)))
                    .collect()
            })
            .collect();
        for reader in 0..90_usize {
            let number = builder.push_user();
            for (n, item) in ids[reader % 3].iter().enumerate() {
                if (n * 7 + reader * 3) % 4 < 2 {
                    builder.push(number, *item, 1.0, 0);
                }
            }
        }
        let data = builder.build();
        let content = |id: &str| ItemContent::from_item(&self.catalog.item(self.idx(id)).unwrap());
        let contents = data.item_ids().iter().map(content).collect();
        let data = data.with_contents(contents);
        let small = Params::new().with("factors", 16).with("sweeps", 6);
        let models = [("ials", small), ("blend", Params::new())];
        let models = models.map(|(name, params)| {
            let model = trainer(name).unwrap().fit(&data, &params, 1, &());
            LoadedModel::new(Arc::from(model.unwrap()), "v1", &self.catalog)
        });
        self.models = ModelSet::new(models.into());
    }

    pub(crate) fn slot(&mut self) -> &mut SlotConfig {
        self.config.slots.get_mut("default").unwrap()
    }

    pub(crate) fn build(self) -> Result<Recommender, RecommendError> {
        let content = Arc::new(LiveContent::new());
        content.follow(&self.catalog);
        let deps = Deps {
            live: Arc::new(self.live),
            catalog: self.catalog,
            models: Arc::new(ArcSwap::from_pointee(self.models)),
            content,
            ranker: self.ranker,
        };
        Recommender::new(deps, self.config)
    }

    pub(crate) fn ready(self) -> Recommender {
        self.build().unwrap()
    }
}

/// A request of user 1 in the default slot.
pub(crate) fn request(k: usize) -> Request<'static> {
    Request {
        request_id: "r1",
        ..Request::new(Subject::User(user(1)), "default", k, NOW)
    }
}

/// A request of somebody nothing is known of.
pub(crate) fn stranger(k: usize) -> Request<'static> {
    Request {
        subject: Subject::User(user(99)),
        ..request(k)
    }
}

/// The ids of an answer, in order.
pub(crate) fn ids(answer: &Answer) -> Vec<&str> {
    answer.items.iter().map(|item| &*item.item_id).collect()
}

/// The genre of an id.
pub(crate) fn genre(id: &str) -> &str {
    id.split('-').next().unwrap()
}
