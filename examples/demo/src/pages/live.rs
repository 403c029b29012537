//! What an open page hears: that its session has ended, and that the guest's other ones have changed.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use cloakroom::core::EndReason;
use cloakroom::{
    Session, SessionError, SessionEvent, SessionWatch, Sessions, Subscription, UserId,
};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use crate::app::App;
use crate::users::MANAGER;

/// What one open page listens to.
struct Page {
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
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, SessionError> {
    // Without a user the page is stale: its session ended while it was not listening.
    let page = match session.user() {
        Some(user) => Some(Page {
            user,
            over: session.watch()?,
            events: sessions.events()?,
            closing: app.closing,
        }),
        None => None,
    };
    let stale = page.is_none().then(|| over(EndReason::Other));
    let news = stream::unfold(page, |page| async move {
        let mut page = page?;
        let (event, is_last) = page.next().await?;
        Some((event, (!is_last).then_some(page)))
    });
    let news = stream::StreamExt::chain(stream::iter(stale), news);
    let news = stream::StreamExt::map(news, Ok);
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

    /// Whether an event changes a list that the page may show. What was missed may have.
    fn concerns(&self, event: &SessionEvent) -> bool {
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
            "You signed in again, in another tab or window: this one has the old ticket."
        }
        EndReason::ByUser => "You ended this session from another device.",
        EndReason::ByAdmin => "The manager has ended this session.",
        EndReason::OverLimit => {
            "You signed in on more devices than allowed, and this was the oldest."
        }
        EndReason::Expired => "Your time was over: you had not been here for a while.",
        EndReason::Stolen => {
            "Somebody else has used your ticket. Sign in again, and look at your devices."
        }
        _ => "This session has ended.",
    };
    Event::default()
        .event("over")
        .id(reason.as_str())
        .data(text)
}
