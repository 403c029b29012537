//! Recent sign-ins, and the expiry of anonymous sessions.

use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Expiry, RecentSignIn, SessionError, SessionErrorKind, days, hours, minutes};
use tests::app::{Fixture, Handler, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

use super::{sign_in, whoami};

on_every_store!(
    a_sensitive_action_needs_a_recent_sign_in,
    anonymous_sessions_expire_sooner,
);

async fn guarded(browser: &mut Browser) -> u16 {
    let handler = |RecentSignIn(session): RecentSignIn<10>| async move {
        session.require_user()?;
        Ok(())
    };
    browser
        .request_with(Handler::with(handler))
        .await
        .status
        .as_u16()
}

async fn a_sensitive_action_needs_a_recent_sign_in(backend: Backend) {
    let mut browser = backend.browser().await;
    assert_eq!(guarded(&mut browser).await, 401, "nobody is signed in");
    browser
        .request(|session| async move { session.insert("n", 1) })
        .await;
    assert_eq!(guarded(&mut browser).await, 401);
    sign_in(&mut browser, "ada").await;
    assert_eq!(guarded(&mut browser).await, 200);
    backend.clock.advance(minutes(10));
    assert_eq!(guarded(&mut browser).await, 200, "exactly ten minutes");
    backend.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(guarded(&mut browser).await, 401);
    // Neither use nor renewal counts as signing in.
    browser
        .request(|session| async move { session.renew() })
        .await;
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(guarded(&mut browser).await, 401);
    sign_in(&mut browser, "ada").await;
    assert_eq!(guarded(&mut browser).await, 200);
    assert_eq!(browser.read().await, Some(1), "no data was lost");
}

/// RFC 9110, section 15.5.2.
#[tokio::test]
async fn the_rejection_names_the_authentication_scheme() {
    let fixture = Fixture::memory();
    let handler = Handler::with(|_: RecentSignIn<10>| async { Ok(()) });
    let response = fixture.browser().request_with(handler).await;
    assert_eq!(response.status, 401);
    assert_eq!(response.headers["www-authenticate"], "Session");
}

#[tokio::test]
async fn the_app_chooses_the_rejection_response() {
    let fixture = Fixture::memory();
    let to_the_form = |error: &SessionError| -> Response {
        match error.kind() {
            SessionErrorKind::NotSignedIn => Redirect::to("/sign-in").into_response(),
            SessionErrorKind::ReauthenticationRequired => {
                Redirect::to("/sign-in?again").into_response()
            }
            _ => Response::new(Body::empty()),
        }
    };
    let mut browser = Browser::new(app(fixture
        .builder()
        .with_error_response(to_the_form)
        .build()
        .expect("it is valid")));
    let location = async |browser: &mut Browser| {
        let handler = |_: RecentSignIn<10>| async { Ok(()) };
        let response = browser.request_with(Handler::with(handler)).await;
        assert_eq!(response.status, 303);
        response.headers["location"]
            .to_str()
            .expect("ASCII")
            .to_owned()
    };
    assert_eq!(location(&mut browser).await, "/sign-in");
    sign_in(&mut browser, "ada").await;
    fixture.clock.advance(minutes(11));
    assert_eq!(location(&mut browser).await, "/sign-in?again");
}

async fn anonymous_sessions_expire_sooner(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_expiry(Expiry::idle(hours(8)).absolute(hours(20)))
        .with_anonymous_expiry(Expiry::idle(minutes(20)).absolute(hours(1)))
        .build();
    let mut browser = Browser::new(app(layer.expect("it is valid")));
    let left = async |browser: &mut Browser| {
        let response = browser
            .request(|session| async move {
                session.insert("n", 1)?;
                session.save().await?;
                let created = session.created_at().expect("it is stored");
                let left = |until: Option<std::time::SystemTime>| {
                    let left = until.and_then(|until| until.duration_since(created).ok());
                    left.map_or(0, |left| left.as_secs().div_ceil(60))
                };
                Ok(format!(
                    "{} {}",
                    left(session.expires_at()),
                    left(session.deadline())
                ))
            })
            .await;
        response.text().to_owned()
    };
    assert_eq!(left(&mut browser).await, "20 60");
    sign_in(&mut browser, "ada").await;
    assert_eq!(left(&mut browser).await, "480 1200");
    backend.clock.advance(hours(2));
    assert_eq!(whoami(&mut browser).await, "ada");

    let mut crawler = browser.on(browser_app(&backend).await);
    crawler.add_cookie("other", "1");
    let mut nobody = backend.browser().await;
    nobody
        .request(|session| async move { session.insert("n", 1) })
        .await;
    let mut nobody = nobody.on(browser_app(&backend).await);
    assert_eq!(nobody.read().await, Some(1));
    backend.clock.advance(minutes(21));
    assert_eq!(nobody.read().await, None, "the current expiry applies");
}

async fn browser_app(backend: &Backend) -> axum::Router {
    let builder = backend.builder().await;
    app(builder
        .with_anonymous_expiry(Expiry::idle(minutes(20)))
        .build()
        .expect("it is valid"))
}

/// NIST SP 800-63B-4, sections 2.1.3, 2.2.3 and 2.3.3.
#[test]
fn the_presets_match_the_standard() {
    for (preset, idle, absolute) in [
        (Expiry::aal1(), days(30), days(30)),
        (Expiry::aal2(), hours(1), hours(24)),
        (Expiry::aal3(), minutes(15), hours(12)),
    ] {
        assert!(preset.validate().is_ok());
        assert_eq!(preset.idle_timeout(), idle);
        assert_eq!(preset.absolute_timeout(), absolute);
    }
}
