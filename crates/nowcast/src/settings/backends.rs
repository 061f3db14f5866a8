//! `log.url` and `store.url`: where the log and the state live, and the sections that go with them.
//! Where models live is beside them, in [`super::artifacts`].

use super::artifacts::{self, ArtifactSettings, ModelPlace};
use nowcast_types::Span;
use serde::de::Error;
use std::fmt;
use toml::{Table, Value};

use nowcast_log_kafka::KafkaConfig;
use nowcast_store_redis::RedisConfig;

/// The value of a URL that means: in the data folder.
const EMBEDDED: &str = "embedded";

/// Where log, state and models live.
#[derive(Clone)]
pub struct BackendSettings {
    log_url: String,
    store_url: String,
    kafka: KafkaConfig,
    redis: RedisConfig,
    artifacts: ArtifactSettings,
}

/// Where the log is.
#[derive(Debug, Clone)]
pub enum LogPlace {
    /// In the data folder.
    Embedded,
    /// On a Kafka cluster.
    Kafka(Box<KafkaConfig>),
}

/// Where the state is.
#[derive(Debug, Clone)]
pub enum StorePlace {
    /// In the data folder.
    Embedded,
    /// On Redis.
    Redis(Box<RedisConfig>),
}

impl fmt::Debug for BackendSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendSettings")
            .field("log_url", &without_credentials(&self.log_url))
            .field("store_url", &without_credentials(&self.store_url))
            .field("artifacts", &self.artifacts)
            .finish_non_exhaustive()
    }
}

impl BackendSettings {
    /// Takes what is not the engine's out of the sections `log`, `store` and `artifacts`.
    pub fn take_from(sections: &mut Table) -> Result<Self, toml::de::Error> {
        let log = match sections.get_mut("log") {
            Some(Value::Table(log)) => log,
            _ => return Err(toml::de::Error::custom("missing field `log`")),
        };
        let log_url = take_text(log, "url", "log.url")?;
        let kafka = take_table(log, "kafka", "log.kafka")?;
        for (key, instead) in [("partitions", "events.partitions"), ("brokers", "log.url")] {
            refuse(&kafka, "log.kafka", key, instead)?;
        }
        let mut store = take_table(sections, "store", "store")?;
        let store_url = take_text(&mut store, "url", "store.url")?;
        let redis = take_table(&mut store, "redis", "store.redis")?;
        refuse(&redis, "store.redis", "url", "store.url")?;
        if let Some(key) = store.keys().next() {
            let message = format!("unknown field `{key}`, expected `url` or `redis`");
            return Err(toml::de::Error::custom(message));
        }
        Ok(Self {
            log_url,
            store_url,
            kafka: Value::Table(kafka).try_into()?,
            redis: Value::Table(redis).try_into()?,
            artifacts: ArtifactSettings::take_from(sections)?,
        })
    }

    /// Where trained models are.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn models(&self) -> Result<ModelPlace, String> {
        self.artifacts.place()
    }

    /// Where the log is, with the number of partitions that the events have.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn log(&self, partitions: u16) -> Result<LogPlace, String> {
        let mut kafka = self.kafka.clone();
        kafka.partitions = partitions;
        if self.log_url.starts_with("kafka://") {
            kafka
                .apply_url(&self.log_url)
                .map_err(|error| error.to_string())?;
            if kafka.partitions != partitions {
                return Err(format!(
                    "log.url: partitions={}, but events.partitions is {partitions}",
                    kafka.partitions
                ));
            }
            return Ok(LogPlace::Kafka(Box::new(kafka)));
        }
        kafka.check().map_err(|error| error.to_string())?;
        embedded_or(
            "log.url",
            &self.log_url,
            "kafka://host:port,host:port/prefix",
        )?;
        Ok(LogPlace::Embedded)
    }

    /// Where the state is.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn store(&self) -> Result<StorePlace, String> {
        let mut redis = self.redis.clone();
        let is_redis = ["redis:", "rediss:", "redis+", "rediss+"]
            .iter()
            .any(|scheme| self.store_url.starts_with(scheme));
        if is_redis {
            redis.url.clone_from(&self.store_url);
            redis
                .check_url()
                .map_err(|what| format!("store.url: {what}"))?;
        }
        redis
            .check()
            .map_err(|what| format!("store.redis.{what}"))?;
        if is_redis {
            return Ok(StorePlace::Redis(Box::new(redis)));
        }
        let forms = "redis://host:port/db, redis+cluster:// or redis+sentinel://";
        embedded_or("store.url", &self.store_url, forms)?;
        Ok(StorePlace::Embedded)
    }

    /// How often state is committed where others read it; `None` where nobody does.
    #[must_use]
    pub fn commit_interval(&self) -> Option<Span> {
        match self.store() {
            Ok(StorePlace::Redis(redis)) => Some(redis.commit_interval),
            _ => None,
        }
    }

    /// Whether users on Redis expire.
    #[must_use]
    pub const fn has_ttl(&self) -> bool {
        self.redis.user_ttl.0 > 0
    }

    /// Whether both are shared, so that processes can do a part of the work each.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.log_url != EMBEDDED && self.store_url != EMBEDDED
    }

    /// Whether both are in the data folder.
    #[cfg(test)]
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.log_url == EMBEDDED && self.store_url == EMBEDDED
    }
}

pub(super) fn embedded_or(key: &str, url: &str, forms: &str) -> Result<(), String> {
    if url == EMBEDDED {
        return Ok(());
    }
    let scheme = url
        .split_once(':')
        .map_or("no scheme", |(scheme, _)| scheme);
    Err(format!(
        "{key}: {scheme} is neither `{EMBEDDED}` nor {forms}"
    ))
}

pub(super) fn take_text(
    table: &mut Table,
    key: &str,
    name: &str,
) -> Result<String, toml::de::Error> {
    match table.remove(key) {
        Some(Value::String(text)) => Ok(text),
        // Not the value: it may hold a password.
        Some(_) => Err(toml::de::Error::custom(format!("{name} must be a string"))),
        None => Err(toml::de::Error::custom(format!("missing field `{name}`"))),
    }
}

pub(super) fn take_table(
    table: &mut Table,
    key: &str,
    name: &str,
) -> Result<Table, toml::de::Error> {
    match table.remove(key) {
        Some(Value::Table(inner)) => Ok(inner),
        Some(_) => Err(toml::de::Error::custom(format!("{name} must be a table"))),
        None => Err(toml::de::Error::custom(format!("missing field `{name}`"))),
    }
}

fn refuse(table: &Table, name: &str, key: &str, instead: &str) -> Result<(), toml::de::Error> {
    if table.contains_key(key) {
        let message = format!("{name}.{key} is not a key: {instead} says it");
        return Err(toml::de::Error::custom(message));
    }
    Ok(())
}

/// A URL as it may be shown.
fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://***@{place}"),
        _ => url.to_owned(),
    }
}

/// Takes credentials out of a tree that is to be shown.
pub fn hide_credentials(tree: &mut Table) {
    for section in ["log", "store"] {
        if let Some(Value::Table(section)) = tree.get_mut(section)
            && let Some(Value::String(url)) = section.get_mut("url")
        {
            *url = without_credentials(url);
        }
    }
    artifacts::hide_credentials(tree);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(log: &str, store: &str) -> BackendSettings {
        let text = format!(
            "[log]\nurl = '{log}'\n[log.kafka]\n[store]\nurl = '{store}'\n[store.redis]\n\
                     [artifacts]\nurl = 'embedded'\n[artifacts.s3]\n"
        );
        BackendSettings::take_from(&mut toml::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn a_url_shows_no_password() {
        assert_eq!(
            without_credentials("redis://me:s@cret@host:1/2"),
            "redis://***@host:1/2"
        );
        let shown = format!("{:?}", settings("embedded", "rediss://:hunter2@host:1"));
        assert!(!shown.contains("hunter2"), "{shown}");
        for (log, store) in [
            ("embedded", "mysql://me:hunter2@host"),
            ("kafka://me:hunter2@a:1", "embedded"),
        ] {
            let settings = settings(log, store);
            let said = format!("{:?} {:?}", settings.log(4), settings.store());
            assert!(said.contains("Err(") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn the_file_of_defaults_says_what_the_backends_default_to() {
        let defaults = BackendSettings::take_from(&mut crate::settings::defaults()).unwrap();
        assert_eq!(defaults.kafka, KafkaConfig::default());
        assert!(defaults.redis == RedisConfig::default());
    }

    #[test]
    fn urls_choose_the_backend() {
        let both = settings("kafka://a:1,b:2/shop", "redis+cluster://a:1,b:2");
        assert!(!both.is_embedded());
        let LogPlace::Kafka(kafka) = both.log(7).unwrap() else {
            panic!("not on Kafka");
        };
        assert_eq!((kafka.partitions, kafka.topic_prefix.as_str()), (7, "shop"));
        assert!(matches!(both.store(), Ok(StorePlace::Redis(_))));
        let local = settings("embedded", "embedded");
        assert!(local.is_embedded());
        assert!(matches!(local.log(4), Ok(LogPlace::Embedded)));
        assert!(matches!(local.store(), Ok(StorePlace::Embedded)));
        let torn = settings("kafka://a:1/shop?partitions=3", "redis://a,b");
        assert!(torn.log(4).unwrap_err().contains("events.partitions"));
        assert!(torn.store().unwrap_err().contains("store.url"));
    }
}
