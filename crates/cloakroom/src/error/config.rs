//! Errors of a configuration.

use std::error::Error;
use std::fmt;

use cloakroom_core::ExpiryError;

/// A layer cannot be built like this. The text names the option, and says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    option: Option<&'static str>,
    kind: ConfigErrorKind,
    message: String,
}

/// The kind of a [`ConfigError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// The name of the cookie, or the text of an attribute, is invalid.
    CookieText,
    /// Browsers refuse this combination of cookie attributes.
    CookieRefused,
    /// The cookie would be longer than browsers accept.
    CookieTooLong,
    /// The keys cannot sign or encrypt.
    CookieKey,
    /// The former cookie cannot be accepted.
    FormerCookie,
    /// The timeouts are invalid.
    Expiry,
    /// A limit is out of range.
    Limit,
    /// A realm without a name.
    Realm,
    /// Devices cannot be tracked like this.
    DeviceTracking,
    /// The header cannot carry the token.
    TokenHeader,
    /// The page is not a path on this site.
    Page,
    /// The store does not support an option.
    Store,
    /// The migration is not possible.
    Migration,
}

impl ConfigError {
    pub(crate) fn new(kind: ConfigErrorKind, message: impl Into<String>) -> Self {
        Self {
            option: None,
            kind,
            message: message.into(),
        }
    }

    /// Names the option that the error is about: the method of the layer's builder.
    pub(crate) fn of(self, option: &'static str) -> Self {
        Self {
            option: Some(option),
            ..self
        }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// Returns the method of [`SessionLayerBuilder`](crate::SessionLayerBuilder) that was given what
    /// cannot be: `with_expiry`, for instance. `None` for an error outside of a builder.
    #[must_use]
    pub const fn option(&self) -> Option<&'static str> {
        self.option
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(option) = self.option {
            write!(f, "`{option}`: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Error for ConfigError {}

impl From<ExpiryError> for ConfigError {
    fn from(error: ExpiryError) -> Self {
        Self::new(ConfigErrorKind::Expiry, error.to_string())
    }
}
