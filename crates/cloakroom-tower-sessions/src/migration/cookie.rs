//! The value of the legacy cookie: plain, signed or encrypted with the `cookie` crate.

use std::fmt;

use cookie::{Cookie, CookieJar, Key};

use super::id;

/// How the old version protects its cookie.
#[derive(Clone)]
pub(super) enum Protection {
    Plain,
    Signed(Key),
    Private(Key),
}

impl Protection {
    /// Returns the content of a cookie's value; `None` if it is not protected in this way. There is no fallback.
    pub(super) fn open(&self, name: &str, value: &str) -> Option<String> {
        // All valid values have the same length, so others are rejected without any cryptography.
        if value.len() != self.len() {
            return None;
        }
        let cookie = || Cookie::new(name.to_owned(), value.to_owned());
        let jar = CookieJar::new();
        let opened = match self {
            Self::Plain => Some(cookie()),
            Self::Signed(key) => jar.signed(key).verify(cookie()),
            Self::Private(key) => jar.private(key).decrypt(cookie()),
        };
        Some(opened?.value().to_owned())
    }

    /// Returns the length of a valid value.
    const fn len(&self) -> usize {
        match self {
            Self::Plain => id::LEN,
            // HMAC-SHA256, then the id.
            Self::Signed(_) => base64(32) + id::LEN,
            // Nonce, encrypted id and tag.
            Self::Private(_) => base64(12 + id::LEN + 16),
        }
    }
}

/// Returns the length of this many bytes in base64, with padding.
const fn base64(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Signed(_) => "Signed(..)",
            Self::Private(_) => "Private(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ym_E7kU3pmZtCkc1hePo1Q";

    #[test]
    fn a_value_is_accepted_with_its_own_protection_only() {
        let (key, other) = (Key::generate(), Key::generate());
        let protect = |add: &dyn Fn(&mut CookieJar)| {
            let mut jar = CookieJar::new();
            add(&mut jar);
            jar.get("id").unwrap().value().to_owned()
        };
        let values = [
            ID.to_owned(),
            protect(&|jar| jar.signed_mut(&key).add(("id", ID))),
            protect(&|jar| jar.private_mut(&key).add(("id", ID))),
        ];
        let protections = [
            Protection::Plain,
            Protection::Signed(key.clone()),
            Protection::Private(key.clone()),
        ];
        for (which, protection) in protections.iter().enumerate() {
            for (other, value) in values.iter().enumerate() {
                let expected = (which == other).then_some(ID);
                assert_eq!(
                    protection.open("id", value).as_deref(),
                    expected,
                    "{protection:?}"
                );
            }
        }
        assert_eq!(
            Protection::Signed(other.clone()).open("id", &values[1]),
            None
        );
        assert_eq!(Protection::Private(other).open("id", &values[2]), None);
        assert_eq!(protections[2].open("sid", &values[2]), None);
        let mut damaged = values[1].clone().into_bytes();
        damaged[0] ^= 1;
        assert_eq!(
            protections[1].open("id", std::str::from_utf8(&damaged).unwrap()),
            None
        );
    }
}
