//! Commits of a request's session: plans the step, runs it, and applies its result to the state.

use std::sync::Arc;

use cloakroom_core::lifetime::Lifetimes;
use cloakroom_core::store::Touched;
use cloakroom_core::{StoreError, StoreErrorKind, Token};
use tracing::Instrument;

use super::outcome::Reloaded;
use super::shared::SharedSession;
use super::values::MAX_RUNS;
use crate::commit::{self, Committed};
use crate::cookie::tokens::PresentedTokens;
use crate::error::{Cause, SessionError, SessionErrorKind};
use crate::load;
use crate::plan::{Lookup, Plan, Step};
use crate::state::{Draft, Live, Savepoint, State};
use crate::telemetry::log;
use crate::uncancellable::Uncancellable;

impl SharedSession {
    /// Commits the edits so far. A renewal or a sign-in, once begun, runs to its end even if this is dropped.
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
        let has_several_steps = self.state().commits_in_steps();
        if has_several_steps {
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
            let mut savepoint = state.savepoint();
            let edited = edit(&mut state)?;
            state.end_savepoint(&mut savepoint);
            (savepoint, edited)
        };
        let Some(edited) = edited else {
            return Ok((None, Committed::Unchanged));
        };
        match self.run_locked().await {
            Ok(committed) => Ok((Some(edited), committed)),
            Err(error) => {
                self.context.failures.save(&error);
                // What has expired is not restored.
                if !error.is_outcome_unknown() && !is_expired(&error) {
                    self.undo(&savepoint);
                }
                Err(error)
            }
        }
    }

    /// Undoes what an edit has done whose commit has failed, and nothing that another task of the request has edited
    /// since: those edits are replayed on the entries from before. The app's closures run outside the lock. If one
    /// cannot, all edits stay as they are.
    fn undo(&self, savepoint: &Savepoint) {
        self.state().undo_steps(savepoint);
        for _ in 0..MAX_RUNS {
            let Some(since) = self.state().edits_since(savepoint) else {
                return;
            };
            let Ok(replay) = since.replay(&savepoint.entries, &savepoint.entries) else {
                return;
            };
            if self.state().undo_edits(savepoint, &since, replay.entries) {
                return;
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
        let now = self.now();
        let (plan, mut draft, live) = {
            let mut state = self.state();
            if state.uncertain {
                return Err(StoreError::new(StoreErrorKind::OutcomeUnknown).into());
            }
            let plan = self.plan_of(&state, now);
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

    async fn store_edits(
        &self,
        plan: Plan,
        live: Option<&Live>,
        draft: &Draft,
    ) -> Result<Committed, SessionError> {
        let cx = self.commit_context();
        let replaced = self.replace_others(plan.step).await;
        let result = match (plan.step, live) {
            _ if replaced.is_err() => replaced.map(|()| Committed::Unchanged),
            (Step::Update, Some(live)) => commit::update(&cx, live, draft).await,
            (Step::Renew, Some(live)) => Box::pin(commit::renew(&cx, live, draft)).await,
            (Step::Create, _) => {
                let is_stale = matches!(self.state().lookup, Lookup::Ended);
                let ended = if is_stale {
                    self.ended_tokens()
                } else {
                    Vec::new()
                };
                commit::create(&cx, draft, &ended).await
            }
            _ => Ok(Committed::Unchanged),
        };
        self.state().uncertain = matches!(&result, Err(error) if error.is_outcome_unknown());
        if let (Err(error), Some(live)) = (&result, live)
            && is_expired(error)
        {
            log::expired_during_request(live.id());
            self.state().mark_ended();
        }
        self.apply(plan, draft, result?)
    }

    /// The tokens of this request whose sessions have ended: the one that ended during the request, or those
    /// that the request has presented.
    fn ended_tokens(&self) -> Vec<Token> {
        if let Some(token) = self.state().ended_token() {
            return vec![token.clone()];
        }
        self.presented_tokens()
    }

    /// The tokens that the request has presented, and those to which its legacy cookies lead.
    pub(super) fn presented_tokens(&self) -> Vec<Token> {
        let context = &self.context;
        let own = PresentedTokens::of(&self.credentials, &context.cookie, self.now());
        let mut tokens: Vec<_> = own.into_iter().map(|presented| presented.token).collect();
        if let (Some(migration), Some(cookies)) = (&context.migration, self.legacy_cookies()) {
            let derived = |id| migration.token(&context.realm, id);
            tokens.extend(cookies.ids().iter().map(derived));
        }
        tokens
    }

    /// All of these: whatever this request has ended, or has found ended.
    pub(super) fn all_ended_tokens(&self) -> Vec<Token> {
        let ended = self.state().ended_token().cloned();
        let mut tokens: Vec<Token> = ended.into_iter().collect();
        for presented in self.presented_tokens() {
            if tokens.iter().all(|token| token.id() != presented.id()) {
                tokens.push(presented);
            }
        }
        tokens
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
            Err(error) if is_expired(&error) => {
                self.state().mark_ended();
                Ok(Committed::Ended)
            }
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
        let lookup = lookup.inspect_err(|error| self.context.failures.load(error))?;
        let Lookup::Live(live) = lookup else {
            self.state().mark_ended();
            return Ok(Reloaded::Ended);
        };
        self.state().resolve_uncertainty();
        self.rebase(&live)?;
        Ok(Reloaded::Live)
    }

    /// Replays the edits that are not stored on a fresher record. If that fails, they are discarded. The
    /// app's closures run outside the lock, and are tried [`MAX_RUNS`] times if there are further edits each time.
    fn rebase(&self, live: &Live) -> Result<(), SessionError> {
        for _ in 0..MAX_RUNS {
            let (changes, base) = self.state().unstored();
            let now = self.now();
            let mut entries = Lifetimes::live(live.record.entries(), now);
            if !changes.is_empty() {
                match changes.replay(&Lifetimes::live(&base, now), &entries) {
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
        self.state().reset_to(live.clone());
        Err(Cause::NeverFinal.into())
    }
}

fn is_expired(error: &SessionError) -> bool {
    error.kind() == SessionErrorKind::Expired
}
