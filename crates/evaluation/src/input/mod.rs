//! Files of interactions as the world publishes them: plain, `.gz` or `.zst`, any of the usual
//! delimiters, columns by name or by position.
//!
//! One reader for `import` and `evaluate`, so that a mapping that works for one works for the
//! other. It reads text; what a row means is decided by the caller.

mod open;
mod table;
mod time;

pub use open::open;
pub use table::{Column, Row, Table};
pub use time::{TimeUnit, parse_time};

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file is missing, unreadable or its compression is damaged.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A column was named that the header does not have.
    #[error("no column `{column}`; the columns are: {known}")]
    UnknownColumn {
        /// The name asked for.
        column: String,
        /// The names there are.
        known: String,
    },
    /// A row does not hold what its column must hold.
    #[error("{path}, line {line}: {message}")]
    Row {
        /// The file.
        path: String,
        /// Counted from 1.
        line: u64,
        /// What is wrong and what was expected.
        message: String,
    },
}
