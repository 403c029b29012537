//! Requests in which a session is created, saved or renewed.

use cloakroom::{Expiry, Session, Store, days};
use tests::app::Fixture;
use tests::browser::CookieChange;
use tests::faulty_store::Verb::{Create, End, Load, Update};

super::rows! {
    no_cookie_written,
    valid_cookie_written,
    valid_cookie_written_with_its_own_expiry,
    valid_cookie_every_entry_removed,
    renews,
    renewal_during_a_concurrent_save,
    write_during_a_concurrent_save,
}

async fn no_cookie_written<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move { session.insert("n", 1) })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
    assert_eq!(browser.read().await, Some(1));
}

async fn valid_cookie_written<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(2));
}

async fn valid_cookie_written_with_its_own_expiry<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let token = browser.cookie().unwrap().to_owned();
    let response = browser
        .request(
            |session| async move { session.set_expiry(Expiry::idle(days(7)).absolute(days(60))) },
        )
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Set);
    let cookie = response.set_cookie();
    assert_eq!(cookie.value, token);
    assert_eq!(cookie.max_age(), Some(days(60).as_secs()));
}

async fn valid_cookie_every_entry_removed<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move { session.remove("n") })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    let response = browser
        .request(|session| async move {
            assert!(session.id().is_some() && session.keys().is_empty());
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
}

async fn renews<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut stale = browser.clone();
    let response = browser
        .request(|session| async move { session.renew() })
        .await;
    fixture.assert_response(&response, 200, &[Load, Create, End], CookieChange::Set);
    let (new, old) = (browser.cookie().unwrap(), stale.cookie().unwrap());
    // Both the random part of the id and the secret are new.
    assert_ne!(new[8..21], old[8..21]);
    assert_ne!(new[22..], old[22..]);
    assert_eq!(browser.read().await, Some(1), "the data carries over");
    assert_eq!(stale.read().await, None, "the old token is invalid at once");
}

/// Increments `n`.
fn count(session: &Session) -> Result<u32, cloakroom::SessionError> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
}

async fn renewal_during_a_concurrent_save<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut other = browser.clone();
    let gate = fixture.store.hold(End);
    let renewal = tokio::spawn(async move {
        let handler = |session: Session| async move {
            count(&session)?;
            session.renew()
        };
        let response = browser.request(handler).await;
        (browser, response)
    });
    gate.reached().await;
    fixture.clear_verbs();
    let response = other
        .request(|session| async move {
            count(&session)?;
            session.insert("cart", 5)
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    gate.open();
    let (mut browser, response) = renewal.await.unwrap();
    // The end conflicts with the other request's save, which is merged before the old session ends.
    fixture.assert_response(&response, 200, &[Update, End], CookieChange::Set);
    assert_eq!(browser.read().await, Some(3));
    browser
        .request(|session| async move {
            assert_eq!(session.keys(), ["cart", "n"]);
            Ok(())
        })
        .await;
}

async fn write_during_a_concurrent_save<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut other = browser.clone();
    let gate = fixture.store.hold(Update);
    let slow = tokio::spawn(async move {
        let response = browser
            .request(|session| async move { count(&session).map(|_| ()) })
            .await;
        (browser, response)
    });
    gate.reached().await;
    fixture.clear_verbs();
    other
        .request(|session| async move {
            count(&session)?;
            session.insert("cart", 5)
        })
        .await;
    fixture.clear_verbs();
    gate.open();
    let (mut browser, response) = slow.await.unwrap();
    fixture.assert_response(&response, 200, &[Update], CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(3), "no update is lost");
    browser
        .request(|session| async move {
            assert_eq!(session.get::<u32>("cart")?, Some(5));
            Ok(())
        })
        .await;
}
