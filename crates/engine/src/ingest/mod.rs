//! From a client's words to the log: check, pseudonymise, enrich, encode.

pub mod device;
pub mod draft;
pub mod event_id;
pub mod redact;
pub mod rules;
pub mod when;
