//! The ticket: what the browser holds, and what a store keeps of it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::entropy::{Entropy, EntropyError};
use crate::id::{Revision, SessionId};

const ID_LEN: usize = 16;
const SECRET_LEN: usize = 16;

/// What the cookie carries: a session's id and a secret of 128 bits (ASVS 5.0, 7.2.3).
///
/// `Debug` shows the id alone, and there is no `Display`: [`encode`](Self::encode) is the one way
/// out.
#[derive(Clone)]
pub struct Token {
    id: SessionId,
    secret: [u8; SECRET_LEN],
}

impl Token {
    /// The length of an encoded token, in characters.
    pub const ENCODED_LEN: usize = 43;

    /// Issues a token for a new session: a fresh id and a fresh secret, drawn at once.
    ///
    /// # Errors
    ///
    /// When the random number generator fails.
    pub fn issue(now: Timestamp, entropy: &(impl Entropy + ?Sized)) -> Result<Self, EntropyError> {
        let (token, _) = Self::issue_with_revision(now, entropy)?;
        Ok(token)
    }

    /// The same, and the stamp of the session's first commit, from one draw: to ask the system is dear.
    ///
    /// # Errors
    ///
    /// When the random number generator fails.
    pub fn issue_with_revision(
        now: Timestamp,
        entropy: &(impl Entropy + ?Sized),
    ) -> Result<(Self, Revision), EntropyError> {
        let mut random = [0; 10 + SECRET_LEN + 8];
        entropy.fill(&mut random)?;
        let (mut id, mut secret, mut revision) = ([0; 10], [0; SECRET_LEN], [0; 8]);
        id.copy_from_slice(&random[..10]);
        secret.copy_from_slice(&random[10..10 + SECRET_LEN]);
        revision.copy_from_slice(&random[10 + SECRET_LEN..]);
        let token = Self {
            id: SessionId::from_parts(now, &id),
            secret,
        };
        Ok((token, Revision::from_bits(u64::from_be_bytes(revision))))
    }

    /// A token from a moment and what was derived from a secret, of which 26 bytes are taken.
    pub(crate) fn derived(at: Timestamp, bytes: &[u8; 32]) -> Self {
        let (mut id, mut secret) = ([0; 10], [0; SECRET_LEN]);
        id.copy_from_slice(&bytes[..10]);
        secret.copy_from_slice(&bytes[10..10 + SECRET_LEN]);
        Self {
            id: SessionId::from_parts(at, &id),
            secret,
        }
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else: another length, another
    /// alphabet, padding, stray bits at the end or an id that is no UUIDv7 give `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::ENCODED_LEN {
            return None;
        }
        // One byte of room over what is needed: the decoder asks for whole groups.
        let mut bytes = [0; ID_LEN + SECRET_LEN + 1];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (id, secret) = bytes.get(..length)?.split_at_checked(ID_LEN)?;
        Some(Self {
            id: SessionId::from_bytes(id.try_into().ok()?)?,
            secret: secret.try_into().ok()?,
        })
    }

    /// The token as the cookie carries it: 43 characters of base64url (RFC 4648, section 5).
    ///
    /// Whoever holds this text holds the session: never log it.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = [0; ID_LEN + SECRET_LEN];
        bytes[..ID_LEN].copy_from_slice(self.id.as_bytes());
        bytes[ID_LEN..].copy_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token of the same session with the secret that follows this one by `nonce`: whoever holds
    /// this token and the nonce arrives at the same, and nobody else does (HMAC-SHA256).
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
    pub fn rotated(&self, nonce: &[u8; 16]) -> Self {
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        hmac.update(b"cloakroom/rotate/1\0");
        hmac.update(self.id.as_bytes());
        hmac.update(nonce);
        let mut secret = [0; SECRET_LEN];
        secret.copy_from_slice(&hmac.finalize().into_bytes()[..SECRET_LEN]);
        Self {
            id: self.id,
            secret,
        }
    }

    /// The id of the session that the token opens.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Where tokens are valid: one layer of one app in one environment.
///
/// The realm is hashed with each secret, so a token of one realm opens nothing in another, even
/// when both keep their sessions in the same Redis under the same prefix.
///
/// ```
/// use cloakroom_core::{Clock, Realm, SystemClock, SystemEntropy, Token};
///
/// let token = Token::issue(SystemClock.now(), &SystemEntropy)?;
/// assert!(Realm::new("shop").digest(&token) == Realm::new("shop").digest(&token));
/// assert!(Realm::new("shop").digest(&token) != Realm::new("shop-staging").digest(&token));
/// # Ok::<(), cloakroom_core::EntropyError>(())
/// ```
#[derive(Clone)]
pub struct Realm {
    name: String,
    /// SHA-256 that has already taken in the realm.
    hasher: Sha256,
}

impl Realm {
    /// The realm of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let mut hasher = Sha256::new();
        hasher.update(b"cloakroom/1\0");
        // The length first, so that no name and secret read as another name and secret.
        hasher.update((name.len() as u64).to_be_bytes());
        hasher.update(name.as_bytes());
        Self { name, hasher }
    }

    /// The realm's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a store may keep of a token: SHA-256 over the realm and the token's secret.
    #[must_use]
    pub fn digest(&self, token: &Token) -> Digest {
        let mut hasher = self.hasher.clone();
        hasher.update(token.secret);
        Digest(hasher.finalize().into())
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Realm").field(&self.name).finish()
    }
}

/// The hash of a secret, as a record holds it. Comparing takes constant time (ASVS 5.0, 11.2.4).
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The length of an encoded digest, in characters.
    pub const ENCODED_LEN: usize = 43;

    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        Some(Self(bytes.get(..length)?.try_into().ok()?))
    }

    pub(crate) fn encode_into(&self, out: &mut String) {
        URL_SAFE_NO_PAD.encode_string(self.0, out);
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a digest"))
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}
