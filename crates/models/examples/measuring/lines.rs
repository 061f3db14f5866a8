//! Lines `user item item …` of standard input as numbered items.

use nowcast_models::ItemIds;
use std::collections::HashMap;
use std::io::Read;

/// The items of each line, numbered as they come.
pub(crate) fn read() -> (ItemIds, Vec<Vec<u32>>) {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .expect("stdin is text");
    let (mut ids, mut known) = (ItemIds::default(), HashMap::new());
    let mut rows = Vec::new();
    for line in text.lines() {
        let items = line.split_whitespace().skip(1);
        let row = items.map(|id| *known.entry(id.to_owned()).or_insert_with(|| ids.push(id)));
        rows.push(row.collect());
    }
    (ids, rows)
}
