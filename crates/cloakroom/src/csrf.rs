//! The secret behind a session's CSRF tokens, and the masking of a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom_core::{Digest, Rng, RngError};
use serde::{Deserialize, Serialize};

/// The length of the secret, in bytes.
const LEN: usize = 32;

/// The length of a token, in characters.
const TOKEN_LEN: usize = (2 * LEN * 8).div_ceil(6);

/// The secret of a session. It is kept in the record, and does not leave the server unmasked.
///
/// It is kept in the type of digests for their `==`, which takes constant time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CsrfSecret(Digest);

impl CsrfSecret {
    /// The reserved key under which it is stored among the entries.
    pub(crate) const KEY: &'static str = "$csrf";

    pub(crate) fn draw(rng: &dyn Rng) -> Result<Self, RngError> {
        let mut secret = [0; LEN];
        rng.fill(&mut secret)?;
        Ok(Self(Digest::from_bytes(secret)))
    }

    /// Returns a token: random bytes, and the secret combined with them by XOR. So no two pages contain the same
    /// token, and the size of a compressed page reveals nothing about the secret (BREACH).
    pub(crate) fn token(self, rng: &dyn Rng) -> Result<String, RngError> {
        let mut bytes = [0; 2 * LEN];
        let (pad, masked) = bytes.split_at_mut(LEN);
        rng.fill(pad)?;
        masked.copy_from_slice(self.0.as_bytes());
        apply(pad, masked);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the secret in a token; `None` if the text is not a token.
    pub(crate) fn in_token(token: &str) -> Option<Self> {
        if token.len() != TOKEN_LEN {
            return None;
        }
        // Two bytes more than the result needs: the decoder requires space for whole groups.
        let mut bytes = [0; 2 * LEN + 2];
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()?;
        let (pad, masked) = bytes.get_mut(..length)?.split_at_mut_checked(LEN)?;
        apply(pad, masked);
        let secret = <[u8; LEN]>::try_from(&*masked).ok()?;
        Some(Self(Digest::from_bytes(secret)))
    }
}

fn apply(pad: &[u8], bytes: &mut [u8]) {
    for (byte, pad) in bytes.iter_mut().zip(pad) {
        *byte ^= pad;
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::SystemRng;

    use super::*;

    fn secret() -> CsrfSecret {
        CsrfSecret::draw(&SystemRng).unwrap()
    }

    #[test]
    fn every_token_of_a_secret_is_another_text_and_leads_back_to_it() {
        let secret = secret();
        let tokens = [(); 2].map(|()| secret.token(&SystemRng).unwrap());
        assert_ne!(tokens[0], tokens[1]);
        for token in &tokens {
            assert_eq!(token.len(), TOKEN_LEN);
            assert_eq!(CsrfSecret::in_token(token), Some(secret));
            let plain = URL_SAFE_NO_PAD.encode(secret.0.as_bytes());
            assert!(!token.contains(&plain[..8]), "it is masked");
        }
    }

    #[test]
    fn other_texts_are_not_tokens_of_the_secret() {
        let secret = secret();
        let token = secret.token(&SystemRng).unwrap();
        for text in [
            "",
            "x",
            &token[1..],
            &format!("{token}A"),
            &token.replace(&token[..1], "="),
        ] {
            assert_ne!(CsrfSecret::in_token(text), Some(secret), "{text}");
        }
        let another = self::secret().token(&SystemRng).unwrap();
        assert_ne!(CsrfSecret::in_token(&another), Some(secret));
    }
}
