//! Bytes that only the holder of the pseudonym key can read: the originals of dead letters.
//!
//! XChaCha20-Poly1305 under a sub-key of its own, with a random nonce of 24 bytes, which is long
//! enough never to repeat by chance. Sealed bytes are
//! `version 1 | key id u8 | nonce 24 | ciphertext | tag 16`; version and key id are authenticated.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// Seals and opens bytes.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: u8,
}

impl Sealer {
    /// A sealer with a secret of its own; `key_id` says which key it was derived from.
    #[must_use]
    pub fn new(secret: &[u8; 32], key_id: u8) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(secret.into()),
            key_id,
        }
    }

    /// Seals bytes.
    ///
    /// # Errors
    /// A sentence, if the system has no random bytes to give.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| format!("no random bytes: {error}"))?;
        let head = [VERSION, self.key_id];
        let payload = Payload {
            msg: plain,
            aad: &head,
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| "the bytes are too many to seal".to_owned())?;
        Ok([&head[..], &nonce, &sealed].concat())
    }

    /// Opens sealed bytes; `None` if they are damaged or were sealed with another key.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = sealed.split_first_chunk::<2>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>()?;
        if *head != [VERSION, self.key_id] {
            return None;
        }
        let payload = Payload {
            msg: text,
            aad: head,
        };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_and_any_flipped_bit_is_noticed() {
        let sealer = Sealer::new(&[7; 32], 1);
        let sealed = sealer.seal(b"ann@x.org").unwrap();
        assert_eq!(sealer.open(&sealed).unwrap(), b"ann@x.org");
        assert!(!sealed.windows(3).any(|bytes| bytes == b"ann"));
        assert_ne!(
            sealed,
            sealer.seal(b"ann@x.org").unwrap(),
            "never twice the same"
        );
        assert_eq!(Sealer::new(&[8; 32], 1).open(&sealed), None);
        assert_eq!(Sealer::new(&[7; 32], 2).open(&sealed), None);
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert_eq!(sealer.open(&bad), None, "byte {at}");
            assert_eq!(sealer.open(&sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn what_another_implementation_sealed_is_opened() {
        let golden = GOLDEN.split_whitespace().collect::<String>();
        let bytes: Vec<u8> = (0..golden.len() / 2)
            .map(|at| u8::from_str_radix(&golden[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        assert_eq!(Sealer::new(&[7; 32], 1).open(&bytes).unwrap(), b"ann");
    }

    const GOLDEN: &str = "0101000102030405060708090a0b0c0d0e0f1011121314151617c979c549 \
                          ffebe0474c045e90cde58955c6a5b6";
}
