//! Reads the three formats whose protocol guesses one item at a time: sequences, sessions, NCF.

use super::fitting::shuffle;
use super::one_target::{Guess, OneTargetOptions, Protocol, Task};
use super::split::{Names, unreadable};
use crate::error::EvaluationError;
use crate::input::{InputError, open};
use nowcast_models::seeded::Seeded;
use nowcast_models::{Interactions, InteractionsBuilder};
use std::io::BufRead;
use std::path::Path;

/// Items that a held-out one is guessed among, as in the published negatives.
const NEGATIVES: usize = 99;

/// Says which items are held out of the NCF train file; not the seed of a training, so that every
/// training is measured by the same items.
const HOLD_OUT_SEED: u64 = 0;

/// Reads the files of a protocol; with `hold_out_nth`, the task is cut from the train part alone.
pub(super) fn read(options: &OneTargetOptions) -> Result<Task, EvaluationError> {
    let hold_out = options.hold_out_nth;
    match &options.protocol {
        Protocol::Sequences { input } => sequences(input, hold_out.is_some()),
        Protocol::Sessions { train, test } => sessions(train, test, hold_out),
        Protocol::Ncf {
            train,
            test,
            negatives,
        } => ncf(train, test, negatives, hold_out.is_some()),
    }
}

/// Calls `take` with each line that is not blank and its number, counted from 1.
pub(super) fn each_line(
    path: &Path,
    mut take: impl FnMut(u64, &str) -> Result<(), EvaluationError>,
) -> Result<(), EvaluationError> {
    for (number, line) in (1_u64..).zip(open(path)?.lines()) {
        let line = line.map_err(|source| unreadable(path, number, source))?;
        if !line.trim().is_empty() {
            take(number, &line)?;
        }
    }
    Ok(())
}

fn bad_row(path: &Path, line: u64, message: &str) -> EvaluationError {
    EvaluationError::Input(InputError::Row {
        path: path.display().to_string(),
        line,
        message: message.to_owned(),
    })
}

/// Ordered rows of weight 1 without times; repeats are kept.
pub(super) fn ordered(names: Names, rows: &[impl AsRef<[u32]>]) -> Interactions {
    let mut builder = InteractionsBuilder::new(names.item_ids).with_repeats();
    for (user, row) in (0_u32..).zip(rows) {
        for &item in row.as_ref() {
            builder.push(user, item, 1.0, 0);
        }
    }
    builder.build()
}

pub(super) fn non_empty(data: Interactions, path: &Path) -> Result<Interactions, EvaluationError> {
    if data.is_empty() {
        let what = format!("{}: there is nothing to train on", path.display());
        return Err(EvaluationError::Options(what));
    }
    Ok(data)
}

/// Trains on all but the last two, guesses the last from all before it. For choosing parameters:
/// trains on all but the last three, guesses the last but one from all before it.
fn sequences(input: &Path, is_hold_out: bool) -> Result<Task, EvaluationError> {
    let mut names = Names::default();
    let mut rows: Vec<Vec<u32>> = Vec::new();
    each_line(input, |_, line| {
        let items = line.split_ascii_whitespace().skip(1);
        rows.push(items.map(|item| names.item(item)).collect());
        Ok(())
    })?;
    if is_hold_out {
        rows.iter_mut().for_each(|row| _ = row.pop());
    }
    let guesses = rows.iter().filter(|row| row.len() >= 2).map(|row| Guess {
        history: row[..row.len() - 1].to_vec(),
        target: row[row.len() - 1],
        candidates: None,
    });
    let guesses = guesses.collect();
    let train: Vec<&[u32]> = (rows.iter())
        .map(|row| &row[..row.len().saturating_sub(2)])
        .collect();
    let data = non_empty(ordered(names, &train), input)?;
    Ok(Task { data, guesses })
}

/// Trains on whole sessions, guesses the target of each pair from its prefix. For choosing
/// parameters: guesses every item but the first of the last n-th part of the train sessions, which
/// is the nearest to what the test file is, a later time.
fn sessions(train: &Path, test: &Path, hold_out: Option<u64>) -> Result<Task, EvaluationError> {
    let mut names = Names::default();
    let mut rows: Vec<Vec<u32>> = Vec::new();
    each_line(train, |_, line| {
        let items = line.split_ascii_whitespace();
        rows.push(items.map(|item| names.item(item)).collect());
        Ok(())
    })?;
    let mut guesses: Vec<Guess> = Vec::new();
    let guess = |history: &[u32], target| Guess {
        history: history.to_vec(),
        target,
        candidates: None,
    };
    if let Some(nth) = hold_out {
        let held = rows.split_off(rows.len() - rows.len() / nth.max(2) as usize);
        for row in &held {
            guesses.extend((1..row.len()).map(|at| guess(&row[..at], row[at])));
        }
    } else {
        each_line(test, |number, line| {
            let Some((target, prefix)) = line.split_once('\t') else {
                return Err(bad_row(test, number, "expected `target TAB prefix items`"));
            };
            let target = names.item(target.trim());
            let items = prefix.split_ascii_whitespace();
            let history: Vec<u32> = items.map(|item| names.item(item)).collect();
            guesses.push(guess(&history, target));
            Ok(())
        })?;
    }
    let data = non_empty(ordered(names, &rows), train)?;
    Ok(Task { data, guesses })
}

/// Trains on `user TAB item TAB rating [TAB time]` lines, in the order of times if all lines have
/// one and in none otherwise; ranks the one item of each line of `test`
/// among the items that the line of `negatives` with its `(user,item)` gives. A negative that is
/// the test item itself counts once, as the original code's dictionary has it. For choosing
/// parameters: takes one train item of each user and as many of the others as negatives, by chance.
fn ncf(
    train: &Path,
    test: &Path,
    negatives: &Path,
    is_hold_out: bool,
) -> Result<Task, EvaluationError> {
    let mut names = Names::default();
    let mut timed: Vec<Vec<(Option<i64>, u32)>> = Vec::new();
    each_line(train, |number, line| {
        let (user, item) = pair(train, number, line, &mut names)?;
        if timed.len() <= user {
            timed.resize(user + 1, Vec::new());
        }
        let time = line.split_ascii_whitespace().nth(3);
        timed[user].push((time.and_then(|time| time.parse().ok()), item));
        Ok(())
    })?;
    let mut rows = in_order_of_time(timed);
    let guesses = if is_hold_out {
        one_of_each(&mut rows, names.item_ids.len())
    } else {
        ncf_guesses(test, negatives, &rows, &mut names)?
    };
    let data = non_empty(ordered(names, &rows), train)?;
    Ok(Task { data, guesses })
}

/// The items of each user, oldest first; in an order that means nothing where a time is missing.
fn in_order_of_time(mut timed: Vec<Vec<(Option<i64>, u32)>>) -> Vec<Vec<u32>> {
    let has_times = timed.iter().flatten().all(|(time, _)| time.is_some());
    let in_order = |(user, row): (usize, &mut Vec<(Option<i64>, u32)>)| {
        // Stable: equal times stay in the order of the file.
        row.sort_by_key(|(time, _)| *time);
        let mut items: Vec<u32> = row.iter().map(|(_, item)| *item).collect();
        if !has_times {
            shuffle(user, &mut items);
        }
        items
    };
    timed.iter_mut().enumerate().map(in_order).collect()
}

/// Reads the first two words of a line.
fn pair(
    path: &Path,
    number: u64,
    line: &str,
    names: &mut Names,
) -> Result<(usize, u32), EvaluationError> {
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some(user), Some(item)) => Ok((names.user(user), names.item(item))),
        _ => Err(bad_row(path, number, "expected `user TAB item TAB …`")),
    }
}

/// Takes one item of each row out, to be guessed among up to 99 that the row does not have.
fn one_of_each(rows: &mut [Vec<u32>], items_len: usize) -> Vec<Guess> {
    let mut guesses = Vec::new();
    for (user, row) in (0_u64..).zip(rows) {
        if row.len() < 2 {
            continue;
        }
        let mut random = Seeded::new(HOLD_OUT_SEED, user);
        let target = row[(random.next_u64() % row.len() as u64) as usize];
        let mut candidates = vec![target];
        let others = items_len.saturating_sub(row.len());
        while candidates.len() < 1 + others.min(NEGATIVES) {
            let item = (random.next_u64() % items_len as u64) as u32;
            if !row.contains(&item) && !candidates.contains(&item) {
                candidates.push(item);
            }
        }
        row.retain(|item| *item != target);
        candidates.sort_unstable();
        guesses.push(Guess {
            history: row.clone(),
            target,
            candidates: Some(candidates),
        });
    }
    guesses
}

fn ncf_guesses(
    test: &Path,
    negatives: &Path,
    rows: &[Vec<u32>],
    names: &mut Names,
) -> Result<Vec<Guess>, EvaluationError> {
    let mut targets: Vec<(usize, u32)> = Vec::new();
    each_line(test, |number, line| {
        targets.push(pair(test, number, line, names)?);
        Ok(())
    })?;
    let mut guesses: Vec<Guess> = Vec::new();
    each_line(negatives, |number, line| {
        let bad = |what: &str| bad_row(negatives, number, what);
        let (key, items) =
            (line.split_once('\t')).ok_or_else(|| bad("expected `(user,item) TAB negatives`"))?;
        let inner = key.trim().trim_start_matches('(').trim_end_matches(')');
        let (user, item) =
            (inner.split_once(',')).ok_or_else(|| bad("expected `(user,item)` first"))?;
        let (user, target) = (names.user(user.trim()), names.item(item.trim()));
        if targets.get(guesses.len()) != Some(&(user, target)) {
            return Err(bad(
                "its (user,item) is not that of the same line of the test file",
            ));
        }
        let items = items.split_ascii_whitespace().map(|item| names.item(item));
        let mut candidates: Vec<u32> = items.chain([target]).collect();
        candidates.sort_unstable();
        candidates.dedup();
        guesses.push(Guess {
            history: rows.get(user).cloned().unwrap_or_default(),
            target,
            candidates: Some(candidates),
        });
        Ok(())
    })?;
    if guesses.len() != targets.len() {
        let what = format!("{}: fewer lines than the test file", negatives.display());
        return Err(EvaluationError::Options(what));
    }
    Ok(guesses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_order_the_items_and_one_missing_time_leaves_no_order() {
        let timed = || vec![vec![(Some(3), 7), (Some(1), 8), (Some(3), 9)]; 40];
        let in_time = vec![vec![8, 7, 9]; 40];
        assert_eq!(in_order_of_time(timed()), in_time);
        let mut one_without = timed();
        one_without.push(vec![(None, 7)]);
        let mut rows = in_order_of_time(one_without);
        assert_eq!(rows.pop(), Some(vec![7]));
        let firsts: std::collections::BTreeSet<u32> = rows.iter().map(|row| row[0]).collect();
        assert_eq!(firsts.len(), 3, "each item comes first somewhere");
        rows.iter_mut().for_each(|row| row.sort_unstable());
        assert_eq!(rows, vec![vec![7, 8, 9]; 40]);
    }
}
