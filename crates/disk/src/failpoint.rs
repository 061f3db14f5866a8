//! Named places where a test may abort the process: `NOWCAST_FAILPOINT=fs.sync.before:17` stops
//! it, without unwinding or flushing, at the 17th time that place is reached.
//!
//! Unset, a hit costs one relaxed atomic load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Every failpoint there is, by the crate that has it. A new one is one line here.
pub const NAMES: &[&str] = &[
    // disk: before and after each mutation of the real file system.
    "fs.create.before",
    "fs.write.before",
    "fs.write.half",
    "fs.write.after",
    "fs.sync.before",
    "fs.sync.after",
    "fs.rename.before",
    "fs.rename.after",
    "fs.remove.before",
    "fs.remove.after",
    "fs.sync_dir.before",
    "fs.sync_dir.after",
    // log: the steps of a group commit, a segment roll and a retirement.
    "log.commit.before",
    "log.commit.written",
    "log.commit.synced",
    "log.commit.acknowledged",
    "log.roll.prepared",
    "log.roll.named",
    "log.roll.done",
    "log.retire.renamed",
];

const UNKNOWN: u8 = 0;
const OFF: u8 = 1;
const ARMED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
static HITS: AtomicU64 = AtomicU64::new(0);
static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();

/// Passes the failpoint `name`, or aborts the process if this is the hit that was asked for.
#[inline]
pub fn hit(name: &'static str) {
    if STATE.load(Ordering::Relaxed) != OFF && is_armed(name) {
        let (_, nth) = plan().expect("an armed failpoint has a plan");
        if HITS.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
            std::process::abort();
        }
    }
}

/// Whether this process will abort at some hit of `name`.
#[inline]
#[must_use]
pub fn is_armed(name: &str) -> bool {
    STATE.load(Ordering::Relaxed) != OFF && plan().is_some_and(|(armed, _)| armed == name)
}

#[cold]
fn plan() -> Option<&'static (String, u64)> {
    let plan = PLAN.get_or_init(|| parse(&std::env::var("NOWCAST_FAILPOINT").ok()?));
    STATE.store(if plan.is_some() { ARMED } else { OFF }, Ordering::Relaxed);
    plan.as_ref()
}

/// `name:n`, where the name is one of [`NAMES`] and n counts from 1.
fn parse(text: &str) -> Option<(String, u64)> {
    let (name, nth) = text.rsplit_once(':')?;
    let nth = nth.parse().ok().filter(|n| *n > 0)?;
    NAMES.contains(&name).then(|| (name.to_owned(), nth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_known_name_and_a_positive_number() {
        let plan = Some(("fs.sync.before".to_owned(), 3));
        assert_eq!(parse("fs.sync.before:3"), plan);
        assert_eq!(parse("fs.sync.before:0"), None);
        assert_eq!(parse("fs.sync.before"), None);
        assert_eq!(parse("nowhere:1"), None);
    }

    #[test]
    fn names_are_unique() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
