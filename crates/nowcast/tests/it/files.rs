//! Small input files with a structure that any recommender should find: readers of cooking read
//! cooking, readers of sailing read sailing.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Readers 0..40, ten views each, out of twenty items of their own kind.
pub(crate) fn events(dir: &Path) -> PathBuf {
    let mut text = String::from("who,what,when,kind\n");
    for step in 0..10 {
        for reader in 0..40 {
            let kind = ["cook", "sail"][reader % 2];
            let item = (reader / 2 * 3 + step * 7) % 20;
            let when = 1_700_000_000 + step * 600 + reader;
            writeln!(text, "r{reader},{kind}-{item},{when},view").unwrap();
        }
    }
    write(dir, "events.csv", &text)
}

/// The items of [`events`].
pub(crate) fn items(dir: &Path) -> PathBuf {
    let mut text = String::from("id,title,topics\n");
    for number in 0..20 {
        writeln!(text, "cook-{number},Broth number {number},cooking").unwrap();
        writeln!(text, "sail-{number},Tide number {number},sailing").unwrap();
    }
    write(dir, "items.csv", &text)
}

pub(crate) fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
