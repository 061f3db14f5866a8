//! The content index as a model among the others, trained from [`Interactions::contents`].

use super::index::{ContentIndex, ContentProfile, Row};
use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::interactions::Interactions;
use crate::item_ids::ItemIds;
use crate::model::{Admit, Model, ModelQuery, Prepared, Scored};
use crate::params::{ParamDef, Params};
use crate::trainer::{Progress, Trainer};

const NAME: &str = "content";

/// Indexes the contents of all items; interactions play no part.
pub struct ContentTrainer;

impl Trainer for ContentTrainer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn params(&self) -> &'static [ParamDef] {
        &[]
    }

    fn fit(
        &self,
        data: &Interactions,
        params: &Params,
        _seed: u64,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError> {
        params.resolve(NAME, self.params())?;
        if data.contents().is_empty() {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "items have no categories, tags or text".to_owned(),
            });
        }
        let mut index = ContentIndex::new();
        let total = data.contents().len() as u64;
        for (key, content) in (0_u32..).zip(data.contents()) {
            index.upsert(key, content);
            if key % 4096 == 0 {
                progress.report(u64::from(key), total, "items");
                if progress.is_cancelled() {
                    return Err(ModelError::Cancelled);
                }
            }
        }
        index.refresh();
        progress.report(total, total, "items");
        Ok(Box::new(Content {
            items: data.item_ids().clone(),
            index,
        }))
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        let items = reader.item_ids()?;
        let hashes = reader.u64s()?;
        let ends = reader.u32s()?;
        let features = reader.u32s()?;
        let frequencies = reader.f32s()?;
        reader.require(ends.len() == items.len(), "one row per item")?;
        reader.require(features.len() == frequencies.len(), "a frequency per term")?;
        let mut index = ContentIndex::new();
        let mut start = 0;
        for (key, &end) in (0_u32..).zip(&ends) {
            let end = end as usize;
            reader.require(start <= end && end <= features.len(), "rows are in order")?;
            let mut row = Vec::with_capacity(end - start);
            for at in start..end {
                let hash = hashes.get(features[at] as usize).copied();
                reader.require(hash.is_some(), "terms name known features")?;
                row.extend(hash.map(|hash| (hash, frequencies[at])));
            }
            index.upsert_features(key, &row);
            start = end;
        }
        index.refresh();
        Ok(Box::new(Content { items, index }))
    }
}

/// A frozen [`ContentIndex`] with item ids.
struct Content {
    items: ItemIds,
    index: ContentIndex,
}

impl Content {
    fn profile<'p>(prepared: &'p Prepared, nothing: &'p ContentProfile) -> &'p ContentProfile {
        match prepared {
            Prepared::Content(profile) => profile,
            _ => nothing,
        }
    }
}

impl Model for Content {
    fn name(&self) -> &'static str {
        NAME
    }

    fn items(&self) -> &ItemIds {
        &self.items
    }

    fn prepare(&self, query: &ModelQuery<'_>) -> Prepared {
        let profile = self.index.profile(query.history);
        if profile.is_empty() {
            Prepared::Unpersonalized
        } else {
            Prepared::Content(profile)
        }
    }

    fn score(&self, prepared: &Prepared, items: &[u32], out: &mut [f32]) {
        let nothing = ContentProfile::default();
        self.index
            .score(Self::profile(prepared, &nothing), items, out);
    }

    fn retrieve(&self, prepared: &Prepared, k: usize, admit: Admit<'_>, out: &mut Vec<Scored>) {
        let nothing = ContentProfile::default();
        self.index
            .retrieve(Self::profile(prepared, &nothing), k, admit, out);
    }

    fn similar(&self, item: u32, k: usize) -> Vec<Scored> {
        self.index.similar(item, k)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let no_row = Row::default();
        let rows = || {
            let row = |key: usize| self.index.rows.get(key).and_then(Option::as_ref);
            (0..self.items.len()).map(row)
        };
        let terms = || rows().flat_map(|row| row.unwrap_or(&no_row).terms.iter());
        let mut end = 0_u32;
        let ends = rows().map(|row| {
            end += row.unwrap_or(&no_row).terms.len() as u32;
            end
        });
        let ends: Vec<u32> = ends.collect();
        let mut writer = Writer::begin(out, NAME, &self.items);
        writer.u64s(&self.index.hashes);
        writer.u32s(&ends);
        writer.u32s(&terms().map(|(feature, _)| *feature).collect::<Vec<_>>());
        writer.f32s(&terms().map(|(_, tf)| *tf).collect::<Vec<_>>());
        writer.finish();
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + self.index.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::ItemContent;
    use crate::model::HistoryItem;

    fn content(category: &str, text: &str) -> ItemContent {
        ItemContent {
            categories: vec![category.to_owned()],
            tags: Vec::new(),
            text: text.to_owned(),
            ..ItemContent::default()
        }
    }

    /// Even keys are about cooking, odd ones about sailing.
    fn planted() -> ContentIndex {
        let mut index = ContentIndex::new();
        for key in 0..40_u32 {
            let row = if key % 2 == 0 {
                content("kitchen", &format!("cook pan recipe number{key}"))
            } else {
                content("sea", &format!("boat sail wind number{key}"))
            };
            index.upsert(key, &row);
        }
        index
    }

    #[test]
    fn neighbours_share_the_topic_and_new_items_are_found_at_once() {
        let mut index = planted();
        assert!(index.similar(4, 10).iter().all(|s| s.item % 2 == 0));
        index.upsert(1000, &content("sea", "sail regatta"));
        assert!(index.similar(1, 30).iter().any(|s| s.item == 1000));
        index.remove(1000);
        assert!(!index.similar(1, 30).iter().any(|s| s.item == 1000));
        assert!(index.similar(999, 5).is_empty());
    }

    #[test]
    fn a_dislike_turns_the_profile_away() {
        let index = planted();
        let entry = |item, weight| HistoryItem {
            item,
            weight,
            age_s: 0,
        };
        let profile = index.profile(&[entry(0, -1.0), entry(1, 1.0)]);
        let mut scores = [0.0; 3];
        index.score(&profile, &[2, 3, 555], &mut scores);
        assert!(scores[0] < 0.0 && scores[1] > 0.0 && scores[2] == 0.0);
        let mut out = Vec::new();
        index.retrieve(&profile, 50, &|item| item != 3, &mut out);
        assert!(out.iter().all(|s| s.item % 2 == 1 && s.item != 3));
        assert!(
            index
                .profile(&[entry(0, f32::NAN), entry(77, 1.0)])
                .is_empty()
        );
    }
}
