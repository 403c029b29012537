//! With which data a sign-in continues whose session was renewed or ended meanwhile.

use std::time::Duration;

use cloakroom::{Expiry, Session, days};
use cloakroom_core::{Store, StoreAdmin};
use tests::app::Fixture;
use tests::browser::Browser;

use super::{ada, see, sign_in, sign_in_late};

#[tokio::test]
async fn what_was_signed_out_meanwhile_gives_no_data_even_through_a_renewal() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let mut late = sign_in_late(&browser, async |mut tab: Browser| {
        tab.request(sign_in).await;
        tab.request(|session| async move { session.sign_out().await.map(drop) })
            .await;
    })
    .await;
    assert_eq!(see(&mut late).await, (vec!["late".to_owned()], ada()));
}

#[tokio::test]
async fn updates_are_kept_and_run_on_nothing_when_the_session_was_signed_out_meanwhile() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let sign_out = |session: Session| async move { session.sign_out().await.map(drop) };
    let response = browser
        .request(move |session| async move {
            session.increment("n", 1_u32)?;
            session.push("list", 7_u32)?;
            elsewhere.request(sign_out).await;
            session.sign_in("ada").await?;
            let list = session.get::<Vec<u32>>("list")?;
            Ok(format!("{list:?} {:?}", session.get::<u32>("n")?))
        })
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "Some([7]) Some(1)");
    let keys = vec!["list".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut browser).await, (keys, ada()));
    assert_eq!(
        browser.read().await,
        Some(1),
        "not that of the ended session"
    );
}

#[tokio::test]
async fn sign_ins_of_another_user_at_once_keep_the_updates_of_both() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    browser.request(sign_in).await;
    let mut elsewhere = browser.clone();
    let append = |session: &Session, element: u32| {
        session.increment("n", 1_u32)?;
        session.push("list", element)
    };
    browser
        .request(move |session| async move {
            append(&session, 1)?;
            let first = elsewhere.request(move |session| async move {
                append(&session, 2)?;
                session.sign_in("bob").await
            });
            assert_eq!(first.await.status, 200);
            session.sign_in("bob").await
        })
        .await;
    let response = browser.request(|session| async move {
        let user = session.user().map(|user| user.to_string());
        Ok(format!("{user:?} {:?}", session.get::<Vec<u32>>("list")?))
    });
    assert_eq!(response.await.text(), "Some(\"bob\") Some([2, 1])");
    assert_eq!(browser.read().await, Some(2), "nothing of the other user");
}

#[tokio::test]
async fn without_a_successor_the_loaded_data_is_kept() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let mut late = sign_in_late(&browser, async |mut tab: Browser| {
        // Of nobody: the sign-in must not get into it, and neither must its cookie into that of the sign-in.
        tab.request(|session| async move { session.renew() }).await;
    })
    .await;
    let keys = vec!["late".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut late).await, (keys, ada()));
}

#[tokio::test]
async fn a_sign_in_that_discards_data_joins_nothing() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let response = browser
        .request(|session| async move {
            elsewhere.request(sign_in).await;
            session.sign_in("ada").discard_data().await
        })
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(see(&mut browser).await, (vec![], ada()));
}

#[tokio::test]
async fn an_expired_successor_is_not_joined() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let clock = fixture.clock.clone();
    let mut late = sign_in_late(&browser, async move |mut tab: Browser| {
        tab.request(|session| async move {
            let short = Expiry::idle(Duration::from_secs(30)).absolute(Duration::from_secs(30));
            session.sign_in("ada").with_expiry(short).await?;
            session.insert("short", true)
        })
        .await;
        clock.advance(Duration::from_secs(45));
    })
    .await;
    let keys = vec!["late".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut late).await, (keys, ada()));
}

/// A second factor that was given in a session must not be had by a sign-in with the password alone and a
/// cookie from before: the app renews the session at that step.
#[tokio::test]
async fn a_session_that_was_renewed_after_its_sign_in_is_not_joined() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let mut tab = browser.clone();
    tab.request(sign_in).await;
    tab.request(|session| async move {
        session.insert("second factor", true)?;
        session.renew()
    })
    .await;
    let mut late = browser.clone();
    late.request(sign_in).await;
    assert_eq!(see(&mut late).await.1, ada());
    let keys = see(&mut late).await.0;
    assert!(!keys.contains(&"second factor".to_owned()), "{keys:?}");
    let (keys, user) = see(&mut tab).await;
    assert!(keys.contains(&"second factor".to_owned()) && user == ada());
}

/// Another tab has saved something since this request has loaded the session.
#[tokio::test]
async fn a_request_sees_what_its_sign_in_has_merged() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut tab = browser.clone();
    let response = browser
        .request(|session| async move {
            tab.request(|session| async move { session.insert("tab", 1) })
                .await;
            session.sign_in("ada").await?;
            Ok(session.keys().join(" "))
        })
        .await;
    assert_eq!(response.text(), "n tab");
    let keys = vec!["n".to_owned(), "tab".to_owned()];
    assert_eq!(see(&mut browser).await, (keys, ada()));
}

/// Sessions that were created before a time are revoked, and one that was created at that time is not.
#[tokio::test(start_paused = true)]
async fn a_successor_that_was_revoked_with_everyone_is_not_joined() {
    for (is_revoked, expected) in [(false, vec!["late", "n"]), (true, vec!["late"])] {
        let fixture = Fixture::memory();
        let browser = fixture.browser_with_session().await;
        let mut late = sign_in_late(&browser, async |mut tab: Browser| {
            tab.request(sign_in).await;
            fixture
                .clock
                .advance(Duration::from_millis(is_revoked.into()));
            let admin = fixture.store.admin().expect("it has one");
            let set = admin.set_revoked_before(Duration::ZERO, days(1)).await;
            set.expect("memory does not fail");
            // No server relies on an earlier time any more.
            tokio::time::advance(Duration::from_secs(9)).await;
        })
        .await;
        let (keys, user) = see(&mut late).await;
        assert_eq!(
            (keys, user),
            (expected.into_iter().map(str::to_owned).collect(), ada())
        );
    }
}
