//! Watching a session from a connection that outlives its request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, Timestamp};
use tokio::time::timeout;

use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::error::{Cause, SessionError};
use crate::load::linked;
use crate::session::Session;
use crate::state::Live;

/// How often a session that is watched is looked at, in case an event was lost.
const CHECK: Duration = Duration::from_secs(30);

/// And how often at most.
const PAUSE: Duration = Duration::from_millis(200);

impl Session {
    /// A future that resolves when the session ends anywhere: for the handlers of WebSockets and of
    /// server-sent events, which would else go on talking to somebody who has signed out
    /// (ASVS 5.0, 7.4.1).
    ///
    /// It resolves with the reason: at once, where the store has a bus and the event arrives; within
    /// thirty seconds, where it was lost; and when its time is over, within a second. A renewal ends a
    /// session, too: [`Renewed`](EndReason::Renewed) says that the client had better connect again,
    /// with its new cookie.
    ///
    /// All that watch in one process share one subscription. Each costs one command when it begins,
    /// and then one every thirty seconds.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError};
    ///
    /// async fn live(session: Session) -> Result<(), SessionError> {
    ///     let mut over = session.watch()?;
    ///     loop {
    ///         tokio::select! {
    ///             reason = &mut over => {
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
    /// When there is no stored session: [`save`](Self::save) it first.
    pub fn watch(&self) -> Result<SessionWatch, SessionError> {
        let live = self.handle.state().live().cloned();
        Ok(SessionWatch {
            context: Arc::clone(&self.handle.context),
            live: live.ok_or(Cause::NotStored)?,
            keeps_alive: false,
            running: None,
        })
    }
}

/// Resolves when a session has ended, with the reason. From [`Session::watch`].
#[must_use = "a future does nothing until it is awaited"]
pub struct SessionWatch {
    context: Arc<Context>,
    live: Live,
    keeps_alive: bool,
    running: Option<Pin<Box<dyn Future<Output = EndReason> + Send>>>,
}

impl SessionWatch {
    /// Takes the open connection for use of the session, so that it does not end for being idle.
    /// Unless told, it does. The absolute deadline holds in any case.
    pub const fn keeping_alive(mut self) -> Self {
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
    // First the seat, then a look: what happens between the two is heard.
    let mut seat = context.hub.sit(&context, live.token.id());
    loop {
        match look(&context, &mut live, keeps_alive).await {
            Some(reason) => return reason,
            None => {
                let next = next_look(&context, &live, keeps_alive);
                // A time-out is a reason for another look, and so is news without one.
                if let Ok(Some(reason)) = timeout(next, seat.news()).await {
                    return reason;
                }
            }
        }
    }
}

fn next_look(context: &Context, live: &Live, keeps_alive: bool) -> Duration {
    let now = context.clock.now();
    let limits = live.limits(context.rule(live.record.entries()));
    let over = limits.expires_at(live.record.seen()).since(now);
    let touch = match keeps_alive {
        true => limits.idle() / 4,
        false => Duration::MAX,
    };
    CHECK.min(over).min(touch).max(PAUSE)
}

/// Has a look at the session: the reason, if it has ended. A store that cannot be reached has not
/// ended it, but its deadline does.
async fn look(context: &Arc<Context>, live: &mut Live, keeps_alive: bool) -> Option<EndReason> {
    let budget = Budget::new(context.budget);
    let now = context.clock.now();
    match budget.read(context.store.load(live.token.id())).await {
        Ok(Loaded::Record(record)) => live.record = record,
        Ok(Loaded::Tombstone(tombstone)) => return Some(tombstone.reason()),
        Ok(Loaded::Nothing) => return Some(EndReason::Expired),
        Err(_) => {}
    }
    let limits = live.limits(context.rule(live.record.entries()));
    if limits.is_over(now, live.record.seen()) {
        return Some(EndReason::Expired);
    }
    if is_before_epoch(context, &budget, live.token.id().created_at()).await {
        return Some(EndReason::ByAdmin);
    }
    match linked::follow(context, live.clone(), &budget).await {
        Ok(Some(followed)) => *live = followed,
        Ok(None) => return Some(EndReason::AtOrigin),
        Err(_) => {}
    }
    if keeps_alive && limits.touch_due(now, live.record.seen()) {
        Committer::of(context, &budget).touch(live).await;
    }
    None
}

async fn is_before_epoch(context: &Arc<Context>, budget: &Budget, created: Timestamp) -> bool {
    let began = context.epoch.began(context, budget).await;
    began.is_ok_and(|began| created < began)
}
