//! The token: what the cookie carries, and the digest of it that a store keeps.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::id::{Revision, SessionId};
use crate::rng::{Rng, RngError};

const ID_LEN: usize = 16;
const SECRET_LEN: usize = 16;

/// The value of the session cookie: a session's id and a secret of 128 bits (ASVS 5.0, 7.2.3).
///
/// `Debug` shows the id only, and there is no `Display`: [`encode`](Self::encode) is the only way to
/// get the secret out.
#[derive(Clone)]
pub struct Token {
    id: SessionId,
    secret: [u8; SECRET_LEN],
}

impl Token {
    /// The length of an encoded token, in characters.
    pub const ENCODED_LEN: usize = 43;

    /// Issues a token for a new session, with a new id and a new secret.
    ///
    /// # Errors
    ///
    /// If the random number generator fails.
    pub fn issue(now: Timestamp, rng: &(impl Rng + ?Sized)) -> Result<Self, RngError> {
        let (token, _) = Self::issue_with_revision(now, rng)?;
        Ok(token)
    }

    /// Issues a token, together with the revision of the session's first commit. Both come from one
    /// call of the random number generator, which is a system call.
    ///
    /// # Errors
    ///
    /// If the random number generator fails.
    pub fn issue_with_revision(
        now: Timestamp,
        rng: &(impl Rng + ?Sized),
    ) -> Result<(Self, Revision), RngError> {
        let mut random = [0; 10 + SECRET_LEN + 8];
        rng.fill(&mut random)?;
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

    /// Issues a further token for an existing session, with a new secret of its own. It is valid once the
    /// session's record holds its digest ([`Secrets::with_alternative`](crate::rotation::Secrets::with_alternative)).
    ///
    /// # Errors
    ///
    /// If the random number generator fails.
    pub fn issue_for(id: SessionId, rng: &(impl Rng + ?Sized)) -> Result<Self, RngError> {
        let mut secret = [0; SECRET_LEN];
        rng.fill(&mut secret)?;
        Ok(Self { id, secret })
    }

    /// Returns a token with this id and the same secret: for the id that [`Store::place`](crate::Store::place) returns. Use it
    /// before any client has the token.
    #[must_use]
    pub fn with_id(self, id: SessionId) -> Self {
        Self { id, ..self }
    }

    /// Creates a token from a time and bytes that were derived from a secret; 26 of them are used.
    pub(crate) fn derived(at: Timestamp, bytes: &[u8; 32]) -> Self {
        let (mut id, mut secret) = ([0; 10], [0; SECRET_LEN]);
        id.copy_from_slice(&bytes[..10]);
        secret.copy_from_slice(&bytes[10..10 + SECRET_LEN]);
        Self {
            id: SessionId::from_parts(at, &id),
            secret,
        }
    }

    /// Parses a token as [`encode`](Self::encode) writes it. Returns `None` for anything else: another
    /// length or alphabet, padding, nonzero trailing bits, or an id that is not a UUIDv7.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::ENCODED_LEN {
            return None;
        }
        // One byte more than the result needs: the decoder requires space for whole groups.
        let mut bytes = [0; ID_LEN + SECRET_LEN + 1];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (id, secret) = bytes.get(..length)?.split_at_checked(ID_LEN)?;
        Some(Self {
            id: SessionId::from_bytes(id.try_into().ok()?)?,
            secret: secret.try_into().ok()?,
        })
    }

    /// Encodes the token as the cookie carries it: 43 characters of base64url (RFC 4648, section 5).
    ///
    /// This text is a credential: never log it.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = [0; ID_LEN + SECRET_LEN];
        bytes[..ID_LEN].copy_from_slice(self.id.as_bytes());
        bytes[ID_LEN..].copy_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the token of the same session with the next secret, which is derived from this secret
    /// and `nonce` with HMAC-SHA256. The same token and nonce give the same result, and the nonce alone
    /// gives nothing.
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

    /// Returns the id of the session that the token authenticates.
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

/// The scope in which tokens are valid: one session layer of one app in one environment.
///
/// The realm is hashed together with each secret. So a token of one realm is invalid in every other,
/// even if both keep their sessions in the same Redis under the same prefix.
///
/// ```
/// use cloakroom_core::{Clock, Realm, SystemClock, SystemRng, Token};
///
/// let token = Token::issue(SystemClock.now(), &SystemRng)?;
/// assert!(Realm::new("shop").digest(&token) == Realm::new("shop").digest(&token));
/// assert!(Realm::new("shop").digest(&token) != Realm::new("shop-staging").digest(&token));
/// # Ok::<(), cloakroom_core::RngError>(())
/// ```
#[derive(Clone)]
pub struct Realm {
    name: String,
    /// SHA-256 after the realm was hashed.
    hasher: Sha256,
}

impl Realm {
    /// Creates the realm of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let mut hasher = Sha256::new();
        hasher.update(b"cloakroom/1\0");
        // The length comes first, so that two different pairs of name and secret never hash the same bytes.
        hasher.update((name.len() as u64).to_be_bytes());
        hasher.update(name.as_bytes());
        Self { name, hasher }
    }

    /// Returns the realm's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Computes the digest of a token, which a store may keep: SHA-256 over the realm and the token's
    /// secret.
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

/// The hash of a secret, as a record holds it. `==` takes constant time (ASVS 5.0, 11.2.4).
///
/// Its first 128 bits are compared, as many as a secret has: a longer digest is no harder to invert. The record of
/// [format 2](crate::codec::RecordFormat::V2) has only these; the others are zero then.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

/// How many bytes of a digest are compared.
const COMPARED: usize = SECRET_LEN;

impl Digest {
    /// The length of an encoded digest, in characters.
    pub const ENCODED_LEN: usize = 43;

    /// Creates a digest from its bytes. A store with a format of its own may have kept the first sixteen only; the
    /// others are zero then.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns whether only the bytes are known that are compared.
    pub(crate) const fn is_short(&self) -> bool {
        let (_, rest) = self.0.split_at(COMPARED);
        matches!(rest, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Returns the digest's bytes, for a store with a format of its own. Compare digests with `==`,
    /// which takes constant time, and not by their bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        Some(Self(bytes.get(..length)?.try_into().ok()?))
    }

    pub(crate) fn encode_into(&self, out: &mut String) {
        URL_SAFE_NO_PAD.encode_string(self.0, out);
    }

    /// Parses the bytes that are compared.
    pub(crate) fn parse_short(text: &str) -> Option<Self> {
        // The decoder requires space for whole groups.
        let mut bytes = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes[..18]).ok()?;
        (length == COMPARED).then_some(())?;
        Some(Self(bytes[..32].try_into().ok()?))
    }

    pub(crate) fn encode_short_into(&self, out: &mut String) {
        URL_SAFE_NO_PAD.encode_string(&self.0[..COMPARED], out);
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
        self.0[..COMPARED].ct_eq(&other.0[..COMPARED]).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}
