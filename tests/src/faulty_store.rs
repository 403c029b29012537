//! A wrapper around a real store that records its verbs and injects faults: lost commands, lost replies,
//! and gates that hold a command.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom::{MemoryStore, Store};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{
    Record, Revision, Rng, RngError, SessionId, StoreError, StoreErrorKind, Timestamp, Tombstone,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::forward::forward_optional_parts;

/// How long a test waits for what must happen, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A verb of the store's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `create`
    Create,
    /// `load`
    Load,
    /// `load_many`
    LoadMany,
    /// `update`
    Update,
    /// `touch`
    Touch,
    /// `end`
    End,
}

/// What happens to a command.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is not executed, and the store reports that.
    Refuse(StoreErrorKind),
    /// It is not executed, and the outcome is unknown.
    LoseCommand,
    /// It is executed, and the outcome is unknown.
    LoseReply,
    /// It never completes.
    Hang,
    /// It is not executed, and the store reports that when the gate opens.
    RefuseAt(Gate, StoreErrorKind),
    /// It is executed when the gate opens.
    Before(Gate),
    /// It is executed, and completes when the gate opens.
    After(Gate),
}

/// Fills every buffer with the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct ConstantEntropy;

impl Rng for ConstantEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        bytes.fill(7);
        Ok(())
    }
}

/// Holds one command, so that a test decides what happens meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<GateInner>);

#[derive(Debug, Default)]
struct GateInner {
    reached: Notify,
    open: Notify,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until a command reaches the gate.
    ///
    /// # Panics
    ///
    /// When none does.
    pub async fn reached(&self) {
        let reached = timeout(PATIENCE, self.0.reached.notified()).await;
        assert!(reached.is_ok(), "nothing reached the gate");
    }

    /// Lets one command pass.
    pub fn open(&self) {
        self.0.open.notify_one();
    }

    /// Passes the gate, once it is open.
    ///
    /// # Panics
    ///
    /// When nobody opens it.
    pub async fn pass(&self) {
        self.0.reached.notify_one();
        let opened = timeout(4 * PATIENCE, self.0.open.notified()).await;
        assert!(opened.is_ok(), "nobody opens the gate");
    }
}

/// A store that records the verbs called on it, and injects faults.
#[derive(Clone, Debug)]
pub struct CountingStore<S = MemoryStore> {
    inner: S,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    verbs: Vec<Verb>,
    next: HashMap<Verb, VecDeque<Fault>>,
    always: Option<Fault>,
}

impl<S> CountingStore<S> {
    /// Wraps a store.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            state: Arc::default(),
        }
    }

    /// The wrapped store.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The verbs since the last call of this function.
    #[must_use]
    pub fn take_verbs(&self) -> Vec<Verb> {
        std::mem::take(&mut self.state().verbs)
    }

    /// Injects a fault into the next command of this verb that has none yet.
    pub fn next(&self, verb: Verb, fault: Fault) {
        self.state().next.entry(verb).or_default().push_back(fault);
    }

    /// Holds the next command of this verb before it is executed.
    #[must_use]
    pub fn hold(&self, verb: Verb) -> Gate {
        let gate = Gate::new();
        self.next(verb, Fault::Before(gate.clone()));
        gate
    }

    /// Injects a fault into every command that has no other.
    pub fn always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// Removes the faults that no command has met.
    pub fn clear_faults(&self) {
        self.state().next.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault_of(&self, verb: Verb) -> Option<Fault> {
        let mut state = self.state();
        state.verbs.push(verb);
        let planned = state.next.get_mut(&verb).and_then(VecDeque::pop_front);
        planned.or_else(|| state.always.clone())
    }

    async fn run<T>(
        &self,
        verb: Verb,
        command: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // As a database driver would log its work.
        tracing::trace!("{verb:?}");
        let lost = Err(StoreError::new(StoreErrorKind::OutcomeUnknown));
        match self.fault_of(verb) {
            None => command.await,
            Some(Fault::Refuse(kind)) => Err(StoreError::new(kind)),
            Some(Fault::LoseCommand) => lost,
            Some(Fault::LoseReply) => command.await.and(lost),
            Some(Fault::Hang) => pending().await,
            Some(Fault::RefuseAt(gate, kind)) => {
                gate.pass().await;
                Err(StoreError::new(kind))
            }
            Some(Fault::Before(gate)) => {
                gate.pass().await;
                command.await
            }
            Some(Fault::After(gate)) => {
                let result = command.await;
                gate.pass().await;
                result
            }
        }
    }
}

impl<S: Store> Store for CountingStore<S> {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let command = self.inner.create(id, record, ttl);
        self.run(Verb::Create, command).await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.run(Verb::Load, self.inner.load(id)).await
    }

    async fn load_many(&self, ids: &[SessionId]) -> Vec<Result<Loaded, StoreError>> {
        // One verb, however many sessions: as one command that succeeds or fails.
        let command = async { Ok(self.inner.load_many(ids).await) };
        match self.run(Verb::LoadMany, command).await {
            Ok(loaded) => loaded,
            Err(error) => vec![Err(error); ids.len()],
        }
    }

    fn peek_cached(&self, id: SessionId) -> Option<Loaded> {
        self.inner.peek_cached(id)
    }

    fn has_cache(&self) -> bool {
        self.inner.has_cache()
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let command = self.inner.update(id, expected, record, ttl);
        self.run(Verb::Update, command).await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        let command = self.inner.touch(id, expected, seen, ttl);
        self.run(Verb::Touch, command).await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let command = self.inner.end(id, expected, tombstone, keep);
        self.run(Verb::End, command).await
    }

    forward_optional_parts!();
}
