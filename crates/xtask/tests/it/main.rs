//! The built tools. That these tests need the program is also why `cargo test` builds it, with the
//! features that all the others are built with.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_tree_as_it_stands_is_tidy() {
    let tidy = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("tidy")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tidy.stdout) + String::from_utf8_lossy(&tidy.stderr);
    assert!(tidy.status.success(), "{said}");
}
