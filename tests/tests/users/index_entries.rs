//! The entries of a user's index whose sessions are gone: what removes them, and what keeps them.

use std::time::Duration;

use cloakroom::{
    CookieConfig, EndReason, Expiry, Session, SessionEvent, SessionId, SessionLayer, SessionLimit,
    StoreErrorKind, Subscription, days, hours, minutes,
};
use cloakroom_core::index::MAX_EVICTED;
use cloakroom_core::{Clock, Realm, Store, Tombstone, UserIndex, UserKey};
use tests::app::Fixture;
use tests::faulty_store::{Fault, Verb};
use tests::log::Log;
use tokio::time::timeout;

use super::{eventually, sign_in, try_sign_in, whoami};

/// Longer ago than a session can still be created.
const LONG_AGO: Duration = minutes(6);

/// The ids in the index of ada, the newest first.
async fn entered(fixture: &Fixture) -> Vec<SessionId> {
    let key = UserKey::new(&Realm::new(CookieConfig::DEFAULT_NAME), &"ada".into());
    let index = fixture.store.index().expect("the store keeps an index");
    index.list(&key, None).await.expect("memory does not fail")
}

/// Runs what follows in the background to its end: the runtime has one thread, and no command of this store waits.
async fn finish_background_work() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The ends that were published so far.
async fn ends_until_now(
    fixture: &Fixture,
    events: &mut Subscription,
) -> Vec<(SessionId, EndReason)> {
    sign_in(&mut fixture.browser(), "marker").await;
    let mut ends = Vec::new();
    loop {
        let event = timeout(Duration::from_secs(20), events.next()).await;
        match event.expect("it arrives").expect("the bus is open") {
            SessionEvent::SignedIn { user, .. } if user.to_string() == "marker" => return ends,
            SessionEvent::Ended { id, reason, .. } => ends.push((id, reason)),
            _ => {}
        }
    }
}

fn limited(fixture: &Fixture, most: u32) -> SessionLayer {
    let limit = SessionLimit::evict_oldest(most);
    let layer = fixture.builder().with_session_limit(limit).build();
    layer.expect("the store keeps an index")
}

/// If too few replicas have the end of the new session, a failover can bring it back, and a revocation has to find it.
#[tokio::test]
async fn a_sign_in_that_was_rolled_back_leaves_no_entry_once_that_is_certain() {
    for (fault, left, logged) in [
        (None, 0, 0),
        (Some(StoreErrorKind::NotReplicated), 1, 0),
        (Some(StoreErrorKind::Unavailable), 1, 1),
    ] {
        let log = Log::capture();
        let fixture = Fixture::memory();
        let out_of_memory = Fault::Refuse(StoreErrorKind::OutOfMemory);
        fixture.store.next(Verb::Create, out_of_memory);
        if let Some(kind) = fault {
            fixture.store.next(Verb::End, Fault::Refuse(kind));
        }
        let response = try_sign_in(&mut fixture.browser(), "ada").await;
        assert_eq!(response.status, 507);
        finish_background_work().await;
        assert_eq!(entered(&fixture).await.len(), left, "{fault:?}");
        let failures = log.count("failed to roll back a new session");
        assert_eq!(failures, logged, "{fault:?}: {}", log.text());
    }
}

/// A session expires at its idle timeout, long before the deadline until which it is in the index.
#[tokio::test]
async fn a_sign_in_removes_the_entry_of_an_expired_session_and_publishes_its_end() {
    for publishes in [true, false] {
        let fixture = Fixture::memory();
        let builder = fixture.builder();
        let builder = if publishes {
            builder
        } else {
            builder.without_events()
        };
        let layer = builder.build().expect("it is valid");
        let events = fixture.layer().sessions().events();
        let mut events = events.expect("there is a bus");
        let expired = sign_in(&mut fixture.browser_of(layer.clone()), "ada").await;
        fixture.clock.advance(days(2));
        let new = sign_in(&mut fixture.browser_of(layer), "ada").await;
        finish_background_work().await;
        assert_eq!(entered(&fixture).await, [new]);
        let ends = ends_until_now(&fixture, &mut events).await;
        let expected = [(expired, EndReason::Expired)];
        assert_eq!(ends, expected[..usize::from(publishes)]);
    }
}

#[tokio::test]
async fn a_sign_in_removes_the_entry_of_an_ended_session_once_its_end_is_confirmed() {
    for (fault, left) in [(None, 1), (Some(StoreErrorKind::NotReplicated), 2)] {
        let fixture = Fixture::memory();
        let ended = sign_in(&mut fixture.browser(), "ada").await;
        let tombstone = Tombstone::new(None, fixture.clock.now(), EndReason::Destroyed);
        let store = fixture.store.inner();
        let end = store.end(ended, None, &tombstone, hours(1)).await;
        end.expect("memory does not fail");
        fixture.clock.advance(LONG_AGO);
        if let Some(kind) = fault {
            fixture.store.next(Verb::End, Fault::Refuse(kind));
        }
        fixture.clear_verbs();
        sign_in(&mut fixture.browser(), "ada").await;
        finish_background_work().await;
        let verbs = [Verb::Create, Verb::LoadMany, Verb::End];
        assert_eq!(fixture.store.take_verbs(), verbs);
        assert_eq!(entered(&fixture).await.len(), left, "{fault:?}");
    }
}

/// The oldest session has to make room, and another one expires meanwhile.
#[tokio::test]
async fn a_sign_in_that_evicts_a_session_removes_the_entry_of_an_expired_one_too() {
    let fixture = Fixture::memory();
    let layer = limited(&fixture, 2);
    let evicted = sign_in(&mut fixture.browser_of(layer.clone()), "ada").await;
    fixture.clock.advance(Duration::from_secs(1));
    let short = Expiry::idle(LONG_AGO + minutes(1)).absolute(days(9));
    let sign_in_for =
        move |session: Session| async move { session.sign_in("ada").with_expiry(short).await };
    fixture.browser_of(layer.clone()).request(sign_in_for).await;
    fixture.clock.advance(LONG_AGO);
    let gate = fixture.store.hold(Verb::End);
    let mut laptop = fixture.browser_of(layer);
    let signing_in = tokio::spawn(async move { sign_in(&mut laptop, "ada").await });
    gate.reached().await;
    fixture.clock.advance(minutes(2));
    gate.open();
    let new = signing_in.await.expect("no request panics");
    finish_background_work().await;
    assert_eq!(entered(&fixture).await, [new]);
    let there = fixture.store.load(evicted).await;
    let there = format!("{there:?}");
    assert!(there.contains("LimitExceeded"), "{there}");
}

/// The limit is new: one more session than a sign-in may end itself is above it.
#[tokio::test]
async fn a_session_that_a_sign_in_may_not_end_itself_ends_in_the_background() {
    let fixture = Fixture::memory();
    let browser = fixture.browser();
    for _ in 0..=MAX_EVICTED {
        sign_in(&mut browser.clone(), "ada").await;
    }
    fixture.clock.advance(Duration::from_secs(1));
    let mut browser = fixture.browser_of(limited(&fixture, 1));
    let new = sign_in(&mut browser, "ada").await;
    let one = async || entered(&fixture).await == [new];
    eventually("one session is left", one).await;
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// Whether sessions have to make room is not decided on a count that is not known.
#[tokio::test]
async fn a_sign_in_whose_count_fails_evicts_nobody() {
    let fixture = Fixture::memory();
    let layer = limited(&fixture, 1);
    let mut first = fixture.browser_of(layer.clone());
    sign_in(&mut first, "ada").await;
    let unavailable = Fault::Refuse(StoreErrorKind::Unavailable);
    fixture.store.next(Verb::LoadMany, unavailable);
    let mut second = fixture.browser_of(layer);
    let response = try_sign_in(&mut second, "ada").await;
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(whoami(&mut first).await, "ada");
    assert_eq!(whoami(&mut second).await, "");
}

/// The session in which ada acts as bob is in two indexes.
#[tokio::test]
async fn an_impersonation_that_stops_leaves_no_entry() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    sign_in(&mut browser, "ada").await;
    let act = |session: Session| async move { session.impersonate("bob").await };
    assert_eq!(browser.request(act).await.status, 200);
    finish_background_work().await;
    assert_eq!(fixture.store.inner().users(), 2);
    let stop = |session: Session| async move { session.stop_impersonating().await.map(drop) };
    assert_eq!(browser.request(stop).await.status, 200);
    finish_background_work().await;
    assert_eq!(fixture.store.inner().users(), 1);
    assert_eq!(entered(&fixture).await.len(), 1);
}
