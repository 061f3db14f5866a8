//! What can go wrong with the intake beyond single messages.

use nowcast_engine::EngineError;
use nowcast_log::LogError;
use nowcast_log_kafka::KafkaLogError;
use nowcast_schemas::SchemaError;
use nowcast_types::ErrorKind;

/// An error of the intake.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The settings contradict each other.
    #[error("{0}")]
    Config(String),
    /// The topics cannot be read.
    #[error(transparent)]
    Kafka(#[from] KafkaLogError),
    /// The registry did not answer.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The engine's log did not take what was read.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// The engine did not take what was read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is no such dead letter.
    #[error("there is no dead letter {0}")]
    NoLetter(u64),
    /// The letter cannot be opened or sealed.
    #[error("dead letter: {0}")]
    Sealed(String),
}

impl IntakeError {
    /// The classification callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::InvalidInput,
            Self::Kafka(error) => error.kind(),
            Self::Schema(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Engine(error) => error.kind(),
            Self::NoLetter(_) => ErrorKind::NotFound,
            Self::Sealed(_) => ErrorKind::Corrupt,
        }
    }
}
