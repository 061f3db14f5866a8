//! A model that tells slots apart is told which one it fills.

use crate::world::{GENRES, PER_GENRE, World, genre, ids, item_id, request, user};
use nowcast_models::{InteractionsBuilder, Params, SlotOutcome, SlotOutcomes, trainer};
use nowcast_recommend::{LoadedModel, ModelSet, Request, SlotConfig};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Readers go through their genre in order; of a third of them half then choose the next item of it, in the
/// slot `next`, and half, in the slot `top`, the other of the two of `crime` of which everybody reads one first.
fn blend_of_two_slots(world: &World) -> LoadedModel {
    let mut builder = InteractionsBuilder::default();
    let mut numbers = BTreeMap::new();
    for genre in GENRES {
        for n in 0..PER_GENRE {
            let id = item_id(genre, n);
            numbers.insert((genre, n), builder.push_item(&id));
        }
    }
    let mut outcomes = Vec::new();
    for user in 0..2400_u32 {
        let reader = user as usize / 2;
        let (genre, from) = (GENRES[1 + reader / 2 % 2], reader % 11);
        let slot = user % 2;
        builder.push(user, numbers[&("crime", (reader + 1) % 2)], 1.0, 1);
        for step in 0..6 {
            builder.push(user, numbers[&(genre, from + step)], 1.0, 2 + step as u32);
        }
        if user >= 800 {
            continue;
        }
        let next = [(genre, from + 6), ("crime", reader % 2)][slot as usize];
        let (item, time_s) = (numbers[&next], 10);
        builder.push(user, item, 1.0, time_s);
        let outcome = SlotOutcome {
            slot,
            user,
            item,
            time_s,
        };
        outcomes.push(outcome);
    }
    let names = ["next", "top"].map(str::to_owned).to_vec();
    let data = builder.build();
    let data = data.with_slot_outcomes(SlotOutcomes::new(names, outcomes));
    let mut params = Params::new().with("slot_ridge", 1);
    for name in ["session_knn", "item_knn", "ials", "graph"] {
        params = params.with(name, 0);
    }
    let model = trainer("blend").unwrap().fit(&data, &params, 1, &());
    LoadedModel::new(Arc::from(model.unwrap()), "v1", &world.catalog)
}

#[test]
fn one_model_answers_each_slot_by_what_is_chosen_there() {
    let mut world = World::lively();
    let only_blend = SlotConfig {
        sources: [("blend".to_owned(), 50)].into(),
        scorers: [("blend".to_owned(), 1.0)].into(),
        ..SlotConfig::default()
    };
    for slot in ["next", "top"] {
        world
            .config
            .slots
            .insert(slot.to_owned(), only_blend.clone());
    }
    let read_first = world.touch("crime", 1, 1.0, 3_600_000);
    let profile = world.live.profiles.get_mut(&user(1)).unwrap();
    profile.history.insert(0, read_first);
    world.models = ModelSet::new(vec![blend_of_two_slots(&world)]);
    let recommender = world.ready();
    let first = |slot| {
        let answer = recommender.recommend(&Request { slot, ..request(1) });
        genre(ids(&answer.unwrap())[0]).to_owned()
    };
    assert_eq!(
        (first("next"), first("top")),
        ("space".into(), "crime".into())
    );
}
