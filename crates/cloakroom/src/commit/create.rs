//! Beginning a session: an id of its own, entered for its user before it is stored.

use std::time::Duration;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{Applicant, Limit};
use cloakroom_core::store::{Created, Entered, Loaded};
use cloakroom_core::{
    Authentication, EndReason, Entries, Limits, Record, SessionId, StoreError, StoreErrorKind,
    Token, UserId, UserKey,
};

use super::{Committed, Committer, Stored};
use crate::error::{Cause, SessionError};
use crate::state::{Draft, Live};
use crate::telemetry::log;

/// How many fresh ids a creation tries.
const ATTEMPTS: usize = 3;

/// How often a full index is looked through before the user is told that it is full.
const LOOKS: usize = 3;

/// A session that was begun, and what the index had to say about it.
pub(super) struct Begun {
    pub(super) live: Live,
    pub(super) beside: Beside,
}

/// What is left to do beside the request, once a session is stored.
#[derive(Default)]
pub(super) struct Beside {
    /// Entries to be looked at, whether sessions are behind them.
    pub(super) sample: Vec<SessionId>,
    /// Whether the store has told that the user has signed in.
    pub(super) told: bool,
}

/// What came of an attempt to store a new session.
pub(super) enum Attempt {
    Stored(Beside),
    /// Something is there under its id.
    Taken,
    Failed(StoreError),
}

/// How a session is to be entered for its user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entering {
    /// Whether the limit holds. It does for signing in, and not for a renewal.
    pub(super) is_limited: bool,
    /// The session whose place it takes.
    pub(super) replaces: Option<SessionId>,
    /// Whether that is all that is to be done, so that others may hear of it.
    pub(super) is_told: bool,
}

impl Committer<'_> {
    /// Begins a session.
    pub(crate) async fn create(&self, draft: &Draft) -> Result<Committed, SessionError> {
        let entries = self.dressed(draft, draft.entries.clone());
        let entering = Entering {
            is_limited: draft.signing_in.is_some(),
            replaces: None,
            is_told: true,
        };
        if draft.signing_in.is_some() && self.context.arrivals.is_some() {
            Box::pin(self.end_old(None)).await?;
        }
        let user = Authentication::of(&entries);
        let user = user.as_ref().map(Authentication::user);
        let begun = self.begin(&entries, user, draft.chosen, entering).await?;
        let id = begun.live.token.id();
        log::created(id);
        if user.is_some() {
            log::signed_in(id);
        }
        self.begun(id, user, begun.beside);
        Ok(Committed::Stored(Stored {
            live: begun.live,
            taken: None,
        }))
    }

    /// What follows from a session's beginning, beside the request.
    pub(super) fn begun(&self, id: SessionId, user: Option<&UserId>, beside: Beside) {
        let mut aftermath = self.aftermath();
        if let Some(user) = user {
            aftermath = aftermath.look_at(user, beside.sample);
        }
        if !beside.told {
            aftermath = aftermath.tell(beginning(id, user));
        }
        aftermath.begin();
    }

    /// Stores a new session under a fresh id. After a creation of unknown outcome the id is fresh
    /// again: the same one could meet itself.
    pub(super) async fn begin(
        &self,
        entries: &Entries,
        user: Option<&UserId>,
        limits: Option<Limits>,
        entering: Entering,
    ) -> Result<Begun, SessionError> {
        self.check_size(entries)?;
        self.check_epoch().await?;
        let mut unknown = None;
        for _ in 0..ATTEMPTS {
            let live = self.draw(entries, limits)?;
            match self.attempt(&live, user, entering).await? {
                Attempt::Stored(beside) => return Ok(Begun { live, beside }),
                // Nothing but a tombstone can be there: somebody has ended all of the user's
                // sessions, this one included, or a later log-in had no room for it.
                Attempt::Taken if user.is_some() => {
                    log::sign_in_undone(live.token.id());
                    self.forget_later(&live);
                    return Err(Cause::Undone.into());
                }
                Attempt::Taken => {}
                Attempt::Failed(error) => {
                    let kind = error.kind();
                    // It may be there: as one that its user sees, or that stands and is not wanted.
                    if user.is_some() || kind == StoreErrorKind::NotReplicated {
                        self.abandon(live);
                    }
                    if kind != StoreErrorKind::OutcomeUnknown {
                        return Err(unknown.unwrap_or(error).into());
                    }
                    unknown = Some(error);
                }
            }
        }
        let collided = || StoreError::new(StoreErrorKind::Unavailable);
        Err(unknown.unwrap_or_else(collided).into())
    }

    /// Stores a new session, of a user or of nobody.
    pub(super) async fn attempt(
        &self,
        live: &Live,
        user: Option<&UserId>,
        entering: Entering,
    ) -> Result<Attempt, SessionError> {
        match user {
            Some(user) => self.enter(live, user, entering).await,
            None => self.put(live).await,
        }
    }

    async fn put(&self, live: &Live) -> Result<Attempt, SessionError> {
        let (id, record) = (live.token.id(), &live.record);
        let create = self.context.store.create(id, record, self.ttl(record)?);
        Ok(match self.budget.write(create).await {
            Ok(Created::Created) => Attempt::Stored(Beside::default()),
            Ok(Created::Collision) => Attempt::Taken,
            Err(error) => Attempt::Failed(error),
        })
    }

    /// Enters a new session for its user, ends those that are too many since, and stores it.
    async fn enter(
        &self,
        live: &Live,
        user: &UserId,
        entering: Entering,
    ) -> Result<Attempt, SessionError> {
        let store = &self.context.store;
        if !store.has_index() {
            return self.put(live).await;
        }
        let (key, ttl) = (self.context.user_key(user), self.ttl(&live.record)?);
        let is_told = entering.is_told && self.context.tells;
        let event = is_told.then(|| beginning(live.token.id(), Some(user)));
        let limit = self.context.session_limit.filter(|_| entering.is_limited);
        let mut applicant = Applicant {
            id: live.token.id(),
            deadline: live.record.limits().deadline(),
            now: self.now(),
            // First without force: sessions that are over already make room better than live ones.
            limit: limit.map(|limit| Limit {
                make_room: false,
                ..limit.0
            }),
            replaces: entering.replaces,
            dead: Vec::new(),
        };
        for look in 0..=LOOKS {
            let enter = store.enter(key, &applicant, &live.record, ttl, event.as_ref());
            match self.budget.write(enter).await {
                Ok(Entered::Created { sample, told }) => {
                    return Ok(Attempt::Stored(Beside { sample, told }));
                }
                Ok(Entered::Collision) => return Ok(Attempt::Taken),
                Ok(Entered::Over { over, sample }) => {
                    return Box::pin(self.make_room(live, user, &over, sample)).await;
                }
                Ok(Entered::Full(there)) => {
                    let dead = Box::pin(self.dead_among(&there)).await?;
                    let makes_room = limit.is_some_and(|limit| limit.0.make_room);
                    if look == LOOKS || (dead.is_empty() && !makes_room) {
                        log::too_many_sessions(there.len());
                        break;
                    }
                    applicant.limit = limit.map(|limit| limit.0);
                    applicant.dead = dead;
                }
                Err(error) => return Ok(Attempt::Failed(error)),
            }
        }
        Err(Cause::TooManySessions.into())
    }

    /// Ends the sessions that are too many since this one was entered, and stores it. They come first:
    /// whatever becomes of this one, those that were handed to this log-in are ended, for nobody else
    /// counts them any more.
    async fn make_room(
        &self,
        live: &Live,
        user: &UserId,
        over: &[SessionId],
        sample: Vec<SessionId>,
    ) -> Result<Attempt, SessionError> {
        for id in over {
            let ended = self.end_by_id(*id, Some(user), EndReason::OverLimit).await;
            if let Err(error) = ended {
                self.abandon(live.clone());
                return Err(error);
            }
        }
        Ok(match self.put(live).await? {
            Attempt::Stored(beside) => Attempt::Stored(Beside { sample, ..beside }),
            other => other,
        })
    }

    fn ttl(&self, record: &Record) -> Result<Duration, SessionError> {
        let ttl = record.limits().ttl(self.now());
        ttl.ok_or_else(|| Cause::Ended.into())
    }

    /// A session that nobody knows yet.
    fn draw(&self, entries: &Entries, limits: Option<Limits>) -> Result<Live, SessionError> {
        let now = self.now();
        let entropy = &*self.context.entropy;
        let (token, revision) = Token::issue_with_revision(now, entropy)?;
        let limits = limits.unwrap_or_else(|| Limits::begin(self.context.rule(entries), now));
        let record = Record::new(
            revision,
            now,
            limits,
            self.context.realm.digest(&token),
            entries.clone(),
        );
        Ok(Live { token, record })
    }

    /// Those of a user's entries behind which there is no session.
    async fn dead_among(&self, ids: &[SessionId]) -> Result<Vec<SessionId>, SessionError> {
        let mut dead = Vec::new();
        for id in ids {
            let loaded = self.budget.read(self.context.store.load(*id)).await;
            if self.is_dead(*id, &loaded) {
                dead.push(*id);
            } else if let Err(error) = loaded
                && error.kind() != StoreErrorKind::Unreadable
            {
                return Err(error.into());
            }
        }
        Ok(dead)
    }

    /// Whether no session is, or will be, behind an entry. One that is not there may be about to be
    /// stored, unless its id is old or a tombstone is in its place.
    pub(super) fn is_dead(&self, id: SessionId, loaded: &Result<Loaded, StoreError>) -> bool {
        match loaded {
            Ok(Loaded::Tombstone(_)) => true,
            Ok(Loaded::Nothing) => self.context.is_old(id),
            Ok(Loaded::Record(_)) | Err(_) => false,
        }
    }

    /// Moves a session's entry to a later deadline, before the session's own moves.
    pub(super) async fn enter_again(
        &self,
        live: &Live,
        limits: Limits,
    ) -> Result<(), SessionError> {
        let Some(user) = self.owner(live) else {
            return Ok(());
        };
        let applicant = Applicant {
            id: live.token.id(),
            deadline: limits.deadline(),
            now: self.now(),
            limit: None,
            replaces: None,
            dead: Vec::new(),
        };
        let admit = self.context.store.admit(user, &applicant);
        self.budget.write(admit).await?;
        Ok(())
    }

    /// Under what a session is entered, if it is anybody's.
    pub(super) fn owner(&self, live: &Live) -> Option<UserKey> {
        if !self.context.store.has_index() {
            return None;
        }
        let user = Authentication::of(live.record.entries())?;
        Some(self.context.user_key(user.user()))
    }
}

/// What is told of a session that begins.
fn beginning(id: SessionId, user: Option<&UserId>) -> SessionEvent {
    match user {
        Some(user) => SessionEvent::SignedIn {
            id,
            user: user.clone(),
            from: None,
        },
        None => SessionEvent::Created { id },
    }
}
