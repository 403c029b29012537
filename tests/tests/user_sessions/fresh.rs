//! How long ago somebody signed in, and how long sessions live: by whom they are.

use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Expiry, RecentSignIn, SessionError, SessionErrorKind, days, hours, minutes};
use tests::app::{Act, Stage, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

use super::{sign_in, whoami};

on_every_store!(
    a_sensitive_action_wants_a_recent_sign_in,
    sessions_of_nobody_live_shorter,
);

async fn guarded(browser: &mut Browser) -> u16 {
    let act = |RecentSignIn(session): RecentSignIn<10>| async move {
        session.require_user()?;
        Ok(())
    };
    browser.perform(Act::with(act)).await.status.as_u16()
}

async fn a_sensitive_action_wants_a_recent_sign_in(backend: Backend) {
    let mut browser = backend.browser().await;
    assert_eq!(guarded(&mut browser).await, 401, "nobody is signed in");
    browser
        .act(|session| async move { session.insert("n", 1) })
        .await;
    assert_eq!(guarded(&mut browser).await, 401);
    sign_in(&mut browser, "ada").await;
    assert_eq!(guarded(&mut browser).await, 200);
    backend.clock.advance(minutes(10));
    assert_eq!(guarded(&mut browser).await, 200, "to the very minute");
    backend.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(guarded(&mut browser).await, 401);
    // Using the session, and renewing it, is not signing in.
    browser.act(|session| async move { session.renew() }).await;
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(guarded(&mut browser).await, 401);
    sign_in(&mut browser, "ada").await;
    assert_eq!(guarded(&mut browser).await, 200);
    assert_eq!(browser.read().await, Some(1), "nothing was lost over it");
}

/// RFC 9110, section 15.5.2.
#[tokio::test]
async fn a_refusal_names_the_scheme() {
    let stage = Stage::memory();
    let act = Act::with(|_: RecentSignIn<10>| async { Ok(()) });
    let answer = stage.browser().perform(act).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.headers["www-authenticate"], "Session");
}

#[tokio::test]
async fn the_app_chooses_what_the_refusal_looks_like() {
    let stage = Stage::memory();
    let to_the_form = |error: &SessionError| -> Response {
        match error.kind() {
            SessionErrorKind::NotSignedIn => Redirect::to("/sign-in").into_response(),
            SessionErrorKind::ReauthenticationRequired => {
                Redirect::to("/sign-in?again").into_response()
            }
            _ => Response::new(Body::empty()),
        }
    };
    let mut browser = Browser::new(app(stage
        .builder()
        .with_error_response(to_the_form)
        .build()
        .expect("it is valid")));
    let location = async |browser: &mut Browser| {
        let act = |_: RecentSignIn<10>| async { Ok(()) };
        let answer = browser.perform(Act::with(act)).await;
        assert_eq!(answer.status, 303);
        answer.headers["location"]
            .to_str()
            .expect("ASCII")
            .to_owned()
    };
    assert_eq!(location(&mut browser).await, "/sign-in");
    sign_in(&mut browser, "ada").await;
    stage.clock.advance(minutes(11));
    assert_eq!(location(&mut browser).await, "/sign-in?again");
}

async fn sessions_of_nobody_live_shorter(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_expiry(Expiry::idle(hours(8)).absolute(hours(20)))
        .with_anonymous_expiry(Expiry::idle(minutes(20)).absolute(hours(1)))
        .build();
    let mut browser = Browser::new(app(layer.expect("it is valid")));
    let left = async |browser: &mut Browser| {
        let answer = browser
            .act(|session| async move {
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
        answer.text().to_owned()
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
        .act(|session| async move { session.insert("n", 1) })
        .await;
    let mut nobody = nobody.on(browser_app(&backend).await);
    assert_eq!(nobody.read().await, Some(1));
    backend.clock.advance(minutes(21));
    assert_eq!(nobody.read().await, None, "the rule of now counts");
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
fn the_presets_hold_what_the_standard_says() {
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
