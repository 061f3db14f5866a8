//! Session nearest neighbours: find past sessions like this one, recommend what they had near the
//! shared item. The V-SKNN and STAN family (Ludewig and Jannach 2018; Garg et al. 2019).
//!
//! A past session q is as near as `recency(q) · Σ history_decay^(steps back) · idf(item)^idf_power`
//! over the items it shares with the history; the nearest vote for their items, the more the
//! closer an item stands to the newest shared one. The index of sessions grows by one session at a
//! time ([`SessionKnn::push_session`]) and nothing else is trained, so a refresh is a training.

mod index;
mod model;

use crate::artifact::Reader;
use crate::error::ModelError;
use crate::interactions::{Interactions, Sequence};
use crate::model::Model;
use crate::params::{ParamDef, Params, ResolvedParams};
use crate::search_range::SearchRange;
use crate::trainer::{Progress, Trainer};
pub use index::SessionIndex;
pub use model::SessionKnn;

const NAME: &str = "session_knn";

/// Builds the index of sessions from whole sequences.
pub struct SessionKnnTrainer;

const PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "sessions",
        default: "1000",
        doc: "nearest sessions that vote, from 1 to 100000",
    },
    ParamDef {
        name: "history_len",
        default: "20",
        doc: "newest entries of the history that are looked at, from 1 to 200",
    },
    ParamDef {
        name: "history_decay",
        default: "0.6",
        doc: "factor per position back in the history, from 0.01 to 1",
    },
    ParamDef {
        name: "idf_power",
        default: "3",
        doc: "how much more rare shared items count, as a power of ln(sessions / sessions with the item), from 0 to 10",
    },
    ParamDef {
        name: "recency",
        default: "2",
        doc: "the oldest session counts e to the minus this, from 0 to 20",
    },
    ParamDef {
        name: "session_decay",
        default: "0.72",
        doc: "factor per step between a vote and the shared item, from 0.01 to 1",
    },
    ParamDef {
        name: "backward",
        default: "0.7",
        doc: "weight of what stood before the shared item, relative to what came after, from 0 to 1",
    },
    ParamDef {
        name: "popularity_power",
        default: "0.2",
        doc: "votes are divided by the item's number of sessions to this power, from 0 to 1",
    },
    ParamDef {
        name: "again",
        default: "2",
        doc: "factor of items that the history has, except for its newest, from 0 to 10",
    },
    ParamDef {
        name: "item_sessions",
        default: "5000",
        doc: "newest sessions of an item that are looked at, from 1 to 100000",
    },
    ParamDef {
        name: "session_gap_minutes",
        default: "30",
        doc: "a longer pause ends a session, from 0 to 100000; 0 and unknown times never do",
    },
];

const SEARCH: &[SearchRange] = &[
    SearchRange::whole("sessions", 100.0, 5_000.0),
    SearchRange::linear("history_decay", 0.3, 1.0),
    SearchRange::linear("idf_power", 0.0, 6.0),
    SearchRange::linear("recency", 0.0, 6.0),
    SearchRange::linear("session_decay", 0.3, 1.0),
    SearchRange::linear("backward", 0.0, 1.0),
    SearchRange::linear("popularity_power", 0.0, 0.6),
];

#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    sessions: usize,
    history_len: usize,
    history_decay: f32,
    idf_power: f32,
    recency: f32,
    session_decay: f32,
    backward: f32,
    popularity_power: f32,
    again: f32,
    item_sessions: usize,
}

impl Settings {
    fn read(params: &ResolvedParams) -> Result<Self, ModelError> {
        Ok(Self {
            sessions: params.count("sessions", 1..=100_000)?,
            history_len: params.count("history_len", 1..=200)?,
            history_decay: params.number("history_decay", 0.01..=1.0)? as f32,
            idf_power: params.number("idf_power", 0.0..=10.0)? as f32,
            recency: params.number("recency", 0.0..=20.0)? as f32,
            session_decay: params.number("session_decay", 0.01..=1.0)? as f32,
            backward: params.number("backward", 0.0..=1.0)? as f32,
            popularity_power: params.number("popularity_power", 0.0..=1.0)? as f32,
            again: params.number("again", 0.0..=10.0)? as f32,
            item_sessions: params.count("item_sessions", 1..=100_000)?,
        })
    }
}

/// Items of one session that are kept, the newest; bounds the votes of a robot's session.
const SESSION_MAX: usize = 200;

impl Trainer for SessionKnnTrainer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn params(&self) -> &'static [ParamDef] {
        PARAMS
    }

    fn search(&self) -> &'static [SearchRange] {
        SEARCH
    }

    fn fit(
        &self,
        data: &Interactions,
        params: &Params,
        _seed: u64,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Model>, ModelError> {
        let params = params.resolve(NAME, PARAMS)?;
        let settings = Settings::read(&params)?;
        let gap_s = params.count("session_gap_minutes", 0..=100_000)? as u32 * 60;
        if data.is_empty() {
            return Err(ModelError::UnusableData {
                model: NAME,
                reason: "there is no interaction".to_owned(),
            });
        }
        let mut sessions: Vec<(u32, &[u32])> = Vec::new();
        for user in 0..data.users_len() {
            sessions_of(data.sequence(user), gap_s, &mut sessions);
        }
        // Stable: where times are unknown the order of the rows is that of the sessions.
        sessions.sort_by_key(|(ended_s, _)| *ended_s);
        let mut model = SessionKnn::new(data.item_ids().clone(), settings);
        for (done, (_, items)) in sessions.iter().enumerate() {
            if done.is_multiple_of(10_000) {
                progress.report(done as u64, sessions.len() as u64, "sessions");
                if progress.is_cancelled() {
                    return Err(ModelError::Cancelled);
                }
            }
            model.push_session(items);
        }
        progress.report(sessions.len() as u64, sessions.len() as u64, "sessions");
        Ok(Box::new(model))
    }

    /// Begins anew. That is one pass over the data, about as long as reading the earlier index would
    /// take, and all that has happened to sessions is in it: some have ended or grown, some have
    /// lost an item to a later session of their user, and those of erased users are gone.
    fn refresh(
        &self,
        _earlier: &[u8],
        data: &Interactions,
        params: &Params,
        progress: &dyn Progress,
    ) -> Result<Option<Box<dyn Model>>, ModelError> {
        self.fit(data, params, 0, progress).map(Some)
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Model>, ModelError> {
        SessionKnn::decode(reader).map(|model| Box::new(model) as Box<dyn Model>)
    }
}

/// Cuts a sequence at its pauses; each session with the time of its end.
fn sessions_of<'a>(sequence: Sequence<'a>, gap_s: u32, out: &mut Vec<(u32, &'a [u32])>) {
    let (items, times_s) = (sequence.items, sequence.times_s);
    let mut start = 0;
    for end in 1..=items.len() {
        let is_pause =
            end < items.len() && gap_s > 0 && times_s[end].saturating_sub(times_s[end - 1]) > gap_s;
        if end == items.len() || is_pause {
            let oldest = start.max(end.saturating_sub(SESSION_MAX));
            out.push((times_s[end - 1], &items[oldest..end]));
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interactions::InteractionsBuilder;
    use crate::item_ids::ItemIds;
    use crate::model::{HistoryItem, ModelQuery};
    use crate::seeded::Seeded;

    const PLAIN: [&str; 6] = [
        "history_decay=0.5",
        "idf_power=0",
        "recency=0",
        "session_decay=0.5",
        "popularity_power=0",
        "backward=0.25",
    ];

    fn data(rows: &[&[(u32, u32)]]) -> Interactions {
        let ids = ["a", "b", "c", "d"].into_iter().collect();
        let mut builder = InteractionsBuilder::new(ids).with_repeats();
        for (user, row) in (0_u32..).zip(rows) {
            for &(item, time_s) in *row {
                builder.push(user, item, 1.0, time_s);
            }
        }
        builder.build()
    }

    fn scores(model: &dyn Model, history: &[u32]) -> [f32; 4] {
        let entry = |item: &u32| HistoryItem {
            item: *item,
            weight: 1.0,
            age_s: 0,
        };
        let history: Vec<HistoryItem> = history.iter().map(entry).collect();
        let mut out = [0.0; 4];
        let prepared = model.prepare(&ModelQuery::new(&history));
        model.score(&prepared, &[0, 1, 2, 3], &mut out);
        out
    }

    #[test]
    fn votes_equal_those_computed_by_hand() {
        let data = data(&[&[(0, 0), (1, 0), (2, 0)], &[(3, 0), (0, 0)]]);
        let params = Params::from_pairs(&PLAIN).unwrap();
        let model = SessionKnnTrainer.fit(&data, &params, 0, &()).unwrap();
        // History b: only the first session, at 1; a stands one step before, c one after.
        assert_eq!(scores(&*model, &[1]), [0.125, 0.25, 0.5, 0.0]);
        // History a b: the first session counts 0.5 + 1, the second 0.5. a is doubled (again).
        // a: (1.5 · 0.5 · 0.25 + 0.5 · 0.25) · 2; d: 0.5 · 0.5 · 0.25.
        assert_eq!(scores(&*model, &[0, 1]), [0.625, 0.375, 0.75, 0.0625]);
    }

    #[test]
    fn a_pause_ends_a_session_and_newer_sessions_count_more() {
        let data = data(&[
            &[(0, 1000), (1, 1060), (2, 90_000), (3, 90_060)],
            &[(0, 500), (2, 560)],
        ]);
        let mut params = Params::from_pairs(&PLAIN).unwrap();
        let model = SessionKnnTrainer.fit(&data, &params, 0, &()).unwrap();
        assert_eq!(scores(&*model, &[2])[1], 0.0, "b was in another session");
        params = params.with("recency", 1);
        let model = SessionKnnTrainer.fit(&data, &params, 0, &()).unwrap();
        let [_, after_newer, after_older, _] = scores(&*model, &[0]);
        assert!(after_newer > after_older && after_older > 0.0);
    }

    #[test]
    fn sessions_pushed_one_by_one_give_the_index_of_all_at_once() {
        let all = data(&[
            &[(0, 0), (1, 0), (0, 0)],
            &[(1, 0), (2, 0)],
            &[(2, 0), (3, 0)],
        ]);
        let model = SessionKnnTrainer.fit(&all, &Params::new(), 0, &()).unwrap();
        let resolved = Params::new().resolve(NAME, PARAMS).unwrap();
        let mut grown = SessionKnn::new(all.item_ids().clone(), Settings::read(&resolved).unwrap());
        for user in 0..all.users_len() {
            grown.push_session(all.sequence(user).items);
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        model.encode(&mut a);
        grown.encode(&mut b);
        assert_eq!(a, b);
        assert_eq!(scores(&*model, &[1]), scores(&grown, &[1]));
    }

    /// Rows of user, item and time in order of time: pauses that end sessions, and equal times.
    fn stream(random: &mut Seeded) -> Vec<(u32, u32, u32)> {
        let mut time_s = 1_000_000;
        let mut row = |_| {
            time_s += [0, 60, 1_200][random.below(3)];
            (random.below(4) as u32, random.below(9) as u32, time_s)
        };
        (0..80).map(&mut row).collect()
    }

    /// The rows of all users but `erased`; items are numbered as they come.
    fn data_of(rows: &[(u32, u32, u32)], erased: u32, keeps_repeats: bool) -> Interactions {
        let mut builder = InteractionsBuilder::new(ItemIds::default());
        if keeps_repeats {
            builder = builder.with_repeats();
        }
        let mut numbers = [None; 9];
        for &(user, item, time_s) in rows.iter().filter(|(user, ..)| *user != erased) {
            let push = || builder.push_item(&item.to_string());
            let number = *numbers[item as usize].get_or_insert_with(push);
            builder.push(user, number, 1.0, time_s);
        }
        builder.build()
    }

    #[test]
    fn a_refresh_across_any_cut_gives_what_a_full_training_gives() {
        let params = Params::new();
        let artifact = |model: Box<dyn Model>| {
            let mut bytes = Vec::new();
            model.encode(&mut bytes);
            bytes
        };
        let fit = |data: &Interactions| SessionKnnTrainer.fit(data, &params, 0, &()).unwrap();
        for seed in 0..100 {
            let mut random = Seeded::new(seed, 0);
            let rows = stream(&mut random);
            let (cut, erased) = (20 + random.below(60), random.below(5) as u32);
            let keeps_repeats = random.below(2) == 0;
            let earlier = artifact(fit(&data_of(&rows[..cut], u32::MAX, keeps_repeats)));
            let all = data_of(&rows, erased, keeps_repeats);
            let refreshed = SessionKnnTrainer.refresh(&earlier, &all, &params, &());
            let refreshed = artifact(refreshed.unwrap().unwrap());
            assert!(refreshed == artifact(fit(&all)), "{seed}");
        }
    }
}
