//! The event log: record codec, embedded segments, group commit.
