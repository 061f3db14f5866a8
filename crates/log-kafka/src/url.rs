//! `kafka://host:port,host:port/prefix?key=value&…`: the address of a log in one line.
//!
//! The keys are those of [`KafkaConfig`] and, as `tls…` and `sasl…`, of its security. Secrets are
//! not among them: a URL ends up in logs and process lists, so it names the variable or the file
//! that holds a secret.

use crate::config::{Compression, KafkaConfig, Mismatch};
use crate::error::KafkaLogError;
use crate::security::{SaslMechanism, Secret};
use std::path::PathBuf;
use std::str::FromStr;

const SCHEME: &str = "kafka://";
/// What may follow the question mark, for the message about what may not.
const KEYS: &str = "partitions, replication, min_insync_replicas, retention_age, retention_bytes, \
     retention_mismatch, is_creating_topics, compression, linger, batch_bytes, queue_bytes_max, \
     delivery_timeout, request_timeout, read_timeout, prefetch_bytes, tail_cache_bytes, \
     readers_max, tls, tls_ca_file, tls_certificate_file, tls_key_file, sasl, sasl_user, \
     sasl_secret_env, sasl_secret_file";

impl KafkaConfig {
    /// Takes what a URL says and leaves the rest as it is.
    ///
    /// # Errors
    /// [`KafkaLogError::Config`] naming what is wrong.
    pub fn apply_url(&mut self, url: &str) -> Result<(), KafkaLogError> {
        let bad = |what: String| KafkaLogError::Config(format!("log.url: {what}"));
        let rest = url
            .strip_prefix(SCHEME)
            .ok_or_else(|| bad(format!("`{url}` does not begin with {SCHEME}")))?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (brokers, prefix) = address.split_once('/').unwrap_or((address, ""));
        if brokers.contains('@') {
            let advice = "no credentials in the URL: name `sasl_user` and `sasl_secret_env`";
            return Err(bad(advice.to_owned()));
        }
        self.brokers = brokers
            .split(',')
            .filter(|broker| !broker.is_empty())
            .map(|broker| match broker.rsplit_once(':') {
                Some((_, port)) if port.bytes().all(|b| b.is_ascii_digit()) => broker.to_owned(),
                _ => format!("{broker}:9092"),
            })
            .collect();
        if !prefix.trim_end_matches('/').is_empty() {
            prefix
                .trim_end_matches('/')
                .clone_into(&mut self.topic_prefix);
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
            self.apply_pair(key, value)
                .map_err(|what| bad(format!("{key}: {what}")))?;
        }
        self.check()
    }

    fn apply_pair(&mut self, key: &str, value: &str) -> Result<(), String> {
        let security = &mut self.security;
        match key {
            "partitions" => set(&mut self.partitions, value),
            "replication" => set(&mut self.replication, value),
            "min_insync_replicas" => set(&mut self.min_insync_replicas, value),
            "retention_age" => set(&mut self.retention_age, value),
            "retention_bytes" => set(&mut self.retention_bytes, value),
            "retention_mismatch" => choose(
                &mut self.retention_mismatch,
                value,
                &[("warn", Mismatch::Warn), ("refuse", Mismatch::Refuse)],
            ),
            "is_creating_topics" => set(&mut self.is_creating_topics, value),
            "compression" => choose(
                &mut self.compression,
                value,
                &[
                    ("none", Compression::None),
                    ("gzip", Compression::Gzip),
                    ("snappy", Compression::Snappy),
                    ("lz4", Compression::Lz4),
                    ("zstd", Compression::Zstd),
                ],
            ),
            "linger" => set(&mut self.linger, value),
            "batch_bytes" => set(&mut self.batch_bytes, value),
            "queue_bytes_max" => set(&mut self.queue_bytes_max, value),
            "delivery_timeout" => set(&mut self.delivery_timeout, value),
            "request_timeout" => set(&mut self.request_timeout, value),
            "read_timeout" => set(&mut self.read_timeout, value),
            "prefetch_bytes" => set(&mut self.prefetch_bytes, value),
            "tail_cache_bytes" => set(&mut self.tail_cache_bytes, value),
            "readers_max" => set(&mut self.readers_max, value),
            "tls" => set(&mut security.is_encrypted, value),
            "tls_ca_file" => set_path(&mut security.ca_file, value),
            "tls_certificate_file" => set_path(&mut security.certificate_file, value),
            "tls_key_file" => set_path(&mut security.key_file, value),
            "sasl" => {
                let mut mechanism = SaslMechanism::Plain;
                choose(&mut mechanism, value, &SaslMechanism::NAMES)?;
                security.sasl_mechanism = Some(mechanism);
                Ok(())
            }
            "sasl_user" => {
                security.sasl_user = Some(value.to_owned());
                Ok(())
            }
            "sasl_secret_env" => {
                security.sasl_secret = Some(Secret::Env(value.to_owned()));
                Ok(())
            }
            "sasl_secret_file" => {
                security.sasl_secret = Some(Secret::File(PathBuf::from(value)));
                Ok(())
            }
            _ => Err(format!("no such key; there are {KEYS}")),
        }
    }
}

fn set<T: FromStr<Err: ToString>>(field: &mut T, value: &str) -> Result<(), String> {
    *field = value.parse().map_err(|error: T::Err| error.to_string())?;
    Ok(())
}

fn set_path(field: &mut Option<PathBuf>, value: &str) -> Result<(), String> {
    *field = Some(PathBuf::from(value));
    Ok(())
}

fn choose<T: Copy>(field: &mut T, value: &str, choices: &[(&str, T)]) -> Result<(), String> {
    let found = choices.iter().find(|(name, _)| *name == value);
    let (_, choice) = found.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("`{value}` is none of {}", names.join(", "))
    })?;
    *field = *choice;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_types::{ByteSize, Span};

    #[test]
    fn a_url_says_brokers_prefix_and_settings() {
        let mut config = KafkaConfig::default();
        let url = "kafka://a:1,b/shop?partitions=12&compression=zstd&linger=2ms&batch_bytes=64KiB\
                   &tls=true&sasl=scram-sha-512&sasl_user=me&sasl_secret_env=KAFKA_SECRET";
        config.apply_url(url).unwrap();
        assert_eq!(config.brokers, ["a:1", "b:9092"]);
        assert_eq!(config.topic_prefix, "shop");
        assert_eq!(config.partitions, 12);
        assert_eq!(config.compression, Compression::Zstd);
        assert_eq!(config.linger, Span(2));
        assert_eq!(config.batch_bytes, ByteSize(64 << 10));
        assert_eq!(
            config.security.sasl_mechanism,
            Some(SaslMechanism::ScramSha512)
        );
        assert_eq!(config.replication, 3, "what is not said stays");
    }

    #[test]
    fn a_url_that_makes_no_sense_names_what_is_wrong() {
        for (url, part) in [
            ("redis://a", "kafka://"),
            ("kafka:///x", "brokers"),
            ("kafka://me:secret@a:1", "no credentials"),
            ("kafka://a?colour=red", "there are partitions"),
            ("kafka://a?compression=rar", "none, gzip, snappy"),
            ("kafka://a?linger=5", "not a time span"),
            ("kafka://a/b/c", "topic_prefix"),
            ("kafka://a?replication=1", "min_insync_replicas"),
        ] {
            let error = KafkaConfig::default().apply_url(url).unwrap_err();
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
    }
}
