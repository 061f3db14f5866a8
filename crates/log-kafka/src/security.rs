//! Encryption (TLS) and authentication (SASL) of the connections to the brokers.
//!
//! Certificates and host names are always verified; there is no switch to turn that off. Secrets
//! come from the environment or a file, are read when a client is made, and are never printed.

use crate::error::KafkaLogError;
use rdkafka::ClientConfig;
use rdkafka::client::OAuthToken;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How connections are encrypted and authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityConfig {
    /// Whether connections use TLS.
    pub is_encrypted: bool,
    /// The certificates to trust (PEM); without it those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM), where the brokers ask for one.
    pub certificate_file: Option<PathBuf>,
    /// The key of our certificate (PEM).
    pub key_file: Option<PathBuf>,
    /// How we say who we are; without it we do not.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// The user name, for PLAIN and SCRAM.
    pub sasl_user: Option<String>,
    /// The password, or for OAUTHBEARER the token (a JWT, read again whenever it expires).
    pub sasl_secret: Option<Secret>,
}

/// Where a secret is; never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// The name of an environment variable.
    Env(String),
    /// A file; white space at its end does not count.
    File(PathBuf),
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaslMechanism {
    /// User and password as they are; only sensible under TLS.
    Plain,
    /// Challenge and response with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// Challenge and response with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// A bearer token.
    Oauthbearer,
}

impl SaslMechanism {
    /// Every mechanism by its name in settings.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("plain", Self::Plain),
        ("scram-sha-256", Self::ScramSha256),
        ("scram-sha-512", Self::ScramSha512),
        ("oauthbearer", Self::Oauthbearer),
    ];

    const fn protocol_name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::Oauthbearer => "OAUTHBEARER",
        }
    }
}

impl Secret {
    fn read(&self) -> Result<String, KafkaLogError> {
        let secret = match self {
            Self::Env(name) => std::env::var(name).map_err(|error| {
                KafkaLogError::Config(format!("log.kafka.security: variable {name}: {error}"))
            })?,
            Self::File(path) => read(path)?,
        };
        Ok(secret.trim_end().to_owned())
    }
}

fn read(path: &Path) -> Result<String, KafkaLogError> {
    std::fs::read_to_string(path).map_err(|source| KafkaLogError::Secret {
        path: path.to_owned(),
        source,
    })
}

impl SecurityConfig {
    pub(crate) fn check(&self) -> Result<(), KafkaLogError> {
        let bad = |rule: &str| Err(KafkaLogError::Config(format!("log.kafka.security: {rule}")));
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return bad("`certificate_file` and `key_file` belong together");
        }
        if !self.is_encrypted && (self.ca_file.is_some() || self.key_file.is_some()) {
            return bad("certificates are named but `is_encrypted` is false");
        }
        match self.sasl_mechanism {
            None if self.sasl_user.is_some() || self.sasl_secret.is_some() => {
                bad("credentials are named but no `sasl_mechanism`")
            }
            Some(_) if self.sasl_secret.is_none() => bad("`sasl_secret` is missing"),
            Some(SaslMechanism::Oauthbearer) | None => Ok(()),
            Some(_) if self.sasl_user.is_none() => bad("`sasl_user` is missing"),
            Some(_) => Ok(()),
        }
    }

    /// Writes these settings into those of a client.
    pub(crate) fn apply(&self, client: &mut ClientConfig) -> Result<(), KafkaLogError> {
        let protocol = match (self.is_encrypted, self.sasl_mechanism.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        for (key, file) in [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ] {
            if let Some(file) = file {
                read(file)?;
                client.set(key, file.to_string_lossy());
            }
        }
        if let Some(mechanism) = self.sasl_mechanism {
            client.set("sasl.mechanism", mechanism.protocol_name());
            if mechanism != SaslMechanism::Oauthbearer {
                client.set("sasl.username", self.sasl_user.as_deref().unwrap_or(""));
                client.set("sasl.password", self.secret()?);
            }
        }
        Ok(())
    }

    fn secret(&self) -> Result<String, KafkaLogError> {
        self.sasl_secret
            .as_ref()
            .map_or_else(|| Ok(String::new()), Secret::read)
    }

    /// Reads the token anew, with what its claims say about it.
    pub(crate) fn token(&self) -> Result<OAuthToken, KafkaLogError> {
        let token = self.secret()?;
        let claims = jwt_claims(&token);
        let claim = |name: &str| claims.as_ref().and_then(|claims| claims.get(name));
        let expires_s = claim("exp").and_then(serde_json::Value::as_i64);
        let subject = claim("sub").and_then(|subject| subject.as_str());
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        Ok(OAuthToken {
            principal_name: subject
                .or(self.sasl_user.as_deref())
                .unwrap_or("nowcast")
                .to_owned(),
            lifetime_ms: expires_s.map_or(now_ms + TOKEN_LIFE_MS, |s| s * 1000),
            token,
        })
    }
}

/// How long a token lives that does not say so.
const TOKEN_LIFE_MS: i64 = 600_000;

/// The claims of a JWT, unverified: that is the broker's part.
fn jwt_claims(token: &str) -> Option<serde_json::Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&base64url(payload)?).ok()
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whose_it_is_and_how_long_it_lives() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // {"sub":"shop","exp":2000000000}
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzaG9wIiwiZXhwIjoyMDAwMDAwMDAwfQ.";
        std::fs::write(file.path(), format!("{token}\n")).unwrap();
        let security = SecurityConfig {
            sasl_mechanism: Some(SaslMechanism::Oauthbearer),
            sasl_secret: Some(Secret::File(file.path().to_owned())),
            ..SecurityConfig::default()
        };
        security.check().unwrap();
        let read = security.token().unwrap();
        assert_eq!(read.token, token);
        assert_eq!(read.principal_name, "shop");
        assert_eq!(read.lifetime_ms, 2_000_000_000_000);
    }

    #[test]
    fn half_of_a_credential_is_refused() {
        let plain = SecurityConfig {
            sasl_mechanism: Some(SaslMechanism::Plain),
            sasl_secret: Some(Secret::Env("X".to_owned())),
            ..SecurityConfig::default()
        };
        assert!(plain.check().unwrap_err().to_string().contains("sasl_user"));
        let key_alone = SecurityConfig {
            is_encrypted: true,
            key_file: Some("key.pem".into()),
            ..SecurityConfig::default()
        };
        assert!(key_alone.check().is_err());
    }
}
