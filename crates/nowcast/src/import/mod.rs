//! Files of events and items become what clients would have sent.
//!
//! The rows go through the same ingest as live traffic; what is here only maps columns to fields.
//! It does not judge: a row that breaks a rule becomes a dead letter like any other bad input.

pub mod events;
pub mod feed;
pub mod items;
pub mod lines;
pub mod names;

pub use events::{EventColumns, EventFile, ImportedEvent};
pub use items::{ItemColumns, ItemFile};

/// The shapes of file that `import` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Delimited rows; columns are named by flags, as in `nowcast evaluate --format events`.
    Events,
    /// Delimited rows with a header whose names are our own field names unless flags say otherwise.
    Csv,
    /// A MovieLens or RecBole ratings file, with its well-known columns.
    Movielens,
    /// One JSON event (or item) a line, as the HTTP API takes it.
    Jsonl,
}
