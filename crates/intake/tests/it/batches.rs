//! Batches of messages: what is valid is applied, what is not is a dead letter, and reading a batch
//! again changes nothing.

use crate::rig::{Rig, message};
use nowcast_engine::LetterSource;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn topics() -> Value {
    json!([
        {"topic": "clicks", "kind": "events"},
        {"topic": "goods", "kind": "items"},
        {"topic": "people", "kind": "users"},
        {"topic": "rows", "kind": "items", "format": "debezium",
         "columns": {"id": "sku", "categories": ["shelf"], "attributes": ["title"]}},
    ])
}

fn click(user: &str, item: &str) -> Vec<u8> {
    json!({"event_type": "click", "user_id": user, "item_id": item})
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_letters_are_the_poison_exactly_and_the_rest_is_applied_once() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), &topics());
    let poison: [(&[u8], &str); 8] = [
        (b"\xff\xfe", "unknown_format"),
        (b"{\"event_type\":", "malformed"),
        (b"\0\0\0\0\x07x", "no_registry"),
        (b"{\"event_type\":\"klick\",\"user_id\":\"ann@x.org\",\"item_id\":\"i\"}", "unknown_name"),
        (b"{\"event_type\":\"click\",\"user_id\":\"ann@x.org\"}", "missing"),
        (b"{\"event_type\":\"click\",\"item_id\":\"i\"}", "missing"),
        (b"{\"ann@x.org\":1}", "unknown_field"),
        (
            b"{\"event_type\":\"click\",\"user_id\":\"ann@x.org\",\"item_id\":\"i\",\"timestamp\":1}",
            "too_old",
        ),
    ];
    let mut messages = Vec::new();
    let mut expected = BTreeMap::new();
    for offset in 0..200_i64 {
        let place = usize::try_from(offset).unwrap();
        if place % 5 == 4 {
            let (bytes, code) = poison[place / 5 % poison.len()];
            messages.push(message("clicks", offset, bytes));
            expected.insert(offset, (code.to_owned(), bytes.to_vec()));
        } else {
            let user = format!("u{}", place % 7);
            messages.push(message(
                "clicks",
                offset,
                &click(&user, &format!("i{place}")),
            ));
        }
    }
    let counts = rig.take(&messages).await;
    assert_eq!((counts.taken, counts.dead_lettered), (160, 40));
    // A crash before the brokers knew: everything comes again.
    rig.take(&messages).await;
    assert_eq!(rig.counted().await, (160, 160));

    let found: BTreeMap<i64, (String, Vec<u8>)> = rig
        .list()
        .into_iter()
        .map(|letter| {
            let LetterSource::Topic { topic, offset, .. } = &letter.source else {
                panic!("{letter:?}");
            };
            assert_eq!(topic, "clicks");
            let bytes = match (&letter.value, &letter.value_base64) {
                (Some(_), _) => expected[offset].1.clone(),
                (None, base64) => decode(base64.as_deref().unwrap()),
            };
            (*offset, (letter.code, bytes))
        })
        .collect();
    assert_eq!(found, expected);
}

fn decode(base64: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_raw_id_reaches_the_disk_in_the_open() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), &topics());
    let mut with_key = message("clicks", 1, b"nonsense of secret-person");
    with_key.key = Some(b"secret-person".to_vec());
    with_key.headers = vec![("x".to_owned(), b"secret-person".to_vec())];
    rig.take(&[
        with_key,
        message("clicks", 2, &click("secret-person", "i1")),
        message("clicks", 3, b"{\"secret-person\":1}"),
        message("clicks", 4, b"{\"event_type\":\"secret-person\"}"),
        message(
            "people",
            5,
            b"{\"user_id\":\"secret-person\",\"segment\":7}",
        ),
        message(
            "people",
            6,
            b"{\"user_id\":\"secret-person\",\"segment\":\"pro\"}",
        ),
    ])
    .await;
    assert_eq!(rig.list().len(), 4);
    rig.settle().await;
    drop(rig);
    let mut files = 0;
    for folder in [dir.path().join("log"), dir.path().join("checkpoints")] {
        for bytes in contents(&folder) {
            files += 1;
            assert!(!bytes.windows(13).any(|part| part == b"secret-person"));
        }
    }
    assert!(files > 3, "{files} files");
}

fn contents(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push(std::fs::read(path).unwrap());
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn items_users_and_rows_of_databases_change_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), &topics());
    let mut gone = message("goods", 3, b"");
    (gone.value, gone.key) = (None, Some(b"gone".to_vec()));
    let mut tombstone = message("rows", 4, b"");
    tombstone.value = None;
    let row = |sku: &str, title: &str| {
        json!({"op": "u", "before": null, "after": {"sku": sku, "shelf": "tea", "title": title}})
            .to_string()
            .into_bytes()
    };
    let counts = rig
        .take(&[
            message("goods", 1, br#"{"item_id":"gone","categories":["a"]}"#),
            message("goods", 2, br#"{"item_id":"kept","categories":["a"]}"#),
            gone,
            message("people", 1, br#"{"user_id":"ann","segment":"pro"}"#),
            message("rows", 1, &row("s1", "Sencha")),
            message("rows", 2, &row("s1", "Gyokuro")),
            message(
                "rows",
                3,
                br#"{"op":"d","before":{"sku":"kept"},"after":null}"#,
            ),
            tombstone,
            message("rows", 5, br#"{"op":"t"}"#),
            message("clicks", 1, &click("ann", "s1")),
        ])
        .await;
    assert_eq!(
        (counts.taken, counts.dead_lettered, counts.passed_over),
        (8, 1, 1)
    );
    rig.settle().await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while rig.engine.item("kept").is_some() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(rig.engine.item("gone").is_none());
    let item = rig.engine.item("s1").unwrap();
    assert_eq!(item.categories, ["tea"]);
    assert_eq!(
        serde_json::to_value(&item.attributes["title"]).unwrap(),
        "Gyokuro",
        "rows keep their order"
    );
    assert_eq!(rig.history("ann").await, ["s1"]);
    let profile = rig.engine.profile("ann", false, 1).unwrap().unwrap();
    assert_eq!(profile.segment.as_deref(), Some("pro"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_are_read_in_both_modes() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), &topics());
    let data = json!({"user_id": "ann", "item_id": "i1"});
    let mut binary = message("clicks", 1, data.to_string().as_bytes());
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    binary.headers = vec![
        header("ce_specversion", "1.0"),
        header("ce_id", "c-1"),
        header("ce_source", "/shop"),
        header("ce_type", "com.shop.click"),
        header("content-type", "application/json"),
    ];
    let whole = json!({"specversion": "1.0", "id": "c-2", "source": "/shop",
        "type": "com.shop.view", "data": {"user_id": "ann", "item_id": "i2"}});
    let mut structured = message("clicks", 2, whole.to_string().as_bytes());
    structured.headers = vec![header("content-type", "application/cloudevents+json")];
    let mut without_id = binary.clone();
    without_id.offset = 3;
    without_id.headers.retain(|(name, _)| name != "ce_id");
    let counts = rig.take(&[binary, structured, without_id]).await;
    assert_eq!((counts.taken, counts.dead_lettered), (2, 1));
    let mut history = rig.history("ann").await;
    history.sort();
    assert_eq!(history, ["i1", "i2"]);
    assert_eq!(rig.list()[0].code, "bad_cloud_event");
}
