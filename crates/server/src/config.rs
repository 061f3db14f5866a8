//! The `[server]` section.

use crate::app::Lane;
use crate::keys::ApiKeyConfig;
use nowcast_types::Span;
use serde::Deserialize;
use std::net::SocketAddr;

/// How the HTTP API listens and what it bears.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to listen on. Anything but loopback needs at least one API key.
    pub listen: SocketAddr,
    /// Keys that may use the API; empty means that everybody who can connect may.
    pub api_keys: Vec<ApiKeyConfig>,
    /// Open connections at most; further ones wait in the listen queue.
    pub connections_max: usize,
    /// Requests that write, in progress at once; further ones are answered 503.
    pub ingest_concurrency_max: usize,
    /// Requests that read, in progress at once; further ones are answered 503.
    pub serve_concurrency_max: usize,
    /// Requests per second and key; 0 is no limit. Further ones are answered 429.
    pub requests_per_second_max: u32,
    /// How long a client may take over its request head.
    pub header_timeout: Span,
    /// How long a client may take over its body.
    pub body_timeout: Span,
    /// How long a request may take altogether, reading included.
    pub request_timeout: Span,
    /// How long requests in progress may go on after a stop was asked for.
    pub drain_timeout: Span,
    /// Largest request head, in bytes.
    pub head_bytes_max: usize,
    /// Lanes whose routes this process does not answer, because other processes do. Follows from
    /// the process's roles, so it is not read from a file.
    #[serde(skip)]
    pub closed_lanes: Vec<Lane>,
}

impl ServerConfig {
    /// Checks what cannot be checked key by key.
    ///
    /// # Errors
    /// A sentence that names the key and the rule.
    pub fn validate(&self) -> Result<(), String> {
        if !self.listen.ip().is_loopback() && self.api_keys.is_empty() {
            return Err(format!(
                "server.listen = {}: listening beyond this machine needs at least one entry in \
                 server.api_keys",
                self.listen
            ));
        }
        for (key, value) in [
            ("connections_max", self.connections_max),
            ("ingest_concurrency_max", self.ingest_concurrency_max),
            ("serve_concurrency_max", self.serve_concurrency_max),
        ] {
            if value == 0 {
                return Err(format!("server.{key} must be at least 1"));
            }
        }
        // The HTTP library's smallest buffer.
        if self.head_bytes_max < 8192 {
            return Err("server.head_bytes_max must be at least 8192".to_owned());
        }
        self.api_keys.iter().try_for_each(ApiKeyConfig::validate)
    }
}
