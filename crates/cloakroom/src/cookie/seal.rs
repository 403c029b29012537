//! Signing and encrypting the cookie's value, through the `cookie` crate.

use cloakroom_core::Token;

use crate::error::ConfigError;

/// How a token becomes the cookie's value. The token is not to be guessed as it is; a seal spares
/// the store the question about forged ones, or hides the id.
#[derive(Clone, Debug)]
pub(crate) enum Seal {
    Plain,
    #[cfg(feature = "seal")]
    Signed(Vec<SealKey>),
    #[cfg(feature = "seal")]
    Encrypted(Vec<SealKey>),
}

impl Seal {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Plain => Ok(()),
            #[cfg(feature = "seal")]
            Self::Signed(keys) | Self::Encrypted(keys) if keys.is_empty() => Err(ConfigError::new(
                crate::error::ConfigErrorKind::SealKey,
                "a signed or encrypted cookie needs at least one key",
            )),
            #[cfg(feature = "seal")]
            Self::Signed(_) | Self::Encrypted(_) => Ok(()),
        }
    }

    /// The length of a sealed token, which is always the same: so a value of another length is
    /// refused before anything is computed.
    pub(super) fn sealed_len(&self) -> usize {
        match self {
            Self::Plain => Token::ENCODED_LEN,
            #[cfg(feature = "seal")]
            Self::Signed(_) => keyed::SIGNED_LEN,
            #[cfg(feature = "seal")]
            Self::Encrypted(_) => keyed::ENCRYPTED_LEN,
        }
    }

    #[cfg_attr(
        not(feature = "seal"),
        expect(unused_variables, reason = "only keys know names")
    )]
    pub(super) fn close(&self, name: &str, token: &Token) -> String {
        let text = token.encode();
        match self {
            Self::Plain => text,
            #[cfg(feature = "seal")]
            Self::Signed(keys) => keyed::close(name, text, |jar, cookie| {
                jar.signed_mut(&keys[0].0).add(cookie);
            }),
            #[cfg(feature = "seal")]
            Self::Encrypted(keys) => keyed::close(name, text, |jar, cookie| {
                jar.private_mut(&keys[0].0).add(cookie);
            }),
        }
    }

    /// The token in a cookie's value, if it is sealed as it should be. There is no fallback.
    #[cfg_attr(
        not(feature = "seal"),
        expect(unused_variables, reason = "only keys know names")
    )]
    pub(super) fn open(&self, name: &str, value: &str) -> Option<Token> {
        if value.len() != self.sealed_len() {
            return None;
        }
        match self {
            Self::Plain => Token::parse(value),
            #[cfg(feature = "seal")]
            Self::Signed(keys) => keyed::open(keys, name, value, |jar, key, cookie| {
                jar.signed(key).verify(cookie)
            }),
            #[cfg(feature = "seal")]
            Self::Encrypted(keys) => keyed::open(keys, name, value, |jar, key, cookie| {
                jar.private(key).decrypt(cookie)
            }),
        }
    }
}

#[cfg(feature = "seal")]
pub use self::keyed::SealKey;

#[cfg(feature = "seal")]
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
    /// use cloakroom::{CookieConfig, SealKey};
    ///
    /// // From a secret of the deployment; the old key still opens what it sealed.
    /// let new = SealKey::derived_from(b"a secret of at least 32 bytes, from the environment")?;
    /// let old = SealKey::derived_from(b"the secret that this deployment used until last week")?;
    /// let config = CookieConfig::default().encrypted([new, old]);
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    #[derive(Clone)]
    pub struct SealKey(pub(super) Key);

    impl SealKey {
        /// A key from 64 or more bytes of randomness; the first 64 count.
        ///
        /// # Errors
        ///
        /// When there are fewer.
        pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
            Key::try_from(bytes)
                .map(Self)
                .map_err(|_| too_short(bytes.len(), 64))
        }

        /// A key derived (HKDF-SHA256) from a secret of 32 or more bytes.
        ///
        /// # Errors
        ///
        /// When there are fewer.
        pub fn derived_from(secret: &[u8]) -> Result<Self, ConfigError> {
            if secret.len() < 32 {
                return Err(too_short(secret.len(), 32));
            }
            Ok(Self(Key::derive_from(secret)))
        }

        /// A key from the system's random number generator. It is gone with the process, and with
        /// it every log-in: for tests and single runs.
        ///
        /// # Errors
        ///
        /// When the generator fails.
        pub fn generate() -> Result<Self, ConfigError> {
            Key::try_generate().map(Self).ok_or_else(|| {
                ConfigError::new(
                    ConfigErrorKind::SealKey,
                    "the system's random number generator failed",
                )
            })
        }
    }

    impl fmt::Debug for SealKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("SealKey(..)")
        }
    }

    fn too_short(length: usize, wanted: usize) -> ConfigError {
        ConfigError::new(
            ConfigErrorKind::SealKey,
            format!("a key of {length} bytes is too short: it must have at least {wanted}"),
        )
    }

    #[cfg_attr(
        not(feature = "seal"),
        expect(unused_variables, reason = "only keys know names")
    )]
    pub(super) fn close(
        name: &str,
        text: String,
        seal: impl FnOnce(&mut CookieJar, Cookie<'static>),
    ) -> String {
        let mut jar = CookieJar::new();
        seal(&mut jar, Cookie::new(name.to_owned(), text));
        let sealed = jar.get(name).expect("the jar has what was just added");
        sealed.value().to_owned()
    }

    pub(super) fn open(
        keys: &[SealKey],
        name: &str,
        value: &str,
        unseal: impl Fn(&CookieJar, &Key, Cookie<'static>) -> Option<Cookie<'static>>,
    ) -> Option<Token> {
        let jar = CookieJar::new();
        let cookie = Cookie::new(name.to_owned(), value.to_owned());
        let opened = keys
            .iter()
            .find_map(|key| unseal(&jar, &key.0, cookie.clone()))?;
        Token::parse(opened.value())
    }
}
