//! The registry's refusals, with the codes of the Confluent REST API.

/// Why the registry refused a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryRefusal {
    /// 40401.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// 40402.
    #[error("Version {0} not found.")]
    VersionNotFound(String),
    /// 40403.
    #[error("Schema not found")]
    SchemaNotFound,
    /// 40403, for an id.
    #[error("Schema {0} not found")]
    IdNotFound(u32),
    /// 40404.
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    /// 40405.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    /// 40406.
    #[error("Subject '{0}' Version {1} was soft deleted. Set permanent=true to delete permanently")]
    VersionSoftDeleted(String, u32),
    /// 40407.
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(String, u32),
    /// 40408.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectLevel(String),
    /// 40409.
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoSubjectMode(String),
    /// 409.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {reasons:?}"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// Why.
        reasons: Vec<String>,
    },
    /// 42201.
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    /// 42202.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// 42203.
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel,
    /// 42204.
    #[error("Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, and IMPORT.")]
    InvalidMode,
    /// 42205.
    #[error("Subject {0} is in {1} mode")]
    OperationNotPermitted(String, &'static str),
    /// 42206.
    #[error("One or more references exist to the schema {{subject={0},version={1}}}.")]
    ReferenceExists(String, u32),
    /// 42208.
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    /// 422: a body that is not what the call takes.
    #[error("{0}")]
    Unprocessable(String),
    /// 50001: the log did not take the change.
    #[error("Error while storing the change: {0}")]
    Store(String),
}

impl RegistryRefusal {
    /// The code in the answer's body.
    #[must_use]
    pub const fn error_code(&self) -> u32 {
        match self {
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound | Self::IdNotFound(_) => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionSoftDeleted(..) => 40406,
            Self::VersionNotSoftDeleted(..) => 40407,
            Self::NoSubjectLevel(_) => 40408,
            Self::NoSubjectMode(_) => 40409,
            Self::Incompatible { .. } => 409,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidLevel => 42203,
            Self::InvalidMode => 42204,
            Self::OperationNotPermitted(..) => 42205,
            Self::ReferenceExists(..) => 42206,
            Self::InvalidSubject(_) => 42208,
            Self::Unprocessable(_) => 422,
            Self::Store(_) => 50001,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.error_code() {
            code @ 0..=999 => code as u16,
            code => (code / 100) as u16,
        }
    }
}
