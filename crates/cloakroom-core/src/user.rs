//! Who a session belongs to.

use std::any::type_name;
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::token::Realm;

/// The app's id of a user: any bytes.
///
/// Strings, integers, UUIDs and bytes convert with `From`. Integers and UUIDs become their text, and
/// [`parse`](Self::parse) turns the text back into the app's type. Two ids are equal if their bytes are
/// equal: `7` and `"7"` are the same user.
///
/// ```
/// use cloakroom_core::UserId;
///
/// let user = UserId::from(7_i64);
/// assert_eq!(user.parse::<i64>(), Ok(7));
/// assert_eq!(user, UserId::from("7"));
/// assert!(UserId::from("ada").parse::<i64>().is_err());
/// assert_eq!(UserId::from("ada").to_string(), "ada");
/// assert_eq!(UserId::from(&[0xff_u8, 0x00][..]).to_string(), "_wA (base64url)");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<[u8]>);

impl UserId {
    /// Creates an id from its bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the id as text; `None` if it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Parses the id's text as the app's own type, such as `i64` or `Uuid`.
    ///
    /// # Errors
    ///
    /// If the id is not UTF-8, or its text is not that of a `T`.
    pub fn parse<T: FromStr>(&self) -> Result<T, ParseUserIdError> {
        let parsed = self.as_str().and_then(|text| text.parse().ok());
        parsed.ok_or(ParseUserIdError {
            type_name: type_name::<T>(),
        })
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
            /// Converts a number to its decimal digits.
            fn from(number: $number) -> Self {
                Self::new(number.to_string())
            }
        }
    )*};
}

from_numbers!(u16, u32, u64, u128, i32, i64);

impl From<Uuid> for UserId {
    /// Converts a UUID to its text, in lower-case hyphenated form.
    fn from(uuid: Uuid) -> Self {
        let mut text = Uuid::encode_buffer();
        Self::new(uuid.as_hyphenated().encode_lower(&mut text))
    }
}

/// The user id is not that of the requested type.
///
/// It names the type and not the id, which may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseUserIdError {
    type_name: &'static str,
}

impl fmt::Display for ParseUserIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the user id cannot be parsed as `{}`", self.type_name)
    }
}

impl Error for ParseUserIdError {}

/// The JSON form of a user id that is not UTF-8.
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

/// Reads a user id from JSON.
struct TextOrBytes;

impl<'de> Visitor<'de> for TextOrBytes {
    type Value = UserId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or an object with bytes in base64url")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UserId, E> {
        Ok(UserId::from(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<UserId, A::Error> {
        let Bytes { base64url } = Bytes::deserialize(MapAccessDeserializer::new(object))?;
        let bytes = URL_SAFE_NO_PAD.decode(base64url);
        let bytes = bytes.map_err(|_| A::Error::custom("a user id is not valid base64url"))?;
        Ok(UserId::new(bytes))
    }
}

/// The key of a user's sessions in a store's index: a hash of the realm and the user id.
///
/// All keys have the same length and alphabet, whatever the app's user ids look like, and the same user
/// id has different keys in different realms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey([u8; 32]);

impl UserKey {
    /// Computes the key of a user in a realm.
    #[must_use]
    pub fn new(realm: &Realm, user: &UserId) -> Self {
        Self::hash(b"cloakroom/user/1\0", realm, user)
    }

    /// Computes the key of the sessions in which others impersonate a user: an index of its own.
    #[must_use]
    pub fn of_impersonations(realm: &Realm, user: &UserId) -> Self {
        Self::hash(b"cloakroom/impersonated/1\0", realm, user)
    }

    fn hash(purpose: &[u8], realm: &Realm, user: &UserId) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(purpose);
        // The length comes first, so that two different pairs of realm and user never hash the same bytes.
        hasher.update((realm.name().len() as u64).to_be_bytes());
        hasher.update(realm.name().as_bytes());
        hasher.update(user.as_bytes());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for UserKey {
    /// Writes 43 characters of base64url.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 43];
        let length = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text);
        assert_eq!(length, Ok(text.len()), "32 bytes");
        f.pad(str::from_utf8(&text).expect("base64url is ASCII"))
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({self})")
    }
}

/// Who signed in to a session, and when.
///
/// It is stored among the session's entries, under a reserved key, and never changes: a sign-in creates
/// a new session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    user: UserId,
    at: u64,
}

impl Authentication {
    /// The reserved key under which it is stored among the entries.
    pub const KEY: &'static str = "$user";

    /// Creates the authentication of `user` at `at`.
    #[must_use]
    pub const fn new(user: UserId, at: Timestamp) -> Self {
        Self {
            user,
            at: at.as_millis(),
        }
    }

    /// Reads the authentication from a session's entries. `None` if there is none, or if it cannot be read.
    #[must_use]
    pub fn of(entries: &Entries) -> Option<Self> {
        entries.get(Self::KEY).ok().flatten()
    }

    /// Returns the user who signed in.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// Returns when the user signed in.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// Stores the authentication in `entries`.
    #[allow(
        clippy::missing_panics_doc,
        reason = "a user id and a number are always JSON"
    )]
    pub fn put_into(&self, entries: &mut Entries) {
        entries
            .set(Self::KEY, self)
            .expect("a user id and a number are always JSON");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_of_any_bytes_round_trip() {
        let all_bytes: Vec<u8> = (0..=255).collect();
        for bytes in [&b""[..], b"ada", b"a\0b", "käse 🧥".as_bytes(), &all_bytes] {
            let mut entries = Entries::new();
            let written = Authentication::new(UserId::from(bytes), Timestamp::from_millis(7));
            written.put_into(&mut entries);
            assert_eq!(written.user().as_bytes(), bytes);
            assert_eq!(Authentication::of(&entries), Some(written));
        }
    }

    #[test]
    fn bytes_are_never_equal_to_their_text_form() {
        let bytes = UserId::from(&[0xff_u8][..]);
        for text in [bytes.to_string(), serde_json::to_string(&bytes).unwrap()] {
            assert_ne!(UserId::from(text), bytes);
        }
    }

    #[test]
    fn the_key_depends_on_realm_and_user_and_the_boundary_between_them() {
        let key = |realm: &str, user: &str| UserKey::new(&Realm::new(realm), &user.into());
        assert_eq!(key("a", "b"), key("a", "b"));
        let keys = [key("a", "b"), key("b", "a"), key("ab", ""), key("", "ab")];
        for (index, one) in keys.iter().enumerate() {
            assert_eq!(one.to_string().len(), 43);
            assert!(keys[..index].iter().all(|other| other != one));
        }
    }

    #[test]
    fn an_unreadable_authentication_is_none() {
        for json in [
            "{}",
            r#"{"$user":7}"#,
            r#"{"$user":{"user":{"base64url":"?"},"at":1}}"#,
        ] {
            let entries = Entries::from_json(json).unwrap();
            assert_eq!(Authentication::of(&entries), None);
        }
    }

    #[test]
    fn typed_user_ids_round_trip() {
        let uuid = Uuid::from_bytes([7; 16]);
        assert_eq!(UserId::from(uuid).parse(), Ok(uuid));
        assert_eq!(UserId::from(i64::MIN).parse(), Ok(i64::MIN));
        assert_eq!(UserId::from(u64::MAX).parse(), Ok(u64::MAX));
        assert_eq!(UserId::from("käse").parse(), Ok("käse".to_owned()));
    }

    #[test]
    fn a_user_id_of_another_type_is_an_error_that_names_the_type_and_not_the_id() {
        for user in [UserId::from("ada"), UserId::from(&[0xff_u8][..])] {
            let error = user.parse::<i64>().unwrap_err();
            assert_eq!(error.to_string(), "the user id cannot be parsed as `i64`");
            assert!(user.parse::<Uuid>().is_err());
        }
        assert!(UserId::from(&[0xff_u8][..]).parse::<String>().is_err());
    }
}
