//! The combination as a whole, on data whose right answer is known.

use super::*;
use crate::artifact::Writer;
use crate::interactions::InteractionsBuilder;
use crate::item_ids::ItemIds;
use crate::model::HistoryItem;
use crate::seeded::Seeded;

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
        let history: Vec<HistoryItem> = (last - 3..=last)
            .map(|item| HistoryItem {
                item,
                weight: 1.0,
                age_s: 0,
            })
            .collect();
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
    writer.f32s(&PRIOR);
    writer.bytes(&inner);
    writer.finish();
    let error = crate::decode(&outer).err().unwrap();
    assert!(error.to_string().contains("a known part"), "{error}");
}
