//! Rows of the catalogue.

use super::events::first_line_is_header;
use super::{Format, lines};
use anyhow::Context;
use nowcast_evaluation::input::{Column, Row, Table};
use nowcast_models::ItemContent;
use nowcast_types::{AttributeValue, Item};
use std::collections::HashMap;
use std::path::Path;

/// Which columns of an item file mean what.
#[derive(Debug, Clone, Default)]
pub struct ItemColumns {
    /// Item ids.
    pub id: Option<String>,
    /// Categories, separated by `|` or blanks.
    pub categories: Option<String>,
    /// Tags, separated by `|` or blanks.
    pub tags: Option<String>,
    /// Columns that become attributes of their own name.
    pub attributes: Vec<String>,
    /// The first line names the columns.
    pub has_header: bool,
    /// Categories beyond this many become tags.
    pub categories_max: usize,
}

/// An open file of items.
pub struct ItemFile {
    table: Table,
    id: usize,
    categories: Option<usize>,
    tags: Option<usize>,
    attributes: Vec<(String, usize)>,
    categories_max: usize,
    row: Row,
}

impl ItemFile {
    /// Opens `path` as `format` (any but jsonl).
    ///
    /// # Errors
    /// An unreadable file or a column there is not.
    pub fn open(path: &Path, format: Format, columns: &ItemColumns) -> anyhow::Result<Self> {
        let mut columns = columns.clone();
        let mut attribute_names = columns.attributes.clone();
        match format {
            Format::Csv => {
                columns.has_header = true;
                columns.id.get_or_insert_with(|| "item_id".to_owned());
            }
            Format::Movielens => {
                columns.has_header = first_line_is_header(path)?;
                columns.id.get_or_insert_with(|| "1".to_owned());
                // RecBole: id, title, year, genres. The originals: id, title, genres.
                let genres = if columns.has_header { "4" } else { "3" };
                columns.categories.get_or_insert_with(|| genres.to_owned());
                columns.attributes = vec!["2".to_owned()];
                attribute_names = vec!["title".to_owned()];
            }
            Format::Events | Format::Jsonl => {}
        }
        let table = Table::open(path, columns.has_header)?;
        let find = |name: &String| table.index(&Column(name.clone()));
        let id = columns
            .id
            .as_ref()
            .context("which column is the item's id? give --item COLUMN")?;
        let attributes = attribute_names
            .iter()
            .zip(&columns.attributes)
            .map(|(name, column)| Ok((name.clone(), find(column)?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            id: find(id)?,
            categories: columns.categories.as_ref().map(find).transpose()?,
            tags: columns.tags.as_ref().map(find).transpose()?,
            attributes,
            categories_max: columns.categories_max,
            row: Row::default(),
            table,
        })
    }

    /// The next item; `None` at the end of the file.
    ///
    /// # Errors
    /// An unreadable file.
    pub fn read(&mut self) -> anyhow::Result<Option<(String, Item)>> {
        if !self.table.read(&mut self.row)? {
            return Ok(None);
        }
        let row = &self.row;
        let list =
            |index: Option<usize>| index.map_or_else(Vec::new, |index| split_list(row.get(index)));
        let mut item = Item {
            categories: list(self.categories),
            tags: list(self.tags),
            ..Item::default()
        };
        let spare = item.categories.len().min(self.categories_max);
        item.tags.extend(item.categories.split_off(spare));
        for (name, index) in &self.attributes {
            let text = row.get(*index);
            if !text.is_empty() {
                let value = match text.parse::<f64>() {
                    Ok(number) if number.is_finite() && name != "title" => {
                        AttributeValue::Number(number)
                    }
                    _ => AttributeValue::Text(text.to_owned()),
                };
                item.attributes.insert(name.clone(), value);
            }
        }
        Ok(Some((row.get(self.id).to_owned(), item)))
    }
}

/// What a file of items says of each, by id, for evaluations without a server.
///
/// # Errors
/// An unreadable file, a line that is no item, a format that is not one of items.
pub fn read_contents(path: &Path, format: Format) -> anyhow::Result<HashMap<String, ItemContent>> {
    let mut contents = HashMap::new();
    if format == Format::Jsonl {
        let mut source = lines::Lines::open(path)?;
        while let Some(line) = source.next_line()? {
            let (id, item) = lines::item(&line).with_context(|| source.place())?;
            let item: Item = serde_json::from_value(item).with_context(|| source.place())?;
            contents.insert(id, ItemContent::from_item(&item));
        }
        return Ok(contents);
    }
    anyhow::ensure!(
        format == Format::Movielens,
        "{}: a catalogue is jsonl or movielens here; `nowcast import` reads more",
        path.display()
    );
    let columns = ItemColumns {
        categories_max: usize::MAX,
        ..ItemColumns::default()
    };
    let mut file = ItemFile::open(path, format, &columns)?;
    while let Some((id, item)) = file.read()? {
        contents.insert(id, ItemContent::from_item(&item));
    }
    Ok(contents)
}

/// Splits at `|` where there is one, otherwise at blanks; keeps order, drops repetitions.
fn split_list(text: &str) -> Vec<String> {
    let separator = if text.contains('|') { '|' } else { ' ' };
    let mut parts: Vec<String> = Vec::new();
    for part in text
        .split(separator)
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        if !parts.iter().any(|known| known == part) {
            parts.push(part.to_owned());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> (String, Item) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("items");
        std::fs::write(&path, text).unwrap();
        let columns = ItemColumns {
            categories_max: 2,
            ..ItemColumns::default()
        };
        let mut file = ItemFile::open(&path, Format::Movielens, &columns).unwrap();
        file.read().unwrap().unwrap()
    }

    #[test]
    fn both_kinds_of_movielens_item_files_are_read() {
        let expected = ["Animation", "Children's"];
        let (id, item) = first(
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tToy Story\t1995\tAnimation Children's Comedy\n",
        );
        assert_eq!(
            (id.as_str(), item.categories.as_slice()),
            ("1", &expected.map(String::from)[..])
        );
        assert_eq!(item.tags, ["Comedy"], "what does not fit is kept as a tag");
        let (_, item) = first("1::Toy Story (1995)::Animation|Children's|Comedy\n");
        assert_eq!(item.categories, expected);
        assert_eq!(
            item.attributes["title"],
            AttributeValue::Text("Toy Story (1995)".to_owned())
        );
    }
}
