//! The processor: log to fold to store, each event once.
