//! Signs or encrypts the value of the cookie, with the `cookie` crate.

use std::borrow::Cow;

use cloakroom_core::Token;

use crate::error::ConfigError;

/// How the token is encoded in the cookie. The token cannot be guessed in any case; a signature saves the
/// store the reads for forged tokens, and encryption hides the session id.
#[derive(Clone, Debug)]
pub(crate) enum Seal {
    Plain,
    #[cfg(feature = "sealed-cookies")]
    Signed(Vec<CookieKey>),
    #[cfg(feature = "sealed-cookies")]
    Encrypted(Vec<CookieKey>),
}

impl Seal {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Plain => Ok(()),
            #[cfg(feature = "sealed-cookies")]
            Self::Signed(keys) | Self::Encrypted(keys) if keys.is_empty() => Err(ConfigError::new(
                crate::error::ConfigErrorKind::CookieKey,
                "a signed or encrypted cookie needs at least one key",
            )),
            #[cfg(feature = "sealed-cookies")]
            Self::Signed(_) | Self::Encrypted(_) => Ok(()),
        }
    }

    /// The length of a sealed token, which is constant: a value of another length is rejected before any
    /// cryptography.
    pub(super) fn sealed_len(&self) -> usize {
        match self {
            Self::Plain => Token::ENCODED_LEN,
            #[cfg(feature = "sealed-cookies")]
            Self::Signed(_) => keyed::SIGNED_LEN,
            #[cfg(feature = "sealed-cookies")]
            Self::Encrypted(_) => keyed::ENCRYPTED_LEN,
        }
    }

    /// Whether a text has the form of a sealed token: its length, and characters of base64. No cryptography.
    pub(super) fn has_form(&self, text: &[u8]) -> bool {
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_+/=".contains(byte);
        text.len() == self.sealed_len() && text.iter().all(is_base64)
    }

    pub(super) fn close(&self, name: &str, token: &Token) -> String {
        self.close_text(name, token.encode())
    }

    #[cfg_attr(
        not(feature = "sealed-cookies"),
        expect(unused_variables, reason = "only sealed values depend on the name")
    )]
    pub(super) fn close_text(&self, name: &str, text: String) -> String {
        match self {
            Self::Plain => text,
            #[cfg(feature = "sealed-cookies")]
            Self::Signed(keys) => keyed::close(name, text, |jar, cookie| {
                jar.signed_mut(&keys[0].0).add(cookie);
            }),
            #[cfg(feature = "sealed-cookies")]
            Self::Encrypted(keys) => keyed::close(name, text, |jar, cookie| {
                jar.private_mut(&keys[0].0).add(cookie);
            }),
        }
    }

    /// Returns the token in a cookie's value, if its seal is valid. There is no fallback to plain values.
    pub(super) fn open(&self, name: &str, value: &str) -> Option<Token> {
        if value.len() != self.sealed_len() {
            return None;
        }
        Token::parse(&self.open_text(name, value)?)
    }

    /// Returns the text in a cookie's value of any length, if its seal is valid.
    #[cfg_attr(
        not(feature = "sealed-cookies"),
        expect(unused_variables, reason = "only sealed values depend on the name")
    )]
    pub(super) fn open_text<'a>(&self, name: &str, value: &'a str) -> Option<Cow<'a, str>> {
        match self {
            Self::Plain => Some(Cow::Borrowed(value)),
            #[cfg(feature = "sealed-cookies")]
            Self::Signed(keys) => keyed::open(keys, name, value, |jar, key, cookie| {
                jar.signed(key).verify(cookie)
            })
            .map(Cow::Owned),
            #[cfg(feature = "sealed-cookies")]
            Self::Encrypted(keys) => keyed::open(keys, name, value, |jar, key, cookie| {
                jar.private(key).decrypt(cookie)
            })
            .map(Cow::Owned),
        }
    }
}

#[cfg(feature = "sealed-cookies")]
pub use self::keyed::CookieKey;

#[cfg(feature = "sealed-cookies")]
mod keyed {
    use std::fmt;

    use cloakroom_core::Token;
    use cookie::{Cookie, CookieJar, Key};

    use crate::error::{ConfigError, ConfigErrorKind};

    /// HMAC-SHA256 in base64, then the token.
    pub(super) const SIGNED_LEN: usize = base64(32) + Token::ENCODED_LEN;
    /// Nonce, encrypted token and tag, all in base64.
    pub(super) const ENCRYPTED_LEN: usize = base64(12 + Token::ENCODED_LEN + 16);

    const fn base64(bytes: usize) -> usize {
        bytes.div_ceil(3) * 4
    }

    /// A key that signs or encrypts cookies.
    ///
    /// ```
    /// use cloakroom::{CookieConfig, CookieKey};
    ///
    /// // From a secret of the deployment; cookies of the old key stay valid.
    /// let new = CookieKey::derived_from(b"a secret of at least 32 bytes, from the environment")?;
    /// let old = CookieKey::derived_from(b"the secret that this deployment used until last week")?;
    /// let config = CookieConfig::default().encrypted([new, old]);
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    #[derive(Clone)]
    pub struct CookieKey(pub(super) Key);

    impl CookieKey {
        /// Creates a key from at least 64 random bytes; the first 64 are used.
        ///
        /// # Errors
        ///
        /// Fails if there are fewer bytes.
        pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
            Key::try_from(bytes)
                .map(Self)
                .map_err(|_| too_short(bytes.len(), 64))
        }

        /// Derives a key (HKDF-SHA256) from a secret of at least 32 bytes.
        ///
        /// # Errors
        ///
        /// Fails if there are fewer bytes.
        pub fn derived_from(secret: &[u8]) -> Result<Self, ConfigError> {
            if secret.len() < 32 {
                return Err(too_short(secret.len(), 32));
            }
            Ok(Self(Key::derive_from(secret)))
        }

        /// Generates a random key. It is lost when the process ends, and all cookies become invalid: for tests
        /// and single runs.
        ///
        /// # Errors
        ///
        /// Fails if the system's random number generator fails.
        pub fn generate() -> Result<Self, ConfigError> {
            Key::try_generate().map(Self).ok_or_else(|| {
                ConfigError::new(
                    ConfigErrorKind::CookieKey,
                    "the system's random number generator failed",
                )
            })
        }
    }

    impl fmt::Debug for CookieKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("CookieKey(..)")
        }
    }

    fn too_short(length: usize, wanted: usize) -> ConfigError {
        ConfigError::new(
            ConfigErrorKind::CookieKey,
            format!("a key of {length} bytes is too short: it must have at least {wanted}"),
        )
    }

    #[cfg_attr(
        not(feature = "sealed-cookies"),
        expect(unused_variables, reason = "only sealed values depend on the name")
    )]
    pub(super) fn close(
        name: &str,
        text: String,
        seal: impl FnOnce(&mut CookieJar, Cookie<'static>),
    ) -> String {
        let mut jar = CookieJar::new();
        seal(&mut jar, Cookie::new(name.to_owned(), text));
        let sealed = jar.get(name).expect("the jar contains what was just added");
        sealed.value().to_owned()
    }

    pub(super) fn open(
        keys: &[CookieKey],
        name: &str,
        value: &str,
        unseal: impl Fn(&CookieJar, &Key, Cookie<'static>) -> Option<Cookie<'static>>,
    ) -> Option<String> {
        let jar = CookieJar::new();
        let cookie = Cookie::new(name.to_owned(), value.to_owned());
        let opened = keys
            .iter()
            .find_map(|key| unseal(&jar, &key.0, cookie.clone()))?;
        Some(opened.value().to_owned())
    }
}

#[cfg(all(test, feature = "sealed-cookies"))]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_derived_from_at_least_32_bytes() {
        assert!(CookieKey::derived_from(&[7; 31]).is_err());
        assert!(CookieKey::derived_from(&[7; 32]).is_ok());
        assert!(CookieKey::derived_from(&[7; 33]).is_ok());
    }

    #[test]
    fn a_text_has_the_form_of_a_token_by_length_and_characters() {
        let seal = Seal::Plain;
        let text = vec![b'a'; Token::ENCODED_LEN];
        assert!(seal.has_form(&text));
        assert!(!seal.has_form(&text[1..]), "its length");
        let mut other = text;
        other[3] = b'%';
        assert!(!seal.has_form(&other), "its characters");
    }
}
