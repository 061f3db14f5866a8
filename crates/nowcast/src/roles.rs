//! What a process does, where log and state are shared by several.
//!
//! `up` does everything in one process. With the log on Kafka and the state on Redis the same
//! binary can do one thing at a time, as often as needed; nothing else about it changes.

use clap::ValueEnum;
use nowcast_server::Lane;
use serde::Serialize;

/// One thing that a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes events, items and users in.
    Ingest,
    /// Folds a share of the partitions and commits their state.
    Process,
    /// Answers requests, from the state that others fold.
    Serve,
    /// Trains models from the log.
    Train,
    /// Watches members, lag and positions.
    Monitor,
}

/// What a process does with what it shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Everything, and it owns all partitions.
    Whole,
    /// Some of it, beside other processes.
    Some(Vec<Role>),
}

impl Role {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Process => "process",
            Self::Serve => "serve",
            Self::Train => "train",
            Self::Monitor => "monitor",
        }
    }
}

impl Part {
    /// A part of these roles.
    ///
    /// # Errors
    /// A combination that one process cannot do, in words.
    pub fn of(roles: &[Role]) -> Result<Self, String> {
        let mut roles = roles.to_vec();
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() {
            return Err("name at least one role".to_owned());
        }
        if roles.contains(&Role::Process) && roles.len() > 1 {
            return Err(
                "`process` keeps the state of a share of the users and the others of none: run it \
                 as a process of its own, or everything with `nowcast up`"
                    .to_owned(),
            );
        }
        Ok(Self::Some(roles))
    }

    /// Whether the process does this.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        match self {
            Self::Whole => true,
            Self::Some(roles) => roles.contains(&role),
        }
    }

    /// The names of what it does.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Whole => vec!["all"],
            Self::Some(roles) => roles.iter().map(|role| role.name()).collect(),
        }
    }

    /// The routes that it does not answer, by their lane.
    #[must_use]
    pub fn closed_lanes(&self) -> Vec<Lane> {
        let mut closed = Vec::new();
        if !self.has(Role::Ingest) {
            closed.push(Lane::Ingest);
        }
        if !self.has(Role::Serve) {
            closed.push(Lane::Serve);
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processing_is_a_part_of_its_own() {
        let both = Part::of(&[Role::Serve, Role::Ingest, Role::Serve]).unwrap();
        assert_eq!(both.names(), ["ingest", "serve"]);
        assert!(both.closed_lanes().is_empty());
        assert!(Part::of(&[Role::Process, Role::Serve]).is_err());
        assert!(Part::of(&[]).is_err());
        let processing = Part::of(&[Role::Process]).unwrap();
        assert_eq!(processing.closed_lanes(), [Lane::Ingest, Lane::Serve]);
        assert!(Part::Whole.closed_lanes().is_empty());
    }
}
