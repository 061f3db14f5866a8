//! Raw ids in, pseudonyms out: the one place that ever sees a raw user id.
//!
//! A pseudonym is `HMAC-SHA-256(key, raw id)`, cut, with the key's id in front so that keys can
//! rotate. Users, anonymous visitors (known by their session id) and sessions each have a sub-key
//! of their own, so the same text in two roles gives unrelated pseudonyms. The key states are
//! prepared once; one pseudonym costs two compressions of SHA-256.
//!
//! There is deliberately no way back from a pseudonym to a raw id: requests bring the raw id.

use crate::error::EngineError;
use crate::seal::Sealer;
use hmac::{Hmac, KeyInit, Mac};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{SessionKey, UserKey};
use sha2::Sha256;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

type HmacSha256 = Hmac<Sha256>;

/// Name of the key file inside the data folder.
pub const KEY_FILE_NAME: &str = "pseudonym.key";

const FILE_MAGIC: &str = "nowcast-pseudonym-key v1";
const SECRET_BYTES: usize = 32;
/// The id of the first key of an installation.
const FIRST_KEY_ID: u8 = 1;

/// The secret behind all pseudonyms of an installation.
#[derive(Clone)]
pub struct PseudonymKey {
    id: u8,
    secret: [u8; SECRET_BYTES],
}

impl PseudonymKey {
    /// A key with a given id and secret.
    #[must_use]
    pub const fn new(id: u8, secret: [u8; SECRET_BYTES]) -> Self {
        Self { id, secret }
    }

    /// Reads the key from `folder`, or makes one there if `may_create`.
    ///
    /// A folder that already holds events must hold its key: with a fresh one every known user
    /// would silently become a stranger, so a missing key is then an error.
    ///
    /// # Errors
    /// [`EngineError::PseudonymKey`] if the file is missing, damaged, readable by others, or
    /// cannot be written.
    pub fn load_or_create(folder: &Path, may_create: bool) -> Result<Self, EngineError> {
        let path = folder.join(KEY_FILE_NAME);
        match fs::File::open(&path) {
            Ok(file) => Self::read(file).map_err(|reason| key_error(&path, reason)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_create => {
                Self::create(folder, &path).map_err(|error| key_error(&path, error))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(key_error(
                &path,
                "it is missing beside existing events; restore it from a backup, for without it \
                 no user can be recognised",
            )),
            Err(error) => Err(key_error(&path, error)),
        }
    }

    fn read(mut file: fs::File) -> Result<Self, String> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err("others may read it; run `chmod 600` on it".to_owned());
        }
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
        Self::parse(&text).ok_or_else(|| "it is damaged; restore it from a backup".to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (magic, id, secret, check) = (
            lines.next()?,
            lines.next()?.strip_prefix("id ")?,
            lines.next()?.strip_prefix("key ")?,
            lines.next()?.strip_prefix("check ")?,
        );
        if magic != FILE_MAGIC || secret.len() != 2 * SECRET_BYTES || !secret.is_ascii() {
            return None;
        }
        let mut bytes = [0_u8; SECRET_BYTES];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&secret[2 * i..2 * i + 2], 16).ok()?;
        }
        let key = Self::new(id.parse().ok()?, bytes);
        (check == key.check()).then_some(key)
    }

    fn create(folder: &Path, path: &Path) -> io::Result<Self> {
        let mut secret = [0_u8; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
        let key = Self::new(FIRST_KEY_ID, secret);
        let temporary = folder.join(format!("{KEY_FILE_NAME}.new-{}", std::process::id()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        let digits: String = key.secret.iter().map(|b| format!("{b:02x}")).collect();
        write!(
            file,
            "{FILE_MAGIC}\nid {}\nkey {digits}\ncheck {}\n",
            key.id,
            key.check()
        )?;
        file.sync_all()?;
        // Of processes that start together on one folder the first makes the key of all.
        let made = fs::hard_link(&temporary, path);
        fs::remove_file(&temporary)?;
        match made {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Self::read(fs::File::open(path)?).map_err(io::Error::other);
            }
            Err(error) => return Err(error),
        }
        fs::File::open(folder)?.sync_all()?;
        Ok(key)
    }

    /// Sixteen digits that a damaged file does not reproduce; they reveal nothing useful, for the
    /// secret has 256 random bits.
    fn check(&self) -> String {
        let mut bytes = vec![self.id];
        bytes.extend_from_slice(&self.secret);
        format!("{:016x}", stable_hash(&bytes, 0))
    }
}

fn key_error(path: &Path, reason: impl ToString) -> EngineError {
    EngineError::PseudonymKey {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Turns raw ids into pseudonyms. Cheap to share, needs no lock.
pub struct Pseudonymizer {
    key_id: u8,
    user: HmacSha256,
    visitor: HmacSha256,
    session: HmacSha256,
    sealer: Sealer,
}

impl Pseudonymizer {
    /// Prepares the key states of the three domains.
    #[must_use]
    pub fn new(key: &PseudonymKey) -> Self {
        let sub_key = |name: &[u8]| -> [u8; SECRET_BYTES] {
            let mut master = keyed(&key.secret);
            master.update(name);
            master.finalize().into_bytes().into()
        };
        let domain = |name: &[u8]| keyed(&sub_key(name));
        Self {
            key_id: key.id,
            user: domain(b"nowcast user v1"),
            visitor: domain(b"nowcast visitor v1"),
            session: domain(b"nowcast session v1"),
            sealer: Sealer::new(&sub_key(b"nowcast dead letter v1"), key.id),
        }
    }

    /// What seals originals that must not be read without the key.
    #[must_use]
    pub const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// The pseudonym of a user id.
    #[must_use]
    pub fn user(&self, raw_id: &str) -> UserKey {
        self.subject(&self.user, raw_id)
    }

    /// The pseudonym of somebody known only by a session id.
    #[must_use]
    pub fn visitor(&self, raw_session_id: &str) -> UserKey {
        self.subject(&self.visitor, raw_session_id)
    }

    /// The pseudonym of a session id.
    #[must_use]
    pub fn session(&self, raw_id: &str) -> SessionKey {
        let digest = digest(&self.session, raw_id);
        let mut bytes = [0_u8; 8];
        bytes.copy_from_slice(&digest[..8]);
        SessionKey(u64::from_le_bytes(bytes))
    }

    fn subject(&self, state: &HmacSha256, raw_id: &str) -> UserKey {
        let digest = digest(state, raw_id);
        let mut bytes = [0_u8; 16];
        bytes[0] = self.key_id;
        bytes[1..].copy_from_slice(&digest[..15]);
        UserKey(bytes)
    }
}

fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn digest(state: &HmacSha256, raw_id: &str) -> [u8; 32] {
    let mut mac = state.clone();
    mac.update(raw_id.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn pseudonymizer(secret: u8) -> Pseudonymizer {
        Pseudonymizer::new(&PseudonymKey::new(7, [secret; 32]))
    }

    #[test]
    fn the_same_text_in_another_domain_or_under_another_key_is_somebody_else() {
        let p = pseudonymizer(1);
        assert_eq!(p.user("ann"), p.user("ann"));
        assert_eq!(p.user("ann").0[0], 7, "the key id leads");
        assert_ne!(p.user("ann"), p.visitor("ann"));
        assert_ne!(p.user("ann"), p.user("bob"));
        assert_ne!(p.user("ann"), pseudonymizer(2).user("ann"));
        assert_ne!(p.session("ann").0, p.user("ann").bits());
    }

    #[test]
    fn the_pseudonym_is_the_hmac_of_rfc_2104_with_a_derived_key() {
        let mut master = keyed(&[1; 32]);
        master.update(b"nowcast user v1");
        let sub_key = master.finalize().into_bytes();
        let mut mac = keyed(&sub_key);
        mac.update(b"ann");
        let expected = mac.finalize().into_bytes();
        assert_eq!(pseudonymizer(1).user("ann").0[1..], expected[..15]);
    }

    #[test]
    fn the_key_file_is_private_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let made = PseudonymKey::load_or_create(folder.path(), true).unwrap();
        let path = folder.path().join(KEY_FILE_NAME);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let read = PseudonymKey::load_or_create(folder.path(), false).unwrap();
        assert_eq!((made.id, made.secret), (read.id, read.secret));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(PseudonymKey::load_or_create(folder.path(), true).is_err());
    }

    #[test]
    fn a_missing_or_damaged_key_beside_events_is_loud() {
        let folder = tempfile::tempdir().unwrap();
        assert!(PseudonymKey::load_or_create(folder.path(), false).is_err());
        PseudonymKey::load_or_create(folder.path(), true).unwrap();
        let path = folder.path().join(KEY_FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(
                PseudonymKey::load_or_create(folder.path(), true).is_err(),
                "a flip at byte {at} went unseen"
            );
        }
    }
}
