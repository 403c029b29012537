//! The events of an open page: its session has ended, the user's other sessions have changed, or the store
//! does not respond.

use std::convert::Infallible;

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use cloakroom::EndReason;
use cloakroom::{
    Session, SessionError, SessionEvent, SessionId, SessionWatch, Sessions, Subscription, UserId,
};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use tokio::sync::watch;

use super::ended;
use crate::app::App;
use crate::users::ADMIN;

/// The query of the script: the session that its page shows.
#[derive(Deserialize)]
pub(crate) struct Shown {
    session: String,
}

/// The event stream of one open page.
struct Page {
    id: SessionId,
    user: UserId,
    ended: SessionWatch,
    events: Subscription,
    store_responds: watch::Receiver<bool>,
    closing: watch::Receiver<bool>,
}

/// Server-sent events, until the session ends.
pub(crate) async fn stream(
    State(app): State<App>,
    session: Session,
    sessions: Sessions,
    Query(shown): Query<Shown>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, SessionError> {
    // If the session ended while the page was not listening, the cookie is of another session, or missing.
    let (missed, page) = match session.id().zip(session.user()) {
        None => (Some(EndReason::Other), None),
        Some((id, _)) if id.to_string() != shown.session => (Some(EndReason::Renewed), None),
        Some((id, user)) => {
            let page = Page {
                id,
                user,
                ended: session.watch()?,
                events: sessions.events()?,
                store_responds: app.store_responds,
                closing: app.closing,
            };
            (None, Some(page))
        }
    };
    let events = stream::unfold(page, |page| async move {
        let mut page = page?;
        let (event, is_last) = page.next().await?;
        Some((event, (!is_last).then_some(page)))
    });
    let events = stream::iter(missed.map(ended_event)).chain(events).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Page {
    /// The next event, and whether it is the last.
    async fn next(&mut self) -> Option<(Event, bool)> {
        loop {
            let event = tokio::select! {
                reason = &mut self.ended => return Some((ended_event(reason), true)),
                event = self.events.next() => event?,
                Ok(()) = self.store_responds.changed() => {
                    let responds = *self.store_responds.borrow_and_update();
                    return Some((store_event(responds), false));
                }
                // The browser reconnects when the server is back.
                _ = self.closing.wait_for(|closing| *closing) => return None,
            };
            if self.concerns(&event) {
                return Some((Event::default().event("sessions").data("changed"), false));
            }
        }
    }

    /// Returns whether an event may change a list on the page. The end of the page's own session does not:
    /// the page no longer shows the list then.
    fn concerns(&self, event: &SessionEvent) -> bool {
        if event.ended().is_some_and(|(id, _)| id == self.id) {
            return false;
        }
        let of = |user: &UserId| *user == self.user || self.user == UserId::from(ADMIN);
        match event {
            SessionEvent::SignedIn { user, .. } => of(user),
            SessionEvent::Renewed { user, .. } | SessionEvent::Ended { user, .. } => {
                user.as_ref().is_some_and(of)
            }
            SessionEvent::Missed => true,
            _ => false,
        }
    }
}

fn store_event(responds: bool) -> Event {
    let data = if responds { "back" } else { "away" };
    Event::default().event("store").data(data)
}

fn ended_event(reason: EndReason) -> Event {
    Event::default()
        .event("ended")
        .id(reason.as_str())
        .data(ended::text(reason))
}
