//! Cleans up after this process, however it ends.
//!
//! One small shell process per process of ours reads the process groups and folders to clean up
//! from a pipe. When the pipe closes, because we returned, panicked, aborted or were killed, it
//! kills and removes what is still on its list. Drop handlers do the same sooner; this is for
//! the ends at which no handler runs. It is not used for instances that are meant to stay.

use crate::error::{Result, ServicesError};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One line a request: what, and to whom. Splitting happens at line ends alone, so folders may
/// have blanks in their names.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
IFS='
'
groups=; folders=
without() { for entry in $1; do [ "$entry" = "$2" ] || printf '%s\n' "$entry"; done; }
while read -r line; do
  what=${line#?}
  case $line in
    g*) groups="$groups$IFS$what" ;;
    G*) groups=$(without "$groups" "$what") ;;
    f*) folders="$folders$IFS$what" ;;
    F*) folders=$(without "$folders" "$what") ;;
  esac
done
for group in $groups; do kill -KILL -- "-$group" 2>/dev/null; done
for folder in $folders; do rm -rf -- "$folder"; done
"#;

static PIPE: OnceLock<Mutex<Option<ChildStdin>>> = OnceLock::new();

/// Kills the process group `group` should this process die.
pub(crate) fn watch_group(group: u32) -> Result<()> {
    tell(&format!("g{group}"))
}

/// Takes a process group from the list.
pub(crate) fn forget_group(group: u32) {
    // A reaper that is gone cannot kill a later owner of the number either.
    let _ = tell(&format!("G{group}"));
}

/// Removes `folder` should this process die.
pub(crate) fn watch_folder(folder: &Path) -> Result<()> {
    tell(&format!("f{}", folder.display()))
}

/// Takes a folder from the list.
pub(crate) fn forget_folder(folder: &Path) {
    let _ = tell(&format!("F{}", folder.display()));
}

fn tell(line: &str) -> Result<()> {
    let pipe = PIPE.get_or_init(|| Mutex::new(None));
    let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
    let stdin = match pipe.as_mut() {
        Some(stdin) => stdin,
        None => pipe.insert(start()?),
    };
    writeln!(stdin, "{line}").map_err(|source| ServicesError::io("tell the reaper", source))
}

fn start() -> Result<ChildStdin> {
    let cannot = |source| ServicesError::io("start the reaper `sh`", source);
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .current_dir("/")
        // Its own group: an interrupt from the terminal must not end it before us.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(cannot)?;
    child
        .stdin
        .take()
        .ok_or_else(|| cannot(std::io::Error::other("it has no standard input")))
}
