//! The encoding of an event; the layout is in the parent module.

use super::TAG_EVENT;
use super::bytes::{Fault, Reader, put_signed, put_varint};
use nowcast_types::event::CATEGORIES_MAX;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, SessionKey, Timestamp,
};

mod flag {
    pub(super) const SESSION: u16 = 1;
    pub(super) const VALUE: u16 = 1 << 1;
    pub(super) const ZONE: u16 = 1 << 2;
    pub(super) const ITEM: u16 = 1 << 3;
    pub(super) const SLOT: u16 = 1 << 4;
    pub(super) const REQUEST: u16 = 1 << 5;
    pub(super) const LOCATION: u16 = 1 << 6;
    pub(super) const PROPERTIES: u16 = 1 << 7;
    pub(super) const ALL: u16 = (1 << 8) - 1;
}

fn flags(event: &Event<'_>) -> u16 {
    let set = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
    set(event.session.is_some(), flag::SESSION)
        | set(event.value.is_some(), flag::VALUE)
        | set(event.utc_offset_minutes != 0, flag::ZONE)
        | set(event.item_id.is_some(), flag::ITEM)
        | set(event.slot.is_some(), flag::SLOT)
        | set(event.request_id.is_some(), flag::REQUEST)
        | set(event.location.is_some(), flag::LOCATION)
        | set(event.properties.is_some(), flag::PROPERTIES)
}

fn texts<'a>(event: &Event<'a>) -> [Option<&'a str>; 6] {
    [
        Some(event.event_id),
        event.item_id,
        event.slot,
        event.request_id,
        event.location,
        event.properties,
    ]
}

pub(super) fn encode(event: &Event<'_>, out: &mut Vec<u8>) {
    let texts = texts(event);
    let text_bytes: usize = texts.iter().flatten().map(|text| text.len()).sum();
    out.reserve(
        64 + text_bytes
            + event
                .categories
                .iter()
                .map(|text| text.len())
                .sum::<usize>(),
    );
    let [flags_low, flags_high] = flags(event).to_le_bytes();
    out.extend_from_slice(&[
        TAG_EVENT,
        flags_low,
        flags_high,
        event.event_type.0,
        (event.categories.len() as u8) << 4 | event.device as u8,
        event.consent.0,
        event.schema_version,
    ]);
    out.extend_from_slice(&event.user.0);
    put_signed(out, event.timestamp.0);
    put_signed(out, event.received_at.0.wrapping_sub(event.timestamp.0));
    if let Some(session) = event.session {
        out.extend_from_slice(&session.0.to_le_bytes());
    }
    if let Some(value) = event.value {
        out.extend_from_slice(&value.to_le_bytes());
    }
    if event.utc_offset_minutes != 0 {
        put_signed(out, i64::from(event.utc_offset_minutes));
    }
    for text in texts.iter().flatten().chain(&event.categories) {
        put_varint(out, text.len() as u64);
    }
    for text in texts.iter().flatten().chain(&event.categories) {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Reads an event whose tag has been read.
pub(super) fn decode(mut reader: Reader<'_>) -> Result<Event<'_>, Fault> {
    let [low, high, event_type, shape, consent, schema_version] = reader.array()?;
    let flags = u16::from_le_bytes([low, high]);
    let has = |flag: u16| flags & flag != 0;
    let category_count = usize::from(shape >> 4);
    if flags & !flag::ALL != 0 || category_count > CATEGORIES_MAX {
        return Err("unknown flags of an event");
    }
    let device = DeviceClass::from_byte(shape & 15);
    let device = device.ok_or("unknown device class")?;
    let user = reader.user()?;
    let timestamp = Timestamp(reader.signed()?);
    let received_at = Timestamp(timestamp.0.wrapping_add(reader.signed()?));
    let session = if has(flag::SESSION) {
        Some(SessionKey(u64::from_le_bytes(reader.array()?)))
    } else {
        None
    };
    let value = if has(flag::VALUE) {
        Some(f32::from_le_bytes(reader.array()?))
    } else {
        None
    };
    let utc_offset_minutes = if has(flag::ZONE) {
        zone(reader.signed()?)?
    } else {
        0
    };
    let event_id_len = reader.len()?;
    let item_len = reader.len_if(has(flag::ITEM))?;
    let slot_len = reader.len_if(has(flag::SLOT))?;
    let request_len = reader.len_if(has(flag::REQUEST))?;
    let location_len = reader.len_if(has(flag::LOCATION))?;
    let properties_len = reader.len_if(has(flag::PROPERTIES))?;
    let mut category_lens = [0; CATEGORIES_MAX];
    for len in &mut category_lens[..category_count] {
        *len = reader.len()?;
    }
    let mut text = reader.into_text()?;
    let event = Event {
        event_id: text.take(event_id_len)?,
        event_type: EventTypeCode(event_type),
        user,
        session,
        item_id: text.take_if(has(flag::ITEM), item_len)?,
        timestamp,
        received_at,
        value,
        slot: text.take_if(has(flag::SLOT), slot_len)?,
        request_id: text.take_if(has(flag::REQUEST), request_len)?,
        device,
        location: text.take_if(has(flag::LOCATION), location_len)?,
        utc_offset_minutes,
        properties: text.take_if(has(flag::PROPERTIES), properties_len)?,
        categories: {
            let mut categories = Categories::new();
            for len in &category_lens[..category_count] {
                categories.push(text.take(*len)?);
            }
            categories
        },
        consent: Consent(consent),
        schema_version,
    };
    text.finish()?;
    Ok(event)
}

/// Minutes east of Greenwich; 0 is written as absence.
fn zone(minutes: i64) -> Result<i16, Fault> {
    i16::try_from(minutes)
        .ok()
        .filter(|minutes| *minutes != 0)
        .ok_or("time zone out of range")
}
