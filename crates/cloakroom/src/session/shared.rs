//! What all clones of a request's session share, and how it is loaded. `commit` is how it is committed.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use cloakroom_core::Timestamp;
#[cfg(feature = "oauth")]
use http::HeaderValue;
use tokio::sync::OnceCell;

use crate::budget::Budget;
use crate::commit::{self, CommitContext};
use crate::context::Context;
use crate::cookie::headers::Credentials;
use crate::cookie::withheld::EditsDiscarded;
use crate::device::ClientInfo;
use crate::error::SessionError;
use crate::load;
use crate::migration::LegacyCookies;
use crate::plan::{Due, Plan, plan};
use crate::state::{Live, State};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many further cookies one response sets or removes at most.
#[cfg(feature = "oauth")]
const MAX_COOKIES: usize = 64;

/// The session of one request. Every clone of `Session` and `LazySession` refers to it.
pub(crate) struct SharedSession {
    pub(crate) context: Arc<Context>,
    pub(crate) credentials: Credentials,
    legacy_cookies: OnceLock<LegacyCookies>,
    /// The client of the request, if devices are recorded.
    client: Option<ClientInfo>,
    /// The session of an outer layer.
    pub(crate) outer: Option<Arc<SharedSession>>,
    /// The `Host` of the request is not within the cookie's `Domain`.
    pub(crate) is_host_outside_domain: bool,
    pub(crate) budget: Budget,
    requested: AtomicBool,
    loaded: OnceCell<()>,
    state: Mutex<State>,
    /// Further cookies that the response sets or removes.
    #[cfg(feature = "oauth")]
    cookies: Mutex<Vec<HeaderValue>>,
    /// Held across the awaits of a commit: two commits at once would create two sessions.
    pub(super) commits: tokio::sync::Mutex<()>,
}

impl SharedSession {
    pub(crate) fn new(
        context: Arc<Context>,
        credentials: Credentials,
        client: Option<ClientInfo>,
        outer: Option<Arc<Self>>,
    ) -> Self {
        Self {
            budget: Budget::new(context.budget),
            context,
            credentials,
            legacy_cookies: OnceLock::new(),
            client,
            outer,
            is_host_outside_domain: false,
            requested: AtomicBool::new(false),
            loaded: OnceCell::new(),
            state: Mutex::default(),
            #[cfg(feature = "oauth")]
            cookies: Mutex::default(),
            commits: tokio::sync::Mutex::default(),
        }
    }

    /// Sets why the browser may hold a session cookie that it did not send with the request, or does not accept
    /// one; and whether it seems not to accept one.
    pub(crate) fn with_cookie_withheld(
        mut self,
        withheld: Option<EditsDiscarded>,
        is_host_outside_domain: bool,
    ) -> Self {
        self.is_host_outside_domain = is_host_outside_domain;
        let state = self.state.get_mut();
        state.unwrap_or_else(PoisonError::into_inner).withheld = withheld;
        self
    }

    /// A session that outlives its request.
    pub(crate) fn detached(context: Arc<Context>, live: Live) -> Self {
        Self {
            loaded: OnceCell::new_with(Some(())),
            state: Mutex::new(State::detached(live)),
            ..Self::new(context, Credentials::default(), None, None)
        }
    }

    /// Loads the session, the first time it is called.
    pub(crate) async fn load(&self) -> Result<(), SessionError> {
        self.set_requested();
        let loaded = self.loaded.get_or_try_init(|| self.find()).await;
        loaded.inspect_err(|error| self.context.failures.load(error))?;
        Ok(())
    }

    async fn find(&self) -> Result<(), SessionError> {
        let legacy_cookies = self.legacy_cookies();
        let (context, credentials) = (&self.context, &self.credentials);
        let found = load::find(context, credentials, legacy_cookies, &self.budget).await?;
        self.state().loaded(found);
        Ok(())
    }

    /// Records that the response depends on the cookies of the request.
    pub(crate) fn set_requested(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Adds a further cookie to the response, or the removal of one. Of more than 64, the first are dropped.
    #[cfg(feature = "oauth")]
    pub(crate) fn add_cookie(&self, cookie: HeaderValue) -> Result<(), SessionError> {
        self.state().check_not_finished()?;
        let cookies = self.cookies.lock();
        let mut cookies = cookies.unwrap_or_else(PoisonError::into_inner);
        if cookies.len() == MAX_COOKIES {
            cookies.remove(0);
        }
        cookies.push(cookie);
        Ok(())
    }

    /// Returns the further cookies of the response.
    #[cfg(feature = "oauth")]
    pub(crate) fn take_cookies(&self) -> Vec<HeaderValue> {
        let cookies = self.cookies.lock();
        std::mem::take(&mut *cookies.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the response depends on the session or on another cookie of the request.
    pub(crate) fn was_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.initialized()
    }

    /// The legacy cookies of the request; `None` unless sessions are migrated.
    pub(crate) fn legacy_cookies(&self) -> Option<&LegacyCookies> {
        let migration = self.context.migration.as_deref()?;
        if let Some(cookies) = self.legacy_cookies.get() {
            return Some(cookies);
        }
        // Parsed by the legacy store, which may be the app's, so not within the initialization.
        let cookies = LegacyCookies::parse(migration, &self.credentials);
        Some(self.legacy_cookies.get_or_init(|| cookies))
    }

    /// Locks the state. None of the app's code may run before the result is dropped: no closure, no `Serialize`
    /// or `Deserialize`, no key's `AsRef`, no clock, no subscriber of log events, no destructor.
    pub(crate) fn state(&self) -> StateGuard<'_> {
        // No change of the state stops halfway.
        StateGuard(Some(
            self.state.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// Forgets the entries that have expired, before any are read. Few sessions have such entries, and only for them the
    /// clock is read.
    pub(crate) fn expire_entries(&self) {
        if self.state().has_lifetimes() {
            let now = self.now();
            self.state().expire(now);
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    pub(crate) fn commit_context(&self) -> CommitContext<'_> {
        CommitContext {
            context: &self.context,
            budget: &self.budget,
            client: self.client.as_ref(),
            legacy_cookies: self.legacy_cookies(),
        }
    }

    /// Returns what has to happen, by the state of the session at this time.
    pub(crate) fn plan_of(&self, state: &State, now: Timestamp) -> Plan {
        plan(&state.situation(|live| self.due(live, now, state.is_detached())))
    }

    fn due(&self, live: &Live, now: Timestamp, is_detached: bool) -> Due {
        match commit::due(&self.context, self.client.as_ref(), live, now) {
            // A detached session cannot set the cookie, so its token does not change.
            Due::PromoteSecret | Due::OfferSecret if is_detached => Due::Touch,
            due => due,
        }
    }
}

/// The locked state. Edits that its holder has removed are dropped after the lock is released: what the closures
/// of updates have captured may use the session when it is dropped.
pub(crate) struct StateGuard<'a>(Option<MutexGuard<'a, State>>);

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.as_ref().expect("it is locked until this is dropped")
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_mut().expect("it is locked until this is dropped")
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        let removed = self.0.as_mut().and_then(|state| state.take_removed());
        self.0 = None;
        drop(removed);
    }
}

impl fmt::Debug for SharedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSession")
            .field("cookie", &self.context.cookie.name())
            .field("loaded", &self.is_loaded())
            .finish_non_exhaustive()
    }
}
