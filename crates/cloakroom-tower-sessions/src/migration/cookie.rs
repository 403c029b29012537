//! The old cookie's value: plain, signed or encrypted, as the `cookie` crate does it.

use std::fmt;

use cookie::{Cookie, CookieJar, Key};

use super::id;

/// How the old version seals its cookie.
#[derive(Clone)]
pub(super) enum Seal {
    Plain,
    Signed(Key),
    Private(Key),
}

impl Seal {
    /// What is in a cookie's value, if it is sealed as it should be. There is no fallback.
    pub(super) fn open(&self, name: &str, value: &str) -> Option<String> {
        // All values have one length: another costs no arithmetic.
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

const fn base64(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

impl fmt::Debug for Seal {
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
    fn a_value_opens_by_its_own_seal_and_by_no_other() {
        let (key, other) = (Key::generate(), Key::generate());
        let sealed = |seal: &dyn Fn(&mut CookieJar)| {
            let mut jar = CookieJar::new();
            seal(&mut jar);
            jar.get("id").unwrap().value().to_owned()
        };
        let values = [
            ID.to_owned(),
            sealed(&|jar| jar.signed_mut(&key).add(("id", ID))),
            sealed(&|jar| jar.private_mut(&key).add(("id", ID))),
        ];
        let seals = [
            Seal::Plain,
            Seal::Signed(key.clone()),
            Seal::Private(key.clone()),
        ];
        for (which, seal) in seals.iter().enumerate() {
            for (other, value) in values.iter().enumerate() {
                let expected = (which == other).then_some(ID);
                assert_eq!(seal.open("id", value).as_deref(), expected, "{seal:?}");
            }
        }
        assert_eq!(Seal::Signed(other.clone()).open("id", &values[1]), None);
        assert_eq!(Seal::Private(other).open("id", &values[2]), None);
        assert_eq!(seals[2].open("sid", &values[2]), None);
        let mut bent = values[1].clone().into_bytes();
        bent[0] ^= 1;
        assert_eq!(
            seals[1].open("id", std::str::from_utf8(&bent).unwrap()),
            None
        );
    }
}
