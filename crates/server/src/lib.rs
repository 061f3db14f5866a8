//! The HTTP API, its wire shapes, limits and documentation.
//!
//! [`serve()`] puts an engine on a port. The path of a request: [`routes`] (one table, a policy per
//! line) → guard (id, place, key, rate, time) → [`handlers`] (translate, call the engine once,
//! translate back). Every refusal has the one JSON shape of [`error`].
//!
//! # It is not
//! Where anything is decided about events or recommendations (the engine does), nor a TLS
//! endpoint: put a proxy in front, or listen on loopback.

pub mod app;
pub mod body;
pub mod config;
pub mod error;
pub mod extract;
pub mod guard;
pub mod handlers;
pub mod keys;
pub mod openapi;
pub mod routes;
pub mod serve;
pub mod wire;

pub use app::Lane;
pub use config::ServerConfig;
pub use error::ApiError;
pub use keys::{ApiKeyConfig, NewKey, Scope, generate as generate_key};
pub use routes::{Beside, Mounted};
pub use serve::{ServeError, ServerHandle, serve};
