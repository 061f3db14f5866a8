//! The table of what can be had by name: one line per service.

use crate::connect::Connect;
use crate::error::{Result, ServicesError};
use crate::home::Home;
use crate::kafka::{self, Kafka, KafkaOptions};
use crate::memcached::{self, Memcached};
use crate::postgres::{self, Postgres};
use crate::proxies;
use crate::redis::{self, Redis, RedisCluster, RedisSentinel};
use crate::s3::S3;
use crate::service::{Endpoint, Service};
use crate::standing::Record;
use crate::tools;
use std::path::PathBuf;

/// A service or tool that can be had by name.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// What to call it, such as `redis-cluster`.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// The services that it works for, which are started first.
    pub needs: &'static [&'static str],
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Started in a home, given the records of what it needs.
    Server {
        fetch: fn() -> Result<()>,
        start: Start,
    },
    /// Only fetched: a program under the name of an endpoint.
    Tool {
        endpoint: &'static str,
        fetch: fn() -> Result<PathBuf>,
    },
}

type Start = fn(Home, &[Record]) -> Result<Box<dyn Service>>;

const OFFERS: &[Offer] = &[
    Offer {
        name: "kafka",
        about: "Apache Kafka, three brokers, about 1.2 GB of memory",
        needs: &[],
        kind: Kind::Server {
            fetch: || kafka::fetch().map(drop),
            start: |home, _| boxed(Kafka::start_in(home, &KafkaOptions::default())),
        },
    },
    Offer {
        name: "redis",
        about: "one Redis server",
        needs: &[],
        kind: Kind::Server {
            fetch: || redis::SERVER.find_or_install().map(drop),
            start: |home, _| boxed(Redis::start_in(home, &[])),
        },
    },
    Offer {
        name: "redis-cluster",
        about: "Redis Cluster, three masters with a replica each",
        needs: &[],
        kind: Kind::Server {
            fetch: || redis::SERVER.find_or_install().map(drop),
            start: |home, _| boxed(RedisCluster::start_in(home, &[])),
        },
    },
    Offer {
        name: "redis-sentinel",
        about: "a Redis master with two replicas under three Sentinels",
        needs: &[],
        kind: Kind::Server {
            fetch: || redis::SERVER.find_or_install().map(drop),
            start: |home, _| boxed(RedisSentinel::start_in(home)),
        },
    },
    Offer {
        name: "s3",
        about: "an S3-compatible object store in memory (moto)",
        needs: &[],
        kind: Kind::Server {
            fetch: || S3::fetch().map(drop),
            start: |home, _| boxed(S3::start_in(home)),
        },
    },
    Offer {
        name: "memcached",
        about: "one memcached",
        needs: &[],
        kind: Kind::Server {
            fetch: || memcached::SERVER.find_or_install().map(drop),
            start: |home, _| boxed(Memcached::start_in(home)),
        },
    },
    Offer {
        name: "postgres",
        about: "PostgreSQL with logical replication, no password",
        needs: &[],
        kind: Kind::Server {
            fetch: || postgres::programs().map(drop),
            start: |home, _| boxed(Postgres::start_in(home)),
        },
    },
    Offer {
        name: "connect",
        about: "Kafka Connect with Debezium's PostgreSQL connector, on `kafka`",
        needs: &["kafka"],
        kind: Kind::Server {
            fetch: || Connect::fetch().map(drop),
            start: |home, needs| {
                let kafka = needs.first().and_then(|record| record.endpoints.first());
                let missing = || ServicesError::Invalid("Kafka Connect needs Kafka".to_owned());
                let kafka = kafka.ok_or_else(missing)?;
                boxed(Connect::start_in(home, &kafka.value))
            },
        },
    },
    Offer {
        name: "nginx",
        about: "the program; it runs with a configuration of yours",
        needs: &[],
        kind: Kind::Tool {
            endpoint: "NOWCAST_NGINX",
            fetch: || proxies::NGINX.find_or_install(),
        },
    },
    Offer {
        name: "haproxy",
        about: "the program; it runs with a configuration of yours",
        needs: &[],
        kind: Kind::Tool {
            endpoint: "NOWCAST_HAPROXY",
            fetch: || proxies::HAPROXY.find_or_install(),
        },
    },
    Offer {
        name: "kcat",
        about: "a Kafka client on the command line",
        needs: &[],
        kind: Kind::Tool {
            endpoint: "NOWCAST_KCAT",
            fetch: tools::kcat,
        },
    },
    Offer {
        name: "python-kafka",
        about: "a Python with confluent-kafka and its Avro, Protobuf and JSON serializers",
        needs: &[],
        kind: Kind::Tool {
            endpoint: "NOWCAST_PYTHON_KAFKA",
            fetch: tools::python_kafka,
        },
    },
];

fn boxed<S: Service + 'static>(service: Result<S>) -> Result<Box<dyn Service>> {
    Ok(Box::new(service?))
}

impl Offer {
    /// All there is, in the order of its listing.
    #[must_use]
    pub fn all() -> &'static [Self] {
        OFFERS
    }

    /// The one called `name`.
    ///
    /// # Errors
    /// When there is none, naming those that there are.
    pub fn named(name: &str) -> Result<&'static Self> {
        OFFERS
            .iter()
            .find(|offer| offer.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = OFFERS.iter().map(|offer| offer.name).collect();
                let known = known.join(", ");
                ServicesError::Invalid(format!("no service is called `{name}`; there are: {known}"))
            })
    }

    /// Fetches its software and starts nothing.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn fetch(&self) -> Result<()> {
        match self.kind {
            Kind::Server { fetch, .. } => fetch(),
            Kind::Tool { fetch, .. } => fetch().map(drop),
        }
    }
}

/// A tool as a service: nothing runs, but it can be found.
pub(crate) struct Found {
    pub(crate) endpoint: &'static str,
    pub(crate) program: PathBuf,
}

impl Service for Found {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new(
            self.endpoint,
            self.program.display().to_string(),
        )]
    }

    fn servers(&self) -> Vec<&crate::Server> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_offered_and_an_unknown_name_lists_the_known() {
        for offer in Offer::all() {
            for need in offer.needs {
                Offer::named(need).unwrap();
            }
        }
        let error = Offer::named("kafak").unwrap_err().to_string();
        assert!(error.contains("redis-cluster"), "{error}");
    }
}
