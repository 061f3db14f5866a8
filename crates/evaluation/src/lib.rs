//! Offline and prequential evaluation on published splits and real streams.

pub mod input;
