//! Signing in, step by step: what it costs, and what is left when a step fails or another request comes between.

use cloakroom::SessionErrorKind;
use cloakroom_core::StoreErrorKind;
use tests::app::Fixture;
use tests::browser::CookieChange;
use tests::faulty_store::{Fault, Verb};

use super::{eventually, sign_in, try_sign_in, whoami};

/// Each step of signing in with a previous session fails in turn.
#[tokio::test]
async fn a_failed_sign_in_changes_nothing() {
    for (verb, fault, status) in [
        (
            Verb::Create,
            Fault::Refuse(StoreErrorKind::Unavailable),
            503,
        ),
        (
            Verb::Create,
            Fault::Refuse(StoreErrorKind::OutOfMemory),
            507,
        ),
        (Verb::End, Fault::Refuse(StoreErrorKind::Unavailable), 503),
        (Verb::End, Fault::LoseCommand, 503),
    ] {
        let fixture = Fixture::memory();
        let mut browser = fixture.browser_with_session().await;
        fixture.store.next(verb, fault.clone());
        let response = try_sign_in(&mut browser, "ada").await;
        assert_eq!(response.status, status, "{verb:?} {fault:?}");
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
        assert_eq!(whoami(&mut browser).await, "");
        assert_eq!(browser.read().await, Some(1));
        let sessions = fixture.layer().sessions();
        eventually("the new session is rolled back", async || {
            sessions.count("ada").await.expect("the store responds") == 0
                && fixture.store.inner().users() == 0
        })
        .await;
    }
}

/// A handler that catches the error continues with the previous session.
#[tokio::test]
async fn edits_before_a_failed_sign_in_are_still_saved() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture
        .store
        .next(Verb::Create, Fault::Refuse(StoreErrorKind::Unavailable));
    let response = browser
        .request(|session| async move {
            session.insert("n", 2)?;
            assert!(session.sign_in("ada").await.is_err());
            assert_eq!(session.user(), None);
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(2));
    assert_eq!(whoami(&mut browser).await, "");
}

/// An awaited sign-in stands, also if the handler fails afterwards.
#[tokio::test]
async fn an_awaited_sign_in_stands_when_the_handler_fails() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move {
            session.sign_in("ada").await?;
            session.insert("n", 2)?;
            Ok(http::StatusCode::INTERNAL_SERVER_ERROR)
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(
        browser.read().await,
        Some(1),
        "the edit after it is dropped"
    );
}

#[tokio::test]
async fn signing_in_costs_a_load_a_create_and_an_end() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move { session.sign_in("ada").await })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Verb::Load, Verb::Create, Verb::End],
        CookieChange::Set,
    );
}

/// Neither the entries that were given to the sign-in nor this request's edits are stored, or lost.
#[tokio::test]
async fn a_sign_in_with_entries_that_fails_leaves_the_edits_as_they_were() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    sign_in(&mut browser, "ada").await;
    fixture
        .store
        .next(Verb::Create, Fault::Refuse(StoreErrorKind::Unavailable));
    let response = browser
        .request(|session| async move {
            session.insert("m", 2)?;
            let sign_in = session.sign_in("bob").insert("name", "Bob")?;
            assert!(sign_in.await.is_err());
            Ok(format!("{:?}", session.keys()))
        })
        .await;
    assert_eq!(response.text(), r#"["m", "n"]"#);
    assert_eq!(whoami(&mut browser).await, "ada");
    let response = browser
        .request(|session| async move { Ok(format!("{:?}", session.keys())) })
        .await;
    assert_eq!(response.text(), r#"["m", "n"]"#);
}

/// Also where the other user's session changes, or ends, while this one signs in: no entry of it is
/// merged into the new one.
#[tokio::test]
async fn another_users_session_that_changes_meanwhile_gives_nothing() {
    for ends in [false, true] {
        let fixture = Fixture::memory();
        let mut browser = fixture.browser_with_session().await;
        sign_in(&mut browser, "ada").await;
        let mut tab = browser.clone();
        let gate = fixture.store.hold(Verb::Create);
        let signing_in = tokio::spawn(async move {
            browser
                .request(|session| async move {
                    session.insert("own", 1)?;
                    session.increment("n", 1)?;
                    session.sign_in("bob").insert("name", "Bob")?.await
                })
                .await;
            browser
        });
        gate.reached().await;
        tab.request(move |session| async move {
            if ends {
                return session.sign_out().await.map(|_| ());
            }
            session.insert("adas", 1)
        })
        .await;
        gate.open();
        let mut browser = signing_in.await.expect("no request panics");
        assert_eq!(whoami(&mut browser).await, "bob");
        assert_eq!(browser.read().await, Some(1), "counted from nothing");
        let keys = browser
            .request(|session| async move { Ok(session.keys().join(" ")) })
            .await;
        assert_eq!(keys.text(), "n name own");
    }
}

/// What is given to the sign-in costs no command of its own.
#[tokio::test]
async fn a_sign_in_with_entries_is_one_command() {
    let fixture = Fixture::memory();
    let response = fixture
        .browser()
        .request(|session| async move {
            session.insert("cart", [7])?;
            session.sign_in("ada").insert("name", "Ada")?.await
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Verb::Create],
        tests::browser::CookieChange::Set,
    );
}

/// A full session must not prevent its user from signing in.
#[tokio::test]
async fn a_full_session_can_sign_in() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_max_session_size(1024)
        .build()
        .expect("it is valid");
    let mut browser = tests::browser::Browser::new(tests::app::app(layer));
    let fill = |session: cloakroom::Session| async move {
        let mut length = 900;
        while session.insert("full", "x".repeat(length)).is_ok() {
            length += 1;
        }
        Ok(())
    };
    browser.request(fill).await;
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
    let response = browser
        .request(|session| async move {
            let full = session.get::<String>("full")?.unwrap_or_default();
            session.insert("full", &*full)?;
            let more = session.insert("more", "x").map_err(|error| error.kind());
            assert_eq!(more, Err(SessionErrorKind::TooLarge));
            Ok((full.len() > 900).to_string())
        })
        .await;
    assert_eq!(response.text(), "true");
    // But a user id that is too large to be stored is rejected.
    let response = try_sign_in(&mut browser, "x".repeat(2 << 20)).await;
    assert_eq!(response.status, 500);
    assert_eq!(whoami(&mut browser).await, "ada");
}
