//! Rows of interactions.

use super::Format;
use super::names::TypeNames;
use anyhow::Context;
use nowcast_evaluation::input::{Column, Row, Table, TimeUnit, parse_time};
use nowcast_types::Timestamp;
use serde_json::value::{RawValue, to_raw_value};
use std::path::Path;

/// One interaction of a file, in the words of the HTTP API.
#[derive(Debug, Clone, Default)]
pub struct ImportedEvent {
    /// The file's own id of the event.
    pub event_id: Option<String>,
    /// Name of the event type.
    pub event_type: String,
    /// Raw user id; empty where the file has none.
    pub user_id: String,
    /// Raw session id.
    pub session_id: Option<String>,
    /// The item; empty for types that need none.
    pub item_id: String,
    /// Event time.
    pub timestamp: Timestamp,
    /// The quantity.
    pub value: Option<f64>,
    /// Anything else, as a JSON object.
    pub properties: Option<Box<RawValue>>,
}

/// Which columns mean what.
#[derive(Debug, Clone, Default)]
pub struct EventColumns {
    /// Raw user ids.
    pub user: Option<String>,
    /// Item ids.
    pub item: Option<String>,
    /// Event time.
    pub time: Option<String>,
    /// Event type names.
    pub event_type: Option<String>,
    /// Raw session ids.
    pub session: Option<String>,
    /// Quantities.
    pub value: Option<String>,
    /// Ids of events.
    pub event_id: Option<String>,
    /// Items shown with the row, separated by `|`; each becomes an impression just before it.
    pub impressions: Option<String>,
    /// How times are written.
    pub time_unit: TimeUnit,
    /// The first line names the columns.
    pub has_header: bool,
    /// The type of rows without one.
    pub default_type: String,
}

/// An open file of interactions.
pub struct EventFile {
    table: Table,
    indices: Indices,
    names: TypeNames,
    time_unit: TimeUnit,
    default_type: String,
    row: Row,
}

struct Indices {
    user: Option<usize>,
    item: Option<usize>,
    time: usize,
    event_type: Option<usize>,
    session: Option<usize>,
    value: Option<usize>,
    event_id: Option<usize>,
    impressions: Option<usize>,
}

impl EventFile {
    /// Opens `path` as `format` (any but jsonl).
    ///
    /// # Errors
    /// An unreadable file or a column there is not.
    pub fn open(
        path: &Path,
        format: Format,
        columns: &EventColumns,
        names: TypeNames,
    ) -> anyhow::Result<Self> {
        let columns = with_defaults(path, format, columns)?;
        let table = Table::open(path, columns.has_header)?;
        let find = |name: &Option<String>| -> anyhow::Result<Option<usize>> {
            name.as_ref()
                .map(|name| table.index(&Column(name.clone())))
                .transpose()
                .map_err(Into::into)
        };
        let optional = |name: &Option<String>, was_asked_for: bool| match find(name) {
            Err(_) if !was_asked_for => Ok(None),
            found => found,
        };
        // With `csv`, a default column that is not there is simply not there.
        let strict = format != Format::Csv;
        let time =
            find(&columns.time)?.context("which column is the event time? give --time COLUMN")?;
        let indices = Indices {
            user: optional(&columns.user, strict)?,
            item: optional(&columns.item, strict)?,
            time,
            event_type: optional(&columns.event_type, strict)?,
            session: optional(&columns.session, strict)?,
            value: optional(&columns.value, strict)?,
            event_id: optional(&columns.event_id, strict)?,
            impressions: find(&columns.impressions)?,
        };
        if indices.user.is_none() && indices.session.is_none() {
            anyhow::bail!("which column is the user? give --user COLUMN (or --session COLUMN)");
        }
        Ok(Self {
            table,
            indices,
            names,
            time_unit: columns.time_unit,
            default_type: columns.default_type,
            row: Row::default(),
        })
    }

    /// Appends the events of the next row to `out`; `false` at the end of the file.
    ///
    /// # Errors
    /// A row whose time cannot be read: without it there is no place in the stream for it.
    pub fn read(&mut self, out: &mut Vec<ImportedEvent>) -> anyhow::Result<bool> {
        if !self.table.read(&mut self.row)? {
            return Ok(false);
        }
        let row = &self.row;
        let text = |index: Option<usize>| index.map_or("", |index| row.get(index));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let time_text = row.get(self.indices.time);
        let timestamp = parse_time(time_text, self.time_unit).ok_or_else(|| {
            self.table
                .error(row, format!("`{time_text}` is not a time; see --time-unit"))
        })?;
        let theirs = text(self.indices.event_type);
        let mut event = ImportedEvent {
            event_id: some(text(self.indices.event_id)),
            event_type: if theirs.is_empty() {
                self.default_type.clone()
            } else {
                self.names.ours(theirs)
            },
            user_id: text(self.indices.user).to_owned(),
            session_id: some(text(self.indices.session)),
            item_id: text(self.indices.item).to_owned(),
            timestamp,
            value: text(self.indices.value).parse().ok(),
            properties: None,
        };
        for shown in text(self.indices.impressions)
            .split('|')
            .filter(|id| !id.is_empty())
        {
            out.push(ImportedEvent {
                event_id: None,
                event_type: "impression".to_owned(),
                item_id: shown.to_owned(),
                value: None,
                ..event.clone()
            });
        }
        if event.event_type == "search" {
            // What was searched for is no item of the catalogue.
            let query = std::mem::take(&mut event.item_id);
            event.properties = to_raw_value(&serde_json::json!({ "query": query })).ok();
        }
        out.push(event);
        Ok(true)
    }
}

fn with_defaults(
    path: &Path,
    format: Format,
    columns: &EventColumns,
) -> anyhow::Result<EventColumns> {
    let mut columns = columns.clone();
    let or = |slot: &mut Option<String>, name: &str| {
        slot.get_or_insert_with(|| name.to_owned());
    };
    match format {
        Format::Events | Format::Jsonl => {}
        Format::Csv => {
            columns.has_header = true;
            or(&mut columns.user, "user_id");
            or(&mut columns.item, "item_id");
            or(&mut columns.time, "timestamp");
            or(&mut columns.event_type, "event_type");
            or(&mut columns.session, "session_id");
            or(&mut columns.value, "value");
            or(&mut columns.event_id, "event_id");
        }
        Format::Movielens => {
            // user, item, rating, time: in this order in every release, with a header in some.
            columns.has_header = first_line_is_header(path)?;
            or(&mut columns.user, "1");
            or(&mut columns.item, "2");
            or(&mut columns.value, "3");
            or(&mut columns.time, "4");
            columns.default_type = "rating".to_owned();
        }
    }
    Ok(columns)
}

/// Whether the first line of a ratings file starts with a name instead of a number.
pub(super) fn first_line_is_header(path: &Path) -> anyhow::Result<bool> {
    let mut table = Table::open(path, false)?;
    let mut row = Row::default();
    Ok(table.read(&mut row)? && row.get(0).parse::<u64>().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: Format, columns: &EventColumns) -> Vec<ImportedEvent> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        std::fs::write(&path, text).unwrap();
        let mut file = EventFile::open(&path, format, columns, TypeNames::default()).unwrap();
        let mut events = Vec::new();
        while file.read(&mut events).unwrap() {}
        events
    }

    #[test]
    fn movielens_files_need_no_flags_with_or_without_header() {
        let columns = EventColumns::default();
        for text in [
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n",
            "196::242::3::881250949\n",
            "userId,movieId,rating,timestamp\n196,242,3,881250949\n",
        ] {
            let events = read(text, Format::Movielens, &columns);
            assert_eq!(events.len(), 1, "{text}");
            assert_eq!(events[0].event_type, "rating");
            assert_eq!(events[0].value, Some(3.0));
            assert_eq!(events[0].timestamp, Timestamp(881_250_949_000));
        }
    }

    #[test]
    fn shown_items_become_impressions_before_the_row() {
        let columns = EventColumns {
            user: Some("u".to_owned()),
            item: Some("i".to_owned()),
            time: Some("t".to_owned()),
            event_type: Some("k".to_owned()),
            impressions: Some("shown".to_owned()),
            has_header: true,
            ..EventColumns::default()
        };
        let text = "u,i,t,k,shown\na,7,1541599523,clickout item,5|7|9\na,8,1541599524,view,\n\
                    a,Rome,1541599525,search for destination,\n";
        let events = read(text, Format::Events, &columns);
        let kinds: Vec<(&str, &str)> = events
            .iter()
            .map(|e| (e.event_type.as_str(), e.item_id.as_str()))
            .collect();
        assert_eq!(
            kinds,
            [
                ("impression", "5"),
                ("impression", "7"),
                ("impression", "9"),
                ("click", "7"),
                ("view", "8"),
                ("search", "")
            ]
        );
        let query = events[5].properties.as_ref().map(|raw| raw.get());
        assert_eq!(
            query,
            Some(r#"{"query":"Rome"}"#),
            "what is searched for is no item"
        );
    }

    #[test]
    fn csv_takes_our_own_names_and_misses_none_of_them() {
        let columns = EventColumns {
            default_type: "view".to_owned(),
            ..EventColumns::default()
        };
        let text = "timestamp,item_id,user_id\n2018-11-07T09:30:00Z,i,u\n";
        let events = read(text, Format::Csv, &columns);
        assert_eq!(events[0].event_type, "view");
        assert_eq!(events[0].timestamp, Timestamp(1_541_583_000_000));
    }
}
