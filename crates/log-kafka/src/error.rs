//! What can go wrong with a log on Kafka beyond what any log can.

use nowcast_log::LogError;
use nowcast_types::ErrorKind;
use rdkafka::error::KafkaError;
use std::path::PathBuf;

/// An error of opening or administering the log on Kafka.
#[derive(Debug, thiserror::Error)]
pub enum KafkaLogError {
    /// The settings contradict each other.
    #[error("{0}")]
    Config(String),
    /// A secret or a certificate cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The broker's topic is not what the settings say.
    #[error(
        "topic {topic}: {setting} is {theirs} on the broker and {ours} in our settings; {advice}"
    )]
    TopicDisagrees {
        /// Which topic.
        topic: String,
        /// Which of its settings.
        setting: &'static str,
        /// What we want.
        ours: String,
        /// What the broker has.
        theirs: String,
        /// How to make them agree.
        advice: &'static str,
    },
    /// A topic is not there and must not be, or cannot be, created.
    #[error("topic {topic} {reason}")]
    NoTopic {
        /// Which.
        topic: String,
        /// Why it is not there.
        reason: String,
    },
    /// The cluster did not answer, or refused.
    #[error("{what}: {source}")]
    Client {
        /// What was tried.
        what: &'static str,
        /// What the client says.
        source: KafkaError,
    },
    /// What any log can say.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl KafkaLogError {
    /// The classification callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::Secret { .. } => ErrorKind::InvalidInput,
            Self::TopicDisagrees { .. } => ErrorKind::Conflict,
            Self::NoTopic { .. } => ErrorKind::NotFound,
            Self::Client { .. } => ErrorKind::Unavailable,
            Self::Log(error) => error.kind(),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    pub(crate) fn client(what: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Client { what, source }
    }
}
