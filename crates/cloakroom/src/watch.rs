//! Watches a session from a connection that outlives its request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use cloakroom_core::EndReason;
use cloakroom_core::store::Loaded;
use tokio::time::{sleep, timeout};

use crate::budget::Budget;
use crate::commit::{CommitContext, touch};
use crate::context::Context;
use crate::error::SessionError;
use crate::load::{Liveness, check_and_sync};
use crate::session::Session;
use crate::state::Live;

/// How often a watched session is read at least, in case an event was lost.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The shortest time between two reads.
const MIN_PAUSE: Duration = Duration::from_millis(200);

/// When a session is read again of which an event says that it has ended, if the store has failed.
const RETRY: Duration = Duration::from_secs(1);

impl Session {
    /// Returns a future that resolves when the session ends, on any server: for the handlers of WebSockets
    /// and of server-sent events, which have to close when the user signs out (ASVS 5.0, 7.4.1).
    ///
    /// It resolves with the reason: immediately if the store has a bus and the event arrives; within 30
    /// seconds if the event was lost; and within a second after the session has expired. A renewal ends a
    /// session, too: after [`Renewed`](EndReason::Renewed) the client should connect again, with its new
    /// cookie.
    ///
    /// All watches of a process share one subscription. Each costs one command when it begins, then one
    /// every 30 seconds, and one for each event that says that the session has ended: an event alone is not
    /// trusted.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError};
    ///
    /// async fn live(session: Session) -> Result<(), SessionError> {
    ///     let mut ended = session.watch()?;
    ///     loop {
    ///         tokio::select! {
    ///             reason = &mut ended => {
    ///                 println!("the session has ended: {reason}");
    ///                 break Ok(());
    ///             }
    ///             // () = next_message() => { … }
    ///             # () = std::future::ready(()) => break Ok(()),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if there is no stored session: [`save`](Self::save) it first.
    pub fn watch(&self) -> Result<SessionWatch, SessionError> {
        Ok(SessionWatch {
            context: Arc::clone(&self.handle.context),
            live: self.handle.state().stored_session()?,
            keeps_alive: false,
            running: None,
        })
    }
}

/// Resolves when a session has ended, with the reason. Returned by [`Session::watch`].
#[must_use = "a future does nothing until it is awaited"]
pub struct SessionWatch {
    context: Arc<Context>,
    live: Live,
    keeps_alive: bool,
    running: Option<Pin<Box<dyn Future<Output = EndReason> + Send>>>,
}

impl SessionWatch {
    /// Counts the open connection as use of the session, so that the session does not expire for being
    /// idle. By default it does not count. The absolute deadline applies in any case.
    pub const fn keep_alive(mut self) -> Self {
        self.keeps_alive = true;
        self
    }
}

impl Future for SessionWatch {
    type Output = EndReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<EndReason> {
        let this = &mut *self;
        let running = this.running.get_or_insert_with(|| {
            let (context, live) = (Arc::clone(&this.context), this.live.clone());
            Box::pin(watch(context, live, this.keeps_alive))
        });
        running.as_mut().poll(cx)
    }
}

impl fmt::Debug for SessionWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWatch")
            .field("session", &self.live.token.id())
            .field("keeps_alive", &self.keeps_alive)
            .finish_non_exhaustive()
    }
}

async fn watch(context: Arc<Context>, mut live: Live, keeps_alive: bool) -> EndReason {
    // First the registration, then the read: an end between the two is notified.
    let mut registration = context.end_notifier.register(&*context.store, live.id());
    // The reason of an event that says that the session has ended. Others may be allowed to publish events, so
    // none is believed before the session was read.
    let mut event = None;
    loop {
        match check(&context, &mut live, keeps_alive).await {
            Check::Ended(reason) => return reason,
            // Without memory for a tombstone, only the event knows the reason.
            Check::Missing => return event.unwrap_or(EndReason::Expired),
            Check::Live if event.is_some() => {
                event = None;
                sleep(MIN_PAUSE).await;
            }
            Check::Live | Check::Failed => {}
        }
        let mut next = next_check(&context, &live, keeps_alive);
        if event.is_some() {
            next = next.min(RETRY);
        }
        // The task that reads the events may have ended with the runtime of the watcher that has started it.
        context.end_notifier.ensure_subscribed(&*context.store);
        // On a timeout, and after events, the session is read again.
        if let Ok(Some(reason)) = timeout(next, registration.wait()).await {
            event = Some(reason);
        }
    }
}

/// What a read has found.
enum Check {
    Live,
    Ended(EndReason),
    /// There is neither a session nor a tombstone.
    Missing,
    /// The store has failed, and the session has not expired by what was known.
    Failed,
}

/// Reads the session. A store that fails does not end it, but its deadline does.
async fn check(context: &Arc<Context>, live: &mut Live, keeps_alive: bool) -> Check {
    let budget = Budget::new(context.budget);
    let mut result = Check::Live;
    match budget.read(context.store.load(live.id())).await {
        Ok(Loaded::Record(record)) => live.record = record,
        Ok(Loaded::Tombstone(tombstone)) => return Check::Ended(tombstone.reason()),
        Ok(Loaded::Nothing) => return Check::Missing,
        Err(_) => result = Check::Failed,
    }
    match check_and_sync(context, live.id(), live.record.clone(), &budget).await {
        Ok(Liveness::Live { record, .. }) => live.record = record,
        Ok(Liveness::Expired) => return Check::Ended(EndReason::Expired),
        Ok(Liveness::Revoked(_)) => return Check::Ended(EndReason::RevokedByAdmin),
        Ok(Liveness::EndedInLegacyStore(_)) => {
            return Check::Ended(EndReason::EndedInLegacyStore);
        }
        Err(_) => result = Check::Failed,
    }
    let now = context.clock.now();
    let limits = live.limits(context.rule(live.record.entries()));
    if keeps_alive && limits.touch_due(now, live.record.last_seen()) {
        let cx = CommitContext::without_request(context, &budget);
        // It has logged its error, and the next check tries again.
        drop(touch(&cx, live.id(), &live.record, now).await);
    }
    result
}

/// Returns the time until the next check.
fn next_check(context: &Context, live: &Live, keeps_alive: bool) -> Duration {
    let now = context.clock.now();
    let limits = live.limits(context.rule(live.record.entries()));
    let until_expired = limits.expires_at(live.record.last_seen()).since(now);
    let mut next = CHECK_INTERVAL.min(until_expired);
    if keeps_alive {
        next = next.min(limits.idle() / 4);
    }
    next.max(MIN_PAUSE)
}
