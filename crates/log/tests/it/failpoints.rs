//! A real process on real files is aborted at every failpoint; the log it leaves is whole.

use crate::fixtures::{EVENTS, append, read_numbers, small_config};
use nowcast_disk::{StdFs, failpoint};
use nowcast_log::{EmbeddedLog, EventLog};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const VICTIM_DIR: &str = "NOWCAST_TEST_LOG_VICTIM_DIR";

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(Arc::new(StdFs), &dir.join("log"), small_config(), 1).unwrap()
}

/// Appends, rolls and retires, noting beside the log what was acknowledged. Does nothing unless it
/// is started as a victim.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM_DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    let log = open(dir);
    for number in 0..60 {
        let end = append(&log, number..number + 1, 300).unwrap().end;
        note_acked(dir);
        if number % 20 == 19 {
            log.protect(EVENTS.0, EVENTS.1, end).unwrap();
            log.truncate_before(EVENTS.0, EVENTS.1, end).unwrap();
        }
    }
}

/// One byte per acknowledged event: an abort in between cannot leave a wrong number.
fn note_acked(dir: &Path) {
    let options = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("acked"));
    options.unwrap().write_all(b".").unwrap();
}

/// Whether the victim lived to its end.
fn run_victim(dir: &Path, failpoint: &str) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "failpoints::victim"])
        .env(VICTIM_DIR, dir)
        .env("NOWCAST_FAILPOINT", failpoint)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}

#[test]
fn every_failpoint_on_the_way_of_an_event_is_survived() {
    let is_ours = |name: &&&str| name.starts_with("fs.") || name.starts_with("log.");
    let mut killed = 0;
    for name in failpoint::NAMES.iter().filter(is_ours) {
        let mut is_reached = false;
        for nth in [1, 2, 7, 40] {
            let dir = tempfile::tempdir().unwrap();
            let is_alive = run_victim(dir.path(), &format!("{name}:{nth}"));
            is_reached |= !is_alive;
            killed += u32::from(!is_alive);
            let acked = fs::metadata(dir.path().join("acked")).map_or(0, |noted| noted.len());
            let log = open(dir.path());
            let end = log.bounds(EVENTS.0, EVENTS.1).unwrap().end;
            assert!(
                (acked..=acked + 1).contains(&end),
                "{name}:{nth}: {acked} acked, {end} kept"
            );
            let numbers = read_numbers(&log).unwrap();
            assert!(numbers.iter().all(|(offset, number)| offset == number));
            assert_eq!(append(&log, end..end + 1, 0).unwrap(), end..end + 1);
        }
        // Files are only unlinked when more segments retire than are kept as spares.
        assert!(
            is_reached || name.starts_with("fs.remove"),
            "{name} is never reached"
        );
    }
    println!("{killed} processes killed");
    assert!(killed > 40, "{killed}");
}
