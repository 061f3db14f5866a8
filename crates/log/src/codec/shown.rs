//! The encodings of what was shown and of what came of it; the layouts are in the parent module.

use super::bytes::{Fault, Reader, put_signed, put_varint};
use super::{TAG_EXAMPLE, TAG_SLATE};
use nowcast_types::{LabelledExample, Origin, Slate, SlateItems, Timestamp};

pub(super) fn encode_slate(slate: &Slate<'_>, out: &mut Vec<u8>) {
    let items = &slate.items;
    out.reserve(64 + slate.situation.len() + items.bytes().len());
    out.push(TAG_SLATE);
    out.extend_from_slice(&slate.user.0);
    put_signed(out, slate.at.0);
    for len in [
        slate.situation.len(),
        items.bytes().len(),
        items.facts_bytes(),
        slate.request_id.len(),
        slate.slot.len(),
    ] {
        put_varint(out, len as u64);
    }
    out.extend_from_slice(slate.situation);
    out.extend_from_slice(items.bytes());
    out.extend_from_slice(slate.request_id.as_bytes());
    out.extend_from_slice(slate.slot.as_bytes());
}

/// Reads a slate whose tag has been read.
pub(super) fn decode_slate(mut reader: Reader<'_>) -> Result<Slate<'_>, Fault> {
    let (user, at) = (reader.user()?, Timestamp(reader.signed()?));
    let (situation_len, items_len) = (reader.len()?, reader.len()?);
    let facts_len = reader.len()?;
    let lengths = [reader.len()?, reader.len()?];
    let situation = reader.bytes(situation_len)?;
    let items = SlateItems::new(reader.bytes(items_len)?, facts_len);
    let items = items.ok_or("items of a slate are not equally long")?;
    let [request_id, slot] = reader.into_texts(lengths)?;
    Ok(Slate {
        user,
        at,
        request_id,
        slot,
        situation,
        items,
    })
}

pub(super) fn encode_example(example: &LabelledExample<'_>, out: &mut Vec<u8>) {
    let origin = &example.origin;
    out.push(TAG_EXAMPLE);
    put_varint(out, u64::from(origin.partition));
    put_varint(out, origin.offset);
    put_varint(out, u64::from(origin.index));
    put_signed(out, example.at.0);
    put_varint(out, example.slate);
    put_varint(out, u64::from(example.place));
    out.extend_from_slice(&example.score.to_le_bytes());
    for len in [
        example.situation.len(),
        example.facts.len(),
        example.slot.len(),
        example.labels.len(),
    ] {
        put_varint(out, len as u64);
    }
    out.extend_from_slice(example.situation);
    out.extend_from_slice(example.facts);
    out.extend_from_slice(example.slot.as_bytes());
    out.extend_from_slice(example.labels.as_bytes());
}

/// Reads an example whose tag has been read.
pub(super) fn decode_example(mut reader: Reader<'_>) -> Result<LabelledExample<'_>, Fault> {
    let origin = Origin {
        partition: small(reader.varint()?)?,
        offset: reader.varint()?,
        index: small(reader.varint()?)?,
    };
    let at = Timestamp(reader.signed()?);
    let (slate, place) = (reader.varint()?, small(reader.varint()?)?);
    let score = f32::from_le_bytes(reader.array()?);
    let (situation_len, facts_len) = (reader.len()?, reader.len()?);
    let lengths = [reader.len()?, reader.len()?];
    let situation = reader.bytes(situation_len)?;
    let facts = reader.bytes(facts_len)?;
    let [slot, labels] = reader.into_texts(lengths)?;
    Ok(LabelledExample {
        origin,
        at,
        slate,
        place,
        slot,
        labels,
        score,
        situation,
        facts,
    })
}

fn small<T: TryFrom<u64>>(value: u64) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| "number out of range")
}
