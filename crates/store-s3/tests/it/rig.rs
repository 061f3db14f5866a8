//! A server with a bucket, and places on it.

use nowcast_services::S3;
use nowcast_store::artifact::Key;
use nowcast_store_s3::{S3Config, S3Place};
use nowcast_types::Span;

pub(crate) const BUCKET: &str = "models";

/// Starts a server with an empty bucket.
pub(crate) fn server() -> S3 {
    let server = S3::start().expect("moto starts");
    server.create_bucket(BUCKET).unwrap();
    server
}

/// Settings for the server at `endpoint`, patient enough for a loaded machine.
pub(crate) fn config(endpoint: &str) -> S3Config {
    S3Config {
        endpoint: endpoint.to_owned(),
        region: S3::REGION.to_owned(),
        access_key_id: "tests".to_owned(),
        secret_access_key: "any".to_owned(),
        allow_http: true,
        connect_timeout: Span(30_000),
        attempt_timeout: Span(60_000),
        timeout: Span(120_000),
        ..S3Config::default()
    }
}

pub(crate) fn place(prefix: &str, config: &S3Config) -> S3Place {
    S3Place::open(&format!("s3://{BUCKET}/{prefix}"), config).unwrap()
}

pub(crate) const FIRST: Key<'static> = Key {
    artifact: "ials",
    file: "0000000001.artifact",
};
