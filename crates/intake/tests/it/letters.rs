//! Dead letters, looked at and replayed.

use crate::rig::{Rig, message};
use nowcast_engine::{EventDraft, LetterSource};
use nowcast_intake::{IntakeError, Repair, Wanted};
use nowcast_types::DeviceClass;
use serde_json::{Value, json};

fn topics() -> Value {
    json!([{"topic": "clicks", "kind": "events"}, {"topic": "goods", "kind": "items"}])
}

fn misspelt(offset: i64) -> nowcast_log_kafka::ForeignMessage {
    let item = format!("i{offset}");
    let event = json!({"event_type": "klick", "user_id": "ann", "item_id": item});
    message("clicks", offset, event.to_string().as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn repaired_letters_apply_once_however_often_they_are_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), &topics());
    let messages: Vec<_> = (0..50).map(misspelt).collect();
    rig.take(&messages).await;
    let letters = rig.list();
    assert_eq!(letters.len(), 50);
    let as_they_were: Vec<Repair> = letters.iter().map(|l| Repair::none(l.offset)).collect();
    let answers = rig.letters.replay(&as_they_were).await.unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| answer.code.as_deref() == Some("unknown_name"))
    );
    assert_eq!(rig.list().len(), 50, "nothing is replayed yet");

    let repairs: Vec<Repair> = letters
        .iter()
        .map(|letter| Repair {
            patch: Some(json!({"event_type": "click"})),
            ..Repair::none(letter.offset)
        })
        .collect();
    for _ in 0..2 {
        let answers = rig.letters.replay(&repairs).await.unwrap();
        assert!(answers.iter().all(|answer| answer.applied), "{answers:?}");
    }
    assert_eq!(rig.counted().await, (50, 50));
    assert_eq!(rig.list(), []);
    let all = Wanted {
        all: true,
        ..Wanted::default()
    };
    let all = rig.letters.list(&all).unwrap();
    assert!(all.len() == 50 && all.iter().all(|letter| letter.replayed));
    assert!(all[0].value.is_none(), "bytes only on request");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_paged_and_chosen_by_reason_and_topic() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), &topics());
    let mut messages: Vec<_> = (0..6).map(misspelt).collect();
    messages.push(message("goods", 0, br#"{"item_id":"a","colour":"red"}"#));
    rig.take(&messages).await;
    let list = |wanted: Wanted| -> Vec<u64> {
        let letters = rig.letters.list(&wanted).unwrap();
        letters.iter().map(|letter| letter.offset).collect()
    };
    let wanted = Wanted::default;
    let first = list(Wanted {
        limit: 4,
        ..wanted()
    });
    assert_eq!(first.len(), 4);
    let rest = list(Wanted {
        after: first.last().copied(),
        ..wanted()
    });
    assert_eq!(rest.len(), 3);
    assert_eq!(
        list(Wanted {
            topic: Some("goods".into()),
            ..wanted()
        })
        .len(),
        1
    );
    assert_eq!(
        list(Wanted {
            code: Some("unknown_field".into()),
            ..wanted()
        })
        .len(),
        1
    );
    let goods = rig.letters.show(rest[2]).unwrap();
    assert_eq!(
        (goods.field.as_str(), goods.code.as_str()),
        ("colour", "unknown_field")
    );
    assert_eq!(goods.value.unwrap()["item_id"], "a");
    assert!(matches!(
        rig.letters.show(99),
        Err(IntakeError::NoLetter(99))
    ));
    let repair = Repair {
        value: Some(json!({"item_id": "a", "tags": ["red"]})),
        ..Repair::none(rest[2])
    };
    let answers = rig
        .letters
        .replay(&[repair, Repair::none(99)])
        .await
        .unwrap();
    assert!(answers[0].applied);
    assert_eq!(answers[1].code.as_deref(), Some("not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_dead_lettered_is_repaired_by_the_same_way() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), &topics());
    let old = r#"{"event_type":"click","user_id":"ann","item_id":"i1","timestamp":1}"#;
    let draft: EventDraft<'_> = serde_json::from_str(old).unwrap();
    let arrival = rig.engine.arrival(DeviceClass::Desktop);
    for _ in 0..2 {
        rig.engine
            .ingest(std::slice::from_ref(&draft), &arrival)
            .await;
    }
    let letters = rig.list();
    assert_eq!(letters.len(), 1, "a retry is the same input");
    assert_eq!(letters[0].source, LetterSource::Http);
    let repair = Repair {
        patch: Some(json!({"timestamp": rig.engine.now().0})),
        ..Repair::none(letters[0].offset)
    };
    let answers = rig.letters.replay(&[repair.clone(), repair]).await.unwrap();
    assert!(answers.iter().all(|answer| answer.applied), "{answers:?}");
    assert_eq!(rig.history("ann").await, ["i1"]);
    assert_eq!(rig.counted().await, (1, 1));
}
