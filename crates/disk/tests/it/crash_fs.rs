//! Counting changes, and stopping a process at one: the test starts itself again as the victim.

use nowcast_disk::{CrashFs, Fs, OpenMode, StdFs, write_atomic};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const VICTIM_DIR: &str = "NOWCAST_TEST_VICTIM_DIR";
const VICTIM_STOP: &str = "NOWCAST_TEST_VICTIM_STOP";

/// Remove what an earlier crash left, create, write, sync, rename, folder sync.
const CHANGES: u64 = 6;

fn life(fs: &dyn Fs, dir: &Path) {
    write_atomic(fs, &dir.join("a"), b"content").unwrap();
}

/// Does nothing unless it is started as a victim.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM_DIR) else {
        return;
    };
    let stop = std::env::var(VICTIM_STOP).unwrap_or_default();
    let fs = CrashFs::abort_at(Arc::new(StdFs), stop.parse().unwrap_or(0));
    life(&fs, Path::new(&dir));
}

fn run_victim(dir: &Path, variables: &[(&str, &str)]) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash_fs::victim"])
        .env(VICTIM_DIR, dir)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}

#[test]
fn a_process_stops_at_the_change_it_was_told() {
    let counting = CrashFs::counting(Arc::new(StdFs));
    let dir = tempfile::tempdir().unwrap();
    life(&counting, dir.path());
    assert_eq!(counting.operations(), CHANGES);
    for nth in 1..=CHANGES + 1 {
        let dir = tempfile::tempdir().unwrap();
        let is_alive = run_victim(dir.path(), &[(VICTIM_STOP, &nth.to_string())]);
        assert_eq!(is_alive, nth > CHANGES);
        let is_there = StdFs.open(&dir.path().join("a"), OpenMode::Read).is_ok();
        assert_eq!(is_there, nth > 5, "renamed by the fifth change, {nth}");
    }
}

#[test]
fn a_process_stops_at_the_failpoint_it_was_told() {
    let run = |failpoint: &str| {
        let dir = tempfile::tempdir().unwrap();
        let is_alive = run_victim(dir.path(), &[("NOWCAST_FAILPOINT", failpoint)]);
        let is_there = StdFs.open(&dir.path().join("a"), OpenMode::Read).is_ok();
        (is_alive, is_there)
    };
    assert_eq!(run("fs.rename.before:1"), (false, false));
    assert_eq!(run("fs.rename.after:1"), (false, true));
    assert_eq!(run("fs.rename.after:2"), (true, true));
    assert_eq!(run("fs.write.half:1"), (false, false));
}
