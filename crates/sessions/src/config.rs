//! Settings of the session store.

use nowcast_types::{ByteSize, Span};
use serde::Deserialize;

/// `[session]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Attributes on memcached.
    pub memcached: MemcachedConfig,
}

/// Where memcached is and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemcachedConfig {
    /// `memcached://host:port`; empty for none.
    pub url: String,
    /// First part of every key, so that several installations can share a server.
    pub namespace: String,
    /// How long attributes stay after they were written, in whole seconds, at most 30 days.
    pub ttl: Span,
    /// Longest wait of a request for the attributes of its session; less if its deadline is sooner.
    pub read_timeout: Span,
    /// Longest wait for a write.
    pub write_timeout: Span,
    /// How long reads are left out after one that failed.
    pub pause: Span,
    /// Connections kept open between requests.
    pub connections_max: usize,
    /// Largest attributes of a session, as JSON.
    pub attributes_bytes_max: ByteSize,
}

impl Default for MemcachedConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            namespace: "nowcast".to_owned(),
            ttl: Span(4 * 3_600_000),
            read_timeout: Span(20),
            write_timeout: Span(1_000),
            pause: Span(1_000),
            connections_max: 32,
            attributes_bytes_max: ByteSize(4 << 10),
        }
    }
}

/// Above this memcached takes a time to live for a date.
const TTL_MS_MAX: i64 = 30 * 86_400_000;

impl MemcachedConfig {
    /// Host and port; `None` if there is no URL.
    ///
    /// # Errors
    /// The form that a URL has. Never repeats it.
    pub fn address(&self) -> Result<Option<&str>, String> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let address = self.url.strip_prefix("memcached://").unwrap_or_default();
        let port = address.rsplit_once(':').and_then(|(host, port)| {
            let is_host = !host.is_empty() && !host.contains(['@', '/', ',', '?']);
            is_host.then(|| port.parse::<u16>().ok()).flatten()
        });
        match port {
            Some(1..) => Ok(Some(address)),
            _ => Err("url must be memcached://host:port, without credentials".to_owned()),
        }
    }

    /// What makes no sense, as one sentence that begins with the key; `Ok` if all does.
    ///
    /// # Errors
    /// The key and what it must be.
    pub fn check(&self) -> Result<(), String> {
        self.address()?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.namespace.is_empty()
            || self.namespace.len() > 64
            || !self.namespace.chars().all(is_name)
        {
            return Err("namespace must be 1 to 64 letters, digits, `-`, `_` and `.`".to_owned());
        }
        if !(1_000..=TTL_MS_MAX).contains(&self.ttl.ms()) || self.ttl.ms() % 1_000 != 0 {
            return Err("ttl must be whole seconds, from 1s to 30d".to_owned());
        }
        for (key, span) in [
            ("read_timeout", self.read_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            if span.ms() <= 0 {
                return Err(format!("{key} must be longer than 0ms"));
            }
        }
        if !(2..=512 << 10).contains(&self.attributes_bytes_max.bytes()) {
            return Err("attributes_bytes_max must be 2B to 512KiB".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut MemcachedConfig);

    #[test]
    fn nonsense_is_named_and_the_url_is_not_repeated() {
        assert_eq!(MemcachedConfig::default().check(), Ok(()));
        let with = |change: Change| {
            let mut config = MemcachedConfig::default();
            change(&mut config);
            config
        };
        let fine = with(|c| c.url = "memcached://cache.local:11211".to_owned());
        assert_eq!(fine.address(), Ok(Some("cache.local:11211")));
        let wrong: [(Change, &str); 8] = [
            (|c| c.url = "memcached://me:hush@a:1".to_owned(), "url"),
            (|c| c.url = "redis://hush:1".to_owned(), "url"),
            (|c| c.url = "memcached://hush".to_owned(), "url"),
            (|c| c.url = "memcached://hush:1,b:2".to_owned(), "url"),
            (|c| c.url = "memcached://hush:0".to_owned(), "url"),
            (|c| c.namespace = "a b".to_owned(), "namespace"),
            (|c| c.ttl = Span(1_500), "ttl"),
            (|c| c.ttl = Span(31 * 86_400_000), "ttl"),
        ];
        for (change, key) in wrong {
            let said = with(change).check().unwrap_err();
            assert!(said.starts_with(key) && !said.contains("hush"), "{said}");
        }
    }
}
