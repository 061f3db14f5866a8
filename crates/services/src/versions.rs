//! Which versions are fetched: the one place to change them.
//!
//! Debian's packages (Redis, PostgreSQL, memcached, nginx, HAProxy, kcat) come in the version of
//! the Debian release at hand and so have no line here.

/// Apache Kafka, brokers and Kafka Connect alike (Maven Central, `org.apache.kafka`).
/// 4.4.0 cannot be taken: its `kafka-tools-api` was not published.
pub const KAFKA: &str = "4.3.1";

/// The Scala line that names Kafka's broker artifact.
pub const KAFKA_SCALA: &str = "2.13";

/// slf4j-simple must match the slf4j-api that Kafka asks for; without a binding brokers are mute.
pub const SLF4J: &str = "1.7.36";

/// Debezium's PostgreSQL connector (Maven Central, `io.debezium`).
pub const DEBEZIUM: &str = "3.6.3.Final";

/// Maven's plugin that copies a dependency tree into a folder.
pub const MAVEN_DEPENDENCY_PLUGIN: &str = "3.8.1";

/// The lowest Java that Kafka 4 brokers run on.
pub const JAVA_MIN: u32 = 17;

/// moto, an S3 server in Python whose put-if-absent is atomic (PyPI).
pub const MOTO: &str = "5.2.5";

/// confluent-kafka, the independent Kafka client with its serializers (PyPI).
pub const CONFLUENT_KAFKA: &str = "2.16.0";
