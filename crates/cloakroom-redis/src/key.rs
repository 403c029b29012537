//! The names of keys and of the channel: a prefix, a colon, and the session's id or a fixed word.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use cloakroom_core::{SessionId, UserKey};

/// The maximum length of a prefix, in bytes.
const MAX_PREFIX_LEN: usize = 64;

/// A validated key prefix: every key that is built from it stays below it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyPrefix(Arc<str>);

impl KeyPrefix {
    /// Validates a prefix. The error says what is wrong with it.
    pub(crate) fn new(prefix: &str) -> Result<Self, String> {
        if prefix.is_empty() {
            return Err("the app's name, with which its keys begin, is empty".to_owned());
        }
        if prefix.len() > MAX_PREFIX_LEN {
            return Err(format!(
                "the app's name has {} bytes, the maximum is {MAX_PREFIX_LEN}",
                prefix.len()
            ));
        }
        match prefix.chars().find(|&sign| !is_allowed(sign)) {
            None => Ok(Self(prefix.into())),
            Some(sign) => Err(format!(
                "the app's name {prefix:?} contains {sign:?}; use printable ASCII without spaces, colons, \
                 braces and pattern characters (* ? [ ] \\)"
            )),
        }
    }

    /// Returns the key of a session.
    pub(crate) fn key(&self, id: SessionId) -> String {
        let mut key = String::with_capacity(self.0.len() + 1 + SessionId::TEXT_LEN);
        key.push_str(&self.0);
        key.push(':');
        id.write_into(&mut key);
        key
    }

    /// Returns the id in the key of a session, `None` for any other key.
    pub(crate) fn id_in(&self, key: &str) -> Option<SessionId> {
        let rest = key.strip_prefix(&*self.0)?.strip_prefix(':')?;
        rest.parse().ok()
    }

    /// Returns the text with which the keys of all sessions and indexes start.
    #[cfg(feature = "near-cache")]
    pub(crate) fn with_colon(&self) -> String {
        format!("{}:", self.0)
    }

    /// Returns a pattern that matches the keys of all sessions. The prefix itself contains no
    /// pattern characters.
    pub(crate) fn pattern(&self) -> String {
        format!("{}:*", self.0)
    }

    /// Returns the key of a user's index.
    pub(crate) fn user(&self, user: &UserKey) -> String {
        let mut key = String::with_capacity(self.0.len() + 6 + 43);
        key.push_str(&self.0);
        write!(key, ":user:{user}").expect("writing to a String does not fail");
        key
    }

    /// Returns the key of the time before which sessions are revoked.
    pub(crate) fn revoked_before(&self) -> String {
        format!("{}:revoked-before", self.0)
    }

    /// Returns the key with this name, for what is kept besides sessions.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}:{name}", self.0)
    }

    /// Returns the channel for events.
    pub(crate) fn channel(&self) -> String {
        format!("{}:events", self.0)
    }

    /// Returns a key that is never used: it does not end in an id.
    pub(crate) fn unused_key(&self) -> String {
        format!("{}:nobody", self.0)
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a character has no special meaning: in a pattern of `SCAN` or of an ACL rule, in a cluster
/// (which hashes the text between braces), or in a terminal. A colon ends the name in a key: with colons in names,
/// the keys of an app `shop:user` would be among those of an app `shop`, and within its rights.
fn is_allowed(sign: char) -> bool {
    sign.is_ascii_graphic() && !matches!(sign, '*' | '?' | '[' | ']' | '\\' | '{' | '}' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_prefix_and_the_id() {
        let id: SessionId = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap();
        let prefix = KeyPrefix::new("shop-sessions").unwrap();
        assert_eq!(
            prefix.key(id),
            "shop-sessions:0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b"
        );
    }

    #[test]
    fn invalid_prefixes_are_rejected() {
        let long = "x".repeat(MAX_PREFIX_LEN + 1);
        for prefix in [
            "", " ", "a b", "a\n", "a*", "a?", "[a]", "a\\", "{a}", "a}", "ä", "\u{7f}", "a:user",
            "a:", ":a", &long,
        ] {
            assert!(KeyPrefix::new(prefix).is_err(), "{prefix:?}");
        }
        for prefix in ["a", "shop-sessions", "A-1_.~/", &long[1..]] {
            assert!(KeyPrefix::new(prefix).is_ok(), "{prefix:?}");
        }
    }

    #[test]
    fn no_key_of_one_app_is_among_the_keys_of_another() {
        let id: SessionId = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap();
        let names = ["a", "b", "aa", "a-user", "a.user", "user", "events"];
        for (one, other) in names
            .iter()
            .flat_map(|one| names.map(|other| (*one, other)))
        {
            let (one_app, other_app) =
                (KeyPrefix::new(one).unwrap(), KeyPrefix::new(other).unwrap());
            let all = one_app.pattern();
            let start = all.strip_suffix('*').expect("it matches a prefix");
            for key in [
                other_app.key(id),
                other_app.revoked_before(),
                other_app.channel(),
                other_app.unused_key(),
            ] {
                assert_eq!(key.starts_with(start), one == other, "{one}: {key}");
            }
        }
    }
}
