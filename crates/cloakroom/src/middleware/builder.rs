//! The configuration of a layer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::rotation::Rotation;
use cloakroom_core::{Clock, Expiry, Realm, Rng, Store};

use super::error_response::DefaultErrorResponse;
use super::layer::SessionLayer;
use super::validate::validate;
use crate::context::{ConflictPolicy, Context, MismatchPolicy};
use crate::cookie::{CookieConfig, TokenHeader};
#[cfg(feature = "devices")]
use crate::device::DeviceTracking;
use crate::error::ConfigError;
use crate::migration::Migration;
#[cfg(feature = "oauth")]
use crate::oauth::OAuthConfig;
use crate::session_limit::SessionLimit;

impl SessionLayer {
    /// Creates a layer that keeps its sessions in `store`, with the defaults for everything else.
    pub fn new(store: impl Store) -> Self {
        Self::builder(store).build_unchecked()
    }

    /// Returns a builder for a layer that keeps its sessions in `store`.
    pub fn builder(store: impl Store) -> SessionLayerBuilder {
        SessionLayerBuilder::new(store)
    }
}

/// Configures a [`SessionLayer`], from [`SessionLayer::builder`].
///
/// Options may be set in any order. [`build`](Self::build) checks them all, also against each other.
///
/// ```
/// use cloakroom::{Expiry, MemoryStore, SessionLayer, SessionLimit, hours, minutes};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
///     .with_session_limit(SessionLimit::evict_oldest(5))
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[must_use = "a builder makes no layer until `build` is called"]
pub struct SessionLayerBuilder<E = DefaultErrorResponse> {
    pub(super) context: Context,
    /// The cookie's name, if there is none.
    pub(super) realm: Option<String>,
    pub(super) error_response: E,
}

impl SessionLayerBuilder {
    pub(super) fn new(store: impl Store) -> Self {
        Self {
            context: Context::new(store),
            realm: None,
            error_response: DefaultErrorResponse,
        }
    }
}

impl<E> SessionLayerBuilder<E> {
    /// Checks the options, and builds the layer.
    ///
    /// # Errors
    ///
    /// When an option cannot be kept, or two contradict each other; the documentation of each option
    /// says when. The error names the option.
    pub fn build(self) -> Result<SessionLayer<E>, ConfigError> {
        validate(&self.context, self.realm.as_deref())?;
        Ok(self.build_unchecked())
    }

    pub(super) fn build_unchecked(mut self) -> SessionLayer<E> {
        let name = self.context.cookie.name();
        self.context.realm = Realm::new(self.realm.unwrap_or_else(|| name.to_owned()));
        SessionLayer::from_parts(self.context, self.error_response)
    }

    /// Sets how long sessions live. Default: one day without use, thirty days at most.
    ///
    /// Refused if a timeout is under a second, the absolute one over 400 days, or the idle one longer than the
    /// absolute one, which is thirty days unless [`Expiry::absolute`] sets it.
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.context.expiry = expiry;
        self
    }

    /// Sets how long sessions live that nobody has signed in to. Default: as long as others. A shorter
    /// time keeps crawlers, which never come back, from filling the store.
    ///
    /// ```
    /// use cloakroom::{Expiry, MemoryStore, SessionLayer, minutes};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_expiry(Expiry::aal2())
    ///     .with_anonymous_expiry(Expiry::idle(minutes(20)))
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    ///
    /// Refused as [`with_expiry`](Self::with_expiry).
    pub fn with_anonymous_expiry(mut self, expiry: Expiry) -> Self {
        self.context.anonymous_expiry = Some(expiry);
        self
    }

    /// Sets the longest absolute timeout that [`Session::set_expiry`](crate::Session::set_expiry) may
    /// choose for one session. Default: 400 days. A cookie older than this is refused without a
    /// command to the store.
    ///
    /// Refused if it is under a second or over 400 days, or shorter than the absolute timeout of
    /// [`with_expiry`](Self::with_expiry) or [`with_anonymous_expiry`](Self::with_anonymous_expiry).
    pub fn with_max_expiry(mut self, max: Duration) -> Self {
        self.context.longest = max;
        self
    }

    /// Sets how many sessions one user may have. Default: any number.
    ///
    /// Refused if it is zero, or the store keeps no index of users.
    pub fn with_session_limit(mut self, limit: SessionLimit) -> Self {
        self.context.session_limit = Some(limit);
        self
    }

    /// Rotates the token of every session at this interval, so that a stolen cookie is detected when
    /// it is used. Default: a session gets a new token only when it is renewed, by signing in for
    /// instance.
    ///
    /// The response to a request whose token is older than the interval sets the next one. It is
    /// derived from the old one, so concurrent requests get the same. Once the next one was presented,
    /// the old one is valid for the grace period. If it is presented after that, two parties hold the
    /// cookie: the session ends for both, with [`TokenReused`](crate::EndReason::TokenReused).
    ///
    /// Two situations look like theft and are not: a browser whose profile was restored to an older
    /// state after the grace period, and a response that takes longer than the grace period to arrive.
    /// An attacker who uses a stolen cookie continuously keeps up with the rotation, and is not
    /// detected.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, Rotation, SessionLayer, minutes};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_rotation(Rotation::every(minutes(15)))
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    ///
    /// Refused if the grace period is under five seconds, or not shorter than the interval; and if the interval
    /// is not shorter than the longest absolute timeout ([`with_max_expiry`](Self::with_max_expiry)).
    pub fn with_rotation(mut self, rotation: Rotation) -> Self {
        self.context.rotation = Some(rotation);
        self
    }

    /// Records where users sign in from, and with which device, for their own list of sessions.
    /// Default: nothing is recorded.
    ///
    /// Refused if proxies are trusted, and it is not known where the address of the connection is.
    #[cfg(feature = "devices")]
    pub fn with_device_tracking(mut self, devices: DeviceTracking) -> Self {
        self.context.devices = Some(Arc::new(devices));
        self
    }

    /// Keeps the transactions of sign-ins with OAuth or OpenID Connect providers, for
    /// [`OAuthTransactions`](crate::OAuthTransactions). Default: none.
    ///
    /// Refused if there is no key, browsers or providers would not send the cookie, the lifetime or the number of
    /// transactions is out of range, or [`with_token_header`](Self::with_token_header) has switched cookies off.
    #[cfg(feature = "oauth")]
    pub fn with_oauth(mut self, oauth: OAuthConfig) -> Self {
        self.context.oauth = Some(Arc::new(oauth));
        self
    }

    /// Lets clients that are not browsers send the token in a header. Default: the cookie alone.
    ///
    /// Refused if the header has another meaning, or its name is not one.
    pub fn with_token_header(mut self, header: TokenHeader) -> Self {
        self.context.token_header = Some(header);
        self
    }

    /// Migrates sessions of the library that the app used before. Default: cookies of other libraries
    /// are ignored.
    ///
    /// The token of a migrated session does not rotate until the session is renewed, by signing in for
    /// instance.
    ///
    /// Refused if browsers would not accept the removal of the legacy cookie; if that cookie has the
    /// name of the layer's own; if the layer reads no cookies
    /// ([`TokenHeader::header_only`]); or if the migration began 400 days ago, or has not begun.
    pub fn with_migration(mut self, migration: Migration) -> Self {
        self.context.migration = Some(Arc::new(migration));
        self
    }

    /// Names users by their id in the log event "user signed in". Default: by the key of their sessions in the
    /// store's index, a hash that is also part of the key in Redis, since the id may be personal data such as
    /// an e-mail address.
    pub fn with_user_ids_in_logs(mut self) -> Self {
        self.context.logs_user_ids = true;
        self
    }

    /// Publishes no events. Default: the events of all sessions are published to all servers, in the
    /// background. Without them, [`Session::watch`](crate::Session::watch) notices the end of a
    /// session within thirty seconds only.
    pub fn without_events(mut self) -> Self {
        self.context.publishes_events = false;
        self
    }

    /// Sets the cookie's name and attributes. Default: [`CookieConfig::default`].
    ///
    /// Refused if browsers would not accept it (ASVS 5.0, 3.3.5).
    pub fn with_cookie(mut self, cookie: CookieConfig) -> Self {
        self.context.cookie = cookie;
        self
    }

    /// Sets the path under which browsers see the app, where a reverse proxy removes it before it passes
    /// a request on: with `/shop`, a request for `/cart` counts as one for `/shop/cart`. Default: none.
    /// Paths that axum's `nest` removes are known.
    ///
    /// It matters only for a cookie with a [`Path`](CookieConfig::with_path): in requests outside of that,
    /// which come without the cookie, edits create no session ([`EditsDiscarded`](crate::EditsDiscarded)),
    /// and the first time a warning is logged.
    ///
    /// ```
    /// use cloakroom::{CookieConfig, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_cookie(CookieConfig::new("__Secure-id").with_path("/shop"))
    ///     .with_path_prefix("/shop")
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    ///
    /// Refused if it does not begin with `/`.
    pub fn with_path_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.context.path_prefix = Some(prefix.into());
        self
    }

    /// Sets where the tokens of this layer are valid. Default: the cookie's name. Give every app and
    /// every environment its own: a token of one is then not valid in another, even if both share a
    /// Redis by mistake. A change ends all sessions.
    ///
    /// Refused if it is empty.
    pub fn with_realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Sets how long one request may wait for the store, in all. Default: one second. What remains of
    /// it bounds each command; the handler's own work does not count. With [rotation](Self::with_rotation), the read before
    /// the end of a session of which only the id is known may take a quarter of it in addition.
    ///
    /// Refused if it is zero, or over five minutes.
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.context.budget = timeout;
        self
    }

    /// Sets how large a stored session may be, in bytes. Default: 64 KiB, since every request that uses
    /// its session reads all of it. An edit that would exceed the limit is an error, and changes
    /// nothing. What the library adds (who is signed in, the device) does not count.
    ///
    /// Refused if it is under 1 KiB, or over 1 MiB, which is the most that is ever read.
    pub fn with_max_session_size(mut self, bytes: usize) -> Self {
        self.context.max_session_size = bytes;
        self
    }

    /// Sets what happens when an edit would replace what another request has changed in the meantime.
    /// Default: the later edit wins, and is logged.
    pub fn with_conflict_policy(mut self, policy: ConflictPolicy) -> Self {
        self.context.conflict_policy = policy;
        self
    }

    /// Sets what happens when a stored value is not of the type that is requested. Default: the call fails.
    ///
    /// The right way to add a field to a stored type is `#[serde(default)]`: values of the previous version can be
    /// read then. With [`MismatchPolicy::TreatAsAbsent`] they are lost when the entry is next written, and in a
    /// rolling deploy each version may overwrite what the other has stored.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, MismatchPolicy, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_mismatch_policy(MismatchPolicy::TreatAsAbsent)
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    pub fn with_mismatch_policy(mut self, policy: MismatchPolicy) -> Self {
        self.context.mismatch_policy = policy;
        self
    }

    /// Sets where the time comes from. Default: the system's clock.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.context.clock = Arc::new(clock);
        self
    }

    /// Sets where randomness comes from. Default: the system's generator. For tests of its failure.
    pub fn with_rng(mut self, rng: impl Rng) -> Self {
        self.context.rng = Arc::new(rng);
        self
    }
}

impl<E> fmt::Debug for SessionLayerBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("context", &self.context)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
