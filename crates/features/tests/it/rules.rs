//! The rules of the fold, one by one.

use crate::scenario::{HOUR_MS, MINUTE_MS, Owned, START_MS, click, dump, fold, plan, user};
use nowcast_features::{Outcome, PartitionState, SkipReason};
use nowcast_types::{Consent, EventTypeCode, Record, Timestamp};

fn outcomes(log: &[Owned]) -> Vec<Outcome> {
    let mut state = PartitionState::new(plan());
    let records = log.iter().enumerate();
    records
        .map(|(offset, owned)| state.apply(offset as u64, &owned.record()))
        .collect()
}

fn as_of(ms: i64) -> Timestamp {
    Timestamp(START_MS + ms)
}

#[test]
fn a_repeated_event_counts_once_within_the_horizon() {
    let day = 24 * HOUR_MS;
    let log = [
        click("a", "x", 0).owned(),
        click("a", "x", 0).owned(),
        click("b", "x", day - MINUTE_MS).owned(),
        // The same id of another user is another event.
        click("a", "x", day - MINUTE_MS).by(2).owned(),
        click("b", "x", day - MINUTE_MS).owned(),
    ];
    use Outcome::{Applied, Duplicate};
    assert_eq!(
        outcomes(&log),
        [Applied, Duplicate, Applied, Applied, Duplicate]
    );
}

#[test]
fn an_event_behind_the_lateness_is_late_and_changes_nothing() {
    let mut log = vec![click("a", "x", 2 * HOUR_MS).owned()];
    let state = fold(&plan(), &log);
    log.push(click("b", "y", HOUR_MS - 1).owned());
    log.push(click("c", "z", HOUR_MS).owned());
    assert_eq!(
        outcomes(&log),
        [Outcome::Applied, Outcome::Late, Outcome::Applied]
    );
    let after = fold(&plan(), &log[..2]);
    assert_eq!(after.find_item("y"), None);
    assert_eq!(after.watermark(), state.watermark());
}

#[test]
fn a_clock_that_runs_ahead_does_not_make_others_late() {
    let mut ahead = click("a", "x", 24 * HOUR_MS);
    ahead.received_at = as_of(0);
    let log = [ahead.owned(), click("b", "x", 1).owned()];
    assert_eq!(outcomes(&log), [Outcome::Applied; 2]);
    assert_eq!(fold(&plan(), &log).watermark(), as_of(5 * MINUTE_MS));
}

#[test]
fn consent_decides_which_side_an_event_reaches() {
    let cases = [
        (Consent::ALL, Outcome::Applied, true, true),
        (Consent::PERSONALIZE, Outcome::Applied, true, false),
        (Consent::TRAIN, Outcome::Suppressed, false, true),
        (Consent::NONE, Outcome::Suppressed, false, false),
    ];
    for (consent, outcome, has_profile, has_counts) in cases {
        let log = [click("a", "x", 0).consent(consent).owned()];
        assert_eq!(outcomes(&log), [outcome]);
        let state = fold(&plan(), &log);
        assert_eq!(state.user(&user(1)).is_some(), has_profile, "{consent:?}");
        let popular = state
            .find_item("x")
            .map_or(0.0, |item| state.popularity(item, as_of(0)).popular);
        assert_eq!(popular > 0.0, has_counts, "{consent:?}");
        assert_eq!(state.counters().untrained, u64::from(!has_counts));
    }
}

#[test]
fn an_erasure_empties_every_view_of_the_user_and_keeps_the_sums() {
    let log = [
        Owned::User {
            user: user(1),
            is_patch: false,
            segment: Some("premium".to_owned()),
            attributes: Some("{\"age\":36}".to_owned()),
        },
        click("a", "x", 0).owned(),
        click("b", "y", 1_000).owned(),
        Owned::Erase(user(1)),
        // A delivery repeated after the erasure does not bring the user back.
        click("a", "x", 0).owned(),
    ];
    let state = fold(&plan(), &log);
    assert!(state.user(&user(1)).is_none());
    assert!(!dump(&state).contains(&user(1).to_string()));
    assert_eq!((state.users_len(), state.counters().users_erased), (0, 1));
    let item = state.find_item("x").expect("items stay");
    assert!((state.popularity(item, as_of(1_000)).popular - 1.5).abs() < 1e-3);
}

#[test]
fn dislikes_keep_their_sign_and_impressions_stay_out_of_the_history() {
    let log = [
        click("a", "x", 0).kind(EventTypeCode::IMPRESSION).owned(),
        click("b", "y", 1_000).kind(EventTypeCode::DISLIKE).owned(),
        click("c", "z", 500).owned(),
    ];
    let state = fold(&plan(), &log);
    let history = state.user(&user(1)).expect("known").history();
    let read: Vec<_> = history
        .iter()
        .map(|e| (state.item_id(e.item), e.strength()))
        .collect();
    assert_eq!(read, [("z", 1.5), ("y", -3.0)]);
}

#[test]
fn affinity_follows_the_categories_and_fades() {
    let mut disliked = click("b", "y", 0).kind(EventTypeCode::DISLIKE);
    disliked.categories = vec!["war".to_owned()];
    let state = fold(&plan(), &[click("a", "x", 0).owned(), disliked.owned()]);
    let user = state.user(&user(1)).expect("known");
    let affinity = |ms| -> Vec<(String, f64)> {
        let read = user.affinity(as_of(ms)).into_iter();
        read.map(|(c, w)| (state.category(c).to_owned(), (w * 1e3).round() / 1e3))
            .collect()
    };
    assert_eq!(
        affinity(0),
        [("news".to_owned(), 1.5), ("war".to_owned(), -3.0)]
    );
    assert_eq!(
        affinity(7 * 24 * HOUR_MS),
        [("news".to_owned(), 0.75), ("war".to_owned(), -1.5)]
    );
}

#[test]
fn items_seen_one_after_the_other_become_neighbours() {
    let log = [
        click("a", "x", 0).owned(),
        click("b", "x", 500).owned(),
        click("c", "y", 1_000).owned(),
    ];
    let state = fold(&plan(), &log);
    let neighbours = |id: &str| -> Vec<(String, f64)> {
        let item = state.find_item(id).expect("known");
        let read = state.neighbours(item, as_of(1_000));
        read.map(|(n, w)| (state.item_id(n).to_owned(), (w * 1e3).round() / 1e3))
            .collect()
    };
    assert_eq!(neighbours("x"), [("y".to_owned(), 1.0)]);
    assert_eq!(neighbours("y"), [("x".to_owned(), 0.5)]);
}

#[test]
fn what_is_done_in_a_segment_is_counted_by_segment() {
    let record = |segment: Option<&str>, is_patch| Owned::User {
        user: user(1),
        is_patch,
        segment: segment.map(str::to_owned),
        attributes: None,
    };
    let log = [
        record(Some("premium"), false),
        click("a", "x", 0).owned(),
        record(None, true),
        click("b", "x", 1).owned(),
        record(None, false),
        click("c", "x", 2).owned(),
    ];
    let state = fold(&plan(), &log);
    let item = state.find_item("x").expect("known");
    let by_segment: Vec<_> = state.segment_popularity(item, as_of(0)).collect();
    assert_eq!(by_segment.len(), 1);
    assert_eq!(state.segment(by_segment[0].0), "premium");
    assert!(
        (by_segment[0].1 - 3.0).abs() < 1e-3,
        "two of three clicks: {by_segment:?}"
    );
}

#[test]
fn records_of_no_use_are_skipped_with_their_reason() {
    let mut state = PartitionState::new(plan());
    let unknown = click("a", "x", 0).kind(EventTypeCode(200)).owned();
    let reason = |outcome| match outcome {
        Outcome::Skipped(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(state.apply(0, &unknown.record())),
        SkipReason::UnknownEventType
    );
    let letter = Record::DeadLetter(nowcast_types::DeadLetter {
        at: as_of(0),
        code: "",
        field: "",
        expected: "",
        body: "",
    });
    assert_eq!(reason(state.apply(1, &letter)), SkipReason::WrongStream);
    assert_eq!(
        reason(state.skip(2, SkipReason::Undecodable)),
        SkipReason::Undecodable
    );
    assert_eq!(
        reason(state.apply(1, &unknown.record())),
        SkipReason::AlreadyFolded
    );
    assert_eq!((state.position(), state.counters().received), (3, 3));
    assert!(state.counters().is_balanced());
}

#[test]
fn new_items_are_drained_once() {
    let mut state = fold(
        &plan(),
        &[click("a", "x", 0).owned(), click("b", "y", 1).owned()],
    );
    assert_eq!(state.drain_new_items(), 0..2);
    assert_eq!(state.drain_new_items(), 2..2);
}
