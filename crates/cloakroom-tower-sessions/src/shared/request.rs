//! The store of one request's [`ts::Session`], which reads and writes the request's Cloakroom session.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cloakroom::{LazySession, Saved, Session, SessionError, SessionId, UserId};
use time::OffsetDateTime;

use super::ts;
use crate::diff::{Data, Difference};
use crate::edit::{data_of, put_into};
use crate::expiry;
use crate::user::{UserChange, UserFinder};
use ts::session::{Id, Record};
use ts::session_store::{Error, Result};

/// A store with one record: the request's Cloakroom session.
pub(super) struct RequestStore {
    lazy: LazySession,
    user: UserFinder,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The tower-sessions session, until the end of the request. It distinguishes `cycle_id` from `flush`, and
    /// has the expiry. It refers to this store, so it is removed at the end to break the cycle.
    ts_session: Option<ts::Session>,
    phase: RequestPhase,
    /// The data that the tower-sessions session loaded or wrote last.
    base: Option<Data>,
    /// Whose data `base` is.
    owner: Owner,
    /// `cycle_id` was called.
    is_renewed: bool,
    /// The expiry that was set on the Cloakroom session last.
    expiry: Option<ts::Expiry>,
    /// The error of the last failed operation. The error of tower-sessions keeps only its text.
    error: Option<SessionError>,
}

/// The phase of the request.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum RequestPhase {
    /// Handlers and middleware are running.
    #[default]
    Handling,
    /// They have finished: their edits are written to the session, which the session layer saves.
    Closing,
    /// The response was sent, or the request was cancelled.
    Finished,
}

/// Whose data the tower-sessions session has. If the Cloakroom session has another owner by now, edits of the
/// earlier data are discarded.
#[derive(Clone, Default, PartialEq, Eq)]
enum Owner {
    /// A session that is not stored.
    #[default]
    Nobody,
    /// A stored session, and the user who was signed in.
    Live(Option<UserId>),
}

/// What a write does.
struct Edits {
    difference: Difference,
    user: UserChange,
    /// The session whose data this was is gone.
    was_ended: bool,
    is_after_response: bool,
}

impl Owner {
    fn of(session: &Session) -> Self {
        match session.id() {
            Some(_) => Self::Live(session.user()),
            None => Self::Nobody,
        }
    }
}

impl RequestStore {
    pub(super) fn new(lazy: LazySession, user: UserFinder) -> Self {
        Self {
            lazy,
            user,
            state: Mutex::default(),
        }
    }

    pub(super) fn attach(&self, ts_session: ts::Session) {
        self.lock().ts_session = Some(ts_session);
    }

    /// From now on, `save` stores nothing: the session layer does, once.
    pub(super) fn close(&self) {
        self.lock().phase = RequestPhase::Closing;
    }

    /// Ends the request: no session can be created or renewed any more.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.phase = RequestPhase::Finished;
        let ts_session = state.ts_session.take();
        drop(state);
        drop(ts_session);
    }

    /// Takes the error of the last failed operation.
    pub(super) fn take_error(&self) -> Option<SessionError> {
        self.lock().error.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: SessionError) -> Error {
        let text = error.to_string();
        self.lock().error = Some(error);
        Error::Backend(text)
    }

    async fn session(&self) -> Result<Session> {
        let loaded = self.lazy.load().await;
        loaded.map_err(|error| self.failed(error))
    }

    /// Writes the data of the tower-sessions session to the Cloakroom session. Returns that, if it must be
    /// saved.
    async fn write(&self, data: &Data, is_new: bool) -> Result<Option<Session>> {
        let session = self.session().await?;
        let edits = self.edits(&session, data, is_new);
        if edits.was_ended {
            return Ok(None);
        }
        if edits.is_after_response {
            return self.write_after_response(&session, &edits).await;
        }
        let ts_session = self.lock().ts_session.clone();
        let expiry = ts_session.and_then(|ts_session| ts_session.expiry());
        if let Some(ts::Expiry::AtDateTime(at)) = expiry
            && at <= OffsetDateTime::now_utc()
        {
            self.end().await?;
            return Ok(None);
        }
        if edits.user == UserChange::Removed && session.user().is_some() {
            let signed_out = session.sign_out().await;
            signed_out.map_err(|error| self.failed(error))?;
            self.lock().expiry = None;
        }
        let written = put_into(&mut &session, &edits.difference)
            .and_then(|()| self.sign_in(&session, edits.user))
            .and_then(|()| self.set_expiry(&session, expiry));
        written.map_err(|error| self.failed(error))?;
        self.lock().owner = Owner::of(&session);
        Ok(Some(session))
    }

    /// Computes what has to be written, and records that it was. The app's code that finds the user runs while
    /// the state is not locked: tower-sessions writes one record at a time.
    fn edits(&self, session: &Session, data: &Data, is_new: bool) -> Edits {
        let nothing = Data::new();
        let base = self.lock().base.clone();
        let base = base.as_ref().or(is_new.then_some(&nothing));
        let user = match base {
            Some(base) => self.user.change(base, data),
            // The data was cleared without being loaded.
            None => match (self.user.change(&nothing, data), session.user()) {
                (UserChange::Nothing, Some(_)) => UserChange::Removed,
                (change, _) => change,
            },
        };
        let difference = match user {
            // What is left of the data goes into a session of nobody.
            UserChange::Removed if session.user().is_some() => {
                Difference::between(Some(&nothing), data)
            }
            _ => Difference::between(base, data),
        };
        let owner = Owner::of(session);
        let mut state = self.lock();
        let was_ended = match (&state.owner, owner) {
            (Owner::Nobody, _) => false,
            // A sign-in does not need the session that has ended.
            (Owner::Live(_), Owner::Nobody) => !matches!(user, UserChange::SignedIn(_)),
            (Owner::Live(before), Owner::Live(now)) => before.is_some() && *before != now,
        };
        state.base = Some(data.clone());
        Edits {
            difference,
            user,
            was_ended,
            is_after_response: state.phase == RequestPhase::Finished,
        }
    }

    /// Signs in a user who was put into the data, unless native code has done so.
    fn sign_in(
        &self,
        session: &Session,
        change: UserChange,
    ) -> std::result::Result<(), SessionError> {
        match change {
            UserChange::SignedIn(user) if session.user().as_ref() != Some(&user) => {
                session.sign_in(user).on_save()?;
                // The sign-in has the timeouts of the layer, unless others were set in this request.
                self.lock().expiry = None;
                Ok(())
            }
            UserChange::Nothing | UserChange::Removed | UserChange::SignedIn(_) => Ok(()),
        }
    }

    /// After the response: updates an existing session, and never creates one. Nobody can be signed in any more.
    async fn write_after_response(
        &self,
        session: &Session,
        edits: &Edits,
    ) -> Result<Option<Session>> {
        let save = async {
            self.sign_in(session, edits.user.clone())?;
            if edits.user == UserChange::Removed && session.user().is_some() {
                session.sign_out().await?;
                return Ok(Saved::Ended);
            }
            let mut detached = session.detach()?;
            put_into(&mut detached, &edits.difference)?;
            detached.save().await
        };
        match save.await {
            Ok(_) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn set_expiry(
        &self,
        session: &Session,
        expiry: Option<ts::Expiry>,
    ) -> std::result::Result<(), SessionError> {
        if self.lock().expiry == expiry {
            return Ok(());
        }
        match expiry {
            None | Some(ts::Expiry::OnSessionEnd) => session.reset_expiry()?,
            Some(ts::Expiry::OnInactivity(idle)) => session.set_expiry(expiry::idle(idle))?,
            Some(ts::Expiry::AtDateTime(at)) => {
                session.set_expiry(expiry::until(at, OffsetDateTime::now_utc()))?;
            }
        }
        self.lock().expiry = expiry;
        Ok(())
    }

    /// Saves immediately, if a handler called `save`. At the end of the request, the session layer saves.
    async fn save_now(&self, session: &Session) -> Result<()> {
        self.report_discarded(session);
        if self.lock().phase != RequestPhase::Handling {
            return Ok(());
        }
        match session.save().await {
            Ok(_) => {
                self.lock().owner = Owner::of(session);
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn renew(&self) -> Result<()> {
        let session = self.session().await?;
        self.lock().is_renewed = true;
        session.renew().map_err(|error| self.failed(error))
    }

    /// Logs that a renewal was discarded, if it was: the app may have signed a user in by it.
    fn report_discarded(&self, session: &Session) {
        if self.lock().is_renewed && session.needs_sign_in() {
            self.user.warn_of_discarded_renewal();
        }
    }

    async fn end(&self) -> Result<()> {
        let session = self.session().await?;
        let ended = session.destroy().await;
        ended.map_err(|error| self.failed(error))?;
        let mut state = self.lock();
        state.base = Some(Data::new());
        state.owner = Owner::Nobody;
        Ok(())
    }
}

#[async_trait]
impl ts::SessionStore for RequestStore {
    async fn load(&self, _: &Id) -> Result<Option<Record>> {
        let session = self.session().await?;
        let data = data_of(&session).map_err(|error| self.failed(error))?;
        let mut state = self.lock();
        state.owner = Owner::of(&session);
        // What has ended, or is one of several, is an empty session and not a missing one: `flush` has to end what
        // the browser has, and calls `delete` only if there is a session.
        let is_there = state.owner != Owner::Nobody || !data.is_empty() || session.needs_sign_in();
        state.base = Some(data.clone());
        Ok(is_there.then(|| Record {
            // Not the session's public id, so that `delete` can distinguish them.
            id: Id::default(),
            data,
            expiry_date: expiry::date(session.expires_at()),
        }))
    }

    async fn create(&self, record: &mut Record) -> Result<()> {
        if let Some(session) = self.write(&record.data, true).await? {
            self.save_now(&session).await?;
            if let Some(id) = session.id() {
                record.id = public_id(id);
            }
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        match self.write(&record.data, false).await? {
            Some(session) => self.save_now(&session).await,
            None => Ok(()),
        }
    }

    /// Both `cycle_id` and `flush` call this. `cycle_id` has removed the id of the tower-sessions session by
    /// then. After the response, that session is gone; but `cycle_id` passes the id of the record, and `flush`
    /// the public id of the session.
    async fn delete(&self, id: &Id) -> Result<()> {
        let ts_session = self.lock().ts_session.clone();
        let renews = match ts_session {
            Some(ts_session) => ts_session.id().is_none(),
            None => self.session().await?.id().map(public_id) != Some(*id),
        };
        if renews {
            self.renew().await
        } else {
            self.end().await
        }
    }
}

impl fmt::Debug for RequestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestStore").finish_non_exhaustive()
    }
}

/// Converts the session's public id, which is not a credential.
pub(super) fn public_id(id: SessionId) -> Id {
    Id(i128::from_le_bytes(*id.as_bytes()))
}
