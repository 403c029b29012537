//! Requests that only read, and those with an invalid cookie.

use std::time::Duration;

use cloakroom::{CookieConfig, EndedConcurrently, Expiry, Store, days};
use cloakroom_core::{Clock, SystemRng, Timestamp, Token};
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb::{Create, Load, Touch, Update};

super::rows! {
    no_cookie_session_unused,
    no_cookie_read,
    valid_cookie_session_unused,
    valid_cookie_read,
    valid_cookie_read_with_touch_due,
    unknown_cookie_read_and_written,
    malformed_cookie_read_and_written,
    expired_session_read_and_written,
    ended_session_read_and_written,
    ended_session_renewed,
    ended_session_signed_in,
}

async fn no_cookie_session_unused<S: Store + Clone>(fixture: Fixture<S>) {
    let response = fixture.browser().lazy(|_| async { Ok(()) }).await;
    fixture.assert_session_unused(&response);
}

async fn no_cookie_read<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move {
            assert!(session.keys().is_empty() && !session.contains("n"));
            assert_eq!(session.get::<u32>("n")?, None);
            assert_eq!(session.take::<u32>("n")?, None);
            session.remove("n")?;
            session.clear()
        })
        .await;
    fixture.assert_response(&response, 200, &[], CookieChange::Nothing);
}

async fn valid_cookie_session_unused<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let response = browser.lazy(|_| async { Ok(()) }).await;
    fixture.assert_session_unused(&response);
}

async fn valid_cookie_read<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move {
            assert_eq!(session.get::<u32>("n")?, Some(1));
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
}

async fn valid_cookie_read_with_touch_due<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    fixture.clock.advance(Expiry::default().idle_timeout() / 10);
    let response = browser.request(|_| async { Ok(()) }).await;
    fixture.assert_response(&response, 200, &[Load, Touch], CookieChange::Nothing);
    let response = browser.request(|_| async { Ok(()) }).await;
    fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
}

/// A browser with only this cookie.
fn with_cookie<S: Store + Clone>(fixture: &Fixture<S>, value: &str) -> Browser {
    let mut browser = fixture.browser();
    browser.add_cookie(CookieConfig::DEFAULT_NAME, value);
    browser
}

/// Reads with an invalid cookie, then writes with it: a new session is created.
async fn reads_and_writes<S: Store + Clone>(fixture: &Fixture<S>, cookie: &str, loads: bool) {
    fixture.clear_verbs();
    let load = if loads { &[Load][..] } else { &[] };
    let mut browser = with_cookie(fixture, cookie);
    let response = browser
        .request(|session| async move {
            assert_eq!(session.id(), None);
            assert_eq!(session.get::<u32>("n")?, None);
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, load, CookieChange::Nothing);
    let response = browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[load, &[Create]].concat(),
        CookieChange::Set,
    );
    let fresh = browser.cookie().unwrap();
    assert_ne!(fresh, cookie);
    let id = |text| Token::parse(text).map(|token| token.id());
    assert!(id(fresh).is_some() && id(fresh) != id(cookie));
    assert_eq!(browser.read().await, Some(2));
}

async fn unknown_cookie_read_and_written<S: Store + Clone>(fixture: Fixture<S>) {
    let unknown = Token::issue(fixture.clock.now(), &SystemRng).unwrap();
    reads_and_writes(&fixture, &unknown.encode(), true).await;

    // A forged token: the id of a live session with another secret.
    let mut owner = fixture.browser_with_session().await;
    let good = owner.cookie().unwrap();
    let forged = format!("{}{}", &good[..22], &unknown.encode()[22..]);
    assert!(Token::parse(&forged).is_some());
    reads_and_writes(&fixture, &forged, true).await;
    assert_eq!(owner.read().await, Some(1), "the owner is not affected");

    // A good one of another realm.
    let layer = fixture
        .builder()
        .with_realm("elsewhere")
        .build()
        .expect("it is valid");
    let other = fixture.with_session(fixture.browser_of(layer)).await;
    reads_and_writes(&fixture, other.cookie().unwrap(), true).await;
}

async fn malformed_cookie_read_and_written<S: Store + Clone>(fixture: Fixture<S>) {
    reads_and_writes(&fixture, "malformed", false).await;
    reads_and_writes(&fixture, &"A".repeat(43), false).await;
    let now = fixture.clock.now().as_millis();
    let ago = u64::try_from(days(401).as_millis()).unwrap();
    let over_age = Token::issue(Timestamp::from_millis(now - ago), &SystemRng).unwrap();
    reads_and_writes(&fixture, &over_age.encode(), false).await;
}

async fn expired_session_read_and_written<S: Store + Clone>(fixture: Fixture<S>) {
    let browser = fixture.browser_with_session().await;
    let tolerance = Duration::from_secs(6);
    fixture
        .clock
        .advance(Expiry::default().idle_timeout() + tolerance);
    reads_and_writes(&fixture, browser.cookie().unwrap(), true).await;
}

/// A browser whose session has just ended elsewhere.
async fn ended<S: Store + Clone>(fixture: &Fixture<S>) -> Browser {
    let browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    elsewhere
        .request(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    fixture.clear_verbs();
    browser
}

async fn ended_session_read_and_written<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = ended(&fixture).await;
    let response = browser
        .request(|session| async move {
            assert_eq!(session.get::<u32>("n")?, None);
            session.insert("n", 2)?;
            assert_eq!(session.get::<u32>("n")?, Some(2));
            session.set_expiry(Expiry::default())?;
            session.save().await.map(|_| ())
        })
        .await;
    fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
    assert_eq!(browser.read().await, None);
}

async fn ended_session_renewed<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = ended(&fixture).await;
    let response = browser
        .request(|session| async move {
            session.renew()?;
            session.insert("user", 7)
        })
        .await;
    fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
    assert!(response.extension::<EndedConcurrently>().is_some());
}

async fn ended_session_signed_in<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = ended(&fixture).await;
    let stale = browser.cookie().unwrap().to_owned();
    let response = browser
        .request(|session| async move {
            session.insert("user", 7)?;
            session.sign_in("ada").await
        })
        .await;
    // The tombstone is read again: it could name a successor.
    fixture.assert_response(&response, 200, &[Load, Load, Create], CookieChange::Set);
    assert_ne!(browser.cookie(), Some(&*stale));
    let response = browser
        .request(|session| async move {
            assert_eq!(session.keys(), ["user"]);
            session.insert("user", 8)
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
}
