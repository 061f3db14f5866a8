//! What the checks look at: the tracked text files and the workspace's crates.
//!
//! Loading is the only IO of `tidy`; tests build a [`Tree`] by hand and plant violations in it.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source tree, in memory.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Every text file that git tracks or would track, sorted by path.
    pub(super) files: Vec<SourceFile>,
    /// Every file of any kind, for links.
    pub(super) paths: Vec<String>,
    /// The workspace's crates.
    pub(super) crates: Vec<Crate>,
}

/// A text file.
#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A crate of the workspace.
#[derive(Debug, Clone)]
pub(super) struct Crate {
    pub(super) name: String,
    /// Relative to the root.
    pub(super) manifest: String,
    pub(super) description: Option<String>,
    /// Other crates of the workspace that it depends on, with the kind of the dependency.
    pub(super) needs: Vec<(String, DependencyKind)>,
}

impl SourceFile {
    /// Whether the path ends in `.<extension>`.
    pub(super) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    /// Whether the whole file is a test or benchmark.
    pub(super) fn is_test(&self) -> bool {
        let in_folder = |folder: &str| self.path.contains(&format!("/{folder}/"));
        in_folder("tests") || in_folder("benches") || self.path.ends_with("/tests.rs")
    }

    /// The lines before the inline test module, numbered from 1.
    pub(super) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let end = lines
            .windows(2)
            .position(|pair| {
                pair[0].trim() == "#[cfg(test)]"
                    && pair[1].trim_start().starts_with("mod ")
                    && pair[1].trim_end().ends_with('{')
            })
            .unwrap_or(lines.len());
        lines
            .into_iter()
            .take(end)
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// All lines, numbered from 1.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

impl Tree {
    /// Reads the workspace this binary was built from.
    pub(super) fn load() -> Result<Self> {
        let root = root();
        let mut tree = Self {
            crates: crates(&root)?,
            paths: tracked(&root)?,
            files: Vec::new(),
        };
        tree.paths.sort_unstable();
        for path in &tree.paths {
            // Binary files and files deleted but not yet committed have no text to check.
            if let Ok(text) = std::fs::read_to_string(root.join(path)) {
                tree.files.push(SourceFile {
                    path: path.clone(),
                    text,
                });
            }
        }
        Ok(tree)
    }

    /// The Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.has_extension("rs"))
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("the crate lies two folders below the root")
        .to_owned()
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root)
        .output()
        .context("running git ls-files")?;
    anyhow::ensure!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
    let mut paths: Vec<String> = listing
        .split('\0')
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    paths.dedup();
    Ok(paths)
}

fn crates(root: &Path) -> Result<Vec<Crate>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()?;
    let names: Vec<String> = metadata
        .packages
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let ours = |package: &cargo_metadata::Package| {
        package
            .dependencies
            .iter()
            .filter(|dependency| names.contains(&dependency.name))
            .map(|dependency| (dependency.name.clone(), dependency.kind))
            .collect()
    };
    metadata
        .packages
        .iter()
        .map(|package| {
            Ok(Crate {
                name: package.name.to_string(),
                manifest: package
                    .manifest_path
                    .as_std_path()
                    .strip_prefix(root)
                    .context("a crate lies outside the repository")?
                    .to_string_lossy()
                    .into_owned(),
                description: package.description.clone(),
                needs: ours(package),
            })
        })
        .collect()
}
