//! Signing in.

use cloakroom::{Expiry, SessionError, SessionErrorKind, UserId, days, hours, minutes};
use tests::backend::Backend;
use tests::browser::CookieChange;
use tests::on_every_store;

use super::{eventually, id, sign_in, whoami};

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
