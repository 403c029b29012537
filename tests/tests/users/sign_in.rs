//! Signing in.

use cloakroom::{Expiry, SessionError, SessionErrorKind, UserId, days, hours, minutes};
use cloakroom_core::StoreErrorKind;
use tests::app::Fixture;
use tests::backend::Backend;
use tests::browser::CookieChange;
use tests::faulty_store::{Fault, Verb};
use tests::on_every_store;

use super::{eventually, id, sign_in, try_sign_in, whoami};

on_every_store!(
    signing_in_renews_the_token_and_keeps_the_data,
    signing_in_without_a_session_creates_one,
    signing_in_as_another_user_keeps_only_the_edits_of_the_request,
    entries_of_the_sign_in_are_stored_with_the_session,
    a_typed_user_id_is_read_back,
    signing_in_again_keeps_the_data_and_renews_the_token,
    discarding_data_keeps_the_entries_of_the_sign_in,
    a_stale_cookie_can_sign_in,
    user_ids_can_be_any_bytes,
    signing_in_restarts_the_expiry_and_can_choose_it,
    a_later_deadline_extends_the_index_entry,
    clearing_the_session_does_not_sign_out,
);

async fn signing_in_renews_the_token_and_keeps_the_data(backend: Backend) {
    let mut browser = backend.browser().await;
    browser
        .request(|session| async move { session.insert("n", 7) })
        .await;
    let old = browser.clone();
    let response = browser
        .request(|session| async move {
            let before = id(&session);
            session.insert("m", 8)?;
            session.sign_in("ada").await?;
            assert_ne!(id(&session), before);
            assert_eq!(session.user(), Some(UserId::from("ada")));
            assert!(session.signed_in_at().is_some());
            // A later edit belongs to the new session.
            session.insert("l", 9)
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_ne!(browser.cookie(), old.cookie());
    assert_eq!(browser.read().await, Some(7));
    assert_eq!(whoami(&mut browser).await, "ada");
    let response = browser
        .request(|session| async move {
            Ok(format!(
                "{:?} {:?}",
                session.get::<u8>("m")?,
                session.get::<u8>("l")?
            ))
        })
        .await;
    assert_eq!(response.text(), "Some(8) Some(9)");
    assert_eq!(
        whoami(&mut old.clone()).await,
        "",
        "the old token is invalid"
    );
    assert_eq!(backend.entered("ada").await.len(), 1);
}

async fn signing_in_without_a_session_creates_one(backend: Backend) {
    let mut browser = backend.browser().await;
    let new = sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(backend.entered("ada").await, [new]);
    assert_eq!(backend.entered("bob").await, []);
}

/// When another user signs in, no data of the previous user is carried over: neither stored entries, nor what
/// this request has computed from them in an update. What it put in by itself does.
async fn signing_in_as_another_user_keeps_only_the_edits_of_the_request(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    browser
        .request(|session| async move {
            session.insert("n", 7)?;
            session.insert("count", 7)?;
            session.insert("list", ["ada's"])?;
            session.insert("removed", 1)
        })
        .await;
    let adas = browser.clone();
    let response = browser
        .request(|session| async move {
            session.insert("inserted", 1)?;
            session.remove("removed")?;
            assert_eq!(session.increment("count", 1)?, 8);
            session.push("list", "bob's".to_owned())?;
            session.update("copied", |text: Option<String>| text.unwrap_or_default())?;
            session.insert("twice", 1)?;
            session.increment("twice", 1)?;
            session.sign_in("bob").await?;
            let list: Option<Vec<String>> = session.get("list")?;
            let counts = ["count", "twice"].map(|key| session.get::<u32>(key).ok().flatten());
            Ok(format!("{:?} {list:?} {counts:?}", session.keys()))
        })
        .await;
    let expected =
        r#"["copied", "count", "inserted", "list", "twice"] Some(["bob's"]) [Some(1), Some(2)]"#;
    assert_eq!(response.text(), expected);
    // And that is what is stored.
    let response = browser
        .request(|session| async move {
            let list: Option<Vec<String>> = session.get("list")?;
            let counts = ["count", "twice"].map(|key| session.get::<u32>(key).ok().flatten());
            Ok(format!("{:?} {list:?} {counts:?}", session.keys()))
        })
        .await;
    assert_eq!(response.text(), expected);
    assert_eq!(browser.read().await, None);
    assert_eq!(whoami(&mut browser).await, "bob");
    assert_eq!(whoami(&mut adas.clone()).await, "");
    let ada_is_gone = async || backend.entered("ada").await.is_empty();
    eventually(
        "the entry of the session that ended is removed",
        ada_is_gone,
    )
    .await;
    assert_eq!(backend.entered("bob").await.len(), 1);
}

async fn entries_of_the_sign_in_are_stored_with_the_session(backend: Backend) {
    let mut browser = backend.browser().await;
    for user in ["ada", "ada", "bob"] {
        let response = browser
            .request(move |session| async move {
                session.insert("n", 7)?;
                let sign_in = session.sign_in(user);
                sign_in.insert("name", user)?.insert("n", 8)?.await?;
                session.get::<String>("name").map(Option::unwrap_or_default)
            })
            .await;
        assert_eq!(response.text(), user);
        assert_eq!(
            browser.read().await,
            Some(8),
            "the sign-in's own entry counts"
        );
        let name = browser.request(|session| async move {
            Ok(session.get::<String>("name")?.unwrap_or_default())
        });
        assert_eq!(name.await.text(), user);
    }
    let response = browser.request(|session| async move {
        let refused = session.sign_in("ada").insert("$user", 1).map(|_| ());
        assert_eq!(
            refused.map_err(|error| error.kind()),
            Err(SessionErrorKind::ReservedKey)
        );
        let large = session
            .sign_in("ada")
            .insert("large", "x".repeat(70_000))
            .map(|_| ());
        assert_eq!(
            large.map_err(|error| error.kind()),
            Err(SessionErrorKind::TooLarge)
        );
        Ok(())
    });
    assert_eq!(response.await.status, 200);
    assert_eq!(whoami(&mut browser).await, "bob");
}

async fn a_typed_user_id_is_read_back(backend: Backend) {
    let mut browser = backend.browser().await;
    let response = browser.request(|session| async move {
        assert_eq!(session.user_id::<i64>()?, None);
        let nobody = session
            .require_user_id::<i64>()
            .map_err(|error| error.kind());
        assert_eq!(nobody, Err(SessionErrorKind::NotSignedIn));
        session.sign_in(-7_i64).await?;
        assert_eq!(session.user_id::<i64>()?, Some(-7));
        assert_eq!(session.user_id::<String>()?.as_deref(), Some("-7"));
        assert_eq!(session.require_user_id::<i64>()?, -7);
        let other = session.user_id::<u64>().expect_err("it is negative");
        assert_eq!(other.kind(), SessionErrorKind::UserId);
        let text = other.to_string();
        assert!(text.contains("u64") && !text.contains("-7"), "{text}");
        Ok(())
    });
    assert_eq!(response.await.status, 200);
}

async fn signing_in_again_keeps_the_data_and_renews_the_token(backend: Backend) {
    let mut browser = backend.browser().await;
    let first = sign_in(&mut browser, "ada").await;
    browser
        .request(|session| async move { session.insert("n", 7) })
        .await;
    backend.clock.advance(minutes(20));
    let second = sign_in(&mut browser, "ada").await;
    assert_ne!(first, second);
    assert_eq!(browser.read().await, Some(7));
    let entered = async || backend.entered("ada").await == [second];
    eventually("the new session alone is entered", entered).await;
}

async fn discarding_data_keeps_the_entries_of_the_sign_in(backend: Backend) {
    let mut browser = backend.browser().await;
    browser
        .request(|session| async move { session.insert("n", 7) })
        .await;
    browser
        .request(|session| async move {
            session.insert("n", 8)?;
            let sign_in = session.sign_in("ada").insert("name", "Ada")?;
            sign_in.discard_data().await?;
            session.insert("after", 1)
        })
        .await;
    assert_eq!(browser.read().await, None);
    let keys = browser
        .request(|session| async move { Ok(session.keys().join(" ")) })
        .await;
    assert_eq!(keys.text(), "after name");
}

/// A page that was open while the session ended elsewhere can have a sign-in form, too.
async fn a_stale_cookie_can_sign_in(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let mut tab = browser.clone();
    browser
        .request(|session| async move { session.sign_out().await.map(|_| ()) })
        .await;
    sign_in(&mut tab, "ada").await;
    assert_eq!(whoami(&mut tab).await, "ada");
}

async fn user_ids_can_be_any_bytes(backend: Backend) {
    let all: Vec<u8> = (0..=255).collect();
    let users = [
        UserId::from(""),
        UserId::from("a b:*{x}\r\n\0"),
        UserId::from("käse 🧥"),
        UserId::from(all),
        UserId::from(u64::MAX),
        UserId::from("x".repeat(10_000)),
    ];
    for user in users {
        let mut browser = backend.browser().await;
        let new = sign_in(&mut browser, user.clone()).await;
        assert_eq!(backend.entered(user.clone()).await, [new]);
        let wanted = user.clone();
        let response = browser
            .request(|session| async move { Ok((session.user() == Some(wanted)).to_string()) })
            .await;
        assert_eq!(response.text(), "true");
    }
}

async fn signing_in_restarts_the_expiry_and_can_choose_it(backend: Backend) {
    let mut browser = backend.browser().await;
    browser
        .request(|session| async move { session.insert("n", 7) })
        .await;
    backend.clock.advance(hours(20));
    let response = browser
        .request(|session| async move {
            let before = session.deadline();
            session.sign_in("ada").await?;
            let longer = session
                .deadline()
                .zip(before)
                .map(|(now, before)| now > before);
            Ok(format!("{longer:?}"))
        })
        .await;
    assert_eq!(response.text(), "Some(true)");
    assert_eq!(
        response.set_cookie().max_age(),
        None,
        "until the browser closes"
    );
    let remembered = Expiry::idle(days(7)).absolute(days(60));
    let response = browser
        .request(move |session| async move { session.sign_in("ada").with_expiry(remembered).await })
        .await;
    assert_eq!(response.set_cookie().max_age(), Some(days(60).as_secs()));
    // The second would end on day 30.
    for wrong in [
        Expiry::idle(days(7)).absolute(days(500)),
        Expiry::idle(days(180)),
    ] {
        let response = browser
            .request(move |session| async move { session.sign_in("ada").with_expiry(wrong).await })
            .await;
        assert_eq!(response.status, 500, "{wrong:?}");
        let error = response.extension::<SessionError>().expect("it has one");
        assert_eq!(error.kind(), SessionErrorKind::InvalidExpiry);
    }
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// Otherwise the entry of a live session would be removed.
async fn a_later_deadline_extends_the_index_entry(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_expiry(Expiry::idle(days(2)).absolute(days(2)))
        .build();
    let mut browser = tests::browser::Browser::new(tests::app::app(layer.expect("it is valid")));
    let new = sign_in(&mut browser, "ada").await;
    let longer = Expiry::idle(days(20)).absolute(days(20));
    browser
        .request(move |session| async move { session.set_expiry(longer) })
        .await;
    backend.clock.advance(days(5));
    // Another sign-in removes entries past their deadline.
    let mut other = backend.browser().await;
    let other = sign_in(&mut other, "ada").await;
    let mut entered = backend.entered("ada").await;
    entered.sort();
    assert_eq!(entered, [new, other]);
}

async fn clearing_the_session_does_not_sign_out(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    browser
        .request(|session| async move { session.insert("n", 7) })
        .await;
    let response = browser
        .request(|session| async move {
            session.clear()?;
            for key in ["$user", "$device", "$rotation"] {
                let refused = session.insert(key, 1).map_err(|error| error.kind());
                assert_eq!(refused, Err(SessionErrorKind::ReservedKey));
                assert!(!session.contains(key));
            }
            Ok(session.keys().len().to_string())
        })
        .await;
    assert_eq!(response.text(), "0");
    assert_eq!(browser.read().await, None);
    assert_eq!(whoami(&mut browser).await, "ada");
}

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
