//! Beginning a session: an id of its own, entered for its user before it is stored.

use cloakroom_core::index::{Admission, Applicant, Limit};
use cloakroom_core::store::{Created, Loaded};
use cloakroom_core::{
    Authentication, EndReason, Entries, Limits, Record, Revision, SessionId, StoreError,
    StoreErrorKind, Token, UserId, UserKey,
};

use super::Committer;
use crate::error::{Cause, SessionError};
use crate::event;
use crate::state::Live;

/// How many fresh ids a creation tries.
const ATTEMPTS: usize = 3;

/// How often a full index is looked through before the user is told that it is full.
const LOOKS: usize = 3;

/// A session that was begun, and what the index had to say about it.
pub(super) struct Begun {
    pub(super) live: Live,
    /// Entries to be looked at, whether sessions are behind them.
    pub(super) sample: Vec<SessionId>,
}

impl Begun {
    fn unbounded(live: Live) -> Self {
        Self {
            live,
            sample: Vec::new(),
        }
    }
}

/// How a session is to be entered for its user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entering {
    /// Whether the limit holds. It does for signing in, and not for a renewal.
    pub(super) is_limited: bool,
    /// The session whose place it takes.
    pub(super) replaces: Option<SessionId>,
}

impl Committer<'_> {
    /// Stores a new session under a fresh id. After a creation of unknown outcome the id is fresh
    /// again: the same one could meet itself.
    pub(super) async fn begin(
        &self,
        entries: &Entries,
        limits: Option<Limits>,
        entering: Entering,
    ) -> Result<Begun, SessionError> {
        self.check_size(entries)?;
        self.check_epoch().await?;
        let user = Authentication::of(entries);
        let mut unknown = None;
        for _ in 0..ATTEMPTS {
            let live = self.draw(entries, limits)?;
            let begun = match &user {
                Some(user) => self.enter_with_room(live, user.user(), entering).await?,
                None => Begun::unbounded(live),
            };
            let Live { token, record } = &begun.live;
            let Some(ttl) = record.limits().ttl(self.now()) else {
                return Err(Cause::Ended.into());
            };
            let create = self.context.store.create(token.id(), record, ttl);
            match self.budget.write(create).await {
                Ok(Created::Created) => return Ok(begun),
                // Nothing but a tombstone can be there: somebody has ended all of the user's
                // sessions, this one included, or a later log-in had no room for it.
                Ok(Created::Collision) if user.is_some() => {
                    event::sign_in_undone(token.id());
                    self.forget_later(&begun.live);
                    return Err(Cause::Undone.into());
                }
                Ok(Created::Collision) => {}
                Err(error) => {
                    let kind = error.kind();
                    // It may be there: as one that its user sees, or that stands and is not wanted.
                    if user.is_some() || kind == StoreErrorKind::NotReplicated {
                        self.abandon(begun.live);
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

    /// Enters a session for its user, and ends those that are too many since. It comes before the
    /// creation: whatever becomes of that, the sessions that were handed to this log-in are ended, for
    /// nobody else counts them any more.
    async fn enter_with_room(
        &self,
        live: Live,
        user: &UserId,
        entering: Entering,
    ) -> Result<Begun, SessionError> {
        let (begun, over) = self.enter(live, user, entering).await?;
        for id in over {
            let ended = self.end_by_id(id, Some(user), EndReason::OverLimit).await;
            if let Err(error) = ended {
                self.abandon(begun.live);
                return Err(error);
            }
        }
        Ok(begun)
    }

    /// A session that nobody knows yet.
    fn draw(&self, entries: &Entries, limits: Option<Limits>) -> Result<Live, SessionError> {
        let now = self.now();
        let entropy = &*self.context.entropy;
        let token = Token::issue(now, entropy)?;
        let limits = limits.unwrap_or_else(|| Limits::begin(self.context.rule(entries), now));
        let record = Record::new(
            Revision::draw(entropy)?,
            now,
            limits,
            self.context.realm.digest(&token),
            entries.clone(),
        );
        Ok(Live { token, record })
    }

    /// Enters a session for its user, before it is stored; gives those to be ended for the limit.
    pub(super) async fn enter(
        &self,
        live: Live,
        user: &UserId,
        entering: Entering,
    ) -> Result<(Begun, Vec<SessionId>), SessionError> {
        if !self.context.store.has_index() {
            return Ok((Begun::unbounded(live), Vec::new()));
        }
        let key = self.context.user_key(user);
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
            let store = &self.context.store;
            let admission = self.budget.write(store.admit(key, &applicant)).await;
            match admission? {
                Admission::Admitted { over, sample } => return Ok((Begun { live, sample }, over)),
                Admission::Full(there) => {
                    let dead = self.dead_among(&there).await?;
                    let makes_room = limit.is_some_and(|limit| limit.0.make_room);
                    if look == LOOKS || (dead.is_empty() && !makes_room) {
                        event::too_many_sessions(there.len());
                        break;
                    }
                    applicant.limit = limit.map(|limit| limit.0);
                    applicant.dead = dead;
                }
            }
        }
        Err(Cause::TooManySessions.into())
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
