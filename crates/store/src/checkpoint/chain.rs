//! Which files together are a state, and reading them.
//!
//! A chain is a base and the deltas after it without a gap. Because old deltas are kept until the
//! base after next, a damaged base costs nothing: the base before it and more deltas give the same
//! state. A damaged delta ends every chain that needs it; the log replays what came later.

use super::file::{FileId, FileKind, FileReader};
use super::{ChainId, Damage};
use crate::error::StoreError;
use nowcast_disk::Fs;
use nowcast_types::Offset;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// A file of a chain and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainFile {
    pub(crate) id: FileId,
    pub(crate) len: u64,
}

/// The files of one chain's folder, in the order of their names; unfinished files are removed.
pub(crate) fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<ChainFile>, StoreError> {
    let mut files = Vec::new();
    for entry in fs.list(dir)? {
        if let Some(id) = FileId::parse(&entry.name) {
            files.push(ChainFile { id, len: entry.len });
        }
    }
    files.sort_by_key(|file| file.id);
    Ok(files)
}

/// The best chain over `files` without the `unusable` ones: the one that reaches furthest, and of
/// those the one with the fewest files.
pub(crate) fn best(files: &[ChainFile], unusable: &BTreeSet<FileId>) -> Option<Vec<ChainFile>> {
    let usable: Vec<ChainFile> = files
        .iter()
        .filter(|file| !unusable.contains(&file.id))
        .copied()
        .collect();
    let delta = |seq: u64| {
        let id = FileId {
            seq,
            kind: FileKind::Delta,
        };
        usable.iter().find(|file| file.id == id).copied()
    };
    let bases = usable.iter().filter(|file| file.id.kind == FileKind::Base);
    let starts = bases.map(|base| (base.id.seq, vec![*base]));
    let from_nothing = std::iter::once((0, Vec::new()));
    from_nothing
        .chain(starts)
        .map(|(start, mut chain)| {
            let mut end = start;
            while let Some(file) = delta(end + 1) {
                chain.push(file);
                end += 1;
            }
            (end, start, chain)
        })
        .filter(|(_, _, chain)| !chain.is_empty())
        .max_by_key(|(end, start, _)| (*end, *start))
        .map(|(_, _, chain)| chain)
}

/// A base and its deltas, ready to be read.
#[derive(Debug)]
pub struct Chain {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) id: ChainId,
    pub(crate) files: Vec<ChainFile>,
    position: Offset,
}

impl Chain {
    /// Opens the last file to learn the position; an error names that file.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        id: ChainId,
        files: Vec<ChainFile>,
    ) -> Result<Self, (FileId, StoreError)> {
        let last = files.last().expect("a chain has at least one file").id;
        let path = dir.join(last.name());
        let reader = FileReader::open(&*fs, &path, id, last).map_err(|error| (last, error))?;
        Ok(Self {
            position: reader.positions.to,
            fs,
            dir,
            id,
            files,
        })
    }

    /// The log position that the whole chain reflects: the next offset to fold.
    #[must_use]
    pub fn position(&self) -> Offset {
        self.position
    }

    /// Bytes in all files of the chain.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    /// The number of the last file.
    pub(crate) fn end(&self) -> u64 {
        self.files.last().map_or(0, |file| file.id.seq)
    }

    /// The blobs in the order in which they were written, each checked before it is given out.
    ///
    /// What was built from earlier blobs must be thrown away when a later one is an error: only
    /// the whole chain is a state.
    #[must_use]
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs {
            chain: self,
            next_file: 0,
            reader: None,
            position: None,
            fault: None,
        }
    }
}

/// Iterator over a chain's blobs. Ends after the first error.
pub struct Blobs<'a> {
    chain: &'a Chain,
    next_file: usize,
    reader: Option<FileReader>,
    position: Option<Offset>,
    fault: Option<Damage>,
}

impl Blobs<'_> {
    /// Leaves out the base.
    pub(crate) fn skip_base(mut self) -> Self {
        let has_base = self
            .chain
            .files
            .first()
            .is_some_and(|f| f.id.kind == FileKind::Base);
        self.next_file = usize::from(has_base);
        self
    }

    /// Whether the blob given last came from the base.
    pub(crate) fn is_in_base(&self) -> bool {
        let file = self.chain.files.get(self.next_file);
        file.is_some_and(|file| file.id.kind == FileKind::Base)
    }

    /// The damage that ended the iteration, for [`super::Recovery::reject`].
    #[must_use]
    pub fn damage(&self) -> Option<&Damage> {
        self.fault.as_ref()
    }

    fn step(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some(blob) = reader.next_blob()? {
                    return Ok(Some(blob));
                }
                self.reader = None;
                self.next_file += 1;
            }
            let Some(file) = self.chain.files.get(self.next_file) else {
                return Ok(None);
            };
            let path = self.chain.dir.join(file.id.name());
            let reader = FileReader::open(&*self.chain.fs, &path, self.chain.id, file.id)?;
            let positions = reader.positions;
            let follows = self.position.is_none_or(|before| before == positions.from);
            if file.id.kind == FileKind::Delta && !follows {
                let detail = "it does not follow the file before it";
                return Err(StoreError::corrupt(path.display().to_string(), detail));
            }
            self.position = Some(positions.to);
            self.reader = Some(reader);
        }
    }
}

impl Iterator for Blobs<'_> {
    type Item = Result<Vec<u8>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.fault.is_some() {
            return None;
        }
        let step = self.step();
        if let Err(error) = &step {
            self.fault = Some(Damage {
                file: self.chain.files.get(self.next_file).map(|file| file.id),
                detail: error.to_string(),
            });
        }
        step.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(chain: Option<Vec<ChainFile>>) -> String {
        let names = chain.unwrap_or_default();
        let name = |file: &ChainFile| match file.id.kind {
            FileKind::Base => format!("B{}", file.id.seq),
            FileKind::Delta => format!("d{}", file.id.seq),
        };
        names.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    fn check(files: &str, unusable: &str, expected: &str) {
        let parse = |text: &str| -> Vec<ChainFile> {
            let file = |word: &str| {
                let kind = if word.starts_with('B') {
                    FileKind::Base
                } else {
                    FileKind::Delta
                };
                let seq = word[1..].parse().unwrap();
                let id = FileId { seq, kind };
                ChainFile { id, len: 1 }
            };
            text.split_whitespace().map(file).collect()
        };
        let unusable = parse(unusable).iter().map(|file| file.id).collect();
        assert_eq!(names(best(&parse(files), &unusable)), expected, "{files}");
    }

    #[test]
    fn the_chain_that_reaches_furthest_with_the_fewest_files_wins() {
        check("", "", "");
        check("d1 d2 d3", "", "d1 d2 d3");
        check("d1 d2 B2 d3", "", "B2 d3");
        check("B2 d3 d4 B4 d5", "", "B4 d5");
        check("d1 d2 B5", "", "B5");
    }

    #[test]
    fn a_damaged_base_is_replaced_by_the_one_before_and_more_deltas() {
        check("B2 d3 d4 B4 d5", "B4", "B2 d3 d4 d5");
        check("B2 d3 d4 B4 d5", "d3", "B4 d5");
    }

    #[test]
    fn a_gap_or_damaged_delta_ends_the_chain() {
        check("d1 d3 d4", "", "d1");
        check("B4 d5 d6 d7", "d6", "B4 d5");
        check("d5 d6", "", "");
    }
}
