//! API keys: 256 random bits, shown once, kept as their BLAKE3 hash.
//!
//! The keys are random, so a slow password hash would add latency and no safety. Hashes are
//! compared in constant time, and every configured key is compared, so the time of an answer says
//! nothing about which key came close.

use serde::Deserialize;

const PREFIX: &str = "nck_";
const SECRET_BYTES: usize = 32;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for recommendations, profiles and features.
    Read,
    /// Send events.
    Write,
    /// Everything: items, users and erasures too.
    Admin,
}

impl Scope {
    /// The name in the configuration and in errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// One key in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyConfig {
    /// Whose key it is, for logs.
    pub name: String,
    /// BLAKE3 of the key, as 64 hexadecimal digits.
    pub blake3: String,
    /// What it may do; `admin` includes the others.
    pub scopes: Vec<Scope>,
}

impl ApiKeyConfig {
    /// Checks the hash and the scopes.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if blake3::Hash::from_hex(&self.blake3).is_err() {
            return Err(format!(
                "server.api_keys `{}`: blake3 must be 64 hexadecimal digits",
                self.name
            ));
        }
        if self.scopes.is_empty() {
            return Err(format!(
                "server.api_keys `{}`: scopes must name at least one of read, write, admin",
                self.name
            ));
        }
        Ok(())
    }
}

/// A key just made: the secret goes to its user, the hash into the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The key as clients send it. It cannot be shown again.
    pub secret: String,
    /// Its BLAKE3 hash in hexadecimal digits.
    pub blake3: String,
}

/// Makes a key.
///
/// # Errors
/// A sentence, if the system has no random bytes to give.
pub fn generate() -> Result<NewKey, String> {
    let mut bytes = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random bytes: {error}"))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = format!("{PREFIX}{digits}");
    let blake3 = blake3::hash(secret.as_bytes()).to_hex().to_string();
    Ok(NewKey { secret, blake3 })
}

/// Index of a key in the configuration; the identity that rate limits count by.
pub type KeyIndex = u32;

/// Who a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// No keys are configured: everybody may do everything.
    Anybody,
    /// The holder of a key.
    Key(KeyIndex),
}

/// The configured keys, parsed.
pub struct KeyRing {
    keys: Vec<(blake3::Hash, Vec<Scope>)>,
}

/// Why a caller was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No key, or none that is known.
    Unknown,
    /// The key lacks the scope.
    Scope,
}

impl KeyRing {
    /// Parses the configured keys; those with a bad hash were refused by validation before.
    #[must_use]
    pub fn new(keys: &[ApiKeyConfig]) -> Self {
        let parsed = keys.iter().filter_map(|key| {
            let hash = blake3::Hash::from_hex(&key.blake3).ok()?;
            Some((hash, key.scopes.clone()))
        });
        Self {
            keys: parsed.collect(),
        }
    }

    /// Whether every caller is let in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Lets a caller with `secret` do what needs `scope`, or says why not.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn admit(&self, secret: Option<&str>, scope: Scope) -> Result<Caller, Denial> {
        if self.is_open() {
            return Ok(Caller::Anybody);
        }
        let presented = blake3::hash(secret.unwrap_or_default().as_bytes());
        let mut found = None;
        for (index, (hash, scopes)) in self.keys.iter().enumerate() {
            // `==` of `blake3::Hash` takes constant time.
            if *hash == presented {
                found = Some((index, scopes));
            }
        }
        let (index, scopes) = found.ok_or(Denial::Unknown)?;
        if scopes.contains(&scope) || scopes.contains(&Scope::Admin) {
            Ok(Caller::Key(index as KeyIndex))
        } else {
            Err(Denial::Scope)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(scopes: &[Scope]) -> (KeyRing, String) {
        let key = generate().unwrap();
        let config = ApiKeyConfig {
            name: "test".into(),
            blake3: key.blake3,
            scopes: scopes.to_vec(),
        };
        config.validate().unwrap();
        (KeyRing::new(&[config]), key.secret)
    }

    #[test]
    fn a_key_opens_its_scopes_only() {
        let (keys, secret) = ring(&[Scope::Read]);
        assert_eq!(keys.admit(Some(&secret), Scope::Read), Ok(Caller::Key(0)));
        assert_eq!(keys.admit(Some(&secret), Scope::Admin), Err(Denial::Scope));
        assert_eq!(keys.admit(None, Scope::Read), Err(Denial::Unknown));
        let other = generate().unwrap().secret;
        assert_eq!(keys.admit(Some(&other), Scope::Read), Err(Denial::Unknown));
    }

    #[test]
    fn admin_includes_everything() {
        let (keys, secret) = ring(&[Scope::Admin]);
        for scope in [Scope::Read, Scope::Write, Scope::Admin] {
            assert!(keys.admit(Some(&secret), scope).is_ok());
        }
    }

    #[test]
    fn without_keys_everybody_is_let_in() {
        assert_eq!(
            KeyRing::new(&[]).admit(None, Scope::Admin),
            Ok(Caller::Anybody)
        );
    }

    #[test]
    fn two_keys_are_never_equal() {
        assert_ne!(generate().unwrap(), generate().unwrap());
    }
}
