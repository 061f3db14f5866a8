//! Files of one JSON object a line.

use anyhow::Context;
use nowcast_evaluation::input::{TimeUnit, open, parse_time};
use serde_json::Value;
use std::io::BufRead;
use std::path::Path;

/// An open file of lines.
pub struct Lines {
    reader: Box<dyn BufRead + Send>,
    path: String,
    number: u64,
}

impl Lines {
    /// Opens `path`, unpacking `.gz` and `.zst`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            reader: open(path)?,
            path: path.display().to_string(),
            number: 0,
        })
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read or is not UTF-8, which JSON must be.
    pub fn next_line(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            let mut line = String::new();
            let read = self
                .reader
                .read_line(&mut line)
                .with_context(|| format!("cannot read {}", self.place()))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !line.trim().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// File and line, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}, line {}", self.path, self.number)
    }
}

/// Event time of a line in milliseconds; of a line without a readable one, the beginning of time:
/// it is sent first and judged by the edge.
#[must_use]
pub fn event_time(line: &str) -> i64 {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    match &event["timestamp"] {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => parse_time(text, TimeUnit::Iso).map(|time| time.0),
        _ => None,
    }
    .unwrap_or(i64::MIN)
}

/// Id and row of an item's line.
///
/// # Errors
/// When the line is not an object with an `item_id`.
pub fn item(line: &str) -> anyhow::Result<(String, Value)> {
    let mut item: Value = serde_json::from_str(line).context("not JSON")?;
    let id = item
        .as_object_mut()
        .and_then(|fields| fields.remove("item_id"))
        .and_then(|id| id.as_str().map(str::to_owned))
        .context("expected an object with an `item_id`")?;
    Ok((id, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_both_spellings() {
        assert_eq!(event_time(r#"{"timestamp":5}"#), 5);
        assert_eq!(
            event_time(r#"{"timestamp":"2018-11-07T09:30:00Z"}"#),
            1_541_583_000_000
        );
        assert_eq!(event_time("nonsense"), i64::MIN);
    }

    #[test]
    fn an_item_is_split_from_its_id() {
        let (id, row) = item(r#"{"item_id":"a","tags":["t"]}"#).unwrap();
        assert_eq!(
            (id.as_str(), row.to_string().as_str()),
            ("a", r#"{"tags":["t"]}"#)
        );
        assert!(item("{}").is_err());
    }
}
