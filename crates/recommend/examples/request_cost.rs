//! What one request costs on one thread: 40,000 items, 64 factors, 100 results, histories of 200.
//!
//! `cargo run --release -p nowcast-recommend --example request_cost`

use arc_swap::ArcSwap;
use nowcast_models::{InteractionsBuilder, Model, Params, trainer};
use nowcast_recommend::{
    Deps, Live, LiveContent, LoadedModel, ModelSet, Position, Profile, RecommendConfig,
    Recommender, Request, Subject, Touch, Trending,
};
use nowcast_store::{Catalog, ItemIdx};
use nowcast_stream::StoredUser;
use nowcast_types::{EventTypeCode, Item, ItemChange, Timestamp, UserKey};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ITEMS: u32 = 40_000;
const USERS: u32 = 512;
const HISTORY: u32 = 200;
const NEIGHBOURS: u32 = 32;
const PARTITIONS: usize = 4;
const REQUESTS: u32 = 1_000;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A number from 0 to below `below`, the same for the same `n`.
fn draw(n: u64, below: u32) -> u32 {
    let mixed = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed >> 33) % u64::from(below)) as u32
}

/// Histories and neighbours drawn by number; popularity falls with the item's number.
struct Drawn {
    profiles: Vec<Profile>,
    neighbours: Vec<[(ItemIdx, f32); NEIGHBOURS as usize]>,
    trending: Arc<Trending>,
}

impl Live for Drawn {
    fn profile(
        &self,
        user: &UserKey,
        _stored: Option<&StoredUser>,
        _now: Timestamp,
        profile: &mut Profile,
    ) -> bool {
        let at = u16::from_le_bytes([user.0[0], user.0[1]]);
        profile.clone_from(&self.profiles[usize::from(at)]);
        true
    }

    fn for_each_neighbour(
        &self,
        seeds: &[ItemIdx],
        _now: Timestamp,
        neighbour: &mut dyn FnMut(usize, ItemIdx, f32),
    ) {
        for _ in 0..PARTITIONS {
            for (place, seed) in seeds.iter().enumerate() {
                for (item, weight) in &self.neighbours[seed.0 as usize] {
                    neighbour(place, *item, *weight);
                }
            }
        }
    }

    fn trending(&self) -> Arc<Trending> {
        Arc::clone(&self.trending)
    }

    fn positions(&self) -> Vec<Position> {
        Vec::new()
    }
}

fn catalog() -> Result<Arc<Catalog>, Box<dyn Error>> {
    let catalog = Catalog::new();
    for item in 0..ITEMS {
        let seed = u64::from(item);
        let row = Item {
            categories: vec![format!("category-{}", item % 50)],
            tags: (0..4)
                .map(|t| format!("tag-{}", draw(seed * 4 + t, 2_000)))
                .collect(),
            published_at: Some(NOW.plus_ms(-i64::from(item) * 60_000)),
            ..Item::default()
        };
        let json = serde_json::to_string(&row)?;
        let item_id = format!("item-{item}");
        catalog.apply_unpublished(&ItemChange {
            item_id: &item_id,
            at: NOW,
            item: Some(&json),
        })?;
    }
    catalog.publish();
    Ok(Arc::new(catalog))
}

fn live(catalog: &Catalog) -> Drawn {
    let touch = |user: u32, n: u32| Touch {
        event_type: EventTypeCode::VIEW,
        item: ItemIdx(draw(u64::from(user * HISTORY + n), ITEMS)),
        strength: 1.0 + (n % 3) as f32,
        at: NOW.plus_ms(-i64::from(HISTORY - n) * 60_000),
    };
    let profile = |user: u32| Profile {
        history: (0..HISTORY).map(|n| touch(user, n)).collect(),
        segment: None,
        affinity: (0..8)
            .map(|c| (catalog.intern_category(&format!("category-{c}")), 1.0))
            .collect(),
    };
    let neighbours = |item: u32| {
        std::array::from_fn(|n| {
            let other = draw(u64::from(item * NEIGHBOURS + n as u32) << 20, ITEMS);
            (ItemIdx(other), 1.0 / (n + 1) as f32)
        })
    };
    let mut trending = Trending::default();
    let tables = &mut trending.tables;
    tables.trending = (0..ITEMS).map(|item| 1e4 / (item + 1) as f32).collect();
    tables.popular.clone_from(&tables.trending);
    let ranked = tables.trending.iter().enumerate();
    tables.global = ranked
        .take(2_000)
        .map(|(item, p)| (ItemIdx(item as u32), *p))
        .collect();
    for category in 0..50 {
        let label = catalog.intern_category(&format!("category-{category}"));
        let items = (0..800).map(|n| (ItemIdx(n * 50 + category), 1.0 / (n + 1) as f32));
        tables.categories.insert(label, items.collect());
    }
    trending.ctr = vec![0.03; ITEMS as usize];
    Drawn {
        profiles: (0..USERS).map(profile).collect(),
        neighbours: (0..ITEMS).map(neighbours).collect(),
        trending: Arc::new(trending),
    }
}

fn model(catalog: &Catalog) -> Result<LoadedModel, Box<dyn Error>> {
    let mut builder = InteractionsBuilder::default();
    for item in 0..ITEMS {
        builder.push_item(&format!("item-{item}"));
    }
    for reader in 0..4_000_u32 {
        let user = builder.push_user();
        for n in 0..30 {
            builder.push(user, draw(u64::from(reader * 30 + n) << 10, ITEMS), 1.0, 0);
        }
    }
    let params = Params::new().with("factors", 64).with("sweeps", 2);
    let model: Arc<dyn Model> =
        Arc::from(trainer("ials")?.fit(&builder.build(), &params, 1, &())?);
    Ok(LoadedModel::new(model, "drawn", catalog))
}

#[allow(clippy::print_stdout)]
fn measure(
    recommender: &Recommender,
    name: &str,
    filter: Option<&str>,
) -> Result<(), Box<dyn Error>> {
    let mut took: Vec<Duration> = Vec::new();
    let cpu_before = cpu_ns();
    for n in 0..REQUESTS {
        let mut key = [0_u8; 16];
        key[..2].copy_from_slice(&((n % USERS) as u16).to_le_bytes());
        let start = Instant::now();
        let answer = recommender.recommend(&Request {
            filter,
            ..Request::new(Subject::User(UserKey(key)), "default", 100, NOW)
        })?;
        took.push(start.elapsed());
        assert_eq!(answer.items.len(), 100);
    }
    took.sort();
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    let cpu_us = (cpu_ns() - cpu_before) / 1_000 / u64::from(REQUESTS);
    println!(
        "{name:<28} cpu {cpu_us:>5} µs   p5 {:>5} µs   p50 {:>5} µs   p99 {:>5} µs",
        took[took.len() / 20].as_micros(),
        p50.as_micros(),
        p99.as_micros()
    );
    Ok(())
}

/// Processor time of this thread in nanoseconds: on a busy machine the clock on the wall tells
/// about the neighbours. 0 where the system does not say.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = stat.split(' ').next();
    first.and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let catalog = catalog()?;
    let live = live(&catalog);
    let models = ModelSet::new(vec![model(&catalog)?]);
    let content = Arc::new(LiveContent::new());
    content.follow(&catalog);
    let deps = Deps {
        live: Arc::new(live),
        catalog,
        models: Arc::new(ArcSwap::from_pointee(models)),
        content,
        ranker: Arc::default(),
    };
    for left_out in ["", "ials", "covisit", "content", "trending_category"] {
        let mut config = RecommendConfig::default();
        for slot in config.slots.values_mut() {
            slot.sources.remove(left_out);
            slot.scorers.remove(left_out);
        }
        let name = if left_out.is_empty() {
            "all".to_owned()
        } else {
            format!("without {left_out}")
        };
        measure(&Recommender::new(deps.clone(), config)?, &name, None)?;
    }
    let recommender = Recommender::new(deps, RecommendConfig::default())?;
    let filter = "'category-7' in item.categories || 'tag-3' in item.tags || size(item.tags) > 3";
    measure(&recommender, "all, with a filter", Some(filter))
}
