//! A server that is down or silent costs the time and the retries of the settings, no more.

use crate::rig::{BUCKET, FIRST, config, place, server};
use nowcast_store::artifact::ArtifactPlace;
use nowcast_store_s3::S3Config;
use nowcast_types::{ErrorKind, Span};
use std::time::{Duration, Instant};

/// What a loaded machine may add to a limit.
const SLACK: Duration = Duration::from_secs(20);

#[test]
fn a_killed_server_is_an_error_that_says_so_and_a_new_one_is_found() {
    let server = server();
    let config = S3Config {
        timeout: Span(3_000),
        ..config(&server.url())
    };
    let store = place("a", &config);
    assert!(store.create(FIRST, b"x").unwrap());
    server.server().kill().unwrap();
    let started = Instant::now();
    let error = store.read(FIRST).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3) + SLACK);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let said = error.to_string();
    assert!(said.contains("s3://models/a"), "{said}");
    assert!(said.contains("the time is used up"), "{said}");

    server.server().restart().unwrap();
    server.create_bucket(BUCKET).unwrap();
    assert_eq!(store.read(FIRST).unwrap(), None);
    assert!(store.create(FIRST, b"y").unwrap());
}

#[test]
fn retries_end_with_their_budget() {
    let server = server();
    server.server().kill().unwrap();
    for (budget, tries) in [(0, 1), (2, 3)] {
        let config = S3Config {
            retry_budget: budget,
            ..config(&server.url())
        };
        let store = place("a", &config);
        let said = store.names().unwrap_err().to_string();
        let expected = format!("the budget of retries is used up: {tries} tries");
        assert!(said.contains(&expected), "{said}");
        // It earns a tenth of a retry each time, which is none yet.
        let said = store.names().unwrap_err().to_string();
        assert!(said.contains("used up: 1 tries"), "{said}");
    }
}

#[test]
fn a_silent_server_is_given_up_on_and_asked_again() {
    let server = server();
    let config = S3Config {
        attempt_timeout: Span(200),
        timeout: Span(3_000),
        ..config(&server.url())
    };
    let patient = place("a", &crate::rig::config(&server.url()));
    assert!(patient.create(FIRST, b"x").unwrap());
    server.server().freeze().unwrap();
    let store = place("a", &config);
    let started = Instant::now();
    let error = store.read(FIRST).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3) + SLACK);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let said = error.to_string();
    assert!(
        said.contains("no answer within") && !said.contains(" 1 tries"),
        "{said}"
    );
    server.server().thaw().unwrap();
    assert_eq!(patient.read(FIRST).unwrap().unwrap().bytes, b"x");
}
