//! One instance of an expensive service for all test processes of a user.
//!
//! Whoever needs it takes a lease, a shared lock on a file that the kernel releases when the
//! process ends, however it ends. The first starts the instance and a guard: a detached shell
//! process that ends the instance once nobody has held a lease for a while. So tests neither
//! wait for the service again and again nor leave it behind.
//!
//! Three lock files, never removed: `gate` (held while starting, judging or ending), `lease`
//! (held shared by users), `guard` (held by the guard for life).

use crate::error::{At, Result, ServicesError};
use crate::home::Home;
use crate::places::{self, open_lock, run_root, say};
use crate::service::Service;
use crate::standing::{ProcessRecord, Record};
use std::fs::{File, TryLockError};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How long an instance stays after the last lease, in seconds: longer than cargo takes from one
/// test binary to the next.
const IDLE_S_MAX: u32 = 60;

/// How often the guard looks, in seconds.
const PAUSE_S: u32 = 5;

/// Arguments: the folder, the seconds of idleness allowed, the seconds between looks.
const GUARD: &str = r#"
trap '' INT HUP
folder=$1; idle_max=$2; pause=$3; idle=0
exec 8>"$folder/guard.lock"
flock -n 8 || exit 0
is_leased() { ! flock -n -x "$folder/lease.lock" true; }
while [ -e "$folder/instance/instance.json" ]; do
  sleep "$pause"
  if is_leased; then idle=0; continue; fi
  idle=$((idle + pause))
  [ "$idle" -lt "$idle_max" ] && continue
  exec 9>"$folder/gate.lock"
  flock -x 9
  if ! is_leased; then
    while read -r pid ticks; do
      found=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)
      [ "$found" = "$ticks" ] && kill -s KILL -- "-$pid"
    done <"$folder/instance/pids"
    for try in 1 2 3 4 5; do
      rm -rf -- "$folder/instance" && break
      sleep 1
    done
    exit 0
  fi
  exec 9>&-
  idle=0
done
"#;

/// The right to use the shared instance, until dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) record: Record,
    _lock: File,
}

/// Joins the shared instance `name`, starting it first if need be.
///
/// `name` carries the version: two versions of this code may run side by side. `check` says
/// whether an instance that runs already is in order.
pub(crate) fn join<S: Service>(
    name: &str,
    start: impl Fn(Home) -> Result<S>,
    check: impl Fn(&Record) -> Result<()>,
) -> Result<Lease> {
    let folder = run_root()?.join("shared").join(name);
    let gate = open_lock(&folder.join("gate.lock"))?;
    gate.lock().at("lock", folder.join("gate.lock"))?;
    let lease = open_lock(&folder.join("lease.lock"))?;
    let home = folder.join("instance");

    let record = match Record::read(&home)? {
        Some(record) if record.is_alive() => match check(&record) {
            Ok(()) => record,
            Err(error) => {
                // Nobody else may be using it while it is replaced.
                match lease.try_lock() {
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => return Err(error),
                    Err(TryLockError::Error(error)) => return Err(error).at("lock", folder),
                }
                say(format_args!(
                    "{name} is out of order ({error}); starting anew"
                ));
                record.remove(&home)?;
                start_at(name, &home, &start)?
            }
        },
        Some(record) => {
            record.remove(&home)?;
            start_at(name, &home, &start)?
        }
        None => start_at(name, &home, &start)?,
    };
    lease.unlock().at("unlock", &folder)?;
    lease.lock_shared().at("lock", &folder)?;
    guard(&folder, IDLE_S_MAX, PAUSE_S)?;
    Ok(Lease {
        record,
        _lock: lease,
    })
}

fn start_at<S: Service>(
    name: &str,
    home: &Path,
    start: impl Fn(Home) -> Result<S>,
) -> Result<Record> {
    let begun = Instant::now();
    say(format_args!("starting {name}, shared by tests"));
    let service = start(Home::kept(home)?)?;
    let record = Record::leave(name, &service, home)?;
    list_for_guard(&record.processes, home)?;
    say(format_args!(
        "{name} is ready after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    Ok(record)
}

fn list_for_guard(processes: &[ProcessRecord], home: &Path) -> Result<()> {
    let pids: String = processes
        .iter()
        .map(|process| format!("{} {}\n", process.pid, process.started_ticks))
        .collect();
    places::write(&home.join("pids"), &pids)
}

/// Starts a guard; it ends at once when there is one already.
fn guard(folder: &Path, idle_s_max: u32, pause_s: u32) -> Result<()> {
    let child = Command::new("sh")
        .args(["-c", GUARD, "nowcast-services-guard"])
        .arg(folder)
        .args([idle_s_max.to_string(), pause_s.to_string()])
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child
        .map(drop)
        .map_err(|source| ServicesError::io("start a guard with `sh`", source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Launch, POLL, Process};
    use std::time::Duration;

    #[test]
    fn the_guard_ends_the_listed_processes_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("instance");
        places::make_dir(&home).unwrap();
        places::write(&home.join("instance.json"), "{}").unwrap();
        let sleeper = || {
            let launch = Launch::new("sleeper", "sleep", folder.path()).arg("600");
            Process::start(launch).unwrap()
        };
        let (listed, stranger) = (sleeper(), sleeper());
        let listed = listed.leave().unwrap();
        let mut outdated = listed.clone();
        outdated.pid = stranger.pid().unwrap();
        outdated.started_ticks = 1;
        list_for_guard(&[outdated, listed.clone()], &home).unwrap();

        guard(folder.path(), 1, 1).unwrap();
        let deadline = Instant::now() + Duration::from_secs(180);
        // A process that was killed is there until the system has let it go.
        while home.exists() || listed.is_alive() {
            assert!(Instant::now() < deadline, "the guard did nothing");
            std::thread::sleep(POLL);
        }
        assert!(stranger.pid().is_some());
    }
}
