//! Where the bytes of artifacts are kept: a folder, or an object store.
//!
//! A place holds files by name of artifact and name of file, and knows nothing of what is in them.
//! What makes artifacts safe beside other writers are its two conditional writes.

use crate::error::StoreError;
use std::fmt;

/// One file of one artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Name of the artifact.
    pub artifact: &'a str,
    /// Name of the file, unique within the artifact.
    pub file: &'a str,
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.artifact, self.file)
    }
}

/// What identifies one content of a file. Equal contents may have equal tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(pub String);

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Which content this is.
    pub tag: Tag,
}

/// A file as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub file: String,
    /// Its length.
    pub bytes: u64,
}

/// Keeps the files of artifacts. Calls may block, come from any thread, and are durable on return.
///
/// A call that fails with another kind than those named may have been done or not; all but
/// [`ArtifactPlace::create`] may simply be made again.
pub trait ArtifactPlace: fmt::Debug + Send + Sync {
    /// How a file is called in messages; without credentials.
    fn locate(&self, key: Key<'_>) -> String;

    /// The names of artifacts that have files. There may be names among them that are none.
    ///
    /// # Errors
    /// The place is away or refuses.
    fn names(&self) -> Result<Vec<String>, StoreError>;

    /// The files of an artifact, in any order; none for a name that was never used.
    ///
    /// # Errors
    /// The place is away or refuses.
    fn entries(&self, artifact: &str) -> Result<Vec<Entry>, StoreError>;

    /// Reads a file whole; `None` where there is none.
    ///
    /// # Errors
    /// The place is away or refuses.
    fn read(&self, key: Key<'_>) -> Result<Option<Found>, StoreError>;

    /// Writes a file that must not exist: of several writers at once exactly one is told `true`.
    /// Says `false`, and changes nothing, where there is one.
    ///
    /// # Errors
    /// The place is away or refuses.
    fn create(&self, key: Key<'_>, bytes: &[u8]) -> Result<bool, StoreError>;

    /// Writes a file if it is still what was `seen`, `None` being that there was none. Says
    /// `false`, and changes nothing, where it is something else by now. Whoever reads meanwhile
    /// gets the old content or the new one.
    ///
    /// A writer whose first try was done but not answered may be told `false` by its second: read
    /// again before judging.
    ///
    /// # Errors
    /// The place is away or refuses.
    fn replace(&self, key: Key<'_>, seen: Option<&Tag>, bytes: &[u8]) -> Result<bool, StoreError>;

    /// Removes a file; one that is not there is removed already.
    ///
    /// # Errors
    /// The place is away or refuses.
    fn remove(&self, key: Key<'_>) -> Result<(), StoreError>;
}
