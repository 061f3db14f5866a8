//! Datasets from the log, fitting, validation, publishing.
