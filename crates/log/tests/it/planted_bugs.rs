//! The crash checks are worth something only if they find bugs: each of these must be caught.

use crate::crash::{count_operations, crash_twice};
use crate::crash_schedule::Life;
use crate::hook_fs::{Change, HookFs, Verdict};
use nowcast_disk::Fs;
use std::path::Path;
use std::sync::Arc;

/// Whether a power cut at some operation of one of the first `lives` lives shows the bug.
fn is_caught_in(lives: u64, hook: fn(Change, &Path) -> Verdict) -> bool {
    (1..=lives).any(|seed| {
        let life = Life {
            seed,
            steps: 24,
            segments_spare_max: 2,
        };
        (1..=count_operations(life)).any(|nth| {
            let with_bug = |fs: Arc<dyn Fs>| -> Arc<dyn Fs> { Arc::new(HookFs::new(fs, hook)) };
            let outcome = crash_twice(life, nth, with_bug);
            outcome.is_err()
        })
    })
}

fn is_caught(hook: fn(Change, &Path) -> Verdict) -> bool {
    is_caught_in(6, hook)
}

fn is_segment(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "segment")
}

#[test]
fn a_log_that_does_nothing_wrong_is_not_caught() {
    assert!(!is_caught_in(1, |_, _| Verdict::Run));
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    assert!(is_caught(|change, _| match change {
        Change::Sync => Verdict::Skip,
        _ => Verdict::Run,
    }));
}

#[test]
fn ignoring_a_failed_sync_is_caught() {
    // The power goes during the sync, which then says that it worked.
    assert!(is_caught(|change, _| match change {
        Change::Sync => Verdict::HideError,
        _ => Verdict::Run,
    }));
}

#[test]
fn ignoring_a_failed_write_is_caught() {
    assert!(is_caught(|change, _| match change {
        Change::Write | Change::Sync => Verdict::HideError,
        _ => Verdict::Run,
    }));
}

#[test]
fn forgetting_to_sync_the_folder_of_a_new_segment_is_caught() {
    assert!(is_caught(|change, _| match change {
        Change::SyncDir => Verdict::Skip,
        _ => Verdict::Run,
    }));
}

#[test]
fn losing_a_rename_is_caught() {
    assert!(is_caught(|change, path| match change {
        Change::Rename if is_segment(path) => Verdict::Skip,
        _ => Verdict::Run,
    }));
}
