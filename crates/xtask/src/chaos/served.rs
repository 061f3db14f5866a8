//! What a running server says of its users, in the oracle's terms: the state as clients see it.

use super::client::Client;
use super::inspection::Users;
use super::oracle::{History, Oracle};
use super::workload::Operation;
use anyhow::{Context, Result, ensure};
use nowcast_types::UserKey;
use serde::Deserialize;
use std::net::SocketAddr;

/// The answers of `GET /v1/users/{id}/profile`, for every user of the oracle.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// The pseudonyms of those that the server knows.
    pub(super) users: Users,
    /// How answers differ from the oracle, in words.
    pub(super) differences: Vec<String>,
}

/// What the drill reads of a profile.
#[derive(Debug, Deserialize)]
struct Profile {
    user_key: String,
    segment: Option<String>,
    history: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    item_id: String,
    event_type: String,
    time_s: i64,
}

/// Waits until everything acknowledged is folded, asks for every user and compares.
pub(super) fn look(address: SocketAddr, oracle: &Oracle, opening: &Operation) -> Result<Served> {
    catch_up(address, opening)?;
    ask(address, oracle)
}

/// Waits until everything acknowledged is folded.
pub(super) fn catch_up(address: SocketAddr, opening: &Operation) -> Result<()> {
    let mut client = Client::connect(address)?;
    // The opening touches every partition, so its second coming is applied after all else.
    let (method, path, body) = opening.request();
    let answer = client.send(method, &format!("{path}?wait=applied"), &body)?;
    let receipt: serde_json::Value = serde_json::from_str(&answer.body)?;
    ensure!(
        answer.is_success() && receipt["applied"] == true,
        "the fold does not catch up: {answer:?}"
    );
    Ok(())
}

/// Asks for every user and compares.
pub(super) fn ask(address: SocketAddr, oracle: &Oracle) -> Result<Served> {
    let mut client = Client::connect(address)?;
    let mut served = Served::default();
    for (user, expected) in &oracle.histories() {
        let path = format!("/v1/users/{user}/profile?history=1000");
        let answer = client.send("GET", &path, "")?;
        let profile: Option<Profile> = if answer.status == 404 {
            None
        } else {
            ensure!(answer.is_success(), "GET {path}: {answer:?}");
            Some(serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?)
        };
        served.hold(user, profile, expected, oracle.segment(user))?;
    }
    Ok(served)
}

impl Served {
    fn hold(
        &mut self,
        user: &str,
        profile: Option<Profile>,
        expected: &History,
        segment: Option<&str>,
    ) -> Result<()> {
        let Some(profile) = profile else {
            if !expected.is_empty() || segment.is_some() {
                self.differences.push(format!("{user}: served as unknown"));
            }
            return Ok(());
        };
        let key = UserKey::from_hex(&profile.user_key).context("not a pseudonym")?;
        self.users.insert(user.to_owned(), key);
        let mut history: History = profile
            .history
            .into_iter()
            .map(|entry| (entry.time_s, entry.item_id, entry.event_type))
            .collect();
        history.sort();
        if history != *expected {
            self.differences.push(format!(
                "{user}: {} entries served, {} expected",
                history.len(),
                expected.len()
            ));
        }
        if profile.segment.as_deref() != segment {
            self.differences.push(format!(
                "{user}: served segment {:?}, expected {segment:?}",
                profile.segment
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_profile_is_told() {
        let entry = Entry {
            item_id: "item-1".to_owned(),
            event_type: "click".to_owned(),
            time_s: 5,
        };
        let profile = Profile {
            user_key: "01".repeat(16),
            segment: None,
            history: vec![entry],
        };
        let expected = vec![(5, "item-1".to_owned(), "click".to_owned())];
        let mut served = Served::default();
        served.hold("ann", Some(profile), &expected, None).unwrap();
        assert!(served.differences.is_empty());
        served.hold("bob", None, &expected, None).unwrap();
        assert_eq!(served.differences.len(), 1);
        assert_eq!(served.users.len(), 1);
    }
}
