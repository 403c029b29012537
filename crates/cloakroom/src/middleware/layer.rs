//! The layer, and all that can be configured of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::rotation::Rotation;
use cloakroom_core::{Clock, Entropy, Expiry, Realm, Store, codec};
use tower_layer::Layer;

use super::error_response::DefaultErrorResponse;
use super::service::SessionService;
use crate::context::{Context, OnError, OnOverwrite};
use crate::cookie::{CookieConfig, TokenHeader};
#[cfg(feature = "devices")]
use crate::device::Devices;
use crate::error::{ConfigError, ConfigErrorKind};
use crate::migration::Arrivals;
use crate::session_limit::SessionLimit;
use crate::users::Sessions;

/// Gives every request a session, loaded when asked for and saved when changed.
///
/// ```
/// use axum::{Router, routing::get};
/// use cloakroom::{CookieConfig, Expiry, MemoryStore, SameSite, Session, SessionError, SessionLayer};
/// use cloakroom::{hours, minutes};
///
/// async fn hits(session: Session) -> Result<String, SessionError> {
///     let hits = session.update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
///     Ok(format!("You have been here {hits} times"))
/// }
///
/// let app: Router = Router::new().route("/", get(hits)).layer(
///     SessionLayer::new(MemoryStore::new())
///         .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))?
///         .with_cookie(CookieConfig::named("__Host-Http-id").with_same_site(SameSite::Lax))?,
/// );
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
///
/// What is configured here is checked here: methods that can be given something impossible return a
/// [`ConfigError`].
///
/// Needs a Tokio runtime with its timer.
#[derive(Clone)]
#[must_use]
pub struct SessionLayer<E = DefaultErrorResponse> {
    context: Arc<Context>,
    error_response: E,
}

impl SessionLayer {
    /// A layer that keeps its sessions in `store`, with the default cookie and expiry.
    pub fn new(store: impl Store) -> Self {
        Self {
            context: Arc::new(Context::new(store)),
            error_response: DefaultErrorResponse::default(),
        }
    }
}

impl<E> SessionLayer<E> {
    /// How long sessions live. Default: one day without use, thirty days at most.
    ///
    /// # Errors
    ///
    /// When a timeout is under a second, or the absolute one over 400 days.
    pub fn with_expiry(self, expiry: Expiry) -> Result<Self, ConfigError> {
        expiry.validate()?;
        Ok(self.configured(|context| context.expiry = expiry))
    }

    /// How long sessions live that nobody has signed in to. Default: as long as others. A shorter
    /// time keeps crawlers, which never come back, from filling the store.
    ///
    /// ```
    /// use cloakroom::{Expiry, MemoryStore, SessionLayer, minutes};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .with_expiry(Expiry::aal2())?
    ///     .with_anonymous_expiry(Expiry::idle(minutes(20)))?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`with_expiry`](Self::with_expiry).
    pub fn with_anonymous_expiry(self, expiry: Expiry) -> Result<Self, ConfigError> {
        expiry.validate()?;
        Ok(self.configured(|context| context.anonymous_expiry = Some(expiry)))
    }

    /// How many sessions one user may have. Default: as many as they like.
    ///
    /// # Errors
    ///
    /// When it is none, or the store keeps no index of users.
    pub fn with_session_limit(self, limit: SessionLimit) -> Result<Self, ConfigError> {
        if limit.0.most == 0 {
            return Err(ConfigError::new(
                ConfigErrorKind::Limit,
                "with a limit of no session nobody could sign in",
            ));
        }
        if !self.context.store.has_index() {
            return Err(ConfigError::new(
                ConfigErrorKind::Store,
                "this store keeps no index of users, which a limit of sessions needs",
            ));
        }
        Ok(self.configured(|context| context.session_limit = Some(limit)))
    }

    /// Lets every session's secret change in place, so that a stolen cookie gives itself away.
    /// Default: secrets change when sessions are renewed, and not else.
    ///
    /// A request that presents a secret older than the interval is answered with the next one, which
    /// is derived from it, so that all requests beside it get the same. Once the next one was
    /// presented, the old one is good for the grace, then it has retired. A retired secret that is
    /// presented again means that two parties hold the cookie: the session ends for both, everywhere,
    /// with [`Stolen`](crate::EndReason::Stolen).
    ///
    /// What can look like theft and is none: a browser whose profile was put back to an older state
    /// after the grace, and an answer that takes longer on its way than the grace. A thief who uses the
    /// cookie all the time beside its owner follows the rotation, and is not seen.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, Rotation, SessionLayer, minutes};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .with_rotation(Rotation::every(minutes(15)))?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the grace is zero, or not shorter than the interval.
    pub fn with_rotation(self, rotation: Rotation) -> Result<Self, ConfigError> {
        let grace = rotation.grace_period();
        if grace.is_zero() || grace >= rotation.interval() {
            return Err(ConfigError::new(
                ConfigErrorKind::Limit,
                format!(
                    "secrets that rotate every {:?} with a grace of {grace:?} cannot be kept: the \
                     grace must be longer than zero and shorter than the interval",
                    rotation.interval()
                ),
            ));
        }
        Ok(self.configured(|context| context.set_rotation(rotation)))
    }

    /// Writes down from where and with what users sign in, for their own list of devices. Default:
    /// nothing is written down.
    #[cfg(feature = "devices")]
    pub fn with_devices(self, devices: Devices) -> Self {
        self.configured(|context| context.devices = Some(Arc::new(devices)))
    }

    /// Lets clients that are no browsers carry the token in a header. Default: the cookie alone.
    pub fn with_token_header(self, header: TokenHeader) -> Self {
        self.configured(|context| context.token_header = Some(header))
    }

    /// Lets sessions of the system that the app used before move in. Default: old cookies are
    /// nothing. Call it after [`with_cookie`](Self::with_cookie).
    ///
    /// The secret of a moved session does not rotate until it is renewed, as signing in does.
    ///
    /// # Errors
    ///
    /// When the old cookie could not be removed, or has the name of the layer's own; when the move
    /// began 400 days ago, or has not begun.
    pub fn with_arrivals(self, arrivals: Arrivals) -> Result<Self, ConfigError> {
        arrivals.validate(&self.context.cookie, self.context.clock.now())?;
        Ok(self.configured(|context| context.arrivals = Some(Arc::new(arrivals))))
    }

    /// Publishes no events. Default: what happens to sessions is told to all servers, beside the
    /// request. Without it, what [`Session::watch`](crate::Session::watch) gives notices an ending
    /// within thirty seconds only.
    pub fn without_events(self) -> Self {
        self.configured(|context| context.tells = false)
    }

    /// The handle on the sessions of all users, for jobs and the like; in a handler, take
    /// [`Sessions`] as an argument. It goes by what is configured so far: take it last.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(Arc::clone(&self.context))
    }

    /// The longest absolute timeout that [`Session::set_expiry`](crate::Session::set_expiry) may
    /// choose. Default: 400 days. A cookie older than this, and than the layer's own absolute
    /// timeout, is refused without asking the store.
    ///
    /// # Errors
    ///
    /// When it is under a second, or over 400 days.
    pub fn with_longest_expiry(self, longest: Duration) -> Result<Self, ConfigError> {
        Expiry::idle(longest).absolute(longest).validate()?;
        Ok(self.configured(|context| context.longest = longest))
    }

    /// What the cookie is like. Default: [`CookieConfig::default`].
    ///
    /// # Errors
    ///
    /// When browsers would refuse it (ASVS 5.0, 3.3.5).
    pub fn with_cookie(self, cookie: CookieConfig) -> Result<Self, ConfigError> {
        cookie.validate()?;
        if let Some(arrivals) = &self.context.arrivals {
            arrivals.validate(&cookie, self.context.clock.now())?;
        }
        Ok(self.configured(|context| {
            if !context.own_realm {
                context.realm = Realm::new(cookie.name());
            }
            context.cookie = cookie;
        }))
    }

    /// Where the tokens of this layer are valid. Default: the cookie's name. Give every app and
    /// every environment its own, and a token of one opens nothing in another, even if both should
    /// share a Redis by mistake. Changing it ends all sessions.
    pub fn with_realm(self, realm: impl Into<String>) -> Self {
        self.configured(|context| {
            context.realm = Realm::new(realm);
            context.own_realm = true;
        })
    }

    /// How long one request may wait for the store, in all. Default: one second. What remains of it
    /// bounds each command; the handler's own work does not count.
    ///
    /// # Errors
    ///
    /// When it is zero.
    pub fn with_budget(self, budget: Duration) -> Result<Self, ConfigError> {
        if budget.is_zero() {
            return Err(ConfigError::new(
                ConfigErrorKind::Limit,
                "a request without any time for the store could never load its session",
            ));
        }
        Ok(self.configured(|context| context.budget = budget))
    }

    /// How large a stored session may be, in bytes. Default: 64 KiB, since every request that uses
    /// its session moves all of it. An edit that would pass the limit is an error, and changes
    /// nothing. What the library adds (who is signed in, the device) does not count.
    ///
    /// # Errors
    ///
    /// When it is under 1 KiB, or over 1 MiB, which is the most that is ever read.
    pub fn with_max_record_size(self, bytes: usize) -> Result<Self, ConfigError> {
        if !(1024..=codec::LONGEST).contains(&bytes) {
            return Err(ConfigError::new(
                ConfigErrorKind::Limit,
                format!("a session's limit of {bytes} bytes must be from 1024 to 1048576"),
            ));
        }
        Ok(self.configured(|context| context.max_record_size = bytes))
    }

    /// What becomes of a session's edits when the answer is an error. Default: they are dropped.
    pub fn with_on_error(self, on_error: OnError) -> Self {
        self.configured(|context| context.on_error = on_error)
    }

    /// What happens when an edit would replace what another request changed unseen. Default: the
    /// later edit wins, and an event tells it.
    pub fn with_on_overwrite(self, on_overwrite: OnOverwrite) -> Self {
        self.configured(|context| context.on_overwrite = on_overwrite)
    }

    /// How the answer looks when a session could not be loaded or saved. Default: the error's
    /// status, `Retry-After: 1` where it fits, no body.
    ///
    /// ```
    /// use axum::{body::Body, response::{Html, IntoResponse}};
    /// use cloakroom::{MemoryStore, SessionError, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).with_error_response(
    ///     |error: &SessionError| {
    ///         (error.status(), Html("<h1>Please try again in a moment</h1>")).into_response()
    ///     },
    /// );
    /// ```
    pub fn with_error_response<F>(self, error_response: F) -> SessionLayer<F>
    where
        F: Clone,
    {
        SessionLayer {
            context: self.context,
            error_response,
        }
    }

    /// Where the time comes from. Default: the system's clock.
    pub fn with_clock(self, clock: impl Clock) -> Self {
        self.configured(|context| context.clock = Arc::new(clock))
    }

    /// Where randomness comes from. Default: the system's generator. For tests of its failure.
    pub fn with_entropy(self, entropy: impl Entropy) -> Self {
        self.configured(|context| context.entropy = Arc::new(entropy))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    fn configured(mut self, configure: impl FnOnce(&mut Context)) -> Self {
        configure(Arc::make_mut(&mut self.context));
        self
    }
}

impl<E> fmt::Debug for SessionLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl<S, E: Clone> Layer<S> for SessionLayer<E> {
    type Service = SessionService<S, E>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(
            inner,
            Arc::clone(&self.context),
            self.error_response.clone(),
        )
    }
}
