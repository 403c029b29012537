//! Requests that take longer than a session may be unused.

use std::time::Duration;

use axum::Router;
use cloakroom::{Expiry, MemoryStore, SessionLayer, days, minutes};
use tests::app::{Fixture, app};
use tests::browser::Browser;
use tests::clocks::TokioClock;
use tokio::time::sleep;

const IDLE: Duration = minutes(10);

fn on_tokio_clock() -> Router {
    let clock = TokioClock::start();
    let layer = SessionLayer::builder(MemoryStore::with_clock(clock.clone()))
        .with_clock(clock)
        .with_expiry(Expiry::idle(IDLE).absolute(days(1)));
    app(layer.build().expect("the configuration is valid"))
}

async fn signed_in(app: &Router) -> Browser {
    let mut browser = Browser::new(app.clone());
    let response = browser
        .request(|session| async move { session.sign_in("ada").await })
        .await;
    assert_eq!(response.status, 200);
    browser
}

async fn user(browser: &mut Browser) -> String {
    let response = browser
        .request(|session| async move { Ok(format!("{:?}", session.user())) })
        .await;
    response.text().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_upload_longer_than_the_idle_timeout_is_saved() {
    let mut browser = signed_in(&on_tokio_clock()).await;
    let response = browser
        .request(|session| async move {
            sleep(IDLE * 7 / 2).await;
            session.insert("n", 1)
        })
        .await;
    assert_eq!(response.status, 200);
    assert!(user(&mut browser).await.contains("ada"), "still signed in");
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_longer_than_the_idle_timeout_keeps_the_session() {
    let mut browser = signed_in(&on_tokio_clock()).await;
    let response = browser
        .request(|_session| async move {
            sleep(IDLE * 3).await;
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200);
    assert!(user(&mut browser).await.contains("ada"), "still signed in");
}

/// Use ends with the request: what nobody uses expires.
#[tokio::test(start_paused = true)]
async fn after_a_cancelled_request_the_session_expires() {
    let mut browser = signed_in(&on_tokio_clock()).await;
    let mut tab = browser.clone();
    let request = tab.request(|_session| async move {
        sleep(days(1)).await;
        Ok(())
    });
    assert!(tokio::time::timeout(IDLE * 2, request).await.is_err());
    sleep(IDLE * 2).await;
    assert_eq!(user(&mut browser).await, "None");
}

/// The record is gone without a tombstone, as after an eviction: nobody ended the session.
#[tokio::test]
async fn an_edit_of_a_vanished_session_is_not_a_success() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let clock = fixture.clock.clone();
    let response = browser
        .request(|session| async move {
            clock.advance(days(2));
            session.insert("n", 2)
        })
        .await;
    let status = response.status;
    assert!(
        status.is_client_error(),
        "{status}, and the edit was dropped"
    );
}
