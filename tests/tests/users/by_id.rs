//! Ending sessions of which only the id is known: what is published, and what stays in the index.

use std::time::Duration;

use cloakroom::{CookieConfig, Rotation, SessionEvent, SessionId, Sessions, Subscription, minutes};
use cloakroom_core::store::Ended;
use cloakroom_core::{
    Clock, EndReason, Realm, Store, StoreErrorKind, Tombstone, UserIndex, UserKey,
};
use tests::app::{Fixture, app};
use tests::browser::Browser;
use tests::faulty_store::{Fault, Verb};
use tokio::time::{Instant, timeout};

use super::{eventually, sign_in};

/// The events of ends, up to now.
struct Ends {
    events: Subscription,
    /// Signs in, so that its event is the last one.
    marker: Browser,
}

impl Ends {
    /// The sessions that have ended since the last call.
    async fn until_now(&mut self) -> Vec<(SessionId, EndReason)> {
        sign_in(&mut self.marker, "marker").await;
        let mut ended = Vec::new();
        loop {
            let event = timeout(Duration::from_secs(20), self.events.next()).await;
            match event.expect("it arrives").expect("the bus is open") {
                SessionEvent::SignedIn { user, .. } if user.to_string() == "marker" => {
                    return ended;
                }
                SessionEvent::Ended { id, reason, .. } => ended.push((id, reason)),
                _ => {}
            }
        }
    }
}

/// The session of a user who has signed in, and what ends from then on.
async fn signed_in(fixture: &Fixture) -> (SessionId, Sessions, Ends) {
    let sessions = fixture.layer().sessions();
    let events = sessions.events().expect("there is a bus");
    let marker = fixture.browser();
    let id = sign_in(&mut fixture.browser(), "ada").await;
    (id, sessions, Ends { events, marker })
}

async fn entries_of(fixture: &Fixture, user: &str) -> Vec<SessionId> {
    let key = UserKey::new(&Realm::new(CookieConfig::DEFAULT_NAME), &user.into());
    let index = fixture.store.index().expect("the store keeps an index");
    index.list(&key, None).await.expect("the index responds")
}

#[tokio::test]
async fn a_session_that_had_ended_is_no_event_and_leaves_the_index() {
    let fixture = Fixture::memory();
    let (id, sessions, mut ends) = signed_in(&fixture).await;
    let tombstone = Tombstone::new(None, fixture.clock.now(), EndReason::Destroyed);
    let end = fixture.store.end(id, None, &tombstone, minutes(1)).await;
    assert_eq!(end.expect("the store responds"), Ended::Ended);
    assert!(
        !sessions
            .revoke("ada", id)
            .await
            .expect("the store responds")
    );
    let forgotten = async || entries_of(&fixture, "ada").await.is_empty();
    eventually("the entry is removed", forgotten).await;
    assert_eq!(ends.until_now().await, []);
}

/// A failover can bring the session back, so it stays in the index.
#[tokio::test]
async fn a_session_that_has_ended_on_too_few_replicas_is_an_event_and_stays_in_the_index() {
    let fixture = Fixture::memory();
    let (id, sessions, mut ends) = signed_in(&fixture).await;
    for (kind, is_event) in [
        (StoreErrorKind::Unavailable, false),
        (StoreErrorKind::OutcomeUnknown, false),
        (StoreErrorKind::NotReplicated, true),
    ] {
        fixture.store.next(Verb::End, Fault::Refuse(kind));
        assert!(sessions.revoke("ada", id).await.is_err());
        let ended = ends.until_now().await;
        let ids: Vec<_> = ended.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids == [id], is_event, "{kind:?}: {ids:?}");
        assert_eq!(entries_of(&fixture, "ada").await, [id]);
    }
}

/// While tokens rotate, the session is read first. That takes only a part of the time limit.
#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_leaves_time_to_end_the_session() {
    let fixture = Fixture::memory();
    let (every, limit) = (Rotation::every(minutes(5)), Duration::from_secs(8));
    let builder = fixture
        .builder()
        .with_rotation(every)
        .with_store_timeout(limit);
    let layer = builder.build().expect("it is valid");
    let sessions = layer.sessions();
    let id = sign_in(&mut Browser::new(app(layer)), "ada").await;
    fixture.store.next(Verb::Load, Fault::Hang);
    let began = Instant::now();
    assert!(sessions.revoke("ada", id).await.expect("the session ends"));
    assert_eq!(began.elapsed().as_secs(), 2, "a quarter of the limit");
}
