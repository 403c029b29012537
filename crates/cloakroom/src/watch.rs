//! Watches a session from a connection that outlives its request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use cloakroom_core::EndReason;
use cloakroom_core::store::Loaded;
use tokio::time::timeout;

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

impl Session {
    /// Returns a future that resolves when the session ends, on any server: for the handlers of WebSockets
    /// and of server-sent events, which have to close when the user signs out (ASVS 5.0, 7.4.1).
    ///
    /// It resolves with the reason: immediately if the store has a bus and the event arrives; within 30
    /// seconds if the event was lost; and within a second after the session has expired. A renewal ends a
    /// session, too: after [`Renewed`](EndReason::Renewed) the client should connect again, with its new
    /// cookie.
    ///
    /// All watches of a process share one subscription. Each costs one command when it begins, and then
    /// one every 30 seconds.
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
    loop {
        if let Some(reason) = check(&context, &mut live, keeps_alive).await {
            return reason;
        }
        let next = next_check(&context, &live, keeps_alive);
        // On a timeout, and after missed events, the session is read again.
        if let Ok(Some(reason)) = timeout(next, registration.wait()).await {
            return reason;
        }
    }
}

/// Reads the session, and returns the reason if it has ended. A store that fails does not end a session, but
/// its deadline does.
async fn check(context: &Arc<Context>, live: &mut Live, keeps_alive: bool) -> Option<EndReason> {
    let budget = Budget::new(context.budget);
    match budget.read(context.store.load(live.id())).await {
        Ok(Loaded::Record(record)) => live.record = record,
        Ok(Loaded::Tombstone(tombstone)) => return Some(tombstone.reason()),
        Ok(Loaded::Nothing) => return Some(EndReason::Expired),
        Err(_) => {}
    }
    match check_and_sync(context, live.id(), live.record.clone(), &budget).await {
        Ok(Liveness::Live { record, .. }) => live.record = record,
        Ok(Liveness::Expired) => return Some(EndReason::Expired),
        Ok(Liveness::Revoked) => return Some(EndReason::RevokedByAdmin),
        Ok(Liveness::EndedInLegacyStore(_)) => return Some(EndReason::EndedInLegacyStore),
        Err(_) => {}
    }
    let now = context.clock.now();
    let limits = live.limits(context.rule(live.record.entries()));
    if keeps_alive && limits.touch_due(now, live.record.last_seen()) {
        let cx = CommitContext::without_request(context, &budget);
        // It has logged its error, and the next check tries again.
        drop(touch(&cx, live.id(), &live.record, now).await);
    }
    None
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
