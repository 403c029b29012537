//! The store that one request's [`ts::Session`] works on: not a server, but the request's own
//! Cloakroom session.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cloakroom::{DetachedSession, LazySession, Session, SessionError, SessionId, UserId};
use serde_json::Value;
use time::OffsetDateTime;

use super::ts;
use crate::life;
use crate::merge::{Data, Difference};
use ts::session::{Id, Record};
use ts::session_store::{Error, Result};

/// The request's Cloakroom session, as a store of one record.
pub(super) struct RequestStore {
    lazy: LazySession,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Their session, until the request is over: it tells `cycle_id` from `flush`, and an expiry that
    /// was chosen. It holds this store, so it must go again.
    theirs: Option<ts::Session>,
    phase: Phase,
    /// What their session was given, or has handed over last.
    base: Option<Data>,
    /// Whose data that was.
    owner: Owner,
    /// The expiry that was passed on last.
    expiry: Option<ts::Expiry>,
    /// Why the last step failed: their error keeps a text alone.
    error: Option<SessionError>,
}

/// How far the request has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Handlers and middleware are at work.
    #[default]
    Handling,
    /// They are done: what they edited goes into the session, which the layer around saves.
    Closing,
    /// The answer is on its way, or the request was cancelled.
    Over,
}

/// Whose data their session works on. If it is somebody else's by now, edits that were made on the
/// former data go nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
enum Owner {
    /// A session that is not stored.
    #[default]
    Nobody,
    /// A session, and who was signed in to it.
    Live(Option<UserId>),
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
    pub(super) fn new(lazy: LazySession) -> Self {
        Self {
            lazy,
            state: Mutex::default(),
        }
    }

    pub(super) fn attach(&self, theirs: ts::Session) {
        self.state().theirs = Some(theirs);
    }

    /// From here on, a save stores nothing by itself: the layer around does, all at once.
    pub(super) fn close(&self) {
        self.state().phase = Phase::Closing;
    }

    /// The request is over. Nothing can be begun or renewed any more.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        state.phase = Phase::Over;
        let theirs = state.theirs.take();
        drop(state);
        drop(theirs);
    }

    /// Why the last step failed.
    pub(super) fn take_error(&self) -> Option<SessionError> {
        self.state().error.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: SessionError) -> Error {
        let text = error.to_string();
        self.state().error = Some(error);
        Error::Backend(text)
    }

    async fn session(&self) -> Result<Session> {
        let loaded = self.lazy.load().await;
        loaded.map_err(|error| self.failed(error))
    }

    /// Takes over what their session holds. Gives the session, if there is anything of it to save.
    async fn take_over(&self, data: &Data, is_new: bool) -> Result<Option<Session>> {
        let session = self.session().await?;
        let (difference, is_late, was_ended, theirs) = {
            let mut state = self.state();
            let nothing = Data::new();
            let base = state.base.as_ref().or(is_new.then_some(&nothing));
            let difference = Difference::between(base, data);
            let was_ended = match (&state.owner, Owner::of(&session)) {
                (Owner::Nobody, _) => false,
                (Owner::Live(_), Owner::Nobody) => true,
                (Owner::Live(before), Owner::Live(now)) => before.is_some() && *before != now,
            };
            state.base = Some(data.clone());
            let is_late = state.phase == Phase::Over;
            (difference, is_late, was_ended, state.theirs.clone())
        };
        if was_ended {
            return Ok(None);
        }
        if is_late {
            return self.take_over_late(&session, &difference).await;
        }
        let expiry = theirs.and_then(|theirs| theirs.expiry());
        if let Some(ts::Expiry::AtDateTime(at)) = expiry
            && at <= OffsetDateTime::now_utc()
        {
            self.end().await?;
            return Ok(None);
        }
        let taken = put_into(&mut &session, &difference)
            .and_then(|()| self.pass_on_expiry(&session, expiry));
        taken.map_err(|error| self.failed(error))?;
        self.state().owner = Owner::of(&session);
        Ok(Some(session))
    }

    /// Beyond the request: updates a session that is there, and never begins one.
    async fn take_over_late(
        &self,
        session: &Session,
        difference: &Difference,
    ) -> Result<Option<Session>> {
        let save = async {
            let mut detached = session.detach()?;
            put_into(&mut detached, difference)?;
            detached.save().await
        };
        match save.await {
            Ok(_) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn pass_on_expiry(
        &self,
        session: &Session,
        expiry: Option<ts::Expiry>,
    ) -> std::result::Result<(), SessionError> {
        if self.state().expiry == expiry {
            return Ok(());
        }
        match expiry {
            None | Some(ts::Expiry::OnSessionEnd) => session.reset_expiry()?,
            Some(ts::Expiry::OnInactivity(idle)) => session.set_expiry(life::idle(idle))?,
            Some(ts::Expiry::AtDateTime(at)) => {
                session.set_expiry(life::until(at, OffsetDateTime::now_utc()))?;
            }
        }
        self.state().expiry = expiry;
        Ok(())
    }

    /// Saves at once, if a handler asked for it; what is left when it is done, the layer saves.
    async fn store(&self, session: &Session) -> Result<()> {
        if self.state().phase != Phase::Handling {
            return Ok(());
        }
        match session.save().await {
            Ok(_) => {
                self.state().owner = Owner::of(session);
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn renew(&self) -> Result<()> {
        let session = self.session().await?;
        session.renew().map_err(|error| self.failed(error))
    }

    async fn end(&self) -> Result<()> {
        let session = self.session().await?;
        let ended = session.destroy().await;
        ended.map_err(|error| self.failed(error))?;
        let mut state = self.state();
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
        let mut state = self.state();
        state.owner = Owner::of(&session);
        let is_there = state.owner != Owner::Nobody || !data.is_empty();
        state.base = Some(data.clone());
        Ok(is_there.then(|| Record {
            // A name of its own: `delete` needs to tell them apart.
            id: Id::default(),
            data,
            expiry_date: life::date(session.expires_at()),
        }))
    }

    async fn create(&self, record: &mut Record) -> Result<()> {
        if let Some(session) = self.take_over(&record.data, true).await? {
            self.store(&session).await?;
            if let Some(id) = session.id() {
                record.id = public(id);
            }
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        match self.take_over(&record.data, false).await? {
            Some(session) => self.store(&session).await,
            None => Ok(()),
        }
    }

    /// `cycle_id` and `flush` both come here. The former has let go of the id by then. Beyond the
    /// request that can no longer be seen; but it deletes what a record calls itself, and the latter
    /// what the session is called.
    async fn delete(&self, id: &Id) -> Result<()> {
        let theirs = self.state().theirs.clone();
        let renews = match theirs {
            Some(theirs) => theirs.id().is_none(),
            None => self.session().await?.id().map(public) != Some(*id),
        };
        match renews {
            true => self.renew().await,
            false => self.end().await,
        }
    }
}

impl fmt::Debug for RequestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestStore").finish_non_exhaustive()
    }
}

/// The session's public id, in their shape. It opens nothing.
pub(super) fn public(id: SessionId) -> Id {
    Id(i128::from_le_bytes(*id.as_bytes()))
}

fn data_of(session: &Session) -> std::result::Result<Data, SessionError> {
    let mut data = Data::new();
    for key in session.keys() {
        if let Some(value) = session.get(&*key)? {
            data.insert(key, value);
        }
    }
    Ok(data)
}

fn put_into(
    session: &mut impl Edit,
    difference: &Difference,
) -> std::result::Result<(), SessionError> {
    if difference.clears {
        session.clear()?;
    }
    for key in &difference.removed {
        session.remove(key)?;
    }
    for (key, value) in &difference.set {
        session.insert(key, value)?;
    }
    Ok(())
}

/// A session that can be edited: a request's, or one beyond its request.
trait Edit {
    fn clear(&mut self) -> std::result::Result<(), SessionError>;
    fn remove(&mut self, key: &str) -> std::result::Result<(), SessionError>;
    fn insert(&mut self, key: &str, value: &Value) -> std::result::Result<(), SessionError>;
}

impl Edit for &Session {
    fn clear(&mut self) -> std::result::Result<(), SessionError> {
        Session::clear(self)
    }

    fn remove(&mut self, key: &str) -> std::result::Result<(), SessionError> {
        Session::remove(self, key)
    }

    fn insert(&mut self, key: &str, value: &Value) -> std::result::Result<(), SessionError> {
        Session::insert(self, key, value)
    }
}

impl Edit for DetachedSession {
    fn clear(&mut self) -> std::result::Result<(), SessionError> {
        Self::clear(self)
    }

    fn remove(&mut self, key: &str) -> std::result::Result<(), SessionError> {
        Self::remove(self, key)
    }

    fn insert(&mut self, key: &str, value: &Value) -> std::result::Result<(), SessionError> {
        Self::insert(self, key, value)
    }
}

/// So that the store lives as long as their session.
pub(super) type Shared = Arc<RequestStore>;
