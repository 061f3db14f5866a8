//! Delimited text with named or numbered columns.

use super::{InputError, open};
use std::io::BufRead;
use std::path::Path;

/// A column by header name, or by position counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column(pub String);

/// An open delimited file. The delimiter (tab, `::`, `,`, `;`, `|` or blanks) is the first of
/// these that the first line contains.
pub struct Table {
    path: String,
    reader: Box<dyn BufRead + Send>,
    delimiter: Delimiter,
    names: Vec<String>,
    pending: Option<String>,
    line: u64,
}

/// One row: its fields in file order.
#[derive(Debug, Default)]
pub struct Row {
    fields: Vec<String>,
    /// Line of the file, counted from 1.
    pub line: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    Text(&'static str),
    Csv(char),
    Blanks,
}

impl Delimiter {
    fn guess(line: &str) -> Self {
        match line {
            _ if line.contains('\t') => Self::Text("\t"),
            _ if line.contains("::") => Self::Text("::"),
            _ if line.contains(',') => Self::Csv(','),
            _ if line.contains(';') => Self::Csv(';'),
            _ if line.contains('|') => Self::Text("|"),
            _ => Self::Blanks,
        }
    }

    fn split(self, line: &str, fields: &mut Vec<String>) {
        fields.clear();
        match self {
            Self::Text(delimiter) => fields.extend(line.split(delimiter).map(str::to_owned)),
            Self::Blanks => fields.extend(line.split_whitespace().map(str::to_owned)),
            Self::Csv(delimiter) => split_csv(line, delimiter, fields),
        }
    }
}

/// Splits one line after RFC 4180, but for line breaks inside quotes.
fn split_csv(line: &str, delimiter: char, fields: &mut Vec<String>) {
    let mut field = String::new();
    let mut is_quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            c if c == delimiter && !is_quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
}

impl Table {
    /// Opens `path`. With `has_header` the first line names the columns; a name's part after a
    /// `:` is a type and is ignored (`user_id:token`).
    ///
    /// # Errors
    /// [`InputError::Io`].
    pub fn open(path: &Path, has_header: bool) -> Result<Self, InputError> {
        let mut table = Self {
            path: path.display().to_string(),
            reader: open(path)?,
            delimiter: Delimiter::Blanks,
            names: Vec::new(),
            pending: None,
            line: 0,
        };
        let Some(first) = table.next_line()? else {
            return Ok(table);
        };
        table.delimiter = Delimiter::guess(&first);
        if has_header {
            table.delimiter.split(&first, &mut table.names);
            for name in &mut table.names {
                let bare = name.split(':').next().unwrap_or_default().trim().to_owned();
                *name = bare;
            }
        } else {
            table.pending = Some(first);
            table.line = 0;
        }
        Ok(table)
    }

    /// The file's path, for messages.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The index of a column.
    ///
    /// # Errors
    /// [`InputError::UnknownColumn`], which lists the names there are.
    pub fn index(&self, column: &Column) -> Result<usize, InputError> {
        let by_name = self.names.iter().position(|name| *name == column.0);
        let by_position = || column.0.parse::<usize>().ok()?.checked_sub(1);
        by_name
            .or_else(by_position)
            .ok_or_else(|| InputError::UnknownColumn {
                column: column.0.clone(),
                known: if self.names.is_empty() {
                    "none, because there is no header: give a position from 1 on, or --header"
                        .into()
                } else {
                    self.names.join(", ")
                },
            })
    }

    /// Reads the next row that is not blank into `row`; `false` at the end.
    ///
    /// # Errors
    /// [`InputError::Io`].
    pub fn read(&mut self, row: &mut Row) -> Result<bool, InputError> {
        loop {
            let line = match self.pending.take() {
                Some(line) => {
                    self.line += 1;
                    line
                }
                None => match self.next_line()? {
                    Some(line) => line,
                    None => return Ok(false),
                },
            };
            if !line.trim().is_empty() {
                self.delimiter.split(&line, &mut row.fields);
                row.line = self.line;
                return Ok(true);
            }
        }
    }

    fn next_line(&mut self) -> Result<Option<String>, InputError> {
        let mut bytes = Vec::new();
        let read = self
            .reader
            .read_until(b'\n', &mut bytes)
            .map_err(|source| InputError::Io {
                path: self.path.clone(),
                source,
            })?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        // Older data sets come in Latin-1: a damaged letter is better than a refused file.
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// An error about `row` that names file and line.
    pub fn error(&self, row: &Row, message: impl Into<String>) -> InputError {
        InputError::Row {
            path: self.path.clone(),
            line: row.line,
            message: message.into(),
        }
    }
}

impl Row {
    /// The field at `index`; empty where the row is short.
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |field| field.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, has_header: bool, columns: &[&str]) -> Vec<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, text).unwrap();
        let mut table = Table::open(&path, has_header).unwrap();
        let indices: Vec<usize> = columns
            .iter()
            .map(|c| table.index(&Column((*c).into())).unwrap())
            .collect();
        let (mut row, mut all) = (Row::default(), Vec::new());
        while table.read(&mut row).unwrap() {
            all.push(indices.iter().map(|i| row.get(*i).to_owned()).collect());
        }
        all
    }

    #[test]
    fn typed_headers_csv_quotes_and_double_colons_are_understood() {
        assert_eq!(
            rows("user_id:token\titem_id:token\n1\t2\n", true, &["item_id"]),
            [["2"]]
        );
        assert_eq!(
            rows("a,b\n\"x, \"\"y\"\"\",2\n\n", true, &["a", "2"]),
            [["x, \"y\"", "2"]]
        );
        assert_eq!(
            rows("1::2::5\n3::4::1\n", false, &["1", "3"]),
            [["1", "5"], ["3", "1"]]
        );
    }

    #[test]
    fn an_unknown_column_lists_the_known_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, "a,b\n").unwrap();
        let table = Table::open(&path, true).unwrap();
        let error = table.index(&Column("c".into())).unwrap_err().to_string();
        assert!(error.contains("a, b"), "{error}");
    }
}
