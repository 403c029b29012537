//! What all clones of a request's session share: where it came from, and what is to become of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::entries::Entry;
use cloakroom_core::{StoreError, StoreErrorKind, Timestamp};
use tokio::sync::OnceCell;
use tracing::Instrument;

use super::lazy::LazySession;
use super::outcome::Reloaded;
use super::uncancellable::Whole;
use crate::budget::Budget;
use crate::commit::maintain::due;
use crate::commit::{Committed, Committer, Use};
use crate::context::Context;
use crate::cookie::headers::Tickets;
use crate::device::Origin;
use crate::error::SessionError;
use crate::load;
use crate::migration::Former;
use crate::plan::{Due, Plan, Step, plan};
use crate::state::{Live, Standing, State};
use crate::telemetry::log;

pub(crate) struct Handle {
    pub(crate) context: Arc<Context>,
    pub(crate) tickets: Tickets,
    pub(crate) former: Former,
    /// Where the request comes from, if that is written down.
    origin: Option<Origin>,
    /// The session of a layer further out.
    pub(crate) outer: Option<LazySession>,
    pub(crate) budget: Budget,
    asked: AtomicBool,
    loaded: OnceCell<()>,
    state: Mutex<State>,
    /// Held through a commit: two at once would begin two sessions.
    commits: tokio::sync::Mutex<()>,
}

/// What a commit did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) step: Step,
    /// The session ended elsewhere; nothing was stored.
    pub(crate) gone: bool,
    /// What is stored now.
    pub(crate) live: Option<Live>,
    /// What a `take_once` found, if the edits had to be replayed.
    pub(crate) taken: Option<Option<Entry>>,
}

impl Handle {
    pub(crate) fn new(
        context: Arc<Context>,
        tickets: Tickets,
        origin: Option<Origin>,
        outer: Option<LazySession>,
    ) -> Self {
        Self {
            budget: Budget::new(context.budget),
            context,
            tickets,
            former: Former::default(),
            origin,
            outer,
            asked: AtomicBool::new(false),
            loaded: OnceCell::new(),
            state: Mutex::default(),
            commits: tokio::sync::Mutex::default(),
        }
    }

    /// A handle that outlives its request.
    pub(crate) fn detached(context: Arc<Context>, live: Live) -> Self {
        Self {
            loaded: OnceCell::new_with(Some(())),
            state: Mutex::new(State::detached(live)),
            ..Self::new(context, Tickets::default(), None, None)
        }
    }

    /// Loads the session, the first time it is called.
    pub(crate) async fn load(&self) -> Result<(), SessionError> {
        self.asked.store(true, Ordering::Relaxed);
        let find = async || {
            let found = load::find(&self.context, &self.tickets, &self.former, &self.budget);
            let found = found.await?;
            self.state().begin(found);
            Ok(())
        };
        let result: Result<&(), SessionError> = self.loaded.get_or_try_init(find).await;
        if let Err(error) = &result {
            log::load_failed(error);
        }
        result.map(|_| ())
    }

    /// Whether somebody tried to load the session.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.initialized()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Closures of the app never run under the lock, and every change below is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    pub(crate) fn committer(&self) -> Committer<'_> {
        Committer {
            context: &self.context,
            budget: &self.budget,
            origin: self.origin.as_ref(),
            former: Some(self.former.of(&self.context, &self.tickets)),
        }
    }

    /// Carries out what is to be done now. Several steps, once begun, run to their end even if
    /// nobody waits any more.
    pub(crate) async fn commit(self: &Arc<Self>) -> Result<Done, SessionError> {
        let nothing_more = |_: &mut State| Ok(Some(()));
        let (_, done) = self.commit_with(nothing_more).await?;
        Ok(done)
    }

    /// Edits, and commits the edit before anybody else can. An edit that gives `None` is no reason
    /// to commit.
    pub(crate) async fn commit_with<T: Send + 'static>(
        self: &Arc<Self>,
        edit: impl FnOnce(&mut State) -> Result<Option<T>, SessionError> + Send + 'static,
    ) -> Result<(Option<T>, Done), SessionError> {
        let renews = self.state().renews();
        match renews {
            true => self.carry_out_whole(edit).await,
            false => self.carry_out(edit).await,
        }
    }

    /// The same, for an edit that begins several steps: once begun, they run to their end even if
    /// nobody waits any more.
    pub(crate) async fn carry_out_whole<T: Send + 'static>(
        self: &Arc<Self>,
        edit: impl FnOnce(&mut State) -> Result<Option<T>, SessionError> + Send + 'static,
    ) -> Result<(Option<T>, Done), SessionError> {
        let handle = Arc::clone(self);
        let steps = async move { handle.carry_out(edit).await };
        Whole::new(steps.in_current_span()).await
    }

    /// Keeps a step of the caller's own apart from commits. Beyond the request, each step has a
    /// budget of its own.
    pub(crate) async fn alone(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, SessionError> {
        if self.state().is_detached() {
            self.budget.refill(self.context.budget);
        }
        if let Ok(alone) = self.commits.try_lock() {
            return Ok(alone);
        }
        let alone = self.budget.wait(self.commits.lock()).await;
        alone.ok_or_else(|| StoreError::new(StoreErrorKind::Unavailable).into())
    }

    /// Fetches the session as it is stored now, past any cache, and puts the edits not saved yet on top.
    pub(crate) async fn reload(&self) -> Result<Reloaded, SessionError> {
        let _alone = self.alone().await?;
        let Some(live) = self.state().live().cloned() else {
            return Ok(Reloaded::Ended);
        };
        let standing = load::again(&self.context, live.token, &self.budget).await;
        let Standing::Live(live) = standing.inspect_err(log::load_failed)? else {
            self.state().gone();
            return Ok(Reloaded::Ended);
        };
        self.state().settle();
        self.rebase(&live)?;
        Ok(Reloaded::Live)
    }

    /// Puts the edits that are not stored on top of a fresher record. If they do not fit, they are
    /// given up. The app's closures run outside the lock.
    pub(crate) fn rebase(&self, live: &Live) -> Result<(), SessionError> {
        loop {
            let (changes, base) = self.state().unstored();
            let fresher = live.record.entries();
            let entries = match changes.is_empty() {
                true => fresher.clone(),
                false => match changes.replay(&base, fresher) {
                    Ok(replay) => replay.entries,
                    Err(error) => {
                        self.state().give_up_on(live.clone());
                        return Err(error.into());
                    }
                },
            };
            if self.state().rebase(&changes, live, entries) {
                return Ok(());
            }
        }
    }

    async fn carry_out<T>(
        &self,
        edit: impl FnOnce(&mut State) -> Result<Option<T>, SessionError>,
    ) -> Result<(Option<T>, Done), SessionError> {
        let _alone = self.alone().await?;
        let (mark, edited) = {
            let mut state = self.state();
            (state.mark(), edit(&mut state)?)
        };
        let Some(edited) = edited else {
            return Ok((None, Done::nothing(Step::Nothing)));
        };
        match self.carry_out_alone().await {
            Ok(done) => Ok((Some(edited), done)),
            Err(error) => {
                log::commit_failed(&error);
                if !error.is_outcome_unknown() {
                    self.state().take_back(mark);
                }
                Err(error)
            }
        }
    }

    async fn carry_out_alone(&self) -> Result<Done, SessionError> {
        let (plan, mut draft, live) = {
            let mut state = self.state();
            if state.uncertain {
                return Err(outcome_unknown());
            }
            let plan = self.plan_of(&state);
            let writes = !matches!(
                plan.step,
                Step::Nothing | Step::Touch | Step::Upkeep | Step::Look
            );
            if writes {
                state.check_not_over()?;
            }
            // Until the outcome is known. If this future is dropped, it stays so.
            state.uncertain = writes;
            (plan, state.draft(), state.live().cloned())
        };
        if let Err(error) = draft.finish_sign_in() {
            self.state().uncertain = false;
            return Err(error.into());
        }
        let committer = self.committer();
        let result = match (plan.step, &live) {
            (Step::Create, _) => committer.create(&draft).await,
            (Step::Update, Some(live)) => committer.update(live, &draft).await,
            (Step::Renew, Some(live)) => Box::pin(committer.renew(live, &draft)).await,
            (Step::Touch, Some(live)) => return self.touch(live).await,
            (step @ (Step::Upkeep | Step::Look), Some(live)) => {
                match Box::pin(committer.keep_up(step, live, &draft)).await {
                    Ok(Committed::Gone) => return Ok(self.gone(step)),
                    Err(error) => {
                        // The session is as good as before, and the next request tries again.
                        log::upkeep_failed(live.token.id(), &error);
                        return Ok(Done::nothing(step));
                    }
                    stored => stored,
                }
            }
            _ => return Ok(Done::nothing(Step::Nothing)),
        };
        self.state().uncertain = matches!(&result, Err(error) if error.is_outcome_unknown());
        match result? {
            Committed::Gone => Ok(self.gone(plan.step)),
            Committed::Stored(stored) => {
                {
                    let mut state = self.state();
                    state.cookie = plan.cookie;
                    state.stored(&draft);
                }
                self.rebase(&stored.live)?;
                Ok(Done {
                    step: plan.step,
                    gone: false,
                    live: Some(stored.live),
                    taken: stored.taken,
                })
            }
        }
    }

    /// Writes the use down. A request that is superseded leaves it at that: somebody else has used
    /// the session. Beyond the request nobody else may, so it has another look.
    async fn touch(&self, live: &Live) -> Result<Done, SessionError> {
        let mut seen = self.committer().touch(live).await;
        if matches!(seen, Use::Superseded) && self.state().is_detached() {
            let token = live.token.clone();
            let Standing::Live(fresher) = load::again(&self.context, token, &self.budget).await?
            else {
                return Ok(self.gone(Step::Touch));
            };
            self.rebase(&fresher)?;
            seen = self.committer().touch(&fresher).await;
        }
        if let Use::WrittenDown(seen) = seen {
            self.state().touched(seen);
        }
        Ok(Done::nothing(Step::Touch))
    }

    fn gone(&self, step: Step) -> Done {
        self.state().gone();
        Done {
            gone: true,
            ..Done::nothing(step)
        }
    }

    pub(crate) fn plan_of(&self, state: &State) -> Plan {
        // Beyond the request no cookie can be set, so secrets stay as they are.
        let due = |live: &Live| match due(&self.context, self.origin.as_ref(), live) {
            Due::Nothing => Due::Nothing,
            Due::Confirmation | Due::Succession if state.is_detached() => Due::Touch,
            due => due,
        };
        plan(&state.situation(due))
    }
}

impl Done {
    fn nothing(step: Step) -> Self {
        Self {
            step,
            gone: false,
            live: None,
            taken: None,
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("cookie", &self.context.cookie.name())
            .field("loaded", &self.is_loaded())
            .finish_non_exhaustive()
    }
}

fn outcome_unknown() -> SessionError {
    StoreError::new(StoreErrorKind::OutcomeUnknown).into()
}
