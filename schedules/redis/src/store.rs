//! In place of the store on Redis: a server in memory. Each command takes three steps: it is on its way, it is
//! executed, and its reply is on its way. The server reports each change, in their order.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::admin::StoreAdmin;
use cloakroom_core::bus::EventBus;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddRequest, UserIndex};
use cloakroom_core::store::{
    Created, Ended, Loaded, Touched, Unsupported, Updated, UserCreated, add_and_create,
};
use cloakroom_core::{
    MemoryStore, Record, Revision, SessionId, Store, StoreError, Timestamp, Tombstone, UserKey,
};
use futures_util::FutureExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::key::KeyPrefix;

/// The server, and a client of it.
#[derive(Clone, Debug)]
pub(crate) struct RedisStore(Arc<Server>);

#[derive(Debug)]
struct Server {
    memory: MemoryStore,
    prefix: KeyPrefix,
    state: Mutex<State>,
    pushes: UnboundedSender<Push>,
    /// Whether several changes may be reported in one message.
    merges: bool,
}

#[derive(Debug, Default)]
struct State {
    /// All states of the session, and since when.
    history: Vec<(Loaded, Instant)>,
    /// A change that is reported with the next one, or with the next reply.
    unreported: Option<String>,
    /// Whether the connection for messages exists.
    is_tracking: bool,
}

/// What the server sends on the connection for messages.
#[derive(Debug)]
pub(crate) enum Push {
    Changed(String),
    /// The reply to a check that began then; and whether the server has reported nothing before.
    Checked {
        began: Instant,
        is_new: bool,
    },
    /// Nothing follows.
    End,
}

impl RedisStore {
    pub(crate) fn new(merges: bool) -> (Self, UnboundedReceiver<Push>) {
        let (pushes, received) = unbounded_channel();
        let server = Server {
            memory: MemoryStore::new(),
            prefix: KeyPrefix::new("app").expect("it is valid"),
            state: Mutex::new(State {
                is_tracking: true,
                ..State::default()
            }),
            pushes,
            merges,
        };
        (Self(Arc::new(server)), received)
    }

    pub(crate) fn prefix(&self) -> &KeyPrefix {
        &self.0.prefix
    }

    /// Sends a check on the connection for messages.
    pub(crate) async fn check(&self, began: Instant) {
        yield_now().await;
        let mut state = self.state();
        let is_new = !std::mem::replace(&mut state.is_tracking, true);
        self.report(&mut state);
        self.push(Push::Checked { began, is_new });
    }

    /// Breaks the connection for messages: nothing is reported until the next check.
    pub(crate) fn disconnect(&self) {
        let mut state = self.state();
        state.is_tracking = false;
        state.unreported = None;
    }

    pub(crate) fn end_of_messages(&self) {
        self.report(&mut self.state());
        self.push(Push::End);
    }

    /// Returns which state of the session this is, and until when it was the current one. A touch replaces a state
    /// only with one that is touched later.
    pub(crate) fn place_of(&self, loaded: &Loaded) -> (usize, Option<Instant>) {
        let state = self.state();
        let is_it = |one: &Loaded| match (one, loaded) {
            (Loaded::Record(one), Loaded::Record(found)) => {
                one.revision() == found.revision() && one.last_seen() >= found.last_seen()
            }
            _ => one == loaded,
        };
        let place = state.history.iter().position(|(one, _)| is_it(one));
        let place = place.unwrap_or_else(|| panic!("it was never stored: {loaded:?}"));
        (place, state.history.get(place + 1).map(|(_, since)| *since))
    }

    /// Returns the first state that fits.
    pub(crate) fn first_with(&self, fits: impl Fn(&Loaded) -> bool) -> Loaded {
        let state = self.state();
        let mut states = state.history.iter().map(|(loaded, _)| loaded);
        states
            .find(|loaded| fits(loaded))
            .expect("there is one")
            .clone()
    }

    pub(crate) fn latest(&self) -> Loaded {
        let state = self.state();
        state.history.last().expect("it was created").0.clone()
    }

    /// Executes a command. Its future is ready at once, since the store is in memory.
    async fn execute<T>(
        &self,
        id: SessionId,
        command: impl Future<Output = Result<T, StoreError>>,
        is_write: impl FnOnce(&T) -> bool,
    ) -> Result<T, StoreError> {
        yield_now().await;
        let result = command.now_or_never().expect("it is in memory")?;
        if is_write(&result) {
            self.written(id);
        }
        yield_now().await;
        Ok(result)
    }

    /// Reports a write, also one that has changed nothing but the time to live.
    fn written(&self, id: SessionId) {
        let loaded = self.0.memory.load(id).now_or_never();
        let loaded = loaded.expect("it is in memory").expect("it does not fail");
        let mut state = self.state();
        if state.history.last().is_none_or(|(last, _)| *last != loaded) {
            state.history.push((loaded, Instant::now()));
        }
        if !state.is_tracking {
            return;
        }
        let key = self.0.prefix.key(id);
        if self.0.merges && state.unreported.is_none() && tokio::choose(2) == 0 {
            state.unreported = Some(key);
        } else {
            state.unreported = None;
            self.push(Push::Changed(key));
        }
    }

    fn report(&self, state: &mut State) {
        if let Some(key) = state.unreported.take() {
            self.push(Push::Changed(key));
        }
    }

    fn push(&self, push: Push) {
        // The connection may be gone.
        drop(self.0.pushes.send(push));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for RedisStore {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let command = self.0.memory.create(id, record, ttl);
        let is_write = |result: &_| *result == Created::Created;
        self.execute(id, command, is_write).await
    }

    async fn create_for_user(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
        record: &Record,
        ttl: Duration,
        _: Option<&SessionEvent>,
    ) -> Result<UserCreated, StoreError> {
        add_and_create(self, user, add_request, record, ttl).await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.execute(id, self.0.memory.load(id), |_| false).await
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let command = self.0.memory.update(id, expected, record, ttl);
        let is_write = |result: &_| *result == Updated::Updated;
        self.execute(id, command, is_write).await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        let command = self.0.memory.touch(id, expected, seen, ttl);
        let is_write = |result: &_| *result == Touched::Touched;
        self.execute(id, command, is_write).await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let command = self.0.memory.end(id, expected, tombstone, keep);
        let is_write = |result: &_| *result == Ended::Ended;
        self.execute(id, command, is_write).await
    }

    fn index(&self) -> Option<impl UserIndex> {
        None::<Unsupported>
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        None::<Unsupported>
    }

    fn bus(&self) -> Option<impl EventBus> {
        None::<Unsupported>
    }
}
