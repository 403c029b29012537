//! A session with the cookies of several sign-ins.

use std::time::Duration;

use cloakroom::{EndedConcurrently, Expiry, Session, SessionError, SessionEvent, days};
use cloakroom_core::rotation::Rotation;
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb;
use tokio::time::timeout;

use super::{ada, see, sign_in, sign_in_late, sign_in_twice};

/// The joined session lives as long as this sign-in says, and its user is in the list as long.
#[tokio::test]
async fn a_sign_in_that_joins_renews_the_lifetime_and_the_time_of_the_sign_in() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture
        .with_session(fixture.browser_of(layer.clone()))
        .await;
    browser
        .request(|session| async move {
            let short = Expiry::idle(days(1)).absolute(days(1));
            session.sign_in("ada").with_expiry(short).await
        })
        .await;
    fixture.clock.advance(minutes_before_the_next_sign_in());
    let mut stale = browser.clone();
    browser
        .request(|session| async move {
            let short = Expiry::idle(days(1)).absolute(days(1));
            session.sign_in("ada").with_expiry(short).await
        })
        .await;
    let response = stale
        .request(|session| async move {
            let long = Expiry::idle(days(7)).absolute(days(30));
            session.sign_in("ada").with_expiry(long).await
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(response.set_cookie().max_age(), Some(days(30).as_secs()));
    fixture.clock.advance(days(6));
    for browser in [&mut stale, &mut browser] {
        browser
            .request(|session| async move {
                let ago = days(6) + Duration::from_secs(1);
                assert!(session.signed_in_within(ago));
                Ok(())
            })
            .await;
    }
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    // A further sign-in removes what has expired by the deadlines in the index.
    fixture.browser_of(layer).request(sign_in).await;
    assert_eq!(sessions.count("ada").await.unwrap(), 2);
}

const fn minutes_before_the_next_sign_in() -> Duration {
    Duration::from_secs(20 * 60)
}

/// A next secret that was offered to one cookie is not sent to the other, and neither is taken for stolen.
#[tokio::test]
async fn each_cookie_of_a_joined_session_rotates_for_itself() {
    let every = Duration::from_secs(600);
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_rotation(Rotation::every(every));
    let layer = layer.build().expect("it is valid");
    let browser = fixture.with_session(fixture.browser_of(layer)).await;
    let (mut tab, mut late) = sign_in_twice(&browser).await;
    fixture.clock.advance(every);
    for browser in [&mut late, &mut tab] {
        let before = browser.cookie().map(str::to_owned);
        let response = browser.request(|_| async { Ok(()) }).await;
        assert_eq!(response.cookie_change(), CookieChange::Set, "a next secret");
        assert_ne!(browser.cookie().map(str::to_owned), before);
        assert_eq!(see(browser).await.1, ada());
    }
    assert_eq!(see(&mut late).await.1, ada());
    assert_eq!(see(&mut tab).await.1, ada());
}

/// "Sign out this device" with the id of a list from before its renewal.
#[tokio::test]
async fn a_renewed_session_is_revoked_by_its_earlier_id() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    browser.request(sign_in).await;
    let listed = sessions.list("ada").await.unwrap()[0].id();
    for _ in 0..2 {
        browser
            .request(|session| async move { session.renew() })
            .await;
    }
    assert!(!sessions.revoke("bob", listed).await.unwrap(), "not bob's");
    assert_eq!(see(&mut browser).await.1, ada());
    assert!(sessions.revoke("ada", listed).await.unwrap());
    assert_eq!(see(&mut browser).await.1, None);
    assert!(!sessions.revoke("ada", listed).await.unwrap());
}

/// A session that was joined is spared like the one that it continues.
#[tokio::test]
async fn revoking_the_others_spares_a_joined_session() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    browser.request(sign_in).await;
    let (mut tab, mut late) = (browser.clone(), browser.clone());
    let response = browser
        .request(move |session| async move {
            tab.request(sign_in).await;
            late.request(sign_in).await;
            assert_eq!(sessions.revoke_others(&session).await?, 0);
            assert_eq!(see(&mut tab).await.1, ada());
            assert_eq!(see(&mut late).await.1, ada());
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200);
}

/// A plain renewal of a session that a sign-in has joined meanwhile creates nothing, and ends nothing.
#[tokio::test]
async fn a_renewal_yields_to_a_sign_in_that_has_joined() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut oldest = browser.clone();
    browser.request(sign_in).await;
    let mut joined = oldest.clone();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let response = browser
        .request(|session| async move {
            session.insert("factors", 2)?;
            oldest.request(sign_in).await;
            drop(sender.send(oldest));
            session.renew()
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert!(response.extension::<EndedConcurrently>().is_some());
    joined.clone_from(&receiver.await.expect("it has signed in"));
    for browser in [&mut browser, &mut joined] {
        assert_eq!(see(browser).await, (vec!["n".to_owned()], ada()));
    }
}

/// Signs in with a session of ada that another sign-in of hers joins before this one can end it. Returns the browsers of
/// this sign-in and of the one that has joined.
async fn sign_in_while_joined<F>(
    fixture: &Fixture,
    late_sign_in: fn(Session) -> F,
) -> (Browser, Browser)
where
    F: Future<Output = Result<(), SessionError>> + Send + 'static,
{
    let before = fixture.browser_with_session().await;
    let mut late = before.clone();
    late.request(sign_in).await;
    let gate = fixture.store.hold(Verb::End);
    let late = tokio::spawn(async move {
        assert_eq!(late.request(late_sign_in).await.status, 200);
        late
    });
    gate.reached().await;
    let mut tab = before;
    assert_eq!(tab.request(sign_in).await.status, 200);
    gate.open();
    (late.await.expect("no request panics"), tab)
}

async fn id(browser: &mut Browser) -> String {
    let id = |session: Session| async move {
        Ok(session.id().map(|id| id.to_string()).unwrap_or_default())
    };
    browser.request(id).await.text().to_owned()
}

#[tokio::test]
async fn a_sign_in_joins_its_own_session_if_another_one_has_done_so_meanwhile() {
    let fixture = Fixture::memory();
    let (mut late, mut tab) = sign_in_while_joined(&fixture, sign_in).await;
    for browser in [&mut late, &mut tab] {
        assert_eq!(see(browser).await, (vec!["n".to_owned()], ada()));
    }
    assert_eq!(id(&mut late).await, id(&mut tab).await);
}

#[tokio::test]
async fn a_sign_in_of_another_user_joins_no_session_that_was_joined_meanwhile() {
    let fixture = Fixture::memory();
    let bob = |session: Session| async move { session.sign_in("bob").await };
    let (mut late, mut tab) = sign_in_while_joined(&fixture, bob).await;
    assert_eq!(see(&mut late).await, (vec![], Some("bob".to_owned())));
    assert_eq!(see(&mut tab).await, (vec!["n".to_owned()], ada()));
}

#[tokio::test]
async fn a_sign_in_that_discards_data_joins_no_session_that_was_joined_meanwhile() {
    let fixture = Fixture::memory();
    let empty = |session: Session| async move { session.sign_in("ada").discard_data().await };
    let (mut late, mut tab) = sign_in_while_joined(&fixture, empty).await;
    assert_eq!(see(&mut late).await, (vec![], ada()));
    assert_eq!(see(&mut tab).await, (vec!["n".to_owned()], ada()));
}

#[tokio::test]
async fn every_sign_in_that_joins_is_an_event() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let mut events = layer.sessions().events().expect("there is a bus");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let old = id(&mut browser).await;
    let mut late = sign_in_late(&browser, async |mut tab: Browser| {
        tab.request(sign_in).await;
    })
    .await;
    let joined = id(&mut late).await;
    for _ in 0..2 {
        loop {
            let event = timeout(Duration::from_secs(20), events.next()).await;
            let event = event.expect("two sign-ins").expect("the bus is open");
            if let SessionEvent::SignedIn { id, user, from, .. } = event {
                let from = from.map(|id| id.to_string());
                assert_eq!((id.to_string(), from), (joined.clone(), Some(old.clone())));
                assert_eq!(Some(user.to_string()), ada());
                break;
            }
        }
    }
}
