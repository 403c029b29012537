//! The server that the store of each app server talks to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom::{Clock, ManualClock, MemoryStore, StoreError, StoreErrorKind};
use cloakroom_core::bus::LocalBus;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::broken::Broken;
use super::command::{Command, Reply};
use super::troubles::{COMMAND_TIMEOUT, Loss, Troubles};
use crate::clock::SimClock;
use crate::trace::Trace;

#[derive(Debug)]
pub(super) struct Server {
    state: Mutex<State>,
    clock: SimClock,
    troubles: Troubles,
    broken: Option<Broken>,
    trace: Arc<Trace>,
    pub(super) bus: LocalBus,
}

#[derive(Debug)]
struct State {
    memory: MemoryStore,
    clock: ManualClock,
    /// Every write with its time, if there will be a failover. It grows until then.
    writes: Vec<(u64, Command)>,
    has_failed_over: bool,
}

impl State {
    fn new(now: cloakroom::Timestamp) -> Self {
        let clock = ManualClock::at(now);
        Self {
            memory: MemoryStore::with_clock(clock.clone()),
            clock,
            writes: Vec::new(),
            has_failed_over: false,
        }
    }
}

impl Server {
    pub(super) fn new(
        clock: SimClock,
        troubles: Troubles,
        broken: Option<Broken>,
        trace: Arc<Trace>,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(clock.now())),
            clock,
            troubles,
            broken,
            trace,
            bus: LocalBus::new(),
        }
    }

    /// Sends a command, and waits for its reply. Once sent, it is carried out, also if this is dropped.
    pub(super) async fn send(self: &Arc<Self>, command: Command) -> Result<Reply, StoreError> {
        let now = self.clock.elapsed();
        let verb = command.verb();
        if let Some(id) = command.id() {
            // So that sessions have the same numbers whether or not the trace is recorded.
            let _: u32 = self.trace.session(id);
        }
        let fate = self.troubles.fate(verb, now);
        let is_immediate = fate.before == 0
            && fate.after == 0
            && fate.loss == Loss::Nothing
            && self.troubles.frozen_for(now) == 0
            && self.troubles.failover.is_none();
        if is_immediate {
            return self.run(&command);
        }
        let is_read = command.is_read();
        let id = command.id();
        let execution = match fate.loss {
            Loss::Refused => {
                pause(fate.before).await;
                self.note(|| format!("{verb}{}: refused", self.name(id)));
                return Err(StoreError::new(StoreErrorKind::Unavailable));
            }
            Loss::Command => {
                pause(COMMAND_TIMEOUT).await;
                Err(())
            }
            Loss::Nothing | Loss::Reply => {
                let execution = self.clone().execute(command, fate.before, fate.after);
                let is_lost = fate.loss == Loss::Reply;
                wait(execution, is_read, is_lost).await
            }
        };
        execution.unwrap_or_else(|()| {
            self.note(|| format!("{verb}{}: no reply", self.name(id)));
            Err(lost(is_read))
        })
    }

    /// Carries a command out after a delay, and when the server is not frozen.
    async fn execute(
        self: Arc<Self>,
        command: Command,
        before: u64,
        after: u64,
    ) -> Result<Reply, StoreError> {
        pause(before).await;
        pause(self.troubles.frozen_for(self.clock.elapsed())).await;
        let reply = self.run(&command);
        if let Some(failover) = self.troubles.failover
            && command.waits_for_replica()
            && self.clock.elapsed() < failover
        {
            pause(self.troubles.lag).await;
            if self.clock.elapsed() >= failover {
                // The connection has broken before the replica has confirmed it.
                return Err(StoreError::new(StoreErrorKind::OutcomeUnknown));
            }
        }
        pause(after).await;
        reply
    }

    fn run(&self, command: &Command) -> Result<Reply, StoreError> {
        let millis = self.clock.elapsed();
        let reply = {
            let mut state = self.lock();
            self.fail_over(&mut state, millis);
            state.clock.set(self.clock.now());
            if self.troubles.failover.is_some() && !state.has_failed_over && !command.is_read() {
                state.writes.push((millis, command.clone()));
            }
            command.run(&state.memory, self.broken)
        };
        self.note(|| {
            let reply = reply.as_ref().map_or("error", Reply::label);
            format!("{}{}: {reply}", command.verb(), self.name(command.id()))
        });
        reply
    }

    /// The replica takes over, when it is time: the writes that have not reached it are lost.
    fn fail_over(&self, state: &mut State, now: u64) {
        let Some(failover) = self.troubles.failover else {
            return;
        };
        if state.has_failed_over || now < failover {
            return;
        }
        let writes = std::mem::take(&mut state.writes);
        let begin = self.clock.now().as_millis() - now;
        *state = State::new(cloakroom::Timestamp::from_millis(begin));
        let (count, mut replicated) = (writes.len(), 0);
        for (at, write) in writes {
            if at + self.troubles.lag <= failover {
                state
                    .clock
                    .set(cloakroom::Timestamp::from_millis(begin + at));
                drop(write.run(&state.memory, self.broken));
                replicated += 1;
            }
        }
        state.has_failed_over = true;
        self.note(|| format!("failover: {} writes are lost", count - replicated));
    }

    fn note(&self, text: impl FnOnce() -> String) {
        self.trace
            .add(self.clock.elapsed(), || format!("  {}", text()));
    }

    fn name(&self, id: Option<cloakroom::SessionId>) -> String {
        id.map(|id| format!(" S{}", self.trace.session(id)))
            .unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reply {
    const fn label(&self) -> &'static str {
        use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated, UserCreated};
        match self {
            Self::Created(Created::Created) | Self::UserCreated(UserCreated::Created { .. }) => {
                "created"
            }
            Self::Created(Created::Collision) | Self::UserCreated(UserCreated::Collision) => {
                "collision"
            }
            Self::UserCreated(UserCreated::LimitExceeded { .. }) => "others have to be ended",
            Self::UserCreated(UserCreated::LimitReached(_)) => "the limit is reached",
            Self::Loaded(Loaded::Record(_)) => "record",
            Self::Loaded(Loaded::Tombstone(_)) => "tombstone",
            Self::Loaded(Loaded::Nothing) => "nothing",
            Self::Updated(Updated::Updated) => "updated",
            Self::Updated(Updated::Conflict(_)) | Self::Ended(Ended::Conflict(_)) => "conflict",
            Self::Updated(Updated::Ended(_)) | Self::Ended(Ended::AlreadyEnded(_)) => "had ended",
            Self::Updated(Updated::Missing) | Self::Ended(Ended::Missing) => "missing",
            Self::Touched(Touched::Touched) => "touched",
            Self::Touched(Touched::Superseded) => "superseded",
            Self::Ended(Ended::Ended) => "ended",
            _ => "done",
        }
    }
}

/// Waits for an execution as long as a command may take. A write runs in a task of its own: it has been sent.
async fn wait(
    execution: impl Future<Output = Result<Reply, StoreError>> + Send + 'static,
    is_read: bool,
    is_lost: bool,
) -> Result<Result<Reply, StoreError>, ()> {
    let limit = Duration::from_millis(COMMAND_TIMEOUT);
    if is_read && !is_lost {
        return timeout(limit, execution).await.map_err(drop);
    }
    let (sender, receiver) = oneshot::channel();
    let (kept, sender) = if is_lost {
        (Some(sender), None)
    } else {
        (None, Some(sender))
    };
    tokio::spawn(async move {
        let reply = execution.await;
        if let Some(sender) = sender {
            // The caller may have given up.
            drop(sender.send(reply));
        }
    });
    let received = timeout(limit, receiver).await;
    drop(kept);
    received.map_err(drop)?.map_err(drop)
}

/// What a caller knows of a command without a reply.
const fn lost(is_read: bool) -> StoreError {
    StoreError::new(if is_read {
        StoreErrorKind::Unavailable
    } else {
        StoreErrorKind::OutcomeUnknown
    })
}

async fn pause(millis: u64) {
    if millis > 0 {
        sleep(Duration::from_millis(millis)).await;
    }
}
