//! Real servers for tests and for people: fetched, started, broken and stopped.
//!
//! A test that needs Redis or Kafka gets the real one:
//!
//! ```no_run
//! # fn main() -> Result<(), nowcast_services::ServicesError> {
//! let cluster = nowcast_services::RedisCluster::start()?; // private, on free ports
//! cluster.master_of("user:1")?.kill()?;                   // SIGKILL
//! cluster.wait_whole()?;                                  // its replica took over
//! # Ok(())
//! # }                                                     // dropped: stopped, data removed
//! ```
//!
//! What is missing is fetched on first use, from Debian, Maven Central or PyPI, into a cache
//! outside the repository. Servers listen on loopback, on free ports, in a temporary folder with
//! their logs; when one does not start, the end of its log is in the error. Calls block; they
//! print a line to stderr when they fetch.
//!
//! Nothing is left behind: dropping a handle stops its servers, and a helper process does so
//! when the test is killed.
//!
//! # It is not
//! - a way to run servers in production: settings are for quick, small, throwaway instances;
//! - a client library: it speaks just enough of each protocol to see whether a server is ready.

mod connect;
mod error;
mod fetch;
mod home;
mod http;
mod memcached;
mod offers;
mod places;
mod ports;
mod postgres;
mod process;
mod proxies;
mod reaper;
mod s3;
mod server;
mod service;
mod shared;
mod standing;

pub mod kafka;
pub mod people;
pub mod redis;
pub mod tools;
pub mod versions;

pub use connect::{Connect, SharedConnect};
pub use error::{Result, ServicesError};
pub use kafka::{Kafka, KafkaOptions, SharedKafka};
pub use memcached::Memcached;
pub use offers::Offer;
pub use places::{cache_root, unique_name};
pub use postgres::Postgres;
pub use proxies::{Haproxy, Nginx};
pub use redis::{Redis, RedisCluster, RedisSentinel};
pub use s3::{S3, S3Key};
pub use server::Server;
pub use service::{Endpoint, Service};
pub use standing::{ProcessRecord, Record};
