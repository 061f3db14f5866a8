//! One file per resource; each handler translates, calls the engine once, and translates back.

pub mod catalogue;
pub mod dead_letters;
pub mod documents;
pub mod events;
pub mod features;
pub mod health;
pub mod lists;
pub mod recommendations;
pub mod sessions;
pub mod users;
mod waiting;
