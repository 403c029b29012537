//! What all clones of a request's session share, and how it is loaded and committed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cloakroom_core::store::Touched;
use cloakroom_core::{StoreError, StoreErrorKind, Timestamp};
use tokio::sync::OnceCell;
use tracing::Instrument;

use super::outcome::Reloaded;
use super::uncancellable::Uncancellable;
use crate::budget::Budget;
use crate::commit::{self, CommitContext, Committed};
use crate::context::Context;
use crate::cookie::headers::Credentials;
use crate::device::ClientInfo;
use crate::error::SessionError;
use crate::load;
use crate::migration::LegacyCookies;
use crate::plan::{Due, Lookup, Plan, Step, plan};
use crate::state::{Draft, Live, State};
use crate::telemetry::log;

/// The session of one request. Every clone of `Session` and `LazySession` refers to it.
pub(crate) struct SharedSession {
    pub(crate) context: Arc<Context>,
    pub(crate) credentials: Credentials,
    legacy_cookies: OnceLock<LegacyCookies>,
    /// The client of the request, if devices are recorded.
    client: Option<ClientInfo>,
    /// The session of an outer layer.
    pub(crate) outer: Option<Arc<SharedSession>>,
    pub(crate) budget: Budget,
    requested: AtomicBool,
    loaded: OnceCell<()>,
    state: Mutex<State>,
    /// Held across the awaits of a commit: two commits at once would create two sessions.
    commits: tokio::sync::Mutex<()>,
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
            requested: AtomicBool::new(false),
            loaded: OnceCell::new(),
            state: Mutex::default(),
            commits: tokio::sync::Mutex::default(),
        }
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
        self.requested.store(true, Ordering::Relaxed);
        let loaded = self.loaded.get_or_try_init(|| self.find()).await;
        loaded.inspect_err(log::load_failed)?;
        Ok(())
    }

    async fn find(&self) -> Result<(), SessionError> {
        let legacy_cookies = self.legacy_cookies();
        let (context, credentials) = (&self.context, &self.credentials);
        let found = load::find(context, credentials, legacy_cookies, &self.budget).await?;
        self.state().loaded(found);
        Ok(())
    }

    /// Whether the app has tried to load the session.
    pub(crate) fn was_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.initialized()
    }

    /// The legacy cookies of the request; `None` unless sessions are migrated.
    pub(crate) fn legacy_cookies(&self) -> Option<&LegacyCookies> {
        let arrivals = self.context.arrivals.as_deref()?;
        let parse = || LegacyCookies::parse(arrivals, &self.credentials);
        Some(self.legacy_cookies.get_or_init(parse))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // The app's closures never run under the lock, and no change of the state stops halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Commits the edits so far. A renewal, once begun, runs to its end even if this is dropped.
    pub(crate) async fn commit(self: &Arc<Self>) -> Result<Committed, SessionError> {
        let no_edit = |_: &mut State| Ok(Some(()));
        let (_, committed) = self.commit_with(no_edit).await?;
        Ok(committed)
    }

    /// Edits, and commits the edit before another commit can. If the edit returns `None`, nothing is
    /// committed.
    pub(crate) async fn commit_with<T: Send + 'static>(
        self: &Arc<Self>,
        edit: impl FnOnce(&mut State) -> Result<Option<T>, SessionError> + Send + 'static,
    ) -> Result<(Option<T>, Committed), SessionError> {
        let renews = self.state().renews();
        if renews {
            self.run_uncancellable(edit).await
        } else {
            self.run(edit).await
        }
    }

    /// The same, for an edit whose commit has several steps: once begun, they run to their end even if
    /// this is dropped.
    pub(crate) async fn run_uncancellable<T: Send + 'static>(
        self: &Arc<Self>,
        edit: impl FnOnce(&mut State) -> Result<Option<T>, SessionError> + Send + 'static,
    ) -> Result<(Option<T>, Committed), SessionError> {
        let this = Arc::clone(self);
        let steps = async move { this.run(edit).await };
        Uncancellable::new(steps.in_current_span()).await
    }

    async fn run<T>(
        &self,
        edit: impl FnOnce(&mut State) -> Result<Option<T>, SessionError>,
    ) -> Result<(Option<T>, Committed), SessionError> {
        let _lock = self.lock_commits().await?;
        let (savepoint, edited) = {
            let mut state = self.state();
            (state.savepoint(), edit(&mut state)?)
        };
        let Some(edited) = edited else {
            return Ok((None, Committed::Unchanged));
        };
        match self.run_locked().await {
            Ok(committed) => Ok((Some(edited), committed)),
            Err(error) => {
                log::commit_failed(&error);
                if !error.is_outcome_unknown() {
                    self.state().undo(savepoint);
                }
                Err(error)
            }
        }
    }

    /// Waits for the lock of commits. A detached session has a new budget for each step.
    pub(crate) async fn lock_commits(
        &self,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, SessionError> {
        if self.state().is_detached() {
            self.budget.refill(self.context.budget);
        }
        if let Ok(lock) = self.commits.try_lock() {
            return Ok(lock);
        }
        let lock = self.budget.wait(self.commits.lock()).await;
        lock.ok_or_else(|| StoreError::new(StoreErrorKind::Unavailable).into())
    }

    /// Plans, and runs the step that is planned. The caller holds the lock of commits.
    async fn run_locked(&self) -> Result<Committed, SessionError> {
        let (plan, mut draft, live) = {
            let mut state = self.state();
            if state.uncertain {
                return Err(StoreError::new(StoreErrorKind::OutcomeUnknown).into());
            }
            let plan = self.plan_of(&state);
            if plan.step.stores_edits() {
                state.check_not_finished()?;
                // Until the outcome is known. If this future is dropped, it stays so.
                state.uncertain = true;
            }
            (plan, state.draft(), state.live().cloned())
        };
        // Runs closures of the app, so the state is not locked.
        if let Err(error) = draft.finish_sign_in() {
            self.state().uncertain = false;
            return Err(error.into());
        }
        match (plan.step, &live) {
            (Step::Touch, Some(live)) => self.touch(live).await,
            (Step::Maintain | Step::Verify, Some(live)) => self.maintain(plan, live, &draft).await,
            (Step::Create | Step::Update | Step::Renew, live) => {
                self.store_edits(plan, live.as_ref(), &draft).await
            }
            (Step::Nothing | Step::Touch | Step::Maintain | Step::Verify, _) => {
                Ok(Committed::Unchanged)
            }
        }
    }

    /// Returns what has to happen, by the state of the session.
    pub(crate) fn plan_of(&self, state: &State) -> Plan {
        plan(&state.situation(|live| self.due(live, state.is_detached())))
    }

    fn due(&self, live: &Live, is_detached: bool) -> Due {
        match commit::due(&self.context, self.client.as_ref(), live) {
            // A detached session cannot set the cookie, so its token does not change.
            Due::PromoteSecret | Due::OfferSecret if is_detached => Due::Touch,
            due => due,
        }
    }

    async fn store_edits(
        &self,
        plan: Plan,
        live: Option<&Live>,
        draft: &Draft,
    ) -> Result<Committed, SessionError> {
        let cx = self.commit_context();
        let result = match (plan.step, live) {
            (Step::Update, Some(live)) => commit::update(&cx, live, draft).await,
            (Step::Renew, Some(live)) => Box::pin(commit::renew(&cx, live, draft)).await,
            (Step::Create, _) => commit::create(&cx, draft).await,
            _ => Ok(Committed::Unchanged),
        };
        self.state().uncertain = matches!(&result, Err(error) if error.is_outcome_unknown());
        self.apply(plan, draft, result?)
    }

    /// Runs the library's own update. The request does not depend on its success: the session is as valid
    /// as before, and the next request tries again.
    async fn maintain(
        &self,
        plan: Plan,
        live: &Live,
        draft: &Draft,
    ) -> Result<Committed, SessionError> {
        let cx = self.commit_context();
        let maintained = Box::pin(commit::maintain(&cx, plan.step, live, draft)).await;
        match maintained {
            Ok(committed) => match self.apply(plan, draft, committed)? {
                Committed::Stored(stored) => Ok(Committed::Maintained(stored)),
                other => Ok(other),
            },
            Err(error) => {
                log::maintenance_failed(live.id(), &error);
                Ok(Committed::Unchanged)
            }
        }
    }

    /// Updates last-seen. If another request was first, it has used the session, and that is enough. A
    /// detached session may be the only user of its session, so it tries once more on the fresh record.
    async fn touch(&self, live: &Live) -> Result<Committed, SessionError> {
        let cx = self.commit_context();
        let mut now = self.now();
        let mut touched = commit::touch(&cx, live.id(), &live.record, now).await;
        if let Ok(Touched::Superseded) = touched
            && self.state().is_detached()
        {
            let token = live.token.clone();
            let reloaded = load::reload(&self.context, token, &self.budget).await?;
            let Lookup::Live(fresher) = reloaded else {
                self.state().mark_ended();
                return Ok(Committed::Ended);
            };
            self.rebase(&fresher)?;
            now = self.now();
            touched = commit::touch(&cx, fresher.id(), &fresher.record, now).await;
        }
        if let Ok(Touched::Touched) = touched {
            self.state().touched(now);
        }
        Ok(Committed::Unchanged)
    }

    /// Applies the result of a commit to the state.
    fn apply(
        &self,
        plan: Plan,
        draft: &Draft,
        committed: Committed,
    ) -> Result<Committed, SessionError> {
        match &committed {
            Committed::Ended => self.state().mark_ended(),
            Committed::Stored(stored) | Committed::Maintained(stored) => {
                {
                    let mut state = self.state();
                    state.pending_cookie = plan.cookie;
                    state.stored(draft);
                }
                self.rebase(&stored.live)?;
            }
            Committed::Unchanged => {}
        }
        Ok(committed)
    }

    /// Reads the session from the store, not from a cache, and replays the edits that are not saved.
    pub(crate) async fn reload(&self) -> Result<Reloaded, SessionError> {
        let _lock = self.lock_commits().await?;
        let Some(live) = self.state().live().cloned() else {
            return Ok(Reloaded::Ended);
        };
        let lookup = load::reload(&self.context, live.token, &self.budget).await;
        let Lookup::Live(live) = lookup.inspect_err(log::load_failed)? else {
            self.state().mark_ended();
            return Ok(Reloaded::Ended);
        };
        self.state().resolve_uncertainty();
        self.rebase(&live)?;
        Ok(Reloaded::Live)
    }

    /// Replays the edits that are not stored on a fresher record. If that fails, they are discarded. The
    /// app's closures run outside the lock.
    fn rebase(&self, live: &Live) -> Result<(), SessionError> {
        loop {
            let (changes, base) = self.state().unstored();
            let mut entries = live.record.entries().clone();
            if !changes.is_empty() {
                match changes.replay(&base, &entries) {
                    Ok(replay) => entries = replay.entries,
                    Err(error) => {
                        self.state().reset_to(live.clone());
                        return Err(error.into());
                    }
                }
            }
            if self.state().rebase(&changes, live, entries) {
                return Ok(());
            }
        }
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
