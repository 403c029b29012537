//! A store whose commands run one at a time, in an order that a test chooses: random interleavings of
//! concurrent requests that can be repeated from a seed.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cloakroom::Store;
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{Record, Revision, SessionId, StoreError, Timestamp, Tombstone};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::forward::forward_optional_parts;
use crate::rng::Rng;

/// How long the commands of a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// After so many turns of the runtime without a new command, every task waits for one.
const QUIET: u32 = 40;

/// A store whose commands wait until [`Schedule::run`] lets them pass. Index and bus are not scheduled.
#[derive(Clone, Debug)]
pub struct ScheduledStore<S> {
    inner: S,
    schedule: Schedule,
}

/// The commands that wait, of all clones of a store.
#[derive(Clone, Debug, Default)]
pub struct Schedule(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whether commands wait at all.
    holding: bool,
    waiting: Vec<(&'static str, oneshot::Sender<()>)>,
    /// The verbs, in the order in which they ran.
    trace: Vec<&'static str>,
}

impl Schedule {
    /// Runs the commands of these tasks in a random order, until all tasks have finished. Needs a runtime
    /// of one thread.
    ///
    /// # Panics
    ///
    /// When a task does, or one is not finished after two minutes.
    pub async fn run<T: Send + 'static>(
        &self,
        rng: &mut Rng,
        tasks: Vec<impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        self.state().holding = true;
        let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        let began = Instant::now();
        while tasks.iter().any(|task| !task.is_finished()) {
            let trace = || self.state().trace.join(" ");
            assert!(began.elapsed() < PATIENCE, "a task never ends: {}", trace());
            self.settle().await;
            self.pass_one(rng);
        }
        self.state().holding = false;
        self.state().waiting.clear();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.expect("no request panics"));
        }
        // What is done in the background runs to its end.
        for _ in 0..QUIET {
            yield_now().await;
        }
        results
    }

    /// The verbs that ran since the last call, in their order.
    #[must_use]
    pub fn take_trace(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().trace)
    }

    /// Waits until no task makes progress by itself.
    async fn settle(&self) {
        let (mut quiet, mut waiting) = (0, 0);
        while quiet < QUIET {
            yield_now().await;
            let now = self.state().waiting.len();
            quiet = if now == waiting { quiet + 1 } else { 0 };
            waiting = now;
        }
    }

    fn pass_one(&self, rng: &mut Rng) {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return;
        }
        let count = state.waiting.len() as u64;
        let index = usize::try_from(rng.next_u64() % count).expect("it is small");
        let (verb, pass) = state.waiting.remove(index);
        state.trace.push(verb);
        // A command whose request was dropped needs no turn.
        let _sent = pass.send(());
    }

    async fn turn(&self, verb: &'static str) {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            if !state.holding {
                return;
            }
            state.waiting.push((verb, sender));
        }
        drop(receiver.await);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> ScheduledStore<S> {
    /// Wraps a store.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            schedule: Schedule::default(),
        }
    }

    /// What runs its commands.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.schedule.clone()
    }
}

impl<S: Store> Store for ScheduledStore<S> {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        self.schedule.turn("create").await;
        self.inner.create(id, record, ttl).await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.schedule.turn("load").await;
        self.inner.load(id).await
    }

    async fn load_many(&self, ids: &[SessionId]) -> Vec<Result<Loaded, StoreError>> {
        self.schedule.turn("load_many").await;
        self.inner.load_many(ids).await
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        self.schedule.turn("update").await;
        self.inner.update(id, expected, record, ttl).await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        self.schedule.turn("touch").await;
        self.inner.touch(id, expected, seen, ttl).await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        self.schedule.turn("end").await;
        self.inner.end(id, expected, tombstone, keep).await
    }

    forward_optional_parts!();
}
