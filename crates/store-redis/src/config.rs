//! Settings of the store on Redis.

use nowcast_types::{ByteSize, Span};
use serde::Deserialize;

/// Where Redis is and how it is used.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// `redis://host:port/db`, `redis+cluster://host:port,host:port`, or
    /// `redis+sentinel://host:port,host:port/master-name/db`; each with `rediss` for TLS, and with
    /// `user:password@` before the hosts.
    pub url: String,
    /// First part of every key, so that several installations can share a server.
    pub namespace: String,
    /// Longest wait for a connection.
    pub connect_timeout: Span,
    /// Longest wait for the answer to one command.
    pub response_timeout: Span,
    /// How long loading a partition keeps trying while Redis is away.
    pub load_timeout: Span,
    /// Longest wait for the user of one request; without an answer the request goes on as for
    /// somebody unknown.
    pub read_timeout: Span,
    /// How often changes are committed, which is when other processes see them.
    pub commit_interval: Span,
    /// How long a user's state stays after their last event; `0ms` for ever. What Redis forgets,
    /// the next owner of the partition does not know.
    pub user_ttl: Span,
    /// Bytes of one script call. Redis does nothing else meanwhile: about 2 ms per MiB.
    pub commit_bytes_max: ByteSize,
    /// Bytes of log folded beyond the commit under way at which the fold waits.
    pub backlog_bytes_max: ByteSize,
    /// Replicas that must confirm a commit before it counts as durable; 0 for none.
    pub replicas_min: u16,
    /// Longest wait for them.
    pub replicas_timeout: Span,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            namespace: "nowcast".to_owned(),
            connect_timeout: Span(2_000),
            response_timeout: Span(2_000),
            load_timeout: Span(60_000),
            read_timeout: Span(100),
            commit_interval: Span(20),
            user_ttl: Span(0),
            commit_bytes_max: ByteSize(1 << 20),
            backlog_bytes_max: ByteSize(8 << 20),
            replicas_min: 0,
            replicas_timeout: Span(500),
        }
    }
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("RedisConfig")
            .field("namespace", &self.namespace)
            .field("user_ttl", &self.user_ttl)
            .field("replicas_min", &self.replicas_min)
            .finish_non_exhaustive()
    }
}

impl RedisConfig {
    /// What makes no sense about the URL; `Ok` if it is one of the forms. Never says credentials.
    ///
    /// # Errors
    /// The forms.
    pub fn check_url(&self) -> Result<(), String> {
        let parsed = crate::url::Target::parse(&self.url);
        parsed.map(drop).map_err(|error| error.to_string())
    }

    /// What makes no sense, as one sentence; `Ok` if all does.
    ///
    /// # Errors
    /// The key and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.namespace.is_empty() || !self.namespace.chars().all(is_name) {
            return Err("namespace must be letters, digits, `-`, `_` and `.`".to_owned());
        }
        for (key, span) in [
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("load_timeout", self.load_timeout),
            ("read_timeout", self.read_timeout),
            ("commit_interval", self.commit_interval),
            ("replicas_timeout", self.replicas_timeout),
        ] {
            if span.ms() <= 0 {
                return Err(format!("{key} must be longer than 0ms"));
            }
        }
        if self.user_ttl.ms() < 0 {
            return Err("user_ttl must not be negative".to_owned());
        }
        if !(4 << 10..=64 << 20).contains(&self.commit_bytes_max.bytes()) {
            return Err("commit_bytes_max must be 4KiB to 64MiB".to_owned());
        }
        if self.backlog_bytes_max.bytes() == 0 {
            return Err("backlog_bytes_max must be above 0".to_owned());
        }
        Ok(())
    }
}
