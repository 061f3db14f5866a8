//! Calling the scripts, and what their answers mean.

use crate::error::RedisStoreError;
use crate::keys::Keys;
use crate::link::Link;
use crate::piece::Piece;
use nowcast_store::{ChainId, Epoch, StoreError};
use redis::{Script, ScriptInvocation, Value};
use std::time::Duration;

/// The compiled-in scripts.
pub(crate) struct Scripts {
    pub(crate) commit: Script,
    pub(crate) claim: Script,
    pub(crate) seal: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            commit: Script::new(include_str!("commit.lua")),
            claim: Script::new(include_str!("claim.lua")),
            seal: Script::new(include_str!("seal.lua")),
        }
    }
}

/// What must be stored for a call to be allowed.
#[derive(Debug, Clone)]
pub(crate) enum Guard<'a> {
    /// The position that the commit follows; afterwards the new one is stored.
    Follow(&'a Step),
    /// The staged piece of that number is the next one of this commit.
    Roll(&'a Step, u32),
    /// The epoch is enough.
    Owner,
}

/// From where to where a commit leads. The nonce tells a commit that is sent again from another.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) follows: Option<u64>,
    pub(crate) position: u64,
    pub(crate) nonce: String,
}

/// Changes of the head beside those of the guard.
#[derive(Debug, Default)]
pub(crate) struct HeadChange {
    pub(crate) set: Vec<(&'static str, String)>,
    pub(crate) removed: Vec<&'static str>,
}

/// A script's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Fenced(u64),
    Stale(Option<u64>),
    /// A staged piece is gone.
    Incomplete,
}

pub(crate) fn text(number: Option<u64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

impl Answer {
    pub(crate) fn parse(value: &Value) -> Result<Self, RedisStoreError> {
        let odd = || RedisStoreError::Corrupt(format!("a script's answer: {value:?}"));
        let Value::Array(parts) = value else {
            return Err(odd());
        };
        let number = |part: Option<&Value>| match part {
            Some(Value::BulkString(bytes)) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        match parts.first() {
            Some(Value::Int(0)) => Ok(Self::Done),
            Some(Value::Int(1)) => number(parts.get(1)).map(Self::Fenced).ok_or_else(odd),
            Some(Value::Int(2)) => Ok(Self::Stale(number(parts.get(1)))),
            Some(Value::Int(3)) => Ok(Self::Incomplete),
            _ => Err(odd()),
        }
    }

    /// `Ok` if it is done, else the error for the caller of the store.
    pub(crate) fn check(
        self,
        chain: ChainId,
        epoch: Epoch,
        step: Option<&Step>,
    ) -> Result<(), StoreError> {
        let stored = match self {
            Self::Done => return Ok(()),
            Self::Fenced(owner) => {
                return Err(StoreError::Fenced {
                    chain,
                    epoch,
                    owner: Epoch(owner),
                });
            }
            Self::Stale(stored) => stored,
            Self::Incomplete => None,
        };
        Err(StoreError::Stale {
            chain,
            follows: step.and_then(|step| step.follows),
            position: step.map_or(0, |step| step.position),
            stored,
        })
    }
}

/// Writes keys and arguments of `commit.lua`.
pub(crate) fn apply<'a>(
    script: &'a Script,
    keys: &Keys,
    (epoch, guard): (Epoch, &Guard<'_>),
    piece: &Piece,
    change: &HeadChange,
    ttl: Option<Duration>,
) -> ScriptInvocation<'a> {
    let mut call = script.key(keys.head());
    call.key(keys.rows());
    for key in &piece.removed {
        call.key(key);
    }
    for (key, _, _) in &piece.index {
        call.key(key);
    }
    for (key, _) in piece.users.iter().chain(&piece.appended) {
        call.key(key);
    }
    call.arg(epoch.0);
    match guard {
        Guard::Follow(step) => {
            call.arg("follow").arg(text(step.follows));
            call.arg(step.position).arg(&step.nonce);
        }
        Guard::Roll(step, next) => {
            call.arg("roll").arg(*next).arg("").arg(&step.nonce);
        }
        Guard::Owner => {
            call.arg("owner").arg("").arg("").arg("");
        }
    }
    call.arg(text(ttl.map(|ttl| ttl.as_millis() as u64)));
    call.arg(text(piece.generation));
    for count in [
        change.set.len(),
        change.removed.len(),
        piece.removed.len(),
        piece.index.len(),
        piece.users.len(),
        piece.appended.len(),
        piece.rows.len(),
        piece.rows_removed.len(),
    ] {
        call.arg(count);
    }
    for (name, value) in &change.set {
        call.arg(*name).arg(value);
    }
    for name in &change.removed {
        call.arg(*name);
    }
    for (_, byte, user) in &piece.index {
        call.arg(*byte).arg(&user[..]);
    }
    for (_, value) in piece.users.iter().chain(&piece.appended) {
        call.arg(value);
    }
    for (field, value) in &piece.rows {
        call.arg(field).arg(value);
    }
    for field in &piece.rows_removed {
        call.arg(field);
    }
    call
}

/// Runs a prepared call.
pub(crate) async fn run(
    link: &Link,
    call: &ScriptInvocation<'_>,
) -> Result<Answer, RedisStoreError> {
    let mut wire = link.wire().await?;
    match call.invoke_async::<Value>(&mut wire).await {
        Ok(value) => Answer::parse(&value),
        Err(error) => {
            link.doubt().await;
            Err(link.fail(error))
        }
    }
}
