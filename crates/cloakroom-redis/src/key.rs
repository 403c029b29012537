//! The names of keys: a prefix, a colon, and the session's id; or what else is kept.

use std::fmt;
use std::sync::Arc;

use cloakroom_core::{SessionId, UserKey};

/// The prefix of a store that is not told another.
pub(crate) const DEFAULT_PREFIX: &str = "cloakroom";

/// The longest prefix, in bytes.
const LONGEST_PREFIX: usize = 64;

/// A prefix that is fit for keys: no input leads out of the namespace that it opens.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyPrefix(Arc<str>);

impl KeyPrefix {
    /// Checks a prefix. The error says what is wrong with it.
    pub(crate) fn new(prefix: &str) -> Result<Self, String> {
        if prefix.is_empty() {
            return Err("the key prefix is empty".to_owned());
        }
        if prefix.len() > LONGEST_PREFIX {
            return Err(format!(
                "the key prefix has {} bytes, and {LONGEST_PREFIX} are the most",
                prefix.len()
            ));
        }
        match prefix.chars().find(|&sign| !is_fit(sign)) {
            None => Ok(Self(prefix.into())),
            Some(sign) => Err(format!(
                "the key prefix {prefix:?} contains {sign:?}; it may hold printable ASCII without \
                 spaces, braces and the signs of patterns (* ? [ ] \\)"
            )),
        }
    }

    /// The key of a session.
    pub(crate) fn key(&self, id: SessionId) -> String {
        let mut key = String::with_capacity(self.0.len() + 1 + SessionId::TEXT_LEN);
        key.push_str(&self.0);
        key.push(':');
        id.write_into(&mut key);
        key
    }

    /// The id in the key of a session; `None` for any other key.
    pub(crate) fn id_in(&self, key: &str) -> Option<SessionId> {
        let rest = key.strip_prefix(&*self.0)?.strip_prefix(':')?;
        rest.parse().ok()
    }

    /// What the keys of all sessions begin with, and those of indexes.
    #[cfg(feature = "near-cache")]
    pub(crate) fn beginning(&self) -> String {
        format!("{}:", self.0)
    }

    /// What matches the keys of all sessions. The prefix holds no sign that means something in it.
    pub(crate) fn pattern(&self) -> String {
        format!("{}:*", self.0)
    }

    /// The key of a user's index.
    pub(crate) fn user(&self, user: &UserKey) -> String {
        use fmt::Write as _;
        let mut key = String::with_capacity(self.0.len() + 6 + 43);
        write!(key, "{}:user:{user}", self.0).expect("writing to a String does not fail");
        key
    }

    /// The key of the epoch.
    pub(crate) fn epoch(&self) -> String {
        format!("{}:epoch", self.0)
    }

    /// The channel for events.
    pub(crate) fn channel(&self) -> String {
        format!("{}:events", self.0)
    }

    /// A key that no session has, as it ends in no id. Nothing is kept there.
    pub(crate) fn key_of_nobody(&self) -> String {
        format!("{}:nobody", self.0)
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a sign means nothing special, neither in a pattern of `SCAN` and ACLs, nor to a cluster
/// (which hashes what stands in braces), nor in a terminal.
fn is_fit(sign: char) -> bool {
    sign.is_ascii_graphic() && !matches!(sign, '*' | '?' | '[' | ']' | '\\' | '{' | '}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_prefix_and_the_id() {
        let id: SessionId = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap();
        let prefix = KeyPrefix::new("shop:sessions").unwrap();
        assert_eq!(
            prefix.key(id),
            "shop:sessions:0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b"
        );
    }

    #[test]
    fn unfit_prefixes_are_refused() {
        let long = "x".repeat(LONGEST_PREFIX + 1);
        for prefix in [
            "", " ", "a b", "a\n", "a*", "a?", "[a]", "a\\", "{a}", "a}", "ä", "\u{7f}", &long,
        ] {
            assert!(KeyPrefix::new(prefix).is_err(), "{prefix:?}");
        }
        for prefix in ["a", "shop:sessions", "A-1_.~/", &long[1..]] {
            assert!(KeyPrefix::new(prefix).is_ok(), "{prefix:?}");
        }
    }
}
