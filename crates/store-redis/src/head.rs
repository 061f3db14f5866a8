//! The head of a chain: who owns it, how far it is, and what was begun and not finished.

use crate::error::RedisStoreError;
use crate::keys::Keys;
use crate::link::Wire;
use redis::RedisResult;
use std::collections::HashMap;

/// The only layout there is so far.
const FORMAT: &str = "1";

/// The fields of the head as they are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) epoch: Option<u64>,
    pub(crate) position: Option<u64>,
    pub(crate) nonce: Option<String>,
    /// Newest generation of event ids.
    pub(crate) generation: Option<u64>,
    /// Pieces that count but are not all applied, and the next to apply.
    pub(crate) rolling: Option<(u32, u32)>,
    /// Pieces that were being staged and do not count.
    pub(crate) staged: u32,
    /// Everything is being removed.
    pub(crate) is_clearing: bool,
}

impl Head {
    /// Reads the head; the outer error is the connection's.
    pub(crate) async fn read(
        wire: &mut Wire,
        keys: &Keys,
    ) -> RedisResult<Result<Self, RedisStoreError>> {
        let fields: HashMap<String, String> = redis::cmd("HGETALL")
            .arg(keys.head())
            .query_async(wire)
            .await?;
        Ok(Self::parse(&fields).ok_or_else(|| {
            RedisStoreError::Corrupt(format!("the head of {}: {fields:?}", keys.tag()))
        }))
    }

    fn parse(fields: &HashMap<String, String>) -> Option<Self> {
        if fields.get("format").is_some_and(|format| format != FORMAT) {
            return None;
        }
        let number = |name: &str| match fields.get(name) {
            Some(text) => text.parse::<u64>().ok().map(Some),
            None => Some(None),
        };
        let small = |name: &str| number(name).map(|n| n.map(|n| n as u32));
        Some(Self {
            epoch: number("epoch")?,
            position: number("position")?,
            nonce: fields.get("nonce").cloned(),
            generation: number("generation")?,
            rolling: small("pieces")?.zip(small("next")?),
            staged: small("staged")?.unwrap_or(0),
            is_clearing: fields.contains_key("clearing"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_head_is_refused() {
        let head = |fields: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Head::parse(&fields.iter().map(own).collect())
        };
        assert_eq!(head(&[]), Some(Head::default()));
        assert_eq!(head(&[("position", "7")]).unwrap().position, Some(7));
        assert_eq!(head(&[("position", "x")]), None);
        assert_eq!(head(&[("format", "2")]), None);
    }
}
