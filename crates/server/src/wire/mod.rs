//! What travels: request bodies into the engine's words and back.

pub mod diagnose;
pub mod event_batch;
pub mod event_receipt;
pub mod recommendation_in;
