//! Raw ids of users and sessions reach no file: every byte of the data folder is looked at.

use crate::harness::{Server, Setup};
use hyper::Method;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const USER: &str = "canary-user-7f3a9c@example.org";
const SESSION: &str = "canary-session-51b2d8";
/// Something that must be found, or the scan proves nothing.
const PLANTED: &str = "canary-item-c0ffee";

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The forms in which a text could hide: plain, UTF-16, hexadecimal, reversed.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let reversed = bytes.iter().rev().copied().collect();
    vec![
        bytes.to_vec(),
        utf16,
        hex.clone().into_bytes(),
        hex.to_uppercase().into_bytes(),
        reversed,
    ]
}

/// Files that hold `text` in any form.
fn holders(folder: &Path, text: &str) -> Vec<PathBuf> {
    let forms = forms(text);
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        let has = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == &form[..]);
        forms.iter().any(has)
    };
    files(folder).into_iter().filter(holds).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_ever_holds_a_raw_user_or_session_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::default();
    setup.engine.log.segment_bytes = nowcast_types::ByteSize(256 << 10);
    let server = Server::on_disk(setup, folder.path()).await;
    let mut client = server.client().await;
    let item = json!({"categories": ["c"]});
    client
        .json(
            Method::PUT,
            &format!("/v1/items/{PLANTED}?wait=applied"),
            &item,
        )
        .await
        .ok();
    let user_path = format!("/v1/users/{USER}");
    client
        .json(Method::PUT, &user_path, &json!({"segment": "s"}))
        .await
        .ok();
    let event = |more: serde_json::Value| {
        let mut event = json!({"event_type": "click", "user_id": USER, "session_id": SESSION,
                               "item_id": PLANTED});
        event
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        event
    };
    let batch = json!([
        event(json!({})),
        event(json!({"user_id": null})),
        event(json!({"timestamp": 5})),
        event(json!({"timestamp": 5, "user_id": null})),
        event(json!({"event_type": "nonsense"})),
        event(json!({"session_id": 7})),
        event(json!({"timestamp": server.engine.now().0 + 86_400_000})),
    ]);
    let answer = client.post("/v1/events?wait=applied", &batch).await.json();
    assert_eq!(
        (&answer["accepted"], &answer["dead_lettered"]),
        (&json!(2), &json!(3))
    );
    let ask = json!({"user_id": USER, "session_id": SESSION, "explain": true});
    client.post("/v1/recommendations", &ask).await.ok();
    client
        .post("/v1/recommendations", &json!({"session_id": SESSION}))
        .await
        .ok();
    client.get(&format!("{user_path}/profile")).await.ok();
    let metrics = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(!text.contains(USER) && !text.contains(SESSION));
    client.send(Method::DELETE, &user_path, &[], "").await.ok();
    server.stop().await;

    assert!(
        !holders(folder.path(), PLANTED).is_empty(),
        "the scan finds what is there"
    );
    assert_eq!(holders(folder.path(), USER), Vec::<PathBuf>::new());
    assert_eq!(holders(folder.path(), SESSION), Vec::<PathBuf>::new());
}

#[test]
fn the_scan_finds_every_form_that_is_planted() {
    let folder = tempfile::tempdir().unwrap();
    for (number, form) in forms(USER).into_iter().enumerate() {
        let path = folder.path().join("deep").join(number.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = vec![0_u8; 1000];
        bytes.extend(form);
        bytes.extend([7_u8; 10]);
        fs::write(&path, bytes).unwrap();
        assert_eq!(holders(folder.path(), USER), std::slice::from_ref(&path));
        fs::remove_file(path).unwrap();
    }
}
