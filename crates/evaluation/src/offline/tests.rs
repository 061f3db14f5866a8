//! Splits and full-catalogue evaluation, on values computed by hand and on a figure that any right protocol gives.

use super::{LightgcnOptions, evaluate_lightgcn, read_lightgcn};
use crate::error::EvaluationError;
use nowcast_models::{ModelError, Params, metrics::parse_metrics};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Three users; item `a` is known to all, so it can be recommended to nobody.
const TRAIN: &str = "u1 a b\nu2 a c\n\nu3 a b d\n";
const TEST: &str = "u1 c\nu2 b d\nu3\n";

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    match name.rsplit('.').next() {
        Some("zst") => file.write_all(&zstd::encode_all(text.as_bytes(), 1).unwrap()),
        Some("gz") => {
            let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gz.write_all(text.as_bytes())
        }
        _ => file.write_all(text.as_bytes()),
    }
    .unwrap();
    path
}

fn options(train: PathBuf, test: PathBuf, models: &[&str]) -> LightgcnOptions {
    LightgcnOptions {
        train,
        test,
        models: models.iter().map(|&name| name.to_owned()).collect(),
        params: Params::new(),
        metrics: parse_metrics("recall@1,ndcg@2,hr@2").unwrap(),
        seed: 1,
        beyond_accuracy: true,
        hold_out_nth: None,
    }
}

#[test]
fn popularity_scores_what_a_hand_computes() {
    let dir = tempfile::tempdir().unwrap();
    let (train, test) = (
        write(dir.path(), "train", TRAIN),
        write(dir.path(), "test", TEST),
    );
    let rows = evaluate_lightgcn(&options(train, test, &["popular"]), &()).unwrap();
    // By users: a 3, b 2, c 1, d 1. u1 gets c, d and wants c. u2 gets b, d and wants both.
    // u3 wants nothing and does not count.
    let metrics = &rows[0].metrics;
    assert_eq!(metrics["recall@1"], (1.0 + 0.5) / 2.0);
    assert_eq!(metrics["ndcg@2"], 1.0);
    assert_eq!(metrics["hr@2"], 1.0);
    assert_eq!(
        (rows[0].users, rows[0].items, rows[0].interactions),
        (2, 4, 7)
    );
    assert_eq!(rows[0].coverage, Some(0.75), "b, c and d were shown");
    // Lists c d and b d. c and d have one user each, not the same; so have b (two) and d: 1/√2.
    let diversity = (1.0 + (1.0 - 0.5_f64.sqrt())) / 2.0;
    assert!((rows[0].diversity.unwrap() - diversity).abs() < 1e-12);
    let json = serde_json::to_value(&rows[0]).unwrap();
    for key in [
        "answer_ms_p50",
        "gini",
        "novelty",
        "model",
        "params",
        "seed",
        "metrics",
        "train_seconds",
        "cpu_seconds",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    for key in ["users", "items", "interactions", "peak_rss_mb"] {
        assert!(json[key].as_f64().is_some_and(|value| value > 0.0), "{key}");
    }
    assert_eq!(json["params"]["half_life_days"], 0);
}

#[test]
fn packed_files_hold_the_same_split() {
    let dir = tempfile::tempdir().unwrap();
    let split = |suffix: &str| {
        let train = write(dir.path(), &format!("train{suffix}"), TRAIN);
        let test = write(dir.path(), &format!("test{suffix}"), TEST);
        read_lightgcn(&train, &test).unwrap()
    };
    let plain = split(".txt");
    assert_eq!(plain.train, [vec![0, 1], vec![0, 2], vec![0, 1, 3]]);
    assert_eq!(plain.test, [vec![2], vec![1, 3], vec![]]);
    assert_eq!(plain, split(".zst"));
    assert_eq!(plain, split(".gz"));
}

#[test]
fn holding_out_splits_the_train_part_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let line = |user: u32| {
        let items: Vec<String> = (0..30).map(|n| (user + n).to_string()).collect();
        format!("{user} {}\n", items.join(" "))
    };
    let train = write(dir.path(), "train", &(0..50).map(line).collect::<String>());
    let test = write(dir.path(), "test", "0 77\n");
    let split = read_lightgcn(&train, &test).unwrap();
    let held = split.hold_out(10, 0);
    let guessed: usize = held.test.iter().map(Vec::len).sum();
    assert!((100..200).contains(&guessed), "{guessed} of 1500");
    for (user, row) in split.train.iter().enumerate() {
        let mut both = [held.train[user].as_slice(), &held.test[user]].concat();
        both.sort_unstable();
        assert_eq!(&both, row);
    }
    assert_eq!(held, split.hold_out(10, 0));
}

#[test]
fn mistakes_in_options_and_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (train, test) = (
        write(dir.path(), "train", TRAIN),
        write(dir.path(), "test", TEST),
    );
    let good = options(train, test, &["popular", "ials"]);
    let error = |change: &dyn Fn(&mut LightgcnOptions)| {
        let mut options = good.clone();
        change(&mut options);
        evaluate_lightgcn(&options, &()).unwrap_err()
    };
    let unknown = error(&|o| o.params = Params::new().with("factor", 8));
    assert!(matches!(
        unknown,
        EvaluationError::Model(ModelError::UnknownParam { .. })
    ));
    let missing = error(&|o| o.train = "no/such/file".into());
    assert_eq!(missing.kind(), nowcast_types::ErrorKind::NotFound);
    let empty = error(&|o| o.train = write(dir.path(), "empty", "u1\n"));
    assert!(empty.to_string().contains("no user has an item"), "{empty}");
    let broken = dir.path().join("broken");
    std::fs::write(&broken, b"u1 a\nu2 \xff\n").unwrap();
    let broken = error(&|o| o.train = broken.clone());
    assert!(broken.to_string().contains("line 2"), "{broken}");
    // A parameter of one of the models is not a mistake of the other.
    let mut shared = good.clone();
    shared.params = Params::new().with("factors", 16);
    assert_eq!(evaluate_lightgcn(&shared, &()).unwrap().len(), 2);
}

#[test]
fn the_popular_list_has_its_known_recall_on_gowalla() {
    let data = std::env::var_os("NOWCAST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = data.join("gowalla");
    let (train, test) = (folder.join("train.txt.zst"), folder.join("test.txt.zst"));
    if !train.exists() {
        eprintln!("skipped: no {}", train.display());
        return;
    }
    let mut options = options(train, test, &["popular"]);
    options.metrics = parse_metrics("recall@20,ndcg@20").unwrap();
    let rows = evaluate_lightgcn(&options, &()).unwrap();
    // Popularity has nothing to tune, so its value on this split is a check of the protocol.
    assert!((rows[0].metrics["recall@20"] - 0.0416).abs() < 0.0005);
    assert!((rows[0].metrics["ndcg@20"] - 0.0317).abs() < 0.0005);
    assert_eq!((rows[0].users, rows[0].items), (29_858, 40_981));
}
