//! Sequences, sessions and the NCF protocol on small data whose results a hand computes.

use super::{OneTargetOptions, Protocol, evaluate_one_target, over_seeds};
use crate::report::EvaluationRow;
use nowcast_models::{Params, metrics::parse_metrics};
use std::path::{Path, PathBuf};

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let bytes = if name.ends_with(".zst") {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    } else {
        text.as_bytes().to_vec()
    };
    std::fs::write(&path, bytes).unwrap();
    path
}

fn options(protocol: Protocol, model: &str, metrics: &str) -> OneTargetOptions {
    OneTargetOptions {
        protocol,
        models: vec![model.to_owned()],
        params: Params::new(),
        metrics: parse_metrics(metrics).unwrap(),
        seed: 1,
        mask_seen: true,
        beyond_accuracy: true,
        hold_out_nth: None,
    }
}

fn row_of(options: &OneTargetOptions) -> EvaluationRow {
    evaluate_one_target(options, &()).unwrap().remove(0)
}

/// Trained on: a b | a b | a c | (nothing of u4). By rows: a 3, b 2, c 1.
const SEQUENCES: &str = "u1 a b c d\nu2 a b d c\nu3 a c d b\nu4 a b\nu5 d\n";

#[test]
fn sequences_guess_the_last_item_from_all_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = write(dir.path(), "s.txt.zst", SEQUENCES);
    let mut options = options(
        Protocol::Sequences { input },
        "popular",
        "hr@1,ndcg@2,mrr@2",
    );
    let row = row_of(&options);
    // u1 knows a b c: d has no evidence. u2 knows a b d: c is the only item left, first.
    // u3 knows a c d: b first. u4 knows a: b first, then c. u5 has too few items to guess.
    assert_eq!((row.users, row.items, row.interactions), (4, 4, 6));
    assert_eq!(row.metrics["hr@1"], 0.75);
    assert_eq!(row.metrics["ndcg@2"], 0.75);
    let ties = row.ties.unwrap();
    // u1: d is the only item that is left, first or last.
    assert_eq!(ties.optimistic["hr@1"], 1.0);
    assert_eq!(ties.pessimistic["hr@1"], 1.0);

    options.mask_seen = false;
    let row = row_of(&options);
    // The list is a b c for all: c is third, b second, d behind.
    assert_eq!(row.metrics["hr@1"], 0.0);
    assert_eq!(row.metrics["mrr@2"], (0.5 + 0.5) / 4.0);
    assert_eq!(row.mask_seen, Some(false));
    // All lists show a and b of four items, each four times.
    assert_eq!((row.coverage, row.gini), (Some(0.5), Some(0.5)));
}

#[test]
fn choosing_parameters_never_sees_the_last_item() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, last: &str| {
        let text = format!("u1 a b c d {last}\nu2 b a d c {last}\n");
        let input = write(dir.path(), name, &text);
        let mut options = options(Protocol::Sequences { input }, "transitions", "hr@2,mrr@4");
        options.hold_out_nth = Some(2);
        let row = row_of(&options);
        (row.metrics, row.interactions)
    };
    let (metrics, interactions) = with("one", "e");
    assert_eq!(interactions, 4, "two of each five are trained on");
    assert_eq!((metrics, interactions), with("two", "a"));
}

#[test]
fn sessions_rank_all_items_and_mask_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let train = write(dir.path(), "train", "a b\na b\na c\n");
    let test = write(dir.path(), "test", "b\ta\na\tb a\nz\tc\n");
    let mut options = options(
        Protocol::Sessions { train, test },
        "popular",
        "recall@1,recall@2,mrr@3",
    );
    options.mask_seen = false;
    let row = row_of(&options);
    // The list is a b c: b second, a first though it is in the prefix, z nowhere.
    assert_eq!(row.metrics["recall@1"], 1.0 / 3.0);
    assert_eq!(row.metrics["recall@2"], 2.0 / 3.0);
    assert_eq!(row.metrics["mrr@3"], (0.5 + 1.0) / 3.0);
    assert_eq!((row.users, row.items), (3, 4));
    options.hold_out_nth = Some(3);
    let row = row_of(&options);
    // The last session is guessed: c after a, unknown to the first two, whose list is a b.
    assert_eq!((row.users, row.interactions), (1, 4));
    assert_eq!(row.metrics["mrr@3"], 0.0);
}

#[test]
fn ncf_ranks_one_item_among_its_negatives() {
    let dir = tempfile::tempdir().unwrap();
    let train = write(dir.path(), "train", "0\ta\t5\n0\tb\t3\n1\ta\t4\n2\tc\t1\n");
    let test = write(dir.path(), "test", "0\tc\t5\n1\tb\t3\n2\td\t1\n");
    let lines = "(0,c)\tb\ta\td\n(1,b)\tc\tb\td\n(2,d)\te\ta\tf\n";
    let negatives = write(dir.path(), "negatives.zst", lines);
    let protocol = |negatives| Protocol::Ncf {
        train: train.clone(),
        test: test.clone(),
        negatives,
    };
    let row = row_of(&options(protocol(negatives), "popular", "hr@2,mrr@3"));
    // By users: a 2, b 1, c 1. c: behind a and b, before d by evidence; equal to b.
    // b: equal to c, and its own line among the negatives counts once. d: equal to e and f.
    assert_eq!(row.metrics["hr@2"], (0.0 + 1.0 + 1.0) / 3.0);
    let ties = row.ties.unwrap();
    assert_eq!(ties.optimistic["mrr@3"], (0.5 + 1.0 + 0.5) / 3.0);
    assert_eq!(ties.pessimistic["mrr@3"], (1.0 / 3.0 + 0.5 + 0.0) / 3.0);
    let mut held = options(protocol(test.clone()), "popular", "hr@2");
    held.hold_out_nth = Some(2);
    let row = row_of(&held);
    // Only u0 has two items in the train file, and there is one other.
    assert_eq!((row.users, row.interactions), (1, 3));
    let wrong = write(dir.path(), "wrong", "(0,b)\ta\n");
    let error = evaluate_one_target(&options(protocol(wrong), "popular", "hr@2"), &());
    assert!(error.unwrap_err().to_string().contains("line 1"));
}

#[test]
fn several_seeds_give_their_mean_and_spread() {
    let row = |value: f64| EvaluationRow {
        metrics: [("hr@1".to_owned(), value)].into(),
        coverage: Some(value),
        peak_rss_mb: value,
        ..EvaluationRow::default()
    };
    let values = [0.1, 0.2, 0.6];
    let rows = over_seeds(&[0, 1, 2], |seed| Ok(vec![row(values[seed as usize])])).unwrap();
    assert!((rows[0].metrics["hr@1"] - 0.3).abs() < 1e-12);
    assert!((rows[0].coverage.unwrap() - 0.3).abs() < 1e-12);
    // Deviations -0.2, -0.1, 0.3: their squares sum to 0.14, over 2.
    assert!((rows[0].spread.as_ref().unwrap()["hr@1"] - 0.07_f64.sqrt()).abs() < 1e-12);
    assert_eq!(rows[0].peak_rss_mb, 0.6);
    assert_eq!(rows[0].seeds.as_deref(), Some(&[0, 1, 2][..]));
    assert!(over_seeds(&[], |_| Ok(Vec::new())).is_err());
}
