//! Python packages from PyPI, each set in a virtual environment of its own in the cache.

use super::debian::require;
use super::{find_program, once, run};
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cache folder `name` as a virtual environment with `requirements`.
///
/// Use its `bin/python` with `-m`: scripts in `bin` name the folder the environment was made in.
pub(crate) fn environment(name: &str, what: &str, requirements: &[&str]) -> Result<PathBuf> {
    let folder = once(name, what, |folder| {
        let mut venv = Command::new(python()?);
        run(what, venv.args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]);
        run(what, pip.args(requirements))
    })?;
    Ok(folder)
}

/// A Python that can make virtual environments; Debian's needs a package for that.
fn python() -> Result<PathBuf> {
    require("python3", &["python3", "python3-venv"], || {
        [find_program("python3"), Some("/usr/bin/python3".into())]
            .into_iter()
            .flatten()
            .find(|python| makes_environments(python))
    })
}

fn makes_environments(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import venv, ensurepip"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
