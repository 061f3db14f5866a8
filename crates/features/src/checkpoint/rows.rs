//! How users, items and groups look in a section.

use super::codec::{Reader, Writer};
use crate::groups::Group;
use crate::history::{History, HistoryEntry};
use crate::ids::LocalSegment;
use crate::items::Item;
use crate::session::Session;
use crate::users::{NO_SEGMENT, User};
use nowcast_types::{Timestamp, UserKey};

pub(crate) fn write_user(out: &mut Writer, slot: u32, user: &User, history_len: usize) {
    out.u32(slot);
    out.u8(user.lap);
    out.u32(user.first_s);
    out.u32(user.last_s);
    out.u32(user.segment().map_or(NO_SEGMENT, |segment| segment.0));
    write_session(out, &user.session);
    out.u8(u8::from(user.attributes().is_some()));
    if let Some(attributes) = user.attributes() {
        out.text(attributes);
    }
    let history = user.history.entries(history_len);
    out.u32(history.len() as u32);
    for word in history.iter().flat_map(|entry| entry.to_words()) {
        out.u32(word);
    }
    out.words(&user.words);
}

/// A user with its slot.
pub(crate) fn read_user(key: UserKey, bytes: &[u8]) -> Option<(u32, User)> {
    let mut reader = Reader { bytes };
    let slot = reader.u32()?;
    let lap = reader.u8()?;
    let first_s = reader.u32()?;
    let last_s = reader.u32()?;
    let segment = reader.u32()?;
    let session = read_session(&mut reader)?;
    let attributes = match reader.u8()? {
        0 => None,
        _ => Some(reader.text()?.into()),
    };
    let n = reader.u32()? as usize;
    let (entries, _) = reader.take(n.checked_mul(12)?)?.as_chunks::<12>();
    let history = entries.iter().map(read_entry).collect();
    let mut user = User::new(key, History::from_entries(history));
    user.words = reader.words()?;
    reader.end()?;
    user.session = session;
    user.set_attributes(attributes);
    user.first_s = first_s;
    user.last_s = last_s;
    user.set_segment((segment != NO_SEGMENT).then_some(LocalSegment(segment)));
    user.lap = lap;
    Some((slot, user))
}

fn read_entry(bytes: &[u8; 12]) -> HistoryEntry {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    HistoryEntry::from_words([word(0), word(4), word(8)])
}

fn write_session(out: &mut Writer, session: &Session) {
    out.u32(session.ordinal);
    if session.ordinal == 0 {
        return;
    }
    out.i64(session.start.0);
    out.i64(session.last.0);
    out.u64(session.key);
    out.u32(session.depth);
    out.u32(session.engaged_ms);
    out.u32(session.strength.to_bits());
}

fn read_session(reader: &mut Reader<'_>) -> Option<Session> {
    let ordinal = reader.u32()?;
    if ordinal == 0 {
        return Some(Session::NONE);
    }
    let start = Timestamp(reader.i64()?);
    let last = Timestamp(reader.i64()?);
    Some(Session {
        start,
        last,
        key: reader.u64()?,
        depth: reader.u32()?,
        engaged_ms: reader.u32()?,
        strength: f32::from_bits(reader.u32()?),
        ordinal,
    })
}

pub(crate) fn write_item(out: &mut Writer, item: &Item) {
    out.u8(item.lap);
    out.text(&item.id);
    out.decayed(&item.trending);
    out.decayed(&item.popular);
    out.words(&item.words);
    out.words(&item.neighbours);
}

pub(crate) fn read_item(bytes: &[u8]) -> Option<Item> {
    let mut reader = Reader { bytes };
    let lap = reader.u8()?;
    let mut item = Item::new(reader.text()?);
    item.trending = reader.decayed()?;
    item.popular = reader.decayed()?;
    item.words = reader.words()?;
    item.neighbours = reader.words()?;
    reader.end()?;
    item.lap = lap;
    Some(item)
}

pub(crate) fn write_group(out: &mut Writer, group: &Group) {
    out.text(&group.name);
    out.u32(group.pair[0]);
    out.u32(group.pair[1]);
    out.decayed(&group.trending);
    out.decayed(&group.popular);
    out.words(&group.words);
}

pub(crate) fn read_group(bytes: &[u8]) -> Option<Group> {
    let mut reader = Reader { bytes };
    let mut group = Group::default();
    group.name = reader.text()?.into();
    group.pair = [reader.u32()?, reader.u32()?];
    group.trending = reader.decayed()?;
    group.popular = reader.decayed()?;
    group.words = reader.words()?;
    reader.end()?;
    Some(group)
}
