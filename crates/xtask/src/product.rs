//! The product as others meet it: a child process, and HTTP.

pub(crate) mod client;
pub(crate) mod process;
