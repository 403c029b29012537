//! Revoking a user's sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloakroom::{RevokedBy, Session, SessionError, SessionErrorKind, Sessions};
use cloakroom_core::StoreErrorKind;
use tests::app::{Fixture, Handler, app};
use tests::backend::Backend;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::{Fault, Gate, Verb};
use tests::on_every_store;

use super::{eventually, sign_in, try_sign_in, whoami};

on_every_store!(
    a_session_is_revoked_only_by_its_own_user,
    revoking_the_others_keeps_the_current_session,
    revoking_all_takes_effect_on_every_server,
    a_concurrent_renewal_escapes_no_revocation,
    knowing_an_id_grants_nothing,
);

async fn a_session_is_revoked_only_by_its_own_user(backend: Backend) {
    let (mut ada, mut bob) = (backend.browser().await, backend.browser().await);
    let adas = sign_in(&mut ada, "ada").await;
    let bobs = sign_in(&mut bob, "bob").await;
    let sessions = backend.sessions().await;
    assert!(
        !sessions
            .revoke("ada", bobs)
            .await
            .expect("the store responds")
    );
    assert_eq!(whoami(&mut bob).await, "bob");
    assert!(
        sessions
            .revoke("ada", adas)
            .await
            .expect("the store responds")
    );
    assert_eq!(whoami(&mut ada).await, "");
    assert!(
        !sessions
            .revoke("ada", adas)
            .await
            .expect("the store responds")
    );
    let forgotten = async || backend.entered("ada").await.is_empty();
    eventually("the entry is removed", forgotten).await;
    assert_eq!(backend.entered("bob").await, [bobs]);
}

async fn revoking_the_others_keeps_the_current_session(backend: Backend) {
    let mut browsers = Vec::new();
    for _ in 0..5 {
        let mut browser = backend.browser().await;
        sign_in(&mut browser, "ada").await;
        browsers.push(browser);
    }
    let response = browsers[2]
        .request_with(Handler::with(
            |(session, sessions): (Session, Sessions)| async move {
                Ok(sessions.revoke_others(&session).await?.to_string())
            },
        ))
        .await;
    assert_eq!(response.text(), "4");
    for (index, browser) in browsers.iter_mut().enumerate() {
        let expected = if index == 2 { "ada" } else { "" };
        assert_eq!(whoami(browser).await, expected);
    }
    let mut nobody = backend.browser().await;
    let response = nobody
        .request_with(Handler::with(
            |(session, sessions): (Session, Sessions)| async move {
                sessions.revoke_others(&session).await.map(|_| ())
            },
        ))
        .await;
    assert_eq!(response.status, 401);
}

async fn revoking_all_takes_effect_on_every_server(backend: Backend) {
    let mut browsers = Vec::new();
    for _ in 0..5 {
        let mut browser = backend.browser().await;
        sign_in(&mut browser, "ada").await;
        browsers.push(browser);
    }
    let sessions = backend.sessions().await;
    let revoke_all = async || {
        sessions
            .revoke_all("ada", RevokedBy::Admin)
            .await
            .expect("it ends")
    };
    assert_eq!(revoke_all().await, 5);
    for browser in &mut browsers {
        assert_eq!(whoami(browser).await, "");
        let response = browser
            .request(|session| async move { session.insert("n", 1) })
            .await;
        assert_eq!(
            response.cookie_change(),
            CookieChange::Nothing,
            "a stale cookie creates no session"
        );
    }
    assert_eq!(revoke_all().await, 0);
    let forgotten = async || backend.entered("ada").await.is_empty();
    eventually("the entries are removed", forgotten).await;
}

/// Sessions are renewed as fast as possible on several servers, while all of them are revoked.
async fn a_concurrent_renewal_escapes_no_revocation(backend: Backend) {
    for _ in 0..20 {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let mut browser = backend.browser().await;
            sign_in(&mut browser, "ada").await;
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    browser
                        .request(|session| async move { session.renew() })
                        .await;
                }
                browser
            }));
        }
        let sessions = backend.sessions().await;
        sessions
            .revoke_all("ada", RevokedBy::User)
            .await
            .expect("it ends");
        stop.store(true, Ordering::SeqCst);
        for task in tasks {
            let mut browser = task.await.expect("no request panics");
            assert_eq!(whoami(&mut browser).await, "");
        }
        // A renewal that was too late rolls its new session back in the background; no client has its
        // token.
        let taken_back = async || sessions.count("ada").await.expect("it counts") == 0;
        eventually("no session is left", taken_back).await;
    }
}

/// ASVS 5.0, 7.2.1: only the secret authenticates a session, and only the app's own calls end one.
async fn knowing_an_id_grants_nothing(backend: Backend) {
    let mut ada = backend.browser().await;
    let id = sign_in(&mut ada, "ada").await;
    let cookie = ada.cookie().expect("she has one").to_owned();
    // The id is the first half of the token; the secret is invented.
    let forged = format!("{}{}", &cookie[..22], "A".repeat(21));
    assert!(cloakroom_core::Token::parse(&forged).is_some_and(|token| token.id() == id));
    let mut attacker = backend.browser().await;
    attacker.add_cookie("__Host-Http-id", forged);
    assert_eq!(whoami(&mut attacker).await, "");
    for _ in 0..3 {
        attacker
            .request(|session| async move {
                session.renew()?;
                session.sign_out().await.map(|_| ())
            })
            .await;
    }
    assert_eq!(whoami(&mut ada).await, "ada");
}

/// A sign-in has added its index entry but not stored its session while all sessions of the user are
/// revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_in_progress_is_rejected_when_all_are_revoked() {
    let fixture = Fixture::memory();
    let gate = fixture.store.hold(Verb::Create);
    let mut browser = fixture.browser();
    let mut late = browser.clone();
    let signing_in = tokio::spawn(async move {
        let response = try_sign_in(&mut late, "ada").await;
        (response, late)
    });
    gate.reached().await;
    let sessions = fixture.layer().sessions();
    assert_eq!(
        sessions
            .revoke_all("ada", RevokedBy::User)
            .await
            .expect("it ends"),
        0
    );
    gate.open();
    let (response, mut late) = signing_in.await.expect("no request panics");
    assert_eq!(response.status, 409, "{}", response.text());
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(whoami(&mut late).await, "");
    assert_eq!(sessions.count("ada").await.expect("it counts"), 0);
    eventually("no entry is left", async || {
        fixture.store.inner().users() == 0
    })
    .await;
    // A later sign-in works.
    sign_in(&mut browser, "ada").await;
}

/// How often a session is renewed before a revocation gives up.
const MAX_RENEWALS: usize = 64;

/// Renews a session each time it is about to be ended, as often as a revocation tries.
async fn outrun(fixture: &Fixture, browser: &mut Browser, mut gate: Gate) {
    for renewals in 1..=MAX_RENEWALS {
        gate.reached().await;
        let renewed = browser.request(|session| async move { session.renew() });
        assert_eq!(renewed.await.status, 200);
        let reached = gate;
        gate = Gate::new();
        if renewals < MAX_RENEWALS {
            fixture.store.next(Verb::End, Fault::Before(gate.clone()));
        }
        reached.open();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_always_renewed_are_an_error() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    for all in [true, false] {
        let id = sign_in(&mut browser, "ada").await;
        let sessions = fixture.layer().sessions();
        let gate = fixture.store.hold(Verb::End);
        let revoking = tokio::spawn(async move {
            if all {
                let ended = sessions.revoke_all("ada", RevokedBy::User).await;
                ended.map(|count| count > 0)
            } else {
                sessions.revoke("ada", id).await
            }
        });
        outrun(&fixture, &mut browser, gate).await;
        let ended = revoking.await.expect("it does not panic");
        let error = ended.expect_err("the session is live");
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        assert_eq!(whoami(&mut browser).await, "ada");
        let sessions = fixture.layer().sessions();
        let ended = sessions.revoke_all("ada", RevokedBy::User).await;
        assert_eq!(ended.expect("it ends"), 1);
        assert_eq!(whoami(&mut browser).await, "");
    }
}

#[tokio::test]
async fn a_failed_revocation_does_not_stop_the_others() {
    let fixture = Fixture::memory();
    let mut browsers = [fixture.browser(), fixture.browser(), fixture.browser()];
    for browser in &mut browsers {
        sign_in(browser, "ada").await;
    }
    let refused = Fault::Refuse(StoreErrorKind::Refused);
    fixture.store.next(Verb::End, refused);
    let sessions = fixture.layer().sessions();
    assert!(sessions.revoke_all("ada", RevokedBy::User).await.is_err());
    assert_eq!(sessions.count("ada").await.expect("it counts"), 1);
    assert_eq!(
        sessions
            .revoke_all("ada", RevokedBy::User)
            .await
            .expect("it ends"),
        1
    );
}

/// The same with a previous session, which is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_sign_in_keeps_the_previous_session() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let gate = fixture.store.hold(Verb::Create);
    let mut tab = browser.clone();
    let signing_in = tokio::spawn(async move { try_sign_in(&mut tab, "ada").await });
    gate.reached().await;
    let sessions = fixture.layer().sessions();
    sessions
        .revoke_all("ada", RevokedBy::User)
        .await
        .expect("it ends");
    gate.open();
    assert_eq!(signing_in.await.expect("no request panics").status, 409);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn a_store_without_an_index_can_sign_in_and_reports_unsupported_calls() {
    let layer = cloakroom::SessionLayer::new(Plain::default());
    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
    let act = |session: Session| async move {
        session.impersonate("bob").await?;
        Ok(format!("{:?}", session.impersonator()))
    };
    let acting = browser.request(act).await;
    assert_eq!(acting.text(), "Some(UserId(ada))");
    assert_eq!(whoami(&mut browser).await, "bob");
    let kind = |error: SessionError| error.kind();
    let unsupported = cloakroom::SessionErrorKind::Unsupported;
    let sessions = layer.sessions();
    assert_eq!(sessions.count("ada").await.map_err(kind), Err(unsupported));
    let ended = sessions.revoke_all("ada", RevokedBy::User).await;
    assert_eq!(ended.map_err(kind), Err(unsupported));
    assert!(sessions.events().is_err());
    let limit = cloakroom::SessionLimit::evict_oldest(1);
    let builder = cloakroom::SessionLayer::builder(Plain::default());
    assert!(builder.with_session_limit(limit).build().is_err());
}

/// A store without an index and a bus.
#[derive(Debug, Default)]
struct Plain {
    inner: cloakroom::MemoryStore,
}

impl cloakroom::Store for Plain {
    tests::forward_verbs!();
}
