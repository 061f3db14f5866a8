//! What a failed call means.

use crate::transport::Refused;
use nowcast_store::StoreError;
use std::error::Error;

/// Longest text of a server that is passed on, in characters: some answer with a page.
const SAID_CHARS_MAX: usize = 300;

/// Why a try failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no such object.
    NotFound,
    /// The condition of a write does not hold: there is an object, or another one.
    Condition,
    /// The same call may succeed when it is made again. Whether it was done is unknown.
    MayPass(String),
    /// It makes no sense to make it again.
    Final(StoreError),
}

impl Failure {
    /// Judges an error of a call to `place`.
    pub(crate) fn of(place: &str, error: &object_store::Error) -> Self {
        match refused(error) {
            Some(Refused::MayPass(reason)) => return Self::MayPass(cut(reason)),
            Some(Refused::Credentials(said)) => {
                let said = cut(said);
                let problem = format!("{place} refuses the credentials: {said}");
                return Self::Final(StoreError::Invalid(problem));
            }
            Some(Refused::NoBucket) => {
                let problem = format!("{place}: there is no such bucket");
                return Self::Final(StoreError::Invalid(problem));
            }
            None => {}
        }
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            object_store::Error::AlreadyExists { .. }
            | object_store::Error::Precondition { .. } => Self::Condition,
            _ => Self::Final(unavailable(place, cut(&error.to_string()))),
        }
    }

    /// What the caller is told.
    pub(crate) fn into_error(self, place: &str) -> StoreError {
        match self {
            Self::Final(error) => error,
            Self::MayPass(detail) => unavailable(place, detail),
            Self::NotFound => unavailable(place, "what was asked for is not there".to_owned()),
            Self::Condition => unavailable(place, "it refuses for a condition".to_owned()),
        }
    }
}

fn unavailable(place: &str, detail: String) -> StoreError {
    StoreError::Unavailable {
        what: place.to_owned(),
        detail,
    }
}

/// What our transport said, if it is behind the error.
fn refused(error: &object_store::Error) -> Option<&Refused> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SAID_CHARS_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(SAID_CHARS_MAX).collect();
    format!("{start}…")
}
