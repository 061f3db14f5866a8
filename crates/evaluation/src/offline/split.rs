//! A data set cut into what is known and what is to be guessed, read from LightGCN's format: a
//! line is `user item item …`, separated by white space.

use super::fitting::shuffle;
use crate::error::EvaluationError;
use crate::input::{InputError, open};
use nowcast_models::{Interactions, InteractionsBuilder, ItemIds};
use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

/// What is known of each user and what is to be guessed, in one numbering of the items.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Items of either part.
    pub item_ids: ItemIds,
    /// Known items by user, ascending, distinct.
    pub train: Vec<Vec<u32>>,
    /// Items to guess by user, ascending, distinct.
    pub test: Vec<Vec<u32>>,
}

/// Reads a train and a test file.
///
/// # Errors
/// Unreadable files, lines that are not UTF-8, a train file without interactions.
pub fn read_lightgcn(train: &Path, test: &Path) -> Result<Split, EvaluationError> {
    let mut names = Names::default();
    let mut split = Split {
        item_ids: ItemIds::default(),
        train: Vec::new(),
        test: Vec::new(),
    };
    read_rows(train, &mut names, &mut split.train)?;
    read_rows(test, &mut names, &mut split.test)?;
    if split.train.iter().all(Vec::is_empty) {
        return Err(EvaluationError::Options(format!(
            "{}: no user has an item",
            train.display()
        )));
    }
    let users = split.train.len().max(split.test.len());
    split.train.resize(users, Vec::new());
    split.test.resize(users, Vec::new());
    split.item_ids = names.item_ids;
    Ok(split)
}

#[derive(Default)]
pub(super) struct Names {
    users: HashMap<String, usize>,
    items: HashMap<String, u32>,
    pub(super) item_ids: ItemIds,
}

impl Names {
    pub(super) fn item(&mut self, name: &str) -> u32 {
        if let Some(&item) = self.items.get(name) {
            return item;
        }
        let item = self.item_ids.push(name);
        self.items.insert(name.to_owned(), item);
        item
    }

    pub(super) fn user(&mut self, name: &str) -> usize {
        let next = self.users.len();
        *self.users.entry(name.to_owned()).or_insert(next)
    }
}

fn read_rows(
    path: &Path,
    names: &mut Names,
    rows: &mut Vec<Vec<u32>>,
) -> Result<(), EvaluationError> {
    let reader = open(path)?;
    for (number, line) in (1_u64..).zip(reader.lines()) {
        let line = line.map_err(|source| unreadable(path, number, source))?;
        let mut words = line.split_ascii_whitespace();
        let Some(user) = words.next() else {
            continue;
        };
        let user = names.user(user);
        if rows.len() <= user {
            rows.resize(user + 1, Vec::new());
        }
        rows[user].extend(words.map(|word| names.item(word)));
    }
    for row in rows {
        row.sort_unstable();
        row.dedup();
    }
    Ok(())
}

pub(super) fn unreadable(path: &Path, line: u64, source: std::io::Error) -> InputError {
    let path = path.display().to_string();
    if source.kind() == std::io::ErrorKind::InvalidData {
        let message = "expected UTF-8 text".to_owned();
        InputError::Row {
            path,
            line,
            message,
        }
    } else {
        InputError::Io { path, source }
    }
}

impl Split {
    /// What is known of a user, in an order that means nothing.
    #[must_use]
    pub fn known(&self, user: usize) -> Vec<u32> {
        let mut items = self.train[user].clone();
        shuffle(user, &mut items);
        items
    }

    /// The known part as training data: weight 1, times unknown.
    #[must_use]
    pub fn interactions(&self) -> Interactions {
        let mut builder = InteractionsBuilder::new(self.item_ids.clone());
        for user in 0..self.train.len() {
            for item in self.known(user) {
                builder.push(user as u32, item, 1.0, 0);
            }
        }
        builder.build()
    }

    /// A split of the known part alone, for choosing parameters without looking at the test part:
    /// of each user's items every `nth`, by a hash of `seed`, is to be guessed.
    #[must_use]
    pub fn hold_out(&self, nth: u64, seed: u64) -> Self {
        let mut held = Self {
            item_ids: self.item_ids.clone(),
            train: Vec::with_capacity(self.train.len()),
            test: Vec::with_capacity(self.train.len()),
        };
        for (user, row) in (0_u64..).zip(&self.train) {
            let mut random = nowcast_models::seeded::Seeded::new(seed, user);
            let (mut kept, mut guessed) = (Vec::new(), Vec::new());
            for &item in row {
                let is_guessed = row.len() > 1 && random.next_u64().is_multiple_of(nth);
                if is_guessed { &mut guessed } else { &mut kept }.push(item);
            }
            held.train.push(kept);
            held.test.push(guessed);
        }
        held
    }
}
