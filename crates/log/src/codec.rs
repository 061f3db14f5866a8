//! The binary form of a record: a tag that names kind and version, fixed fields, lengths, and then
//! all text in one run, so that one check of its UTF-8 serves every string.
//!
//! Integers are little-endian or LEB128 variable-length (signed ones zigzag first, as in Protocol
//! Buffers). A changed layout gets a new tag; old tags are read for ever. Every encoding is the
//! only one of its record: a decoder that accepts unknown flags or trailing bytes would let damage
//! pass. Nothing here is a checksum: frames have those.
//!
//! ```text
//! event   1 | flags u16 | type u8 | categories<<4|device u8 | consent u8 | schema version u8
//!         | user 16 | timestamp zv | received-timestamp zv | [session u64] [value f32] [zone zv]
//!         | lengths v: event id, [item] [slot] [request] [location] [properties] categories… | text
//! user    2 | flags u8 | user 16 | at zv | lengths v: [segment] [attributes] | text
//! erase   3 | user 16 | at zv
//! item    4 | flags u8 | at zv | lengths v: item id, [item] | text
//! letter  5 | at zv | lengths v: code, field, expected, body | text
//! schema  6 | at zv | planned_on v | length v: change | text
//! slate   7 | user 16 | at zv | lengths v: situation, items, facts of an item; request, slot
//!         | situation | items | text
//! example 8 | partition v | offset v | index v | at zv | slate v | place v | score f32
//!         | lengths v: situation, facts; slot, labels | situation | facts | text
//! ```

mod bytes;
mod event;
mod shown;

use crate::error::LogError;
use bytes::{Fault, Reader, put_signed, put_varint};
use nowcast_types::{DeadLetter, ItemChange, Record, SchemaChange, Timestamp, UserChange};

const TAG_EVENT: u8 = 1;
const TAG_USER: u8 = 2;
const TAG_ERASE: u8 = 3;
const TAG_ITEM: u8 = 4;
const TAG_DEAD_LETTER: u8 = 5;
const TAG_SCHEMA: u8 = 6;
const TAG_SLATE: u8 = 7;
const TAG_EXAMPLE: u8 = 8;

/// Flags of a user change.
mod user_flag {
    pub(super) const PATCH: u8 = 1;
    pub(super) const SEGMENT: u8 = 2;
    pub(super) const ATTRIBUTES: u8 = 4;
    pub(super) const ALL: u8 = 7;
}

/// Flags of an item change.
mod item_flag {
    pub(super) const ITEM: u8 = 1;
}

/// Appends the encoding of `record`.
pub fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    match record {
        Record::Event(event) => event::encode(event, out),
        Record::User(change) => encode_user(change, out),
        Record::Erase { user, at } => {
            out.push(TAG_ERASE);
            out.extend_from_slice(&user.0);
            put_signed(out, at.0);
        }
        Record::Item(change) => encode_item(change, out),
        Record::DeadLetter(letter) => {
            out.push(TAG_DEAD_LETTER);
            put_signed(out, letter.at.0);
            let texts = [letter.code, letter.field, letter.expected, letter.body];
            put_texts(out, texts);
        }
        Record::Schema(change) => {
            out.push(TAG_SCHEMA);
            put_signed(out, change.at.0);
            put_varint(out, change.planned_on);
            put_texts(out, [change.change]);
        }
        Record::Slate(slate) => shown::encode_slate(slate, out),
        Record::Example(example) => shown::encode_example(example, out),
    }
}

/// Reads the record that is exactly `bytes`, borrowing its text.
///
/// # Errors
/// [`LogError::BadRecord`]; arbitrary bytes never panic.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, LogError> {
    decode_record(bytes).map_err(LogError::BadRecord)
}

#[inline]
fn decode_record(bytes: &[u8]) -> Result<Record<'_>, Fault> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        TAG_EVENT => event::decode(reader).map(Record::Event),
        TAG_USER => decode_user(reader).map(Record::User),
        TAG_ERASE => {
            let (user, at) = (reader.user()?, Timestamp(reader.signed()?));
            reader.into_texts([])?;
            Ok(Record::Erase { user, at })
        }
        TAG_ITEM => decode_item(reader).map(Record::Item),
        TAG_DEAD_LETTER => {
            let at = Timestamp(reader.signed()?);
            let lengths = [reader.len()?, reader.len()?, reader.len()?, reader.len()?];
            let [code, field, expected, body] = reader.into_texts(lengths)?;
            Ok(Record::DeadLetter(DeadLetter {
                at,
                code,
                field,
                expected,
                body,
            }))
        }
        TAG_SCHEMA => {
            let (at, planned_on) = (Timestamp(reader.signed()?), reader.varint()?);
            let lengths = [reader.len()?];
            let [change] = reader.into_texts(lengths)?;
            Ok(Record::Schema(SchemaChange {
                at,
                planned_on,
                change,
            }))
        }
        TAG_SLATE => shown::decode_slate(reader).map(Record::Slate),
        TAG_EXAMPLE => shown::decode_example(reader).map(Record::Example),
        _ => Err("unknown kind or version"),
    }
}

fn encode_user(change: &UserChange<'_>, out: &mut Vec<u8>) {
    let mut flags = 0;
    if change.is_patch {
        flags |= user_flag::PATCH;
    }
    if change.segment.is_some() {
        flags |= user_flag::SEGMENT;
    }
    if change.attributes.is_some() {
        flags |= user_flag::ATTRIBUTES;
    }
    out.extend_from_slice(&[TAG_USER, flags]);
    out.extend_from_slice(&change.user.0);
    put_signed(out, change.at.0);
    put_texts(
        out,
        [change.segment, change.attributes].into_iter().flatten(),
    );
}

fn decode_user(mut reader: Reader<'_>) -> Result<UserChange<'_>, Fault> {
    let flags = reader.u8()?;
    if flags & !user_flag::ALL != 0 {
        return Err("unknown flags of a user change");
    }
    let (user, at) = (reader.user()?, Timestamp(reader.signed()?));
    let has = |flag| flags & flag != 0;
    let lengths = [
        reader.len_if(has(user_flag::SEGMENT))?,
        reader.len_if(has(user_flag::ATTRIBUTES))?,
    ];
    let [segment, attributes] = reader.into_texts(lengths)?;
    Ok(UserChange {
        user,
        at,
        is_patch: has(user_flag::PATCH),
        segment: has(user_flag::SEGMENT).then_some(segment),
        attributes: has(user_flag::ATTRIBUTES).then_some(attributes),
    })
}

fn encode_item(change: &ItemChange<'_>, out: &mut Vec<u8>) {
    let flags = change.item.map_or(0, |_| item_flag::ITEM);
    out.extend_from_slice(&[TAG_ITEM, flags]);
    put_signed(out, change.at.0);
    put_texts(
        out,
        [Some(change.item_id), change.item].into_iter().flatten(),
    );
}

fn decode_item(mut reader: Reader<'_>) -> Result<ItemChange<'_>, Fault> {
    let flags = reader.u8()?;
    if flags & !item_flag::ITEM != 0 {
        return Err("unknown flags of an item change");
    }
    let at = Timestamp(reader.signed()?);
    let has_item = flags & item_flag::ITEM != 0;
    let lengths = [reader.len()?, reader.len_if(has_item)?];
    let [item_id, item] = reader.into_texts(lengths)?;
    Ok(ItemChange {
        item_id,
        at,
        item: has_item.then_some(item),
    })
}

fn put_texts<'a>(out: &mut Vec<u8>, texts: impl IntoIterator<Item = &'a str> + Clone) {
    for text in texts.clone() {
        put_varint(out, text.len() as u64);
    }
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}
