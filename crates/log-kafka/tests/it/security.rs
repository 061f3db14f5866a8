//! TLS and every SASL mechanism against a real broker that asks for them.

use crate::rig::{config, open};
use nowcast_log::EventLog;
use nowcast_log::conformance::{EVENTS, batch};
use nowcast_log_kafka::KafkaConfig;
use nowcast_log_kafka::security::{SaslMechanism, Secret, SecurityConfig};
use nowcast_services::kafka::Secured;
use nowcast_services::{Kafka, KafkaOptions};
use nowcast_types::Span;
use std::path::{Path, PathBuf};

/// `{"alg":"none"}` and `{"sub":"nowcast","iat":1600000000,"exp":4000000000}`, unsigned.
const TOKEN: &str = "eyJhbGciOiJub25lIn0.\
    eyJzdWIiOiJub3djYXN0IiwiaWF0IjoxNjAwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.";

struct Rig {
    kafka: Kafka,
    secrets: tempfile::TempDir,
}

impl Rig {
    fn secured(&self) -> &Secured {
        self.kafka.secured().unwrap()
    }

    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.secrets.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn config(&self, mechanism: SaslMechanism, secret: &Path) -> KafkaConfig {
        let secured = self.secured();
        KafkaConfig {
            replication: 1,
            min_insync_replicas: 1,
            security: SecurityConfig {
                is_encrypted: true,
                ca_file: Some(secured.ca_file().to_owned()),
                sasl_mechanism: Some(mechanism),
                sasl_user: Some(secured.credentials().0.to_owned()),
                sasl_secret: Some(Secret::File(secret.to_owned())),
                ..SecurityConfig::default()
            },
            ..config(&secured.bootstrap())
        }
    }
}

#[test]
fn every_mechanism_is_accepted_over_tls_and_nothing_less() {
    let rig = Rig {
        kafka: Kafka::start_with(&KafkaOptions {
            brokers: 1,
            is_secured: true,
            ..KafkaOptions::default()
        })
        .unwrap(),
        secrets: tempfile::tempdir().unwrap(),
    };
    let password = rig.secret("password", rig.secured().credentials().1);
    let token = rig.secret("token", TOKEN);
    for (name, mechanism) in SaslMechanism::NAMES {
        let secret = match mechanism {
            SaslMechanism::Oauthbearer => &token,
            _ => &password,
        };
        let log = open(rig.config(mechanism, secret)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let offsets = log.append(EVENTS.0, EVENTS.1, batch(0..3, 0)).wait();
        assert_eq!(offsets.unwrap(), 0..3, "{name}");
        assert!(log.wait_beyond(EVENTS.0, EVENTS.1, 2, crate::rig::LONG));
        let stored = log.read(EVENTS.0, EVENTS.1, 0, 1 << 20).unwrap();
        let read: u32 = stored.iter().map(|batch| batch.count()).sum();
        assert_eq!(read, 3, "{name}");
    }

    let wrong = rig.secret("wrong", "guessed");
    for (what, mechanism) in &SaslMechanism::NAMES[..3] {
        let refused = KafkaConfig {
            read_timeout: Span(4_000),
            ..rig.config(*mechanism, &wrong)
        };
        assert!(open(refused).is_err(), "{what} takes any password");
    }
    let stranger = KafkaConfig {
        read_timeout: Span(4_000),
        security: SecurityConfig {
            ca_file: None,
            ..rig.config(SaslMechanism::Plain, &password).security
        },
        ..config(&rig.secured().bootstrap())
    };
    assert!(open(stranger).is_err(), "an unknown authority is trusted");
}
