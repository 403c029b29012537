//! A request under way counts as use: its session does not expire for being idle while the handler runs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::SessionId;
use cloakroom_core::store::Touched;
use tokio::time::sleep;

use super::shared::SharedSession;
use crate::budget::Budget;
use crate::commit::{self, CommitContext};
use crate::load;
use crate::plan::Lookup;
use crate::state::Live;

/// The shortest time between two touches, when the session is about to expire and the store fails.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// The session as it is stored, as far as this is known. The handler does not see it: its own copy does not
/// change while it runs.
enum Known {
    /// As the handler has it.
    Own,
    Fresher(Live),
    /// It has ended or expired.
    Gone(SessionId),
}

/// Updates last-seen when half of the time has passed after which the session would expire, again and again,
/// until this future is dropped. That is at most once in half of the idle timeout, unless the store fails.
///
/// It costs a timer, and nothing else in a request that finishes before. Each touch has a time limit of its
/// own: the request does not wait for it.
pub(crate) async fn keep_alive(session: Arc<SharedSession>) -> Infallible {
    let mut known = Known::Own;
    loop {
        sleep(pause(&session, &known)).await;
        known = Box::pin(touch(&session, known)).await;
    }
}

/// Returns the time until the next touch.
fn pause(session: &SharedSession, known: &Known) -> Duration {
    let context = &session.context;
    let now = session.now();
    let state = session.state();
    let live = match known {
        Known::Fresher(live) => Some(live),
        Known::Own | Known::Gone(_) => state.live(),
    };
    let Some(live) = live else {
        return context.expiry.idle_timeout() / 2;
    };
    let limits = live.limits(context.rule(live.record.entries()));
    let expires_at = limits.expires_at(live.record.last_seen());
    let left = expires_at.since(now);
    // Use does not move the deadline, and does not bring back what is gone.
    let is_final = left.is_zero() || expires_at == limits.deadline();
    if is_final || matches!(known, Known::Gone(_)) {
        return (limits.idle() / 2).max(MIN_PAUSE);
    }
    (left / 2).max(MIN_PAUSE)
}

/// Updates last-seen, unless another request has just done so.
async fn touch(session: &SharedSession, known: Known) -> Known {
    let Some(own) = session.state().live().cloned() else {
        return Known::Own;
    };
    let budget = Budget::new(session.context.budget);
    let live = match known {
        Known::Gone(id) if id == own.id() => return known,
        // Otherwise the request has renewed the session.
        Known::Fresher(live) if live.id() == own.id() => live,
        Known::Own | Known::Fresher(_) | Known::Gone(_) => own,
    };
    let id = live.id();
    if let Some(live) = touch_record(session, &budget, &live).await {
        return Known::Fresher(live);
    }
    match load::reload(&session.context, live.token.clone(), &budget).await {
        Ok(Lookup::Live(fresher)) => {
            let touched = touch_record(session, &budget, &fresher).await;
            Known::Fresher(touched.unwrap_or(fresher))
        }
        Ok(Lookup::Absent | Lookup::Ended) => Known::Gone(id),
        Err(_) => Known::Fresher(live),
    }
}

/// Updates last-seen if that is due. Returns `None` if another request has changed the session, or the store
/// has failed.
async fn touch_record(session: &SharedSession, budget: &Budget, live: &Live) -> Option<Live> {
    let now = session.now();
    let limits = live.limits(session.context.rule(live.record.entries()));
    if !limits.touch_due(now, live.record.last_seen()) {
        return Some(live.clone());
    }
    let cx = CommitContext::without_request(&session.context, budget);
    match commit::touch(&cx, live.id(), &live.record, now).await {
        Ok(Touched::Touched) => Some(Live {
            record: live.record.clone().touched(now),
            ..live.clone()
        }),
        Ok(Touched::Superseded) | Err(_) => None,
    }
}
