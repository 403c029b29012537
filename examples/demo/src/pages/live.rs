//! What an open page hears: that its session has ended, and that the guest's other ones have changed.

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

use crate::app::App;
use crate::users::MANAGER;

/// What the script tells: which ticket its page was made for.
#[derive(Deserialize)]
pub(crate) struct Shown {
    ticket: String,
}

/// What one open page listens to.
struct Page {
    id: SessionId,
    user: UserId,
    over: SessionWatch,
    events: Subscription,
    closing: watch::Receiver<bool>,
}

/// Server-sent events, until the session ends.
pub(crate) async fn stream(
    State(app): State<App>,
    session: Session,
    sessions: Sessions,
    Query(shown): Query<Shown>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, SessionError> {
    // A page that was not listening when its session ended comes with another ticket, or with none.
    let (missed, page) = match session.id().zip(session.user()) {
        None => (Some(EndReason::Other), None),
        Some((id, _)) if id.to_string() != shown.ticket => (Some(EndReason::Renewed), None),
        Some((id, user)) => {
            let (over, events, closing) = (session.watch()?, sessions.events()?, app.closing);
            let page = Page {
                id,
                user,
                over,
                events,
                closing,
            };
            (None, Some(page))
        }
    };
    let news = stream::unfold(page, |page| async move {
        let mut page = page?;
        let (event, is_last) = page.next().await?;
        Some((event, (!is_last).then_some(page)))
    });
    let news = stream::iter(missed.map(over)).chain(news).map(Ok);
    Ok(Sse::new(news).keep_alive(KeepAlive::default()))
}

impl Page {
    /// The next thing to tell, and whether it is the last.
    async fn next(&mut self) -> Option<(Event, bool)> {
        loop {
            let event = tokio::select! {
                reason = &mut self.over => return Some((over(reason), true)),
                event = self.events.next() => event?,
                // The browser comes back when the server does.
                _ = self.closing.wait_for(|closing| *closing) => return None,
            };
            if self.concerns(&event) {
                return Some((Event::default().event("sessions").data("changed"), false));
            }
        }
    }

    /// Whether an event changes a list that the page may show. What was missed may have; but a page
    /// that is over itself has no list any more.
    fn concerns(&self, event: &SessionEvent) -> bool {
        if event.ended().is_some_and(|(id, _)| id == self.id) {
            return false;
        }
        let of = |user: &UserId| *user == self.user || self.user == UserId::from(MANAGER);
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

fn over(reason: EndReason) -> Event {
    let text = match reason {
        EndReason::SignedOut => "You signed out, in another tab or window of this browser.",
        EndReason::Renewed => {
            "Somebody has signed in since, in another tab or window: this page still shows the old ticket."
        }
        EndReason::RevokedByUser => "You ended this session from another device.",
        EndReason::RevokedByAdmin => "The manager has ended this session.",
        EndReason::LimitExceeded => {
            "You signed in on more devices than allowed, and this was the oldest."
        }
        EndReason::Expired => {
            "Your time was over: you had not been here for a while, or had been here as long as one may."
        }
        EndReason::TokenReused => {
            "Somebody else has used your ticket. Sign in again, and look at your devices."
        }
        _ => "This session has ended.",
    };
    Event::default()
        .event("over")
        .id(reason.as_str())
        .data(text)
}
