//! Settings of the object store.

use crate::url::Target;
use nowcast_types::Span;
use serde::Deserialize;
use std::fmt;

/// How an object store is reached.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Config {
    /// URL of the server; empty for `AWS_ENDPOINT_URL`, or else Amazon's of the region.
    pub endpoint: String,
    /// The bucket's region; empty for `AWS_REGION`, or else us-east-1.
    pub region: String,
    /// Id of the access key; empty for the environment: `AWS_ACCESS_KEY_ID` and the other ways that
    /// Amazon's own clients know (web identity, container, instance).
    pub access_key_id: String,
    /// The key's secret; empty for the environment.
    pub secret_access_key: String,
    /// The token of a temporary key; empty for none.
    pub session_token: String,
    /// Whether requests may go over HTTP without TLS.
    pub allow_http: bool,
    /// Longest wait for a connection.
    pub connect_timeout: Span,
    /// Longest wait for one try, with all bytes sent and received.
    pub attempt_timeout: Span,
    /// Longest wait for a call with all its tries.
    pub timeout: Span,
    /// Retries that can be saved up; each call earns a tenth of one. 0 is no retry at all.
    pub retry_budget: u32,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: String::new(),
            allow_http: false,
            connect_timeout: Span(2_000),
            attempt_timeout: Span(20_000),
            timeout: Span(60_000),
            retry_budget: 20,
        }
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("allow_http", &self.allow_http)
            .field("timeout", &self.timeout)
            .field("retry_budget", &self.retry_budget)
            .finish_non_exhaustive()
    }
}

impl S3Config {
    /// What makes no sense, as one sentence that begins with the key; `Ok` if all does. Never says
    /// credentials.
    ///
    /// # Errors
    /// The key and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let is_url = self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://");
        if !self.endpoint.is_empty() && (!is_url || self.endpoint.contains('@')) {
            return Err("endpoint must be http:// or https:// and a host".to_owned());
        }
        if self.endpoint.starts_with("http://") && !self.allow_http {
            return Err("endpoint is http://, which needs allow_http = true".to_owned());
        }
        let has_key = !self.access_key_id.is_empty();
        if has_key && self.secret_access_key.is_empty() {
            return Err("access_key_id needs a secret_access_key".to_owned());
        }
        for (key, value) in [
            ("secret_access_key", &self.secret_access_key),
            ("session_token", &self.session_token),
        ] {
            if !has_key && !value.is_empty() {
                return Err(format!("{key} needs an access_key_id"));
            }
        }
        for (key, span) in [
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("timeout", self.timeout),
        ] {
            if span.ms() <= 0 {
                return Err(format!("{key} must be longer than 0ms"));
            }
        }
        Ok(())
    }

    /// What makes no sense about `s3://bucket/prefix`. Never repeats it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_url(url: &str) -> Result<(), String> {
        Target::parse(url).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut S3Config);

    #[test]
    fn nonsense_is_named_and_secrets_are_not() {
        let config = |change: Change| {
            let mut config = S3Config::default();
            change(&mut config);
            config
        };
        assert_eq!(S3Config::default().check(), Ok(()));
        let wrong: [(Change, &str); 6] = [
            (
                |c| c.endpoint = "http://me:hush@host".to_owned(),
                "endpoint",
            ),
            (|c| c.endpoint = "http://host".to_owned(), "allow_http"),
            (|c| c.secret_access_key = "hush".to_owned(), "access_key_id"),
            (|c| c.session_token = "hush".to_owned(), "session_token"),
            (|c| c.timeout = Span(0), "timeout"),
            (|c| c.attempt_timeout = Span(0), "attempt_timeout"),
        ];
        for (change, key) in wrong {
            let config = config(change);
            let said = config.check().unwrap_err();
            assert!(said.contains(key) && !said.contains("hush"), "{said}");
            let shown = format!("{config:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
