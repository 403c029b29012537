//! Faults around a real store: counted verbs, lost answers, gates that hold a command up.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom::{MemoryStore, Store};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{
    Entropy, EntropyError, EventBus, Record, Revision, SessionId, StoreError, StoreErrorKind,
    Timestamp, Tombstone, UserIndex,
};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a test waits for what must happen, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A verb of the store's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `create`
    Create,
    /// `load`
    Load,
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
    /// It is not carried out, and the store says so.
    Refuse(StoreErrorKind),
    /// It is not carried out, and nobody knows.
    LoseCommand,
    /// It is carried out, and nobody knows.
    LoseAnswer,
    /// It is never answered.
    Hang,
    /// It is carried out once the gate opens.
    Before(Gate),
    /// It is carried out, and answered once the gate opens.
    After(Gate),
}

/// The same bytes each time, as no generator should give.
#[derive(Clone, Copy, Debug)]
pub struct Stuck;

impl Entropy for Stuck {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(7);
        Ok(())
    }
}

/// Holds one command up, so that a test decides what happens meanwhile.
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

    /// Waits until somebody stands before the gate.
    ///
    /// # Panics
    ///
    /// When nobody comes.
    pub async fn reached(&self) {
        let reached = timeout(PATIENCE, self.0.reached.notified()).await;
        assert!(reached.is_ok(), "nobody came to the gate");
    }

    /// Lets one through.
    pub fn open(&self) {
        self.0.open.notify_one();
    }

    /// Goes through, once it is open.
    pub async fn pass(&self) {
        self.0.reached.notify_one();
        self.0.open.notified().await;
    }
}

/// A store that writes down which verbs it was asked for, and lets them fail as told.
#[derive(Clone, Debug)]
pub struct CountingStore<S = MemoryStore> {
    inner: S,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    verbs: Vec<Verb>,
    next: HashMap<Verb, VecDeque<Fault>>,
    always: Option<Fault>,
}

impl<S> CountingStore<S> {
    /// Counts what `inner` is asked for.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            book: Arc::default(),
        }
    }

    /// The store inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The verbs that were asked for since the last call.
    #[must_use]
    pub fn take_verbs(&self) -> Vec<Verb> {
        std::mem::take(&mut self.book().verbs)
    }

    /// What happens to the next command of this verb that nothing is planned for yet.
    pub fn next(&self, verb: Verb, fault: Fault) {
        self.book().next.entry(verb).or_default().push_back(fault);
    }

    /// Holds the next command of this verb up before it is carried out.
    #[must_use]
    pub fn hold(&self, verb: Verb) -> Gate {
        let gate = Gate::new();
        self.next(verb, Fault::Before(gate.clone()));
        gate
    }

    /// What happens to every command that nothing else is planned for.
    pub fn always(&self, fault: Option<Fault>) {
        self.book().always = fault;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault_of(&self, verb: Verb) -> Option<Fault> {
        let mut book = self.book();
        book.verbs.push(verb);
        let planned = book.next.get_mut(&verb).and_then(VecDeque::pop_front);
        planned.or_else(|| book.always.clone())
    }

    async fn carry_out<T>(
        &self,
        verb: Verb,
        command: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // As a store's driver would tell of its own work.
        tracing::trace!("{verb:?}");
        let lost = Err(StoreError::new(StoreErrorKind::OutcomeUnknown));
        match self.fault_of(verb) {
            None => command.await,
            Some(Fault::Refuse(kind)) => Err(StoreError::new(kind)),
            Some(Fault::LoseCommand) => lost,
            Some(Fault::LoseAnswer) => command.await.and(lost),
            Some(Fault::Hang) => pending().await,
            Some(Fault::Before(gate)) => {
                gate.pass().await;
                command.await
            }
            Some(Fault::After(gate)) => {
                let answer = command.await;
                gate.pass().await;
                answer
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
        self.carry_out(Verb::Create, command).await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.carry_out(Verb::Load, self.inner.load(id)).await
    }

    fn remembered(&self, id: SessionId) -> Option<Loaded> {
        self.inner.remembered(id)
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let command = self.inner.update(id, expected, record, ttl);
        self.carry_out(Verb::Update, command).await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        let command = self.inner.touch(id, expected, seen, ttl);
        self.carry_out(Verb::Touch, command).await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let command = self.inner.end(id, expected, tombstone, keep);
        self.carry_out(Verb::End, command).await
    }

    fn index(&self) -> Option<impl UserIndex> {
        self.inner.index()
    }

    fn bus(&self) -> Option<impl EventBus> {
        self.inner.bus()
    }
}
