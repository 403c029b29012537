//! One subscription for all that watch sessions in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::event::{SessionEvent, Subscription};
use cloakroom_core::{EndReason, SessionId};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::context::Context;

/// Hears the events of the store, and tells those whom they concern.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    table: Arc<Mutex<Table>>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<SessionId, watch::Sender<Option<EndReason>>>,
    /// How often events may have been missed.
    missed: watch::Sender<u64>,
}

/// Somebody's place at the table. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Seat {
    id: SessionId,
    table: Arc<Mutex<Table>>,
    ended: watch::Receiver<Option<EndReason>>,
    missed: watch::Receiver<u64>,
}

/// So much later, at most, has everybody had a look after events may have been missed.
const SPREAD: Duration = Duration::from_millis(512);

impl Hub {
    /// Takes a seat for a session. The first one begins to listen.
    pub(crate) fn sit(&self, context: &Context, id: SessionId) -> Seat {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(AbortHandle::is_finished)
            && let Some(events) = context.store.subscribe()
        {
            let listening = tokio::spawn(listen(events, Arc::clone(&self.table)));
            *task = Some(listening.abort_handle());
        }
        drop(task);
        let mut table = lock(&self.table);
        let ended = table.sessions.entry(id).or_default().subscribe();
        let missed = table.missed.subscribe();
        drop(table);
        Seat {
            id,
            table: Arc::clone(&self.table),
            ended,
            missed,
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.abort();
        }
    }
}

impl Seat {
    /// Waits until the session is told as ended, and gives the reason; or until events may have been
    /// missed, and then a moment, so that not all who watch have a look at once.
    pub(crate) async fn news(&mut self) -> Option<EndReason> {
        let Self { ended, missed, .. } = self;
        tokio::select! {
            biased;
            reason = ended.wait_for(Option::is_some) => return reason.ok().and_then(|it| *it),
            // An error says that the table is gone, which this seat keeps.
            _ = missed.changed() => {}
        }
        let random = u32::from(self.id.as_bytes()[15]);
        sleep(SPREAD * random / 256).await;
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        // This seat's own receiver is the one that is left.
        let last = |sender: &watch::Sender<_>| sender.receiver_count() <= 1;
        if table.sessions.get(&self.id).is_some_and(last) {
            table.sessions.remove(&self.id);
        }
    }
}

async fn listen(mut events: Subscription, table: Arc<Mutex<Table>>) {
    while let Some(event) = events.next().await {
        let table = lock(&table);
        if event == SessionEvent::Missed {
            table.missed.send_modify(|count| *count += 1);
        }
        if let Some((id, reason)) = event.ended()
            && let Some(sender) = table.sessions.get(&id)
        {
            sender.send_replace(Some(reason));
        }
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
