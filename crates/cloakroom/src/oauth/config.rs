//! The configuration of transactions.

use std::ops::RangeInclusive;
use std::time::Duration;

use cloakroom_core::SessionId;
use cookie::SameSite;

use super::transaction::MAX_VALUE_LEN;
use crate::cookie::config::MAX_PAIR_LEN;
use crate::cookie::{CookieConfig, CookieKey};
use crate::duration::minutes;
use crate::error::{ConfigError, ConfigErrorKind};

/// How long a transaction may last.
const LIFETIMES: RangeInclusive<Duration> = minutes(1)..=minutes(60);

/// How many transactions a browser may have.
const COUNTS: RangeInclusive<usize> = 1..=16;

/// The cookies of OAuth transactions, for
/// [`SessionLayerBuilder::with_oauth`](crate::SessionLayerBuilder::with_oauth).
///
/// A transaction is kept in the browser alone, in a cookie of its own that is encrypted and authenticated
/// (AES-256-GCM): a sign-in that is abandoned leaves nothing in the store. Only a completed one leaves a mark there,
/// until its lifetime is over, so that it cannot be completed again. All servers of the app need the same keys.
///
/// The cookie is `HttpOnly`, `Secure`, `Path=/`, without `Domain`, and `SameSite=None`: a provider that answers with a
/// form (`response_mode=form_post`) sends a cross-site `POST`, which carries no other cookie. The session cookie stays
/// as it is.
///
/// ```
/// use cloakroom::{CookieKey, MemoryStore, OAuthConfig, SessionLayer, minutes};
///
/// let key = CookieKey::derived_from(b"a secret of at least 32 bytes, from the environment")?;
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_oauth(OAuthConfig::new([key]).with_lifetime(minutes(15)))
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct OAuthConfig {
    /// The attributes of every cookie; its name is followed by a hyphen and the id of the transaction.
    pub(super) cookie: CookieConfig,
    pub(super) lifetime: Duration,
    pub(super) max_transactions: usize,
}

impl OAuthConfig {
    /// The beginning of the cookies' names, by default.
    pub const DEFAULT_COOKIE_NAME: &'static str = "__Host-Http-oauth";

    /// Creates the default configuration. The first key encrypts, all decrypt, so keys can be rotated.
    pub fn new(keys: impl IntoIterator<Item = CookieKey>) -> Self {
        Self {
            cookie: CookieConfig::new(Self::DEFAULT_COOKIE_NAME)
                .with_same_site(SameSite::None)
                .encrypted(keys),
            lifetime: minutes(10),
            max_transactions: 8,
        }
    }

    /// Sets how long a sign-in may take, from the redirect to the provider to the callback. Default: 10 minutes.
    ///
    /// Refused if it is under a minute or over an hour.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets how many transactions a browser may have, one for each tab in which a sign-in was begun. Default: 8. When
    /// one more begins, the oldest is removed; also when their cookies would have more than 4 KiB together.
    ///
    /// Refused if it is zero or over 16.
    pub fn with_max_transactions(mut self, max: usize) -> Self {
        self.max_transactions = max;
        self
    }

    /// Sets the beginning of the cookies' names. Default: `__Host-Http-oauth`. Without the prefix `__Host-`, another
    /// subdomain could plant a transaction of its own.
    pub fn with_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie = self.cookie.with_name(name);
        self
    }

    /// Sets which requests of other sites carry the cookie. Default: `None`. `Lax` is enough if every provider answers
    /// with a redirect, and none with a form (`form_post`).
    ///
    /// Refused if it is `Strict`: no callback would carry the cookie.
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.cookie = self.cookie.with_same_site(same_site);
        self
    }

    /// Sends the cookie over plain HTTP as well, and as `SameSite=Lax`, since browsers refuse `None` there. For local
    /// development with Safari; other browsers accept `Secure` cookies from `localhost`. The name must not have a
    /// prefix then, such as `__Host-`.
    pub fn insecure_over_http(mut self) -> Self {
        let cookie = self.cookie.insecure_over_http();
        self.cookie = cookie.with_same_site(SameSite::Lax);
        self
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.cookie.validate()?;
        if self.cookie.same_site() == SameSite::Strict {
            return Err(ConfigError::new(
                ConfigErrorKind::CookieRefused,
                "a callback comes from the provider's site, so it would not carry a cookie with SameSite=Strict",
            ));
        }
        let longest = self.cookie.name().len() + "-".len() + SessionId::TEXT_LEN + MAX_VALUE_LEN;
        if longest > MAX_PAIR_LEN {
            return Err(ConfigError::new(
                ConfigErrorKind::CookieTooLong,
                format!(
                    "a cookie may have {longest} bytes, and browsers accept at most {MAX_PAIR_LEN}: choose a shorter name"
                ),
            ));
        }
        let limit = |message| Err(ConfigError::new(ConfigErrorKind::Limit, message));
        let (lifetime, max) = (self.lifetime, self.max_transactions);
        if !LIFETIMES.contains(&lifetime) {
            return limit(format!(
                "a sign-in cannot take {lifetime:?}: it must be from one minute to one hour"
            ));
        }
        if !COUNTS.contains(&max) {
            return limit(format!(
                "a browser cannot have {max} transactions: it must be from 1 to {}",
                COUNTS.end()
            ));
        }
        Ok(())
    }
}
