//! Errors of the session API.

use cloakroom::{Session, SessionError, SessionErrorKind};
use cloakroom_core::SystemRng;
use cloakroom_core::rng::{Rng, RngError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tests::app::Fixture;
use tests::browser::CookieChange;
use tests::faulty_store::Verb::{Create, Load, Update};

#[tokio::test]
async fn an_edit_over_the_size_limit_changes_nothing() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_max_session_size(2000)
        .build()
        .unwrap();
    let mut browser = fixture.browser_of(layer);
    let response = browser
        .request(|session| async move {
            session.insert("small", "x".repeat(1000))?;
            let error = session.insert("large", "y".repeat(1500)).unwrap_err();
            assert_eq!(error.kind(), SessionErrorKind::TooLarge);
            assert!(error.to_string().contains("limit is 2000"), "{error}");
            let size: usize = error
                .to_string()
                .split(' ')
                .find_map(|word| word.parse().ok())
                .expect("the size is in the message");
            assert!((2500..2700).contains(&size), "{size}");
            assert_eq!(session.keys(), ["small"]);

            let grow = |text: Option<String>| text.unwrap_or_default().repeat(2);
            let error = session.update("small", grow).unwrap_err();
            assert_eq!(error.kind(), SessionErrorKind::TooLarge);
            let text: Option<String> = session.get("small")?;
            assert_eq!(text, Some("x".repeat(1000)));
            session.insert("small", "shorter")
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
    browser
        .request(|session| async move {
            assert_eq!(session.get::<String>("small")?.as_deref(), Some("shorter"));
            assert_eq!(session.keys(), ["small"]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn growth_in_small_steps_stops_at_the_size_limit() {
    const LIMIT: usize = 1024;
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_max_session_size(LIMIT)
        .build()
        .unwrap();
    let mut browser = fixture.browser_of(layer);
    let response = browser
        .request(|session| async move {
            let mut size = None;
            for length in 1..LIMIT {
                if let Err(error) = session.insert("text", "x".repeat(length)) {
                    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
                    size = Some((length, error.to_string()));
                    break;
                }
            }
            let (length, error) = size.expect("there is a limit");
            assert!(error.contains(&(LIMIT + 1).to_string()), "{error}");
            let text: Option<String> = session.get("text")?;
            assert_eq!(text.map(|text| text.len()), Some(length - 1));
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
}

/// Each of two requests stays below the limit, and both together do not.
#[tokio::test]
async fn the_edits_of_two_requests_at_once_stay_below_the_size_limit() {
    let fixture = Fixture::memory();
    let builder = fixture.builder().with_max_session_size(1024);
    let browser = fixture.browser_of(builder.build().unwrap());
    let mut browser = fixture.with_session(browser).await;
    let mut other = browser.clone();
    let response = browser
        .request(|session| async move {
            session.insert("a", "x".repeat(600))?;
            let add = |session: Session| async move { session.insert("b", "x".repeat(600)) };
            assert_eq!(other.request(add).await.status, 200);
            Ok(())
        })
        .await;
    assert_eq!(response.status, 500);
    let error = response.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
    let read = |session: Session| async move {
        Ok([session.contains("a"), session.contains("b")]
            .map(|there| there.to_string())
            .join(" "))
    };
    assert_eq!(browser.request(read).await.text(), "false true");
}

#[tokio::test]
async fn a_session_over_a_lowered_size_limit_may_shrink() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    browser
        .request(|session| async move {
            session.insert("a", "x".repeat(2000))?;
            session.insert("b", "x".repeat(2000))
        })
        .await;
    fixture.clear_verbs();
    let layer = fixture
        .builder()
        .with_max_session_size(1024)
        .build()
        .unwrap();
    let mut browser = browser.on(tests::app::app(layer));
    let response = browser
        .request(|session| async move { session.insert("a", "y".repeat(2000)) })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    let response = browser
        .request(|session| async move { session.remove("a") })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    let response = browser
        .request(|session| async move { session.insert("c", 1) })
        .await;
    assert_eq!(response.status, 500);
    let error = response.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
}

#[tokio::test]
async fn reserved_keys_are_rejected() {
    let fixture = Fixture::memory();
    let response = fixture
        .browser()
        .request(|session| async move {
            let reserved = SessionErrorKind::ReservedKey;
            assert_eq!(session.insert("$user", 1).unwrap_err().kind(), reserved);
            assert_eq!(session.get::<u32>("$user").unwrap_err().kind(), reserved);
            assert_eq!(session.take::<u32>("$user").unwrap_err().kind(), reserved);
            assert_eq!(session.remove("$").unwrap_err().kind(), reserved);
            let update = session.update("$user", |n: Option<u32>| n.unwrap_or(0));
            assert_eq!(update.unwrap_err().kind(), reserved);
            let error = session.take_once::<u32>("$user").await.unwrap_err();
            assert_eq!(error.kind(), reserved);
            assert!(error.to_string().contains("`$user`"));
            assert!(!session.contains("$user") && session.keys().is_empty());
            session.insert("user$", 1)
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
}

#[tokio::test]
async fn type_errors_name_the_key_and_never_the_value() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move {
            session.insert("n", "hunter2")?;
            let check = |error: SessionError| {
                assert_eq!(error.kind(), SessionErrorKind::Entry);
                let text = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
                assert!(text.contains("`n`"), "{text}");
                assert!(!text.contains("hunter2"), "{text}");
            };
            check(session.get::<u32>("n").unwrap_err());
            check(session.take::<u32>("n").unwrap_err());
            check(
                session
                    .update("n", |n: Option<u32>| n.unwrap_or(0))
                    .unwrap_err(),
            );
            let unwritable: std::collections::HashMap<Vec<u8>, u8> = [(vec![1], 1)].into();
            check(session.insert("n", unwritable).unwrap_err());
            assert_eq!(session.get::<String>("n")?.as_deref(), Some("hunter2"));
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
}

#[tokio::test]
async fn a_handler_error_discards_its_edits() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let handler = |session: Session| async move {
        session.insert("n", 2)?;
        session.get::<Vec<u8>>("n").map(|_| ())
    };
    let response = browser.request(handler).await;
    fixture.assert_response(&response, 500, &[Load], CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(1));
}

/// A generator that fails when the flag is set.
#[derive(Clone, Debug, Default)]
struct Failing(Arc<AtomicBool>);

impl Rng for Failing {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(RngError::new("no randomness today"));
        }
        SystemRng.fill(bytes)
    }
}

#[tokio::test]
async fn without_randomness_nothing_is_stored() {
    let fixture = Fixture::memory();
    let rng = Failing::default();
    let layer = fixture
        .builder()
        .with_rng(rng.clone())
        .build()
        .expect("it is valid");
    let mut browser = fixture
        .with_session(fixture.browser_of(layer.clone()))
        .await;
    rng.0.store(true, Ordering::SeqCst);

    let mut new = fixture.browser_of(layer);
    let response = new
        .request(|session| async move { session.insert("n", 2) })
        .await;
    assert_eq!(response.status, 500);
    let error = response.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), SessionErrorKind::RngFailed);
    assert_eq!(
        (fixture.store.take_verbs(), response.cookie_change()),
        (vec![], CookieChange::Nothing)
    );

    let response = browser
        .request(|session| async move { session.renew() })
        .await;
    assert_eq!(response.status, 500);
    assert_eq!(
        (fixture.store.take_verbs(), response.cookie_change()),
        (vec![Load], CookieChange::Nothing)
    );

    let response = browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    assert_eq!(response.status, 500);
    assert_eq!(fixture.store.take_verbs(), [Load]);
    assert_eq!(browser.read().await, Some(1), "reading needs none");
}
