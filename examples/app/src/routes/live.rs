//! An event stream that ends with the session. Each page of a signed-in user listens to it.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use cloakroom::{Session, SessionError};
use futures_util::{FutureExt, Stream, StreamExt, stream};

use crate::ended;

/// One last event says why, and the stream is over. A real app's events come before it.
pub(crate) async fn events(
    session: Session,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, SessionError> {
    session.require_user()?;
    let watch = session.watch()?.shared();
    let end = watch.clone().map(|reason| {
        let text = ended::text(reason).unwrap_or("You have signed out in another tab.");
        Event::default().event("end").data(text)
    });
    let news = stream::pending::<Event>();
    let events = news.take_until(watch).chain(stream::once(end));
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::default()))
}
