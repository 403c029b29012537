//! Sessions that are migrated from a legacy store: how their token is derived from the legacy id, and what
//! their record says about their origin. No I/O is done here.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::id::SessionId;
use crate::token::{Realm, Token};

/// The secret with which all servers derive the same token from the same legacy id, and the time at which
/// the migration started, which is the creation time in the ids of migrated sessions.
///
/// The token cannot be derived without the key, not even by somebody who can read the legacy store.
///
/// ```
/// use cloakroom_core::{Realm, Timestamp, migration::MigrationKey};
///
/// let secret = b"at least 32 bytes, for instance from: openssl rand -base64 32";
/// let key = MigrationKey::new(secret, Timestamp::from_millis(1_795_478_400_000)).expect("it is long enough");
/// let realm = Realm::new("shop");
/// assert_eq!(
///     key.token(&realm, b"a legacy id").encode(),
///     key.token(&realm, b"a legacy id").encode(),
/// );
/// assert!(MigrationKey::new(b"too short", Timestamp::from_millis(0)).is_none());
/// ```
#[derive(Clone)]
pub struct MigrationKey {
    secret: Box<[u8]>,
    since: Timestamp,
}

impl MigrationKey {
    /// The shortest secret that is accepted, in bytes.
    pub const MIN_LEN: usize = 32;

    /// Creates a key from a secret of at least 32 bytes; `None` if it is shorter.
    #[must_use]
    pub fn new(secret: impl AsRef<[u8]>, since: Timestamp) -> Option<Self> {
        let secret = secret.as_ref();
        (secret.len() >= Self::MIN_LEN).then(|| Self {
            secret: secret.into(),
            since,
        })
    }

    /// Returns when the migration started.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Returns whether an id may be that of a migrated session, by its creation time.
    #[must_use]
    pub fn may_have_derived(&self, id: SessionId) -> bool {
        id.created_at() == self.since
    }

    /// Derives the token of the session that replaces a legacy session, with HMAC-SHA256.
    #[must_use]
    pub fn token(&self, realm: &Realm, legacy_id: &[u8]) -> Token {
        let since = self.since.as_millis().to_be_bytes();
        let bytes = self.hash(b"token", &[realm.name().as_bytes(), &since, legacy_id]);
        Token::derived(self.since, &bytes)
    }

    /// Encrypts a legacy id, so that a record can hold it.
    #[must_use]
    pub fn seal(&self, id: SessionId, legacy_id: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.apply_key_stream(id, legacy_id))
    }

    /// Decrypts the legacy id of a migrated session; `None` if it was not encrypted with this key.
    #[must_use]
    pub fn open(&self, realm: &Realm, id: SessionId, sealed: &str) -> Option<Vec<u8>> {
        let legacy_id = self.apply_key_stream(id, &URL_SAFE_NO_PAD.decode(sealed).ok()?);
        (self.token(realm, &legacy_id).id() == id).then_some(legacy_id)
    }

    /// Encrypts or decrypts by XOR with an HMAC-SHA256 key stream. A session has one legacy id, so each key
    /// stream is used for one text only.
    fn apply_key_stream(&self, id: SessionId, text: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(text.len());
        for (block, bytes) in (0_u64..).zip(text.chunks(32)) {
            let key_stream = self.hash(b"key-stream", &[id.as_bytes(), &block.to_be_bytes()]);
            output.extend(bytes.iter().zip(key_stream).map(|(byte, key)| byte ^ key));
        }
        output
    }

    fn hash(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        hmac.update(b"cloakroom/migration/1\0");
        for part in [&[purpose], parts].concat() {
            // The length comes first, so that two different lists of parts never hash the same bytes.
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part);
        }
        hmac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for MigrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrationKey")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// The migration of a session, as its record holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationMark {
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The legacy id after the link was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<String>,
}

impl MigrationMark {
    /// The reserved key under which it is stored among the entries.
    pub const KEY: &'static str = "$migration";

    /// Creates the mark of a session that was migrated at `now`, without a link to its legacy session.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self {
            at: now.as_millis(),
            from: None,
            former: None,
        }
    }

    /// Links the mark to a legacy session that still exists, by its [encrypted](MigrationKey::seal) id.
    #[must_use]
    pub fn with_legacy_id(self, sealed: String) -> Self {
        Self {
            from: Some(sealed),
            ..self
        }
    }

    /// Removes the link to the legacy session: the session is valid without it from then on. The
    /// [legacy id](Self::legacy_id) stays, because the legacy session may still exist.
    #[must_use]
    pub fn unlinked(self) -> Self {
        Self {
            former: self.from.or(self.former),
            from: None,
            ..self
        }
    }

    /// Removes the id of the legacy session, which has ended.
    #[must_use]
    pub fn without_legacy_id(self) -> Self {
        Self::at(Timestamp::from_millis(self.at))
    }

    /// Returns the encrypted id of the linked legacy session, if there is one: the session is valid as long as that is.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// Returns the encrypted id of the legacy session, linked or not, unless that is known to have ended. A caller that
    /// ends the session must end the legacy session first: otherwise its cookie would migrate again once the tombstone
    /// has expired.
    #[must_use]
    pub fn legacy_id(&self) -> Option<&str> {
        self.from.as_deref().or(self.former.as_deref())
    }

    /// Reads the mark from a session's entries. `None` if there is none, or if it cannot be read.
    #[must_use]
    pub fn of(entries: &Entries) -> Option<Self> {
        entries.get(Self::KEY).ok().flatten()
    }

    /// Returns when a session was created here: when it was migrated, or else when its id was issued.
    #[must_use]
    pub fn created_at(id: SessionId, entries: &Entries) -> Timestamp {
        match Self::of(entries) {
            Some(mark) => Timestamp::from_millis(mark.at),
            None => id.created_at(),
        }
    }

    /// Stores the mark in `entries`.
    #[allow(
        clippy::missing_panics_doc,
        reason = "text and numbers are always JSON"
    )]
    pub fn put_into(&self, entries: &mut Entries) {
        entries
            .set(Self::KEY, self)
            .expect("text and numbers are always JSON");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

    fn key(secret: &[u8], since: u64) -> MigrationKey {
        MigrationKey::new(secret, Timestamp::from_millis(since)).unwrap()
    }

    #[test]
    fn a_token_depends_on_key_realm_start_and_legacy_id_only() {
        let realm = Realm::new("shop");
        let token = key(SECRET, 1_000).token(&realm, b"old");
        let same = key(SECRET, 1_000).token(&realm, b"old");
        assert_eq!(token.encode(), same.encode());
        assert_eq!(token.id().created_at(), Timestamp::from_millis(1_000));
        assert!(key(SECRET, 1_000).may_have_derived(token.id()));
        assert!(!key(SECRET, 1_001).may_have_derived(token.id()));
        assert!(Token::parse(&token.encode()).is_some());
        let others = [
            key(b"another, of at least 32 bytes too", 1_000).token(&realm, b"old"),
            key(SECRET, 1_001).token(&realm, b"old"),
            key(SECRET, 1_000).token(&Realm::new("shop2"), b"old"),
            key(SECRET, 1_000).token(&realm, b"old2"),
            key(SECRET, 1_000).token(&Realm::new("sho"), b"pold"),
        ];
        for other in others {
            assert_ne!(other.id(), token.id());
            assert!(realm.digest(&other) != realm.digest(&token));
        }
    }

    /// Later releases must derive the same tokens.
    #[test]
    fn the_derivation_is_frozen() {
        let token = key(SECRET, 1_795_478_400_000).token(&Realm::new("shop"), &[7; 16]);
        assert_eq!(
            token.encode(),
            "AaIK2iwAeiGgGPIMo0lKbm08nyWRiZB3z4N7cq9z0_0"
        );
    }

    #[test]
    fn a_legacy_id_is_decrypted_with_its_key_only() {
        let (realm, old) = (Realm::new("shop"), [7; 40]);
        let key = key(SECRET, 1_000);
        let id = key.token(&realm, &old).id();
        let sealed = key.seal(id, &old);
        assert_eq!(key.open(&realm, id, &sealed), Some(old.to_vec()));
        assert_ne!(URL_SAFE_NO_PAD.decode(&sealed).unwrap(), old);
        let another = super::tests::key(b"another, of at least 32 bytes too", 1_000);
        assert_eq!(another.open(&realm, id, &sealed), None);
        assert_eq!(key.open(&realm, id, "?"), None);
        assert_eq!(key.open(&realm, id, &sealed[1..]), None);
        assert!(!format!("{key:?}").contains("0123"));
    }

    #[test]
    fn a_mark_round_trips_and_holds_the_time_of_the_migration() {
        let id = key(SECRET, 1_000).token(&Realm::new("a"), b"old").id();
        let mut entries = Entries::new();
        assert_eq!(MigrationMark::of(&entries), None);
        assert_eq!(
            MigrationMark::created_at(id, &entries),
            Timestamp::from_millis(1_000)
        );
        let mark = MigrationMark::at(Timestamp::from_millis(5)).with_legacy_id("sealed".into());
        mark.put_into(&mut entries);
        assert_eq!(MigrationMark::of(&entries).as_ref(), Some(&mark));
        assert_eq!(mark.from(), Some("sealed"));
        assert_eq!(
            MigrationMark::created_at(id, &entries),
            Timestamp::from_millis(5)
        );
        assert_eq!(mark.legacy_id(), Some("sealed"));
        let unlinked = mark.unlinked();
        unlinked.put_into(&mut entries);
        assert_eq!(MigrationMark::of(&entries).as_ref(), Some(&unlinked));
        assert_eq!(
            (unlinked.from(), unlinked.legacy_id()),
            (None, Some("sealed"))
        );
        assert_eq!(unlinked.clone().unlinked(), unlinked);
        assert_eq!(unlinked.without_legacy_id().legacy_id(), None);
    }
}
