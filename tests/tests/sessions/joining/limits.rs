//! Sign-ins at once of a user with a limit of sessions.

use std::time::Duration;

use cloakroom::{Session, SessionLayer, SessionLimit};
use tests::app::Fixture;
use tests::browser::Browser;
use tests::faulty_store::Verb;

use super::{ada, see, sign_in, sign_in_late, sign_in_twice};

fn limited(limit: SessionLimit) -> (Fixture, SessionLayer) {
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_session_limit(limit).build();
    (fixture, layer.expect("it is valid"))
}

/// The session of the other sign-in does not have to make room for that of this one.
#[tokio::test]
async fn a_sign_in_that_joins_does_not_count_against_the_limit() {
    for limit in [SessionLimit::evict_oldest(1), SessionLimit::reject_above(1)] {
        let (fixture, layer) = limited(limit);
        let sessions = layer.sessions();
        let browser = fixture.with_session(fixture.browser_of(layer)).await;
        let (mut tab, mut late) = sign_in_twice(&browser).await;
        for browser in [&mut tab, &mut late] {
            let keys = vec!["late".to_owned(), "n".to_owned()];
            assert_eq!(see(browser).await, (keys, ada()), "{limit:?}");
        }
        assert_eq!(sessions.count("ada").await.unwrap(), 1);
    }
}

/// Another browser of the user has signed in, so the session had to make room.
#[tokio::test]
async fn a_sign_in_whose_session_is_evicted_meanwhile_keeps_the_loaded_data() {
    let (fixture, layer) = limited(SessionLimit::evict_oldest(1));
    let sessions = layer.sessions();
    let mut browser = fixture
        .with_session(fixture.browser_of(layer.clone()))
        .await;
    browser.request(sign_in).await;
    let clock = fixture.clock.clone();
    let mut other = fixture.browser_of(layer);
    let mut late = sign_in_late(&browser, async move |mut tab: Browser| {
        clock.advance(Duration::from_secs(1));
        assert_eq!(other.request(sign_in).await.status, 200);
        assert_eq!(see(&mut tab).await.1, None, "it is evicted");
        clock.advance(Duration::from_secs(1));
    })
    .await;
    let keys = vec!["late".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut late).await, (keys, ada()));
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    // The data of another user is not kept, also not that of an evicted session.
    fixture.clock.advance(Duration::from_secs(1));
    let bob = |session: Session| async move { session.sign_in("bob").await };
    late.request(bob).await;
    assert_eq!(see(&mut late).await.0, Vec::<String>::new());
}

/// The limit counts a sign-in in place of its old session, which a renewal has continued meanwhile.
#[tokio::test]
async fn a_renewal_during_a_sign_in_leaves_no_session_above_the_limit() {
    for (most, status) in [(1, 409), (2, 200)] {
        let (fixture, layer) = limited(SessionLimit::evict_oldest(most));
        let sessions = layer.sessions();
        let second = || fixture.clock.advance(Duration::from_secs(1));
        let mut oldest = fixture.browser_of(layer.clone());
        oldest.request(sign_in).await;
        second();
        let mut tab = fixture.browser_of(layer);
        tab.request(sign_in).await;
        second();
        let mut late = tab.clone();
        let gate = fixture.store.hold(Verb::End);
        let late = tokio::spawn(async move { (late.request(sign_in).await.status, late) });
        gate.reached().await;
        second();
        let renew = |session: Session| async move { session.renew() };
        assert_eq!(tab.request(renew).await.status, 200);
        gate.open();
        let (late_status, mut late) = late.await.expect("no request panics");
        assert_eq!(late_status, status, "{most}");
        assert_eq!(sessions.count("ada").await.unwrap(), most as usize);
        assert_eq!(see(&mut tab).await.1, ada(), "the newest");
        assert_eq!(see(&mut oldest).await.1, None);
        let signed_in = (status == 200).then(ada).flatten();
        assert_eq!(see(&mut late).await.1, signed_in, "{most}");
    }
}

/// Other sign-ins have joined the old session meanwhile, as many as may, so it stays beside that of this sign-in.
#[tokio::test]
async fn a_sign_in_that_cannot_join_leaves_no_session_above_the_limit() {
    let (fixture, layer) = limited(SessionLimit::evict_oldest(1));
    let sessions = layer.sessions();
    let before = fixture.with_session(fixture.browser_of(layer)).await;
    let mut first = before.clone();
    first.request(sign_in).await;
    fixture.clock.advance(Duration::from_secs(1));
    let mut late = first.clone();
    let gate = fixture.store.hold(Verb::End);
    let late = tokio::spawn(async move { (late.request(sign_in).await.status, late) });
    gate.reached().await;
    let mut joined = before.clone();
    for _ in 0..4 {
        joined = before.clone();
        assert_eq!(joined.request(sign_in).await.status, 200);
    }
    assert_eq!(see(&mut joined).await.1, ada());
    gate.open();
    let (status, mut late) = late.await.expect("no request panics");
    assert_eq!(status, 200);
    assert_eq!(see(&mut late).await.1, ada());
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    assert_eq!(see(&mut joined).await.1, None, "it is the older one");
}

/// The session in which another sign-in has continued it had to make room.
#[tokio::test]
async fn a_sign_in_whose_successor_is_evicted_meanwhile_keeps_the_loaded_data() {
    let (fixture, layer) = limited(SessionLimit::evict_oldest(1));
    let browser = fixture
        .with_session(fixture.browser_of(layer.clone()))
        .await;
    let clock = fixture.clock.clone();
    let mut other = fixture.browser_of(layer);
    let mut late = sign_in_late(&browser, async move |mut tab: Browser| {
        tab.request(sign_in).await;
        clock.advance(Duration::from_secs(1));
        assert_eq!(other.request(sign_in).await.status, 200);
        assert_eq!(see(&mut tab).await.1, None, "it is evicted");
        clock.advance(Duration::from_secs(1));
    })
    .await;
    let keys = vec!["late".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut late).await, (keys, ada()));
}
