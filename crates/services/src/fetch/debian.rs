//! Programs from Debian packages: taken where they are, installed by `apt-get` as root.
//!
//! Debian starts a server as soon as its package is installed. We want the program, not the
//! server, so the policy hook that Debian has for this forbids it during our installation.

use super::{find_program, run};
use crate::error::{At, Result, ServicesError};
use crate::places::{lock_cache, say};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and the Debian packages that hold it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) packages: &'static [&'static str],
}

impl Program {
    pub(crate) const fn new(name: &'static str, packages: &'static [&'static str]) -> Self {
        Self { name, packages }
    }

    /// Where the program is, after installing it if need be.
    ///
    /// # Errors
    /// `Missing`, with what to type, when it is not there and we are not root.
    pub(crate) fn find_or_install(&self) -> Result<PathBuf> {
        require(self.name, self.packages, || find_program(self.name))
    }
}

/// What `find` finds, after installing `packages` if it finds nothing.
pub(crate) fn require(
    program: &str,
    packages: &[&str],
    find: impl Fn() -> Option<PathBuf>,
) -> Result<PathBuf> {
    if let Some(path) = find() {
        return Ok(path);
    }
    let missing = || ServicesError::Missing {
        program: program.to_owned(),
        package: packages.join(" "),
    };
    if !rustix::process::geteuid().is_root() || find_program("apt-get").is_none() {
        return Err(missing());
    }
    let _lock = lock_cache("debian")?;
    if find().is_none() {
        install(packages)?;
    }
    find().ok_or_else(missing)
}

fn install(packages: &[&str]) -> Result<()> {
    let what = format!("the Debian packages {}", packages.join(" "));
    say(format_args!("installing {what}"));
    let _policy = NoAutostart::declare()?;
    // A fresh machine has no package lists, and old lists name files that are gone.
    run("Debian's package lists", &mut apt(&["update"]))?;
    let mut command = apt(&["install", "-y", "--no-install-recommends"]);
    run(&what, command.args(packages))
}

fn apt(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=600"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Forbids packages to start servers while it lives; a policy that is there already stays.
struct NoAutostart {
    is_ours: bool,
}

impl NoAutostart {
    fn declare() -> Result<Self> {
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(POLICY);
        match created {
            Ok(mut file) => {
                let policy = Self { is_ours: true };
                file.write_all(
                    b"#!/bin/sh\n# While Nowcast's services install; may be removed.\nexit 101\n",
                )
                .at("write", POLICY)?;
                Ok(policy)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok(Self { is_ours: false })
            }
            Err(error) => Err(error).at("write", POLICY),
        }
    }
}

impl Drop for NoAutostart {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_file(Path::new(POLICY));
        }
    }
}
