//! What the joiner labels, and that it labels the same however the log is cut.

use crate::scenario::{
    MINUTE_MS, Owned, OwnedEvent, Random, START_MS, click, config, random_log, user,
};
use nowcast_features::{FoldConfig, FoldPlan, OwnedExample, PartitionState};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    ByteSize, Consent, Event, EventTypeCode, EventTypes, Record, Slate, SlateItem, SlateItems,
    Span, Timestamp, UserKey,
};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

/// A slate or anything else of a log.
#[derive(Debug, Clone)]
enum Entry {
    Slate {
        user: UserKey,
        at_ms: i64,
        request: String,
        items: Vec<u8>,
    },
    Event(OwnedEvent, Option<String>),
    Other(Owned),
}

impl Entry {
    fn with_record<T>(&self, use_it: impl FnOnce(&Record<'_>) -> T) -> T {
        match self {
            Self::Slate {
                user,
                at_ms,
                request,
                items,
            } => use_it(&Record::Slate(Slate {
                user: *user,
                at: Timestamp(START_MS + at_ms),
                request_id: request,
                slot: "home",
                situation: b"all",
                items: SlateItems::new(items, 1).expect("items of one byte"),
            })),
            Self::Event(event, request) => {
                let owned = event.clone().owned();
                let Record::Event(plain) = owned.record() else {
                    unreachable!("an event is an event")
                };
                use_it(&Record::Event(Event {
                    request_id: request.as_deref(),
                    ..plain
                }))
            }
            Self::Other(owned) => use_it(&owned.record()),
        }
    }
}

/// Items `a`, `b`, … shown to user 1; the fact of each is its place.
fn slate(request: &str, at_ms: i64, names: &[&str]) -> Entry {
    let mut items = Vec::new();
    for (place, name) in (0_u8..).zip(names) {
        SlateItems::push(
            &mut items,
            &SlateItem {
                item: stable_hash(name.as_bytes(), 0),
                score: f32::from(place),
                facts: &[place],
            },
        );
    }
    Entry::Slate {
        user: user(1),
        at_ms,
        request: request.to_owned(),
        items,
    }
}

fn done(event: OwnedEvent) -> Entry {
    Entry::Event(event, None)
}

fn answered(event: OwnedEvent, request: &str) -> Entry {
    Entry::Event(event, Some(request.to_owned()))
}

/// Somebody else's time goes on.
fn later(at_ms: i64) -> Entry {
    done(click(&format!("later-{at_ms}"), "other", at_ms).by(2))
}

fn labelling(change: impl FnOnce(&mut FoldConfig)) -> Arc<FoldPlan> {
    let mut config = config();
    config.attribution.enabled = true;
    change(&mut config);
    FoldPlan::compile(&config, Arc::new(EventTypes::default())).expect("a valid configuration")
}

fn fold(plan: &Arc<FoldPlan>, log: &[Entry]) -> (PartitionState, Vec<OwnedExample>) {
    let mut state = PartitionState::new(Arc::clone(plan));
    state.collect_examples(true);
    for (offset, entry) in (0..).zip(log) {
        entry.with_record(|record| state.apply(offset, record));
        assert!(state.counters().is_balanced());
    }
    let examples = state.take_examples();
    (state, examples)
}

/// Offset, slate, place and labels of each example.
fn labels(log: &[Entry]) -> Vec<(u64, u64, u16, String)> {
    let (_, examples) = fold(&labelling(|_| ()), log);
    let line = |e: OwnedExample| (e.offset, e.slate, e.place, e.labels);
    examples.into_iter().map(line).collect()
}

fn line(offset: u64, slate: u64, place: u16, labels: &str) -> (u64, u64, u16, String) {
    (offset, slate, place, labels.to_owned())
}

#[test]
fn a_click_is_positive_at_once_and_the_rest_negative_when_the_window_closes() {
    let log = [
        slate("r", 0, &["a", "b"]),
        answered(click("1", "b", MINUTE_MS), "r"),
        // The same again, and what was not shown, say nothing.
        answered(click("2", "b", 2 * MINUTE_MS), "r"),
        answered(click("3", "c", 2 * MINUTE_MS), "r"),
        later(30 * MINUTE_MS),
        later(30 * MINUTE_MS + 1),
    ];
    assert_eq!(
        labels(&log),
        [
            line(1, 0, 1, "+click"),
            line(5, 0, 0, "-click -purchase -dislike"),
            line(5, 0, 1, "-purchase -dislike"),
        ]
    );
    let (_, examples) = fold(&labelling(|_| ()), &log);
    let numbers: Vec<u32> = examples.iter().map(|e| e.index).collect();
    assert_eq!(numbers, [0, 0, 1], "examples of a record are numbered");
    assert_eq!(&*examples[0].facts, [1]);
    assert_eq!(examples[0].score, 1.0);
}

#[test]
fn what_comes_after_the_window_closed_corrects_and_what_lies_outside_says_nothing() {
    let inside = 29 * MINUTE_MS;
    let log = [
        slate("r", 0, &["a"]),
        later(40 * MINUTE_MS),
        answered(click("1", "a", inside), "r"),
        answered(
            click("2", "a", 31 * MINUTE_MS).kind(EventTypeCode::LIKE),
            "r",
        ),
        // Beyond the lateness nothing can refer to the slate any more.
        later(91 * MINUTE_MS),
    ];
    assert_eq!(
        labels(&log),
        [
            line(1, 0, 0, "-click -purchase -dislike"),
            line(2, 0, 0, "~click"),
        ]
    );
    let (state, _) = fold(&labelling(|_| ()), &log);
    assert_eq!(state.pending_slates(), 0);
    let labelled = state.labelled();
    assert_eq!((labelled.negative, labelled.corrected), (3, 1));
}

#[test]
fn without_a_request_id_the_latest_showing_before_it_counts() {
    let log = [
        slate("r1", 0, &["a"]),
        slate("r2", 5 * MINUTE_MS, &["b", "a"]),
        slate("r3", 20 * MINUTE_MS, &["a"]),
        done(click("1", "a", 10 * MINUTE_MS)),
        // A request id that names another answer is believed.
        answered(click("2", "a", 10 * MINUTE_MS), "r1"),
        answered(click("3", "a", 10 * MINUTE_MS), "unheard-of"),
    ];
    assert_eq!(
        labels(&log),
        [line(3, 1, 1, "+click"), line(4, 0, 0, "+click")]
    );
}

#[test]
fn slates_and_outcomes_count_once() {
    let log = [
        slate("r", 0, &["a"]),
        slate("r", 0, &["a"]),
        answered(click("1", "a", 0), "r"),
        answered(click("1", "a", 0), "r"),
        later(31 * MINUTE_MS),
    ];
    assert_eq!(
        labels(&log),
        [line(2, 0, 0, "+click"), line(4, 0, 0, "-purchase -dislike")]
    );
}

#[test]
fn an_erased_user_and_one_who_allows_no_training_leave_no_labels() {
    let erased = [
        slate("r", 0, &["a"]),
        Entry::Other(Owned::Erase(user(1))),
        answered(click("1", "a", 0), "r"),
        later(31 * MINUTE_MS),
    ];
    assert_eq!(labels(&erased), []);
    let withheld = [
        slate("r", 0, &["a", "b"]),
        answered(click("1", "a", 0).consent(Consent::PERSONALIZE), "r"),
        later(31 * MINUTE_MS),
    ];
    assert_eq!(
        labels(&withheld),
        [line(2, 0, 1, "-click -purchase -dislike")]
    );
}

#[test]
fn the_least_value_decides() {
    let plan = labelling(|config| {
        let objective = &mut config.attribution.objectives[0];
        objective.name = "read".to_owned();
        objective.events = vec!["dwell".to_owned()];
        objective.value_min = Some(10_000.0);
    });
    let dwell = |id: &str, value: Option<f32>| OwnedEvent {
        value,
        ..click(id, "a", 0).kind(EventTypeCode::DWELL)
    };
    let log = [
        slate("r", 0, &["a"]),
        answered(dwell("1", Some(9_999.0)), "r"),
        answered(dwell("2", None), "r"),
        answered(dwell("3", Some(10_000.0)), "r"),
    ];
    let (_, examples) = fold(&plan, &log);
    assert_eq!(examples.len(), 1);
    assert_eq!((examples[0].offset, &*examples[0].labels), (3, "+read"));
}

#[test]
fn bounds_let_the_oldest_go_and_count_them() {
    let plan = labelling(|config| config.attribution.answers_per_user_max = 2);
    let log = [
        slate("r1", 0, &["a"]),
        slate("r2", 0, &["a"]),
        slate("r3", 0, &["a"]),
        answered(click("1", "a", 0), "r1"),
        answered(click("2", "a", 0), "r2"),
    ];
    let (state, examples) = fold(&plan, &log);
    assert_eq!(state.labelled().forgotten, 1);
    assert_eq!(examples.len(), 1);
    assert_eq!(examples[0].slate, 1);
    let plan = labelling(|config| config.attribution.pending_bytes_max = ByteSize(400));
    let (state, _) = fold(&plan, &log);
    assert_eq!((state.pending_slates(), state.labelled().forgotten), (2, 1));
}

#[test]
fn nonsense_is_refused_and_a_change_of_meaning_is_told() {
    let types = Arc::new(EventTypes::default());
    let compile = |change: &dyn Fn(&mut FoldConfig)| {
        let mut config = config();
        config.attribution.enabled = true;
        change(&mut config);
        FoldPlan::compile(&config, Arc::clone(&types))
    };
    let base = compile(&|_| ()).unwrap().fingerprint();
    let bad: [&dyn Fn(&mut FoldConfig); 5] = [
        &|c| c.attribution.window = Span(0),
        &|c| c.attribution.objectives.clear(),
        &|c| c.attribution.objectives[0].name = "Two words".to_owned(),
        &|c| c.attribution.objectives[0].events = vec!["clck".to_owned()],
        &|c| c.attribution.objectives[1].name = "click".to_owned(),
    ];
    for change in bad {
        assert!(compile(change).is_err());
    }
    let window = compile(&|c| c.attribution.window = Span(60_000)).unwrap();
    assert_ne!(window.fingerprint(), base);
    let bound = compile(&|c| c.attribution.answers_per_user_max = 3).unwrap();
    assert_eq!(bound.fingerprint(), base);
    let weight = compile(&|c| c.attribution.objectives[0].weight = 9.0).unwrap();
    assert_eq!(weight.fingerprint(), base);
}

/// A random log with slates of some users and outcomes that name them or do not.
fn shown_log(seed: u64, len: usize) -> Vec<Entry> {
    let mut random = Random(seed);
    let mut log: Vec<Entry> = Vec::new();
    let mut shown: Vec<(u64, String, i64)> = Vec::new();
    for (n, owned) in random_log(seed, len).into_iter().enumerate() {
        let at_ms = match &owned {
            Owned::Event(event) => event.at.0 - START_MS,
            _ => 0,
        };
        log.push(Entry::Other(owned));
        if random.below(4) == 0 {
            let who = random.below(6);
            let names: Vec<String> = (0..5)
                .map(|_| format!("item-{}", random.below(12)))
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let request = format!("r{}", n - random.below(2) as usize * usize::from(n > 9));
            let Entry::Slate { items, .. } = slate(&request, at_ms, &names) else {
                unreachable!("it makes slates")
            };
            log.push(Entry::Slate {
                user: user(who),
                at_ms,
                request: request.clone(),
                items,
            });
            shown.push((who, request, at_ms));
        }
        if !shown.is_empty() && random.below(3) == 0 {
            let (who, request, at_ms) = &shown[random.below(shown.len() as u64) as usize];
            let delay_ms = random.below(40 * MINUTE_MS as u64) as i64;
            let item = format!("item-{}", random.below(12));
            let event = click(&format!("o{n}"), &item, at_ms + delay_ms).by(*who);
            let named = (random.below(2) == 0).then(|| request.clone());
            log.push(Entry::Event(event, named));
        }
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn crashes_and_batches_change_neither_state_nor_examples(
        seed in any::<u64>(),
        len in 1_usize..400,
        steps in prop::collection::vec((1_usize..120, 0_u8..6), 1..12),
    ) {
        let plan = labelling(|config| config.attribution.answers_per_user_max = 4);
        let log = shown_log(seed, len);
        let (expected, all) = fold(&plan, &log);
        let mut state = PartitionState::new(Arc::clone(&plan));
        state.collect_examples(true);
        let mut blobs: Vec<Vec<u8>> = Vec::new();
        let mut emitted: Vec<OwnedExample> = Vec::new();
        let mut crashed = HashSet::new();
        for (step, action) in steps.iter().cycle() {
            let from = state.position() as usize;
            let to = (from + step).min(log.len());
            for (at, entry) in log.iter().enumerate().take(to).skip(from) {
                entry.with_record(|record| {
                    let mut outcomes = Vec::new();
                    state.apply_batch(&[(at as u64, record.clone())], &mut outcomes);
                });
            }
            // What a crash emits again is known by its origin.
            for example in state.take_examples() {
                let origin = (example.offset, example.index);
                if emitted.last().is_none_or(|last| (last.offset, last.index) < origin) {
                    emitted.push(example);
                } else {
                    prop_assert!(emitted.contains(&example));
                }
            }
            if *action == 5 {
                let mut full = Vec::new();
                state.encode_full(&mut full);
                blobs = vec![full];
                state.take_changes();
            } else if *action > 2 {
                let mut delta = Vec::new();
                state.encode_delta(&mut delta);
                blobs.push(delta);
            }
            if to == log.len() {
                break;
            }
            if *action == 0 && crashed.insert(to) {
                // A crash: back to the last checkpoint.
                state = PartitionState::restore(Arc::clone(&plan), &blobs).unwrap();
                state.collect_examples(true);
            }
        }
        prop_assert_eq!(&emitted, &all);
        prop_assert_eq!(state.state_hash(), expected.state_hash());
        prop_assert_eq!(state.state_bytes(), expected.state_bytes());
        let mut full = Vec::new();
        state.encode_full(&mut full);
        let restored = PartitionState::restore(plan, &[full]).unwrap();
        prop_assert_eq!(restored.state_hash(), expected.state_hash());
    }
}
