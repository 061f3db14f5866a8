//! A file of interactions as a stream in event-time order.
//!
//! Strings are interned once, so that a pass over the stream allocates nothing. Rows of equal time
//! keep the order of the file.

use crate::input::{Column, InputError, Row, Table, TimeUnit, parse_time};
use nowcast_types::event_type::{CUSTOM_CODE_MIN, ValueMeaning};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{EventTypeCode, EventTypeDef, EventTypes, SessionKey, Timestamp, UserKey};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::PathBuf;

/// Which columns mean what.
#[derive(Debug, Clone)]
pub struct StreamColumns {
    /// The file.
    pub path: PathBuf,
    /// Who.
    pub user: Column,
    /// What it was done to.
    pub item: Column,
    /// When.
    pub time: Column,
    /// What was done; without it every row is a `view`.
    pub event_type: Option<Column>,
    /// The site's own session.
    pub session: Option<Column>,
    /// Items shown, separated by `|`.
    pub impressions: Option<Column>,
    /// What is known of the moment, for the online ranker.
    pub context: Vec<Column>,
    /// Price of each item shown, separated by `|`.
    pub prices: Option<Column>,
    /// Whether the first line names the columns.
    pub has_header: bool,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    /// Who.
    pub user: UserKey,
    /// Who, counted from 0 in the order of the file.
    pub user_index: u32,
    /// Index into [`EventStream::items`].
    pub item: u32,
    /// When.
    pub time: Timestamp,
    /// What was done.
    pub event_type: EventTypeCode,
    /// The site's own session.
    pub session: Option<SessionKey>,
    /// Items shown, in display order; empty where the row shows none.
    pub shown: Vec<u32>,
    /// The request's context; empty where the row shows none.
    pub context: Map<String, Value>,
}

/// A whole file.
#[derive(Debug)]
pub struct EventStream {
    /// Ascending in time.
    pub events: Vec<StreamEvent>,
    /// Item ids by index.
    pub items: Vec<String>,
    /// Number of distinct users.
    pub users: usize,
    /// Whether the file says what was shown: then only rows that show something are scored.
    pub has_impressions: bool,
    /// The built-in event types and the file's own.
    pub types: EventTypes,
    /// Rows left out because user, item or time was empty or unreadable.
    pub skipped_rows: u64,
}

/// Weight of an event type that only the file knows: as a `view`.
const CUSTOM_WEIGHT: f32 = 1.0;

#[derive(Default)]
struct Interner {
    index: HashMap<String, u32>,
    names: Vec<String>,
}

impl Interner {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        let index = self.names.len() as u32;
        self.index.insert(name.to_owned(), index);
        self.names.push(name.to_owned());
        index
    }
}

struct Columns {
    user: usize,
    item: usize,
    time: usize,
    event_type: Option<usize>,
    session: Option<usize>,
    impressions: Option<usize>,
    context: Vec<(String, usize)>,
    prices: Option<usize>,
}

impl Columns {
    fn resolve(spec: &StreamColumns, table: &Table) -> Result<Self, InputError> {
        let optional = |c: &Option<Column>| c.as_ref().map(|c| table.index(c)).transpose();
        let context = spec.context.iter();
        Ok(Self {
            user: table.index(&spec.user)?,
            item: table.index(&spec.item)?,
            time: table.index(&spec.time)?,
            event_type: optional(&spec.event_type)?,
            session: optional(&spec.session)?,
            impressions: optional(&spec.impressions)?,
            context: context
                .map(|c| Ok((c.0.clone(), table.index(c)?)))
                .collect::<Result<_, InputError>>()?,
            prices: optional(&spec.prices)?,
        })
    }

    /// What is known of the moment of a row that shows something.
    fn context_of(&self, row: &Row) -> Map<String, Value> {
        let named = self.context.iter();
        let mut context: Map<String, Value> = named
            .map(|(name, at)| (name.clone(), Value::from(row.get(*at))))
            .collect();
        if let Some(at) = self.prices {
            let price = |text: &str| text.parse::<f64>().map_or(Value::Null, Value::from);
            let prices = row.get(at).split('|').map(price).collect();
            context.insert("prices".to_owned(), Value::Array(prices));
        }
        context
    }
}

/// Reads and sorts a stream.
///
/// # Errors
/// [`InputError`] for a file or column that is not there, or more event types than codes.
pub fn load(spec: &StreamColumns) -> Result<EventStream, InputError> {
    let mut table = Table::open(&spec.path, spec.has_header)?;
    let columns = Columns::resolve(spec, &table)?;
    let (mut users, mut items, mut types) = (
        Interner::default(),
        Interner::default(),
        TypeTable::default(),
    );
    let (mut events, mut skipped_rows, mut row) = (Vec::new(), 0, Row::default());
    while table.read(&mut row)? {
        let time = parse_time(row.get(columns.time), TimeUnit::Auto);
        let (user, item) = (row.get(columns.user), row.get(columns.item));
        let (Some(time), false) = (time, user.is_empty() || item.is_empty()) else {
            skipped_rows += 1;
            continue;
        };
        let type_name = columns.event_type.map_or("view", |i| row.get(i));
        let Some(event_type) = types.code(type_name) else {
            return Err(table.error(
                &row,
                "more than 192 event types: is --type the right column?",
            ));
        };
        let shown = columns.impressions.map_or("", |i| row.get(i));
        let user_index = users.intern(user);
        events.push(StreamEvent {
            user: user_key(user_index),
            user_index,
            item: items.intern(item),
            time,
            event_type,
            session: columns.session.map(|i| session_key(row.get(i))),
            shown: shown
                .split('|')
                .filter(|s| !s.is_empty())
                .map(|s| items.intern(s))
                .collect(),
            context: if shown.is_empty() {
                Map::new()
            } else {
                columns.context_of(&row)
            },
        });
    }
    events.sort_by_key(|event| event.time);
    Ok(EventStream {
        events,
        items: items.names,
        users: users.names.len(),
        has_impressions: spec.impressions.is_some(),
        types: types.finish(),
        skipped_rows,
    })
}

/// Uniform bytes stand in for the pseudonym: nothing here touches a disk.
fn user_key(index: u32) -> UserKey {
    let hash = |seed| stable_hash(&index.to_le_bytes(), seed).to_le_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash(0));
    bytes[8..].copy_from_slice(&hash(1));
    UserKey(bytes)
}

fn session_key(text: &str) -> SessionKey {
    SessionKey(stable_hash(text.as_bytes(), 1))
}

/// Event types as they turn up: built-in names keep their meaning, others become custom types.
#[derive(Default)]
struct TypeTable {
    known: EventTypes,
    custom: Vec<EventTypeDef>,
    by_text: HashMap<String, EventTypeCode>,
}

impl TypeTable {
    fn code(&mut self, text: &str) -> Option<EventTypeCode> {
        if let Some(code) = self
            .known
            .code(text)
            .or_else(|| self.by_text.get(text).copied())
        {
            return Some(code);
        }
        let code = u8::try_from(usize::from(CUSTOM_CODE_MIN) + self.custom.len()).ok()?;
        let code = EventTypeCode(code);
        self.by_text.insert(text.to_owned(), code);
        self.custom.push(EventTypeDef {
            code,
            name: format!("custom_{}", code.0),
            weight: CUSTOM_WEIGHT,
            needs_item: true,
            value: ValueMeaning::Plain,
        });
        Some(code)
    }

    fn finish(self) -> EventTypes {
        EventTypes::with_custom(&self.custom).expect("generated names and codes are distinct")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_time_order_and_ties_in_file_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.csv");
        std::fs::write(
            &path,
            "u,i,t,a,shown\nx,b,2,tap,b|c\ny,a,1,click,\nx,c,2,tap,\n,z,3,tap,\n",
        )
        .unwrap();
        let column = |name: &str| Column(name.into());
        let stream = load(&StreamColumns {
            path,
            user: column("u"),
            item: column("i"),
            time: column("t"),
            event_type: Some(column("a")),
            session: None,
            impressions: Some(column("shown")),
            context: vec![column("a")],
            prices: None,
            has_header: true,
        })
        .unwrap();
        let order: Vec<&str> = stream
            .events
            .iter()
            .map(|e| stream.items[e.item as usize].as_str())
            .collect();
        assert_eq!(order, ["a", "b", "c"]);
        assert_eq!((stream.users, stream.skipped_rows), (2, 1));
        assert_eq!(stream.events[0].event_type, EventTypeCode::CLICK);
        assert_eq!(stream.events[1].event_type, EventTypeCode(CUSTOM_CODE_MIN));
        assert_eq!(stream.events[1].shown.len(), 2);
        assert_eq!(stream.events[1].context["a"], "tap");
    }
}
