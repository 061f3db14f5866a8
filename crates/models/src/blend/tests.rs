//! The combination as a whole, on data whose right answer is known.

use super::*;
use crate::artifact::Writer;
use crate::interactions::InteractionsBuilder;
use crate::item_ids::ItemIds;
use crate::model::{HistoryItem, Scored};
use crate::seeded::Seeded;
use crate::slot_outcomes::{SlotOutcome, SlotOutcomes};

/// 300 users who go round a ring of 40 items, and all of whom like the same four items as well.
fn ring() -> Interactions {
    let ids: ItemIds = (0..40).map(|item| format!("item-{item}")).collect();
    let mut builder = InteractionsBuilder::new(ids);
    let mut random = Seeded::new(5, 0);
    for user in 0..300 {
        let first = random.below(40) as u32;
        builder.push(user, random.below(4) as u32, 1.0, 0);
        for step in 0..8 {
            builder.push(user, (first + step) % 40, 1.0, 10 + step);
        }
    }
    builder.build()
}

fn only(names: &[&str]) -> Params {
    let value = |def: &ParamDef| u8::from(names.contains(&def.name));
    let all = PARTS.iter();
    all.fold(Params::new(), |params, def| {
        params.with(def.name, value(def))
    })
}

#[test]
fn the_part_that_knows_the_order_gets_the_say() {
    let params = only(&["transitions", "popular"]);
    let model = BlendTrainer.fit(&ring(), &params, 1, &()).unwrap();
    for last in 5..35_u32 {
        let history = [last - 3, last - 2, last - 1, last].map(entry);
        let prepared = model.prepare(&ModelQuery::new(&history));
        let mut list = Vec::new();
        let is_new = |item| history.iter().all(|entry| entry.item != item);
        model.retrieve(&prepared, 1, &is_new, &mut list);
        let steps = list[0].item.wrapping_sub(last);
        assert!((1..=4).contains(&steps), "{last}: {list:?}");
    }
}

#[test]
fn without_a_part_or_with_parts_that_cannot_learn_there_is_no_model() {
    let outcome = BlendTrainer.fit(&ring(), &only(&[]), 1, &());
    assert!(matches!(
        outcome.err(),
        Some(ModelError::UnusableData { .. })
    ));
}

#[test]
fn an_artifact_within_itself_is_refused() {
    let model = BlendTrainer.fit(&ring(), &only(&["popular"]), 1, &());
    let model = model.unwrap();
    let mut inner = Vec::new();
    model.encode(&mut inner);
    let mut outer = Vec::new();
    let mut writer = Writer::begin(&mut outer, NAME, model.items());
    writer.u32(100);
    writer.u32(1);
    writer.f32(1.0);
    writer.f32s(&learnt::PRIOR);
    writer.bytes(&inner);
    writer.finish();
    let error = crate::decode(&outer).err().unwrap();
    assert!(error.to_string().contains("a known part"), "{error}");
}

/// Names of the planted slots.
const SLOTS: [&str; 2] = ["after", "top"];

/// As the ring, but what everybody likes is not on it, and the last step of each user came of a list: in the slot `after` of the next item
/// of the ring, in the slot `top` of one of four items that everybody likes.
fn two_slots(users: u32) -> Interactions {
    let ids: ItemIds = (0..44).map(|item| format!("item-{item}")).collect();
    let mut builder = InteractionsBuilder::new(ids);
    let mut random = Seeded::new(5, 0);
    let mut outcomes = Vec::new();
    for user in 0..users {
        let first = random.below(40) as u32;
        let liked = random.below(4) as u32;
        builder.push(user, 40 + (liked + 1) % 4, 1.0, 0);
        for step in 0..8 {
            builder.push(user, (first + step) % 40, 1.0, 10 + step);
        }
        let slot = user % 2;
        let item = [(first + 8) % 40, 40 + liked][slot as usize];
        builder.push(user, item, 1.0, 20);
        outcomes.push(SlotOutcome {
            slot,
            user,
            item,
            time_s: 20,
        });
    }
    let outcomes = SlotOutcomes::new(SLOTS.map(str::to_owned).to_vec(), outcomes);
    builder.build().with_slot_outcomes(outcomes)
}

const fn entry(item: u32) -> HistoryItem {
    HistoryItem {
        item,
        weight: 1.0,
        age_s: 0,
    }
}

/// The best new items after `last` and the three before it, in the ring.
fn best_after(model: &dyn Model, last: u32, slot: Option<&str>) -> Vec<Scored> {
    let history = [last - 3, last - 2, last - 1, last].map(entry);
    let query = ModelQuery {
        slot,
        ..ModelQuery::new(&history)
    };
    let mut list = Vec::new();
    let is_new = |item| history.iter().all(|entry| entry.item != item);
    model.retrieve(&model.prepare(&query), 5, &is_new, &mut list);
    list
}

#[test]
fn each_slot_has_the_order_that_its_users_choose_by_and_others_have_the_common_one() {
    let params = only(&["transitions", "popular"]);
    let model = BlendTrainer.fit(&two_slots(600), &params, 1, &()).unwrap();
    let mut bytes = Vec::new();
    model.encode(&mut bytes);
    for model in [model, crate::decode(&bytes).unwrap()] {
        for last in 5..30_u32 {
            let first = |slot| best_after(&*model, last, Some(slot))[0].item;
            let (after, top) = (first("after"), first("top"));
            assert!((last + 1..=last + 4).contains(&after), "{last}: {after}");
            assert!((40..44).contains(&top), "{last}: {top}");
            let common = best_after(&*model, last, None);
            assert_eq!(best_after(&*model, last, Some("elsewhere")), common);
            assert_ne!(best_after(&*model, last, Some("top")), common);
        }
    }
}

#[test]
fn a_slot_with_too_few_outcomes_has_the_common_weights_and_leaves_no_trace() {
    let data = two_slots(600);
    let bytes = |data: &Interactions, least: u32| {
        let params = only(&["transitions", "popular"]).with("slot_outcomes_min", least);
        let mut bytes = Vec::new();
        let model = BlendTrainer.fit(data, &params, 1, &()).unwrap();
        model.encode(&mut bytes);
        bytes
    };
    let without = data.clone().with_slot_outcomes(SlotOutcomes::default());
    assert!(bytes(&data, 300) != bytes(&without, 300));
    assert!(bytes(&data, 301) == bytes(&without, 301));
    assert!(bytes(&data, 0) == bytes(&without, 0));
}

#[test]
fn a_slot_held_strongly_keeps_the_weights_of_the_whole_data_set() {
    let scores = |slot_ridge: f64| {
        let params = only(&["transitions", "popular"]).with("slot_ridge", slot_ridge);
        let model = BlendTrainer.fit(&two_slots(600), &params, 1, &()).unwrap();
        let (history, all) = ([8, 9].map(entry), (0..44).collect::<Vec<u32>>());
        [None, Some("top")].map(|slot| {
            let mut scores = vec![0.0; 44];
            let query = ModelQuery {
                slot,
                ..ModelQuery::new(&history)
            };
            model.score(&model.prepare(&query), &all, &mut scores);
            scores
        })
    };
    let apart = |[common, own]: [Vec<f32>; 2]| {
        let pairs = common.iter().zip(&own);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let (held, free) = (apart(scores(1e6)), apart(scores(1.0)));
    assert!(held < 1e-2 && free > 1.0, "{held} {free}");
}

#[test]
fn a_filter_that_turns_down_all_that_was_found_is_asked_about_the_rest() {
    let params = only(&["transitions", "popular"]).with("candidates", 2);
    let model = BlendTrainer.fit(&ring(), &params, 1, &()).unwrap();
    let prepared = model.prepare(&ModelQuery::new(&[entry(8)]));
    let mut list = Vec::new();
    model.retrieve(&prepared, 1, &|_| true, &mut list);
    let best = list[0].item;
    for only in (0..40).filter(|item| *item != best) {
        model.retrieve(&prepared, 1, &|item| item == only, &mut list);
        assert_eq!(list[0].item, only);
    }
}
