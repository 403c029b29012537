//! The parts of [`Secrets`](super::Secrets): secrets by their digests, and what is derived from them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::rng::{Rng, RngError};
use crate::token::Digest;

/// The role of a presented secret in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretStatus {
    /// The current secret, or an alternative to it.
    Current,
    /// The offered next secret.
    Next,
    /// A secret that was replaced, within its grace period.
    Previous,
    /// A retired secret: another party holds its successor.
    Retired,
    /// Not a secret of this session.
    Wrong,
}

impl SecretStatus {
    /// Whether the secret authenticates.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Current | Self::Next | Self::Previous)
    }
}

/// A secret that is as good as the current one, or was until another one took its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alternative {
    pub(super) digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<Next>,
    /// When its grace period ends, if it is superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<u64>,
}

impl Alternative {
    pub(super) const fn new(digest: Digest) -> Self {
        Self {
            digest,
            next: None,
            until: None,
        }
    }

    pub(super) fn is_retired(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now.as_millis() >= until)
    }

    pub(super) fn has_next(&self, digest: &Digest) -> bool {
        self.next
            .as_ref()
            .is_some_and(|next| next.digest == *digest)
    }

    /// Returns the role of the secret with this digest, if it is this one or its next one. The grace period of this one
    /// is not that of the next: a response that came last may have set it, and its client is idle since.
    pub(super) fn status(&self, digest: &Digest, now: Timestamp) -> Option<SecretStatus> {
        if self.has_next(digest) {
            return Some(SecretStatus::Next);
        }
        (self.digest == *digest).then(|| match self.until {
            Some(_) if self.is_retired(now) => SecretStatus::Retired,
            Some(_) => SecretStatus::Previous,
            None => SecretStatus::Current,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Next {
    pub(super) nonce: Nonce,
    pub(super) digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) nonce: Nonce,
    pub(super) digest: Digest,
    pub(super) until: u64,
}

/// The nonce from which, together with a secret, the next secret is derived. Useless without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Nonce(String);

impl Nonce {
    pub(super) fn draw(rng: &(impl Rng + ?Sized)) -> Result<Self, RngError> {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(super) fn bytes(&self) -> Option<[u8; 16]> {
        URL_SAFE_NO_PAD.decode(&self.0).ok()?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SystemRng;

    #[test]
    fn a_nonce_has_the_bytes_that_were_drawn() {
        let (one, other) = (
            Nonce::draw(&SystemRng).unwrap(),
            Nonce::draw(&SystemRng).unwrap(),
        );
        assert_ne!(one.bytes().unwrap(), other.bytes().unwrap());
        assert_eq!(URL_SAFE_NO_PAD.encode(one.bytes().unwrap()), one.0);
        assert_eq!(Nonce("AAAA".to_owned()).bytes(), None);
    }
}
