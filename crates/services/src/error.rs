//! What can go wrong while a server is fetched, started or asked.

use nowcast_types::ErrorKind;
use std::path::PathBuf;

/// An error of this crate. Messages are written for the person at the terminal: they say what to
/// type, or show the end of the server's log.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// A Debian package is missing and only root may install it.
    #[error("`{program}` is not installed; as root type: apt-get install -y {package}")]
    Missing {
        /// The program looked for.
        program: String,
        /// The Debian packages that hold it.
        package: String,
    },
    /// A package manager failed.
    #[error("cannot fetch {what}: {detail}")]
    Fetch {
        /// What was being fetched.
        what: String,
        /// The command and the end of its output.
        detail: String,
    },
    /// A server ended by itself.
    #[error("{server} ended with {status}; the end of its log:\n{log_tail}")]
    Died {
        /// Its name.
        server: String,
        /// Its exit status.
        status: String,
        /// The last lines of its log.
        log_tail: String,
    },
    /// A server or cluster did not get to the state waited for.
    #[error("{server} is not ready after {waited_s} s: {why}; the end of its log:\n{log_tail}")]
    NotReady {
        /// Its name.
        server: String,
        /// How long was waited, in seconds.
        waited_s: u64,
        /// What the last probe saw.
        why: String,
        /// The last lines of its log.
        log_tail: String,
    },
    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Its refusal.
        source: std::io::Error,
    },
    /// A server answered with an error, or with bytes that are not its protocol.
    #[error("{peer}: {answer}")]
    Answer {
        /// Who answered.
        peer: String,
        /// What.
        answer: String,
    },
    /// The caller asked for something that does not exist or cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl ServicesError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Invalid(_) => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        }
    }

    /// Whether the server could not have its port because another process took it in between.
    #[must_use]
    pub fn is_port_clash(&self) -> bool {
        let (Self::Died { log_tail, .. } | Self::NotReady { log_tail, .. }) = self else {
            return false;
        };
        let lower = log_tail.to_ascii_lowercase();
        ["address already in use", "cannot bind", "address in use"]
            .iter()
            .any(|phrase| lower.contains(phrase))
    }

    pub(crate) fn io(action: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self::Io {
            action: action.into(),
            source: source.into(),
        }
    }

    pub(crate) fn answer(peer: impl ToString, answer: impl Into<String>) -> Self {
        Self::Answer {
            peer: peer.to_string(),
            answer: answer.into(),
        }
    }
}

/// Names the path in an IO error: `std::fs` errors do not.
pub(crate) trait At<T> {
    /// Adds `verb path` to the error.
    fn at(self, verb: &str, path: impl Into<PathBuf>) -> Result<T, ServicesError>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, verb: &str, path: impl Into<PathBuf>) -> Result<T, ServicesError> {
        self.map_err(|source| {
            ServicesError::io(format!("{verb} {}", path.into().display()), source)
        })
    }
}

/// A result of this crate.
pub type Result<T, E = ServicesError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clash_of_ports_is_told_from_other_deaths() {
        let died = |log_tail: &str| ServicesError::Died {
            server: "redis".to_owned(),
            status: "exit status: 1".to_owned(),
            log_tail: log_tail.to_owned(),
        };
        assert!(died("bind: Address already in use").is_port_clash());
        assert!(!died("unknown directive").is_port_clash());
    }
}
