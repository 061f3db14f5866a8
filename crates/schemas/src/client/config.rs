//! The client's settings.

use nowcast_types::Span;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;

/// How an external registry is reached.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryClientConfig {
    /// `http://` or `https://`, host, port and perhaps a path; no credentials in it.
    pub url: String,
    /// User of basic authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// Password of basic authentication.
    #[serde(default)]
    pub password: Option<String>,
    /// PEM file of the authorities to trust, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Time for one attempt.
    #[serde(default = "attempt_timeout")]
    pub attempt_timeout: Span,
    /// Time for a call with all its attempts.
    #[serde(default = "call_timeout")]
    pub call_timeout: Span,
    /// Attempts of one call, the first included.
    #[serde(default = "attempts_max")]
    pub attempts_max: u32,
    /// How long an id that the registry does not have is not asked for again.
    #[serde(default = "missing_for")]
    pub missing_for: Span,
}

const fn attempt_timeout() -> Span {
    Span(2_000)
}

const fn call_timeout() -> Span {
    Span(10_000)
}

const fn attempts_max() -> u32 {
    4
}

const fn missing_for() -> Span {
    Span(10_000)
}

impl RegistryClientConfig {
    /// Default settings for a registry at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            username: None,
            password: None,
            ca_file: None,
            attempt_timeout: attempt_timeout(),
            call_timeout: call_timeout(),
            attempts_max: attempts_max(),
            missing_for: missing_for(),
        }
    }
}

impl fmt::Debug for RegistryClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password has no place in a log line.
        f.debug_struct("RegistryClientConfig")
            .field("url", &self.url)
            .field("username", &self.username)
            .field("has_password", &self.password.is_some())
            .field("ca_file", &self.ca_file)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("call_timeout", &self.call_timeout)
            .field("attempts_max", &self.attempts_max)
            .field("missing_for", &self.missing_for)
            .finish()
    }
}
