//! Whose session it is.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::token::Realm;

/// Who a session belongs to: the app's own name for a user, any bytes.
///
/// Text and whole numbers become one by themselves; a UUID does by its text or its bytes. Two are
/// the same user if their bytes are the same: `7` and `"7"` are.
///
/// ```
/// use cloakroom_core::UserId;
///
/// assert_eq!(UserId::from("7"), UserId::from(7_u64));
/// assert_eq!(UserId::from("ada").to_string(), "ada");
/// assert_eq!(UserId::from(&[0xff_u8, 0x00][..]).to_string(), "_wA (base64url)");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<[u8]>);

impl UserId {
    /// The user of these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.write_str(text),
            None => {
                let bytes = Base64Display::new(&self.0, &URL_SAFE_NO_PAD);
                write!(f, "{bytes} (base64url)")
            }
        }
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

impl From<&str> for UserId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&String> for UserId {
    fn from(text: &String) -> Self {
        Self::new(text.as_str())
    }
}

impl From<String> for UserId {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&[u8]> for UserId {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl From<Vec<u8>> for UserId {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<&Self> for UserId {
    fn from(user: &Self) -> Self {
        user.clone()
    }
}

macro_rules! from_numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for UserId {
            /// Its decimal digits.
            fn from(number: $number) -> Self {
                Self::new(number.to_string())
            }
        }
    )*};
}

from_numbers!(u16, u32, u64, u128, i32, i64);

/// How a user whose bytes are no text is written into JSON.
#[derive(Serialize, Deserialize)]
struct Bytes {
    base64url: String,
}

impl Serialize for UserId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_str() {
            Some(text) => serializer.serialize_str(text),
            None => {
                let base64url = URL_SAFE_NO_PAD.encode(&self.0);
                Bytes { base64url }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrBytes)
    }
}

/// Reads a user from JSON.
struct TextOrBytes;

impl<'de> Visitor<'de> for TextOrBytes {
    type Value = UserId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or an object with bytes in base64url")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UserId, E> {
        Ok(UserId::from(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<UserId, A::Error> {
        let Bytes { base64url } = Bytes::deserialize(MapAccessDeserializer::new(object))?;
        let bytes = URL_SAFE_NO_PAD.decode(base64url);
        let bytes = bytes.map_err(|_| A::Error::custom("a user's bytes are not base64url"))?;
        Ok(UserId::new(bytes))
    }
}

/// Under what a store finds a user's sessions: a hash of the realm and the user.
///
/// So every user has a key of the same length and of a fixed alphabet, whatever the app calls its
/// users, and those of another realm have others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey([u8; 32]);

impl UserKey {
    /// The key of a user in a realm.
    #[must_use]
    pub fn new(realm: &Realm, user: &UserId) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"cloakroom/user/1\0");
        // The length first, so that no realm and user read as another realm and user.
        hasher.update((realm.name().len() as u64).to_be_bytes());
        hasher.update(realm.name().as_bytes());
        hasher.update(user.as_bytes());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for UserKey {
    /// 43 characters of base64url.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(&self.0, &URL_SAFE_NO_PAD).fmt(f)
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({self})")
    }
}

/// Who has signed in to a session, and when. It stands among the entries, under a reserved key, and
/// never changes as long as the session's id lives: to sign in makes a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    user: UserId,
    at: u64,
}

impl Authentication {
    /// Where it stands among the entries.
    pub const KEY: &'static str = "$user";

    /// `user` has signed in at `at`.
    #[must_use]
    pub const fn new(user: UserId, at: Timestamp) -> Self {
        Self {
            user,
            at: at.as_millis(),
        }
    }

    /// Who has signed in to a session of these entries. What cannot be read is nobody.
    #[must_use]
    pub fn of(entries: &Entries) -> Option<Self> {
        entries.get(Self::KEY).ok().flatten()
    }

    /// Who.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// When.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// Writes it among the entries.
    #[allow(
        clippy::missing_panics_doc,
        reason = "a name and a number are always JSON"
    )]
    pub fn put_into(&self, entries: &mut Entries) {
        entries
            .set(Self::KEY, self)
            .expect("a name and a number are always JSON");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_any_bytes_come_back_as_they_were() {
        let all_bytes: Vec<u8> = (0..=255).collect();
        for bytes in [&b""[..], b"ada", b"a\0b", "käse 🧥".as_bytes(), &all_bytes] {
            let mut entries = Entries::new();
            let written = Authentication::new(UserId::from(bytes), Timestamp::from_millis(7));
            written.put_into(&mut entries);
            assert_eq!(Authentication::of(&entries), Some(written));
        }
    }

    #[test]
    fn bytes_are_not_taken_for_a_text_that_looks_like_them() {
        let bytes = UserId::from(&[0xff_u8][..]);
        for text in [bytes.to_string(), serde_json::to_string(&bytes).unwrap()] {
            assert_ne!(UserId::from(text), bytes);
        }
    }

    #[test]
    fn the_key_depends_on_realm_and_user_and_on_where_one_ends() {
        let key = |realm: &str, user: &str| UserKey::new(&Realm::new(realm), &user.into());
        assert_eq!(key("a", "b"), key("a", "b"));
        let keys = [key("a", "b"), key("b", "a"), key("ab", ""), key("", "ab")];
        for (index, one) in keys.iter().enumerate() {
            assert_eq!(one.to_string().len(), 43);
            assert!(keys[..index].iter().all(|other| other != one));
        }
    }

    #[test]
    fn what_cannot_be_read_is_nobody() {
        for json in [
            "{}",
            r#"{"$user":7}"#,
            r#"{"$user":{"user":{"base64url":"?"},"at":1}}"#,
        ] {
            let entries = Entries::from_json(json).unwrap();
            assert_eq!(Authentication::of(&entries), None);
        }
    }
}
