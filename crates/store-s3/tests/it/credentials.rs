//! Requests are signed with the key that is configured, and neither key nor secret is ever told.

use crate::rig::{FIRST, config, place, server};
use nowcast_store::artifact::ArtifactPlace;
use nowcast_store_s3::S3Config;
use nowcast_types::ErrorKind;

#[test]
fn only_the_right_secret_opens_the_store_and_no_message_tells_it() {
    let server = server();
    let key = server.demand_signatures().unwrap();
    let right = S3Config {
        access_key_id: key.id.clone(),
        secret_access_key: key.secret.clone(),
        ..config(&server.url())
    };
    let store = place("a-B/c_d.e", &right);
    assert!(store.create(FIRST, b"signed").unwrap());
    let found = store.read(FIRST).unwrap().unwrap();
    assert!(
        store
            .replace(FIRST, Some(&found.tag), b"signed again")
            .unwrap()
    );
    assert_eq!(store.entries("ials").unwrap().len(), 1);
    assert_eq!(store.names().unwrap(), ["ials"]);

    let wrong = S3Config {
        secret_access_key: format!("{}x", key.secret),
        ..right.clone()
    };
    let refused = place("a-B/c_d.e", &wrong);
    for error in [
        refused.create(FIRST, b"forged").unwrap_err(),
        refused.read(FIRST).unwrap_err(),
        refused.names().unwrap_err(),
        refused.remove(FIRST).unwrap_err(),
    ] {
        let said = format!("{error} {error:?} {refused:?} {wrong:?}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{said}");
        assert!(said.contains("credentials"), "{said}");
        assert!(!said.contains(&key.secret), "{said}");
    }
    assert_eq!(store.read(FIRST).unwrap().unwrap().bytes, b"signed again");
    store.remove(FIRST).unwrap();
}

#[test]
fn a_bucket_that_does_not_exist_is_no_empty_one() {
    let server = server();
    let config = config(&server.url());
    let nowhere = nowcast_store_s3::S3Place::open("s3://elsewhere/a", &config).unwrap();
    for error in [
        nowhere.read(FIRST).unwrap_err(),
        nowhere.names().unwrap_err(),
        nowhere.create(FIRST, b"x").unwrap_err(),
    ] {
        let said = error.to_string();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{said}");
        assert!(said.contains("no such bucket"), "{said}");
    }
}
