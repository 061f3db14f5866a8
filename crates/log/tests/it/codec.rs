//! The record codec: round trips, golden bytes, hostile bytes.

use nowcast_log::{LogError, RecordBatch, decode, encode};
use nowcast_types::{
    Consent, DeadLetter, DeviceClass, ErrorKind, Event, EventTypeCode, ItemChange, LabelledExample,
    Origin, Record, SchemaChange, SessionKey, Slate, SlateItems, Timestamp, UserChange, UserKey,
};
use proptest::prelude::*;

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, &mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn full_event() -> Event<'static> {
    Event {
        event_id: "e-1",
        event_type: EventTypeCode::PLAY,
        user: UserKey([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
        session: Some(SessionKey(0x0102_0304_0506_0708)),
        item_id: Some("i9"),
        timestamp: Timestamp(1_700_000_000_123),
        received_at: Timestamp(1_700_000_000_456),
        value: Some(1.5),
        slot: Some("home"),
        request_id: Some("r"),
        device: DeviceClass::Tablet,
        location: Some("é"),
        utc_offset_minutes: -90,
        properties: Some("{}"),
        categories: ["a", "b/c"].into_iter().collect(),
        consent: Consent::TRAIN,
        schema_version: 1,
    }
}

fn small_event() -> Event<'static> {
    Event {
        event_id: "e",
        event_type: EventTypeCode::VIEW,
        user: UserKey([9; 16]),
        session: None,
        item_id: None,
        timestamp: Timestamp(0),
        received_at: Timestamp(0),
        value: None,
        slot: None,
        request_id: None,
        device: DeviceClass::Unknown,
        location: None,
        utc_offset_minutes: 0,
        properties: None,
        categories: [].into_iter().collect(),
        consent: Consent::NONE,
        schema_version: 0,
    }
}

/// One of each kind, with the bytes that logs in the field hold. These never change.
fn golden() -> Vec<(Record<'static>, &'static str)> {
    let user = UserKey([0xab; 16]);
    let at = Timestamp(-2);
    vec![
        (Record::Event(small_event()), GOLDEN_SMALL_EVENT),
        (Record::Event(full_event()), GOLDEN_FULL_EVENT),
        (
            Record::User(UserChange {
                user,
                at,
                is_patch: true,
                segment: Some("pro"),
                attributes: None,
            }),
            "0203abababababababababababababababab030370726f",
        ),
        (
            Record::Erase { user, at },
            "03abababababababababababababababab03",
        ),
        (
            Record::Item(ItemChange {
                item_id: "i",
                at: Timestamp(300),
                item: Some("{}"),
            }),
            "0401d8040102697b7d",
        ),
        (
            Record::Item(ItemChange {
                item_id: "i",
                at: Timestamp(300),
                item: None,
            }),
            "0400d8040169",
        ),
        (
            Record::DeadLetter(DeadLetter {
                at: Timestamp(1),
                code: "too_old",
                field: "t",
                expected: "",
                body: "{}",
            }),
            "050207010002746f6f5f6f6c64747b7d",
        ),
        (
            Record::Schema(SchemaChange {
                at: Timestamp(1),
                planned_on: 300,
                change: "{}",
            }),
            "0602ac02027b7d",
        ),
        (
            Record::Slate(Slate {
                user,
                at,
                request_id: "r",
                slot: "home",
                situation: &[1, 2],
                items: SlateItems::new(GOLDEN_ITEMS, 2).unwrap(),
            }),
            GOLDEN_SLATE,
        ),
        (
            Record::Example(LabelledExample {
                origin: Origin {
                    partition: 3,
                    offset: 300,
                    index: 2,
                },
                at,
                slate: 200,
                place: 1,
                slot: "home",
                labels: "+click",
                score: 1.5,
                situation: &[1, 2],
                facts: &[5],
            }),
            GOLDEN_EXAMPLE,
        ),
    ]
}

const GOLDEN_SMALL_EVENT: &str = "0100000000000009090909090909090909090909090909000001\
                                  65";
const GOLDEN_FULL_EVENT: &str = "01ff000b23020101020304050607\
                                 08090a0b0c0d0e0f10f6a1abfef962\
                                 9a0508070605040302010000c03fb301030204010202010\
                                 3652d316939686f6d6572c3a97b7d61622f63";

/// Two items: hash, score, two bytes of facts.
const GOLDEN_ITEMS: &[u8] = &[
    44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 192, 63, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 8,
];
const GOLDEN_SLATE: &str = "07abababababababababababababababab03021c02010401022c010000000000000000c03f0506\
     070000000000000000000000070872686f6d65";
const GOLDEN_EXAMPLE: &str = "0803ac020203c801010000c03f02010406010205686f6d652b636c69636b";

#[test]
fn every_kind_of_record_has_the_bytes_of_the_first_release() {
    for (record, golden) in golden() {
        assert_eq!(hex(&encoded(&record)), golden, "{record:?}");
        assert_eq!(decode(&encoded(&record)).unwrap(), record);
    }
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    for (record, _) in golden() {
        let bytes = encoded(&record);
        for len in 0..bytes.len() {
            let error = decode(&bytes[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{record:?} cut to {len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(decode(&longer).is_err(), "{record:?} with a byte more");
    }
}

#[test]
fn items_of_a_slate_are_equally_long() {
    assert!(SlateItems::new(GOLDEN_ITEMS, 3).is_none());
    let items = SlateItems::new(GOLDEN_ITEMS, 2).unwrap();
    let read: Vec<(u64, f32, &[u8])> = items.iter().map(|i| (i.item, i.score, i.facts)).collect();
    assert_eq!(read, [(300, 1.5, &[5, 6][..]), (7, 0.0, &[7, 8])]);
    let mut again = Vec::new();
    items
        .iter()
        .for_each(|item| SlateItems::push(&mut again, &item));
    assert_eq!(again, GOLDEN_ITEMS);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let mut bytes = encoded(&Record::Event(full_event()));
    *bytes.last_mut().unwrap() = 0xff;
    assert!(matches!(decode(&bytes), Err(LogError::BadRecord(_))));
}

#[test]
fn a_batch_counts_its_records_and_can_be_used_again() {
    let mut batch = RecordBatch::new();
    assert!(batch.is_empty());
    assert_eq!(batch.max_timestamp(), Timestamp::MIN);
    batch.push(&Record::Event(full_event()));
    batch.push(&Record::Event(small_event()));
    assert_eq!(batch.len(), 2);
    assert_eq!(batch.max_timestamp(), full_event().timestamp);
    let bytes = batch.byte_len();
    let copy = batch.clone();
    batch.extend(&copy);
    assert_eq!((batch.len(), batch.byte_len()), (4, 2 * bytes));
    batch.clear();
    assert_eq!((batch.len(), batch.byte_len()), (0, 0));
}

fn optional_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".{0,40}")
}

/// The texts of an event, its numbers, and its optional numbers.
type Parts = (
    (String, [Option<String>; 5], Vec<String>),
    ([u8; 16], i64, i64, i16, [u8; 4]),
    (Option<u64>, Option<f32>),
);

fn parts() -> impl Strategy<Value = Parts> {
    let optional_texts = prop::array::uniform5(optional_text());
    let categories = prop::collection::vec(".{0,20}", 0..=4);
    (
        (".{0,40}", optional_texts, categories),
        (
            any::<[u8; 16]>(),
            any::<i64>(),
            any::<i64>(),
            any::<i16>(),
            any::<[u8; 4]>(),
        ),
        (any::<Option<u64>>(), prop::option::of(-1e30_f32..1e30)),
    )
}

fn event(parts: &Parts) -> Event<'_> {
    let ((event_id, texts, categories), numbers, (session, value)) = parts;
    let (user, timestamp, received_at, utc_offset_minutes, [code, device, consent, version]) =
        *numbers;
    let [item_id, slot, request_id, location, properties] = texts.each_ref().map(Option::as_deref);
    Event {
        event_id,
        event_type: EventTypeCode(code),
        user: UserKey(user),
        session: session.map(SessionKey),
        item_id,
        timestamp: Timestamp(timestamp),
        received_at: Timestamp(received_at),
        value: *value,
        slot,
        request_id,
        device: DeviceClass::ALL[usize::from(device) % DeviceClass::ALL.len()],
        location,
        utc_offset_minutes,
        properties,
        categories: categories.iter().map(String::as_str).collect(),
        consent: Consent(consent),
        schema_version: version,
    }
}

proptest! {
    #[test]
    fn any_event_comes_back_as_it_was(parts in parts()) {
        let record = Record::Event(event(&parts));
        let bytes = encoded(&record);
        prop_assert_eq!(decode(&bytes).unwrap(), record);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_damaged_event_is_refused_or_has_one_encoding_only(
        parts in parts(),
        at in any::<prop::sample::Index>(),
        mask in 1_u8..,
    ) {
        let mut bytes = encoded(&Record::Event(event(&parts)));
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(&encoded(&record), &bytes);
        }
    }
}
