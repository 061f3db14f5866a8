//! The log on disk.

/// The embedded log.
#[derive(Debug)]
pub struct EmbeddedLog {}
