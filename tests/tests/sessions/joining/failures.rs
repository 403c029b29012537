//! Sign-ins at once of which one fails.

use cloakroom_core::StoreErrorKind;
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::{Fault, Gate, Verb};

use super::{ada, see, sign_in, try_sign_in_late};

/// The reply to the end of the old session is lost, so the first sign-in fails and its session is rolled back. Before
/// that, the tombstone of the old session leads another sign-in there.
#[tokio::test]
async fn a_session_that_a_sign_in_has_joined_is_not_rolled_back() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut first = fixture.with_session(fixture.browser_of(layer)).await;
    let mut second = first.clone();
    let roll_back = Gate::new();
    fixture.store.next(Verb::End, Fault::LoseReply);
    fixture
        .store
        .next(Verb::End, Fault::Before(roll_back.clone()));
    assert_eq!(first.request(sign_in).await.status, 503);
    roll_back.reached().await;
    let response = second.request(sign_in).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    roll_back.open();
    // The runtime has one thread, and no command of this store waits: the roll back runs to its end.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(see(&mut second).await.1, ada());
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
}

/// The copy of what was saved meanwhile has an unknown outcome, so the new session has another revision than the
/// sign-in knows of. Nobody has joined it.
#[tokio::test]
async fn a_session_whose_copy_was_not_confirmed_is_rolled_back() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let (store, mut tab) = (fixture.store.clone(), browser.clone());
    let response = browser
        .request(|session| async move {
            tab.request(|session| async move { session.insert("tab", 1) })
                .await;
            store.next(Verb::Update, Fault::LoseReply);
            store.next(Verb::Load, Fault::Refuse(StoreErrorKind::Unavailable));
            session.sign_in("ada").await
        })
        .await;
    assert_eq!(response.status, 503);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sessions.count("ada").await.unwrap(), 0);
    let keys = vec!["n".to_owned(), "tab".to_owned()];
    assert_eq!(see(&mut browser).await, (keys, None));
}

/// A session in which another sign-in has continued this one. If it is damaged, no server can join it. One of a newer format
/// can be joined by a server of that release.
#[tokio::test]
async fn a_sign_in_whose_successor_cannot_be_decoded_fails_unless_it_is_damaged() {
    for (kind, status) in [
        (StoreErrorKind::Unreadable, 200),
        (StoreErrorKind::NewerFormat, 503),
        (StoreErrorKind::Unavailable, 503),
    ] {
        let fixture = Fixture::memory();
        let browser = fixture.browser_with_session().await;
        let late = try_sign_in_late(&browser, async |mut tab: Browser| {
            tab.request(sign_in).await;
            fixture.store.next(Verb::Load, Fault::Refuse(kind));
        });
        let (actual, mut late) = late.await;
        assert_eq!(actual, status, "{kind:?}");
        let expected = if status == 200 {
            (vec!["late".to_owned(), "n".to_owned()], ada())
        } else {
            (vec![], None)
        };
        assert_eq!(see(&mut late).await, expected, "{kind:?}");
    }
}
