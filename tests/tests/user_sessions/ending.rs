//! A user's sessions, ended from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloakroom::{EndedBy, Session, SessionError, Sessions};
use cloakroom_core::StoreErrorKind;
use tests::app::{Act, Stage, app};
use tests::backend::Backend;
use tests::browser::{Browser, Effect};
use tests::faults::{Fault, Verb};
use tests::on_every_store;

use super::{eventually, sign_in, try_sign_in, whoami};

on_every_store!(
    one_is_ended_by_its_user_and_only_by_its_user,
    all_others_end_and_this_one_stays,
    all_end_on_every_server,
    a_renewal_beside_it_saves_no_session,
    who_knows_ids_alone_can_do_nothing,
);

async fn one_is_ended_by_its_user_and_only_by_its_user(backend: Backend) {
    let (mut ada, mut bob) = (backend.browser().await, backend.browser().await);
    let adas = sign_in(&mut ada, "ada").await;
    let bobs = sign_in(&mut bob, "bob").await;
    let sessions = backend.sessions().await;
    assert!(
        !sessions
            .end_of("ada", bobs)
            .await
            .expect("the store answers")
    );
    assert_eq!(whoami(&mut bob).await, "bob");
    assert!(
        sessions
            .end_of("ada", adas)
            .await
            .expect("the store answers")
    );
    assert_eq!(whoami(&mut ada).await, "");
    assert!(
        !sessions
            .end_of("ada", adas)
            .await
            .expect("the store answers")
    );
    let forgotten = async || backend.entered("ada").await.is_empty();
    eventually("the entry is removed", forgotten).await;
    assert_eq!(backend.entered("bob").await, [bobs]);
}

async fn all_others_end_and_this_one_stays(backend: Backend) {
    let mut browsers = Vec::new();
    for _ in 0..5 {
        let mut browser = backend.browser().await;
        sign_in(&mut browser, "ada").await;
        browsers.push(browser);
    }
    let answer = browsers[2]
        .perform(Act::with(
            |(session, sessions): (Session, Sessions)| async move {
                Ok(sessions.end_others(&session).await?.to_string())
            },
        ))
        .await;
    assert_eq!(answer.text(), "4");
    for (index, browser) in browsers.iter_mut().enumerate() {
        let expected = if index == 2 { "ada" } else { "" };
        assert_eq!(whoami(browser).await, expected);
    }
    let mut nobody = backend.browser().await;
    let answer = nobody
        .perform(Act::with(
            |(session, sessions): (Session, Sessions)| async move {
                sessions.end_others(&session).await.map(|_| ())
            },
        ))
        .await;
    assert_eq!(answer.status, 401);
}

async fn all_end_on_every_server(backend: Backend) {
    let mut browsers = Vec::new();
    for _ in 0..5 {
        let mut browser = backend.browser().await;
        sign_in(&mut browser, "ada").await;
        browsers.push(browser);
    }
    let sessions = backend.sessions().await;
    let end_all = async || {
        sessions
            .end_all("ada", EndedBy::Admin)
            .await
            .expect("it ends")
    };
    assert_eq!(end_all().await, 5);
    for browser in &mut browsers {
        assert_eq!(whoami(browser).await, "");
        let answer = browser
            .act(|session| async move { session.insert("n", 1) })
            .await;
        assert_eq!(
            answer.effect(),
            Effect::Nothing,
            "nothing begins on a stale cookie"
        );
    }
    assert_eq!(end_all().await, 0);
    let forgotten = async || backend.entered("ada").await.is_empty();
    eventually("the entries are removed", forgotten).await;
}

/// Sessions are renewed as fast as can be, on several servers, while all of them are ended.
async fn a_renewal_beside_it_saves_no_session(backend: Backend) {
    for _ in 0..20 {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let mut browser = backend.browser().await;
            sign_in(&mut browser, "ada").await;
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    browser.act(|session| async move { session.renew() }).await;
                }
                browser
            }));
        }
        let sessions = backend.sessions().await;
        sessions
            .end_all("ada", EndedBy::User)
            .await
            .expect("it ends");
        stop.store(true, Ordering::SeqCst);
        for task in tasks {
            let mut browser = task.await.expect("no request panics");
            assert_eq!(whoami(&mut browser).await, "");
        }
        // The successor in a renewal that was too late is taken back beside the request; nobody holds
        // its token.
        let taken_back = async || sessions.count("ada").await.expect("it counts") == 0;
        eventually("no session is left", taken_back).await;
    }
}

/// ASVS 5.0, 7.2.1: only the secret opens a session, and only the app's own calls end one.
async fn who_knows_ids_alone_can_do_nothing(backend: Backend) {
    let mut ada = backend.browser().await;
    let id = sign_in(&mut ada, "ada").await;
    let cookie = ada.cookie().expect("she has one").to_owned();
    // The id is the first half of the token; the secret is made up.
    let forged = format!("{}{}", &cookie[..22], "A".repeat(21));
    assert!(cloakroom_core::Token::parse(&forged).is_some_and(|token| token.id() == id));
    let mut thief = backend.browser().await;
    thief.add_cookie("__Host-Http-id", forged);
    assert_eq!(whoami(&mut thief).await, "");
    for _ in 0..3 {
        thief
            .act(|session| async move {
                session.renew()?;
                session.sign_out().await.map(|_| ())
            })
            .await;
    }
    assert_eq!(whoami(&mut ada).await, "ada");
}

/// A log-in stands between its entry and its session while all sessions of the user are ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_under_way_is_refused_when_all_are_ended() {
    let stage = Stage::memory();
    let gate = stage.store.hold(Verb::Create);
    let mut browser = stage.browser();
    let mut late = browser.clone();
    let log_in = tokio::spawn(async move {
        let answer = try_sign_in(&mut late, "ada").await;
        (answer, late)
    });
    gate.reached().await;
    let sessions = stage.layer().sessions();
    assert_eq!(
        sessions
            .end_all("ada", EndedBy::User)
            .await
            .expect("it ends"),
        0
    );
    gate.open();
    let (answer, mut late) = log_in.await.expect("no request panics");
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(answer.effect(), Effect::Nothing);
    assert_eq!(whoami(&mut late).await, "");
    assert_eq!(sessions.count("ada").await.expect("it counts"), 0);
    eventually("no entry is left", async || {
        stage.store.inner().users() == 0
    })
    .await;
    // And a moment later it works.
    sign_in(&mut browser, "ada").await;
}

#[tokio::test]
async fn one_that_cannot_be_ended_keeps_no_other_alive() {
    let stage = Stage::memory();
    let mut browsers = [stage.browser(), stage.browser(), stage.browser()];
    for browser in &mut browsers {
        sign_in(browser, "ada").await;
    }
    let refused = Fault::Refuse(StoreErrorKind::Unavailable);
    stage.store.next(Verb::End, refused);
    let sessions = stage.layer().sessions();
    assert!(sessions.end_all("ada", EndedBy::User).await.is_err());
    assert_eq!(sessions.count("ada").await.expect("it counts"), 1);
    assert_eq!(
        sessions
            .end_all("ada", EndedBy::User)
            .await
            .expect("it ends"),
        1
    );
}

/// The same on top of a session that somebody has, which stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn the_session_under_a_log_in_that_was_refused_lives_on() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let gate = stage.store.hold(Verb::Create);
    let mut tab = browser.clone();
    let log_in = tokio::spawn(async move { try_sign_in(&mut tab, "ada").await });
    gate.reached().await;
    let sessions = stage.layer().sessions();
    sessions
        .end_all("ada", EndedBy::User)
        .await
        .expect("it ends");
    gate.open();
    assert_eq!(log_in.await.expect("no request panics").status, 409);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn a_store_without_an_index_can_sign_in_and_says_what_it_cannot() {
    let layer = cloakroom::SessionLayer::new(Plain(cloakroom::MemoryStore::new()));
    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
    let kind = |error: SessionError| error.kind();
    let unsupported = cloakroom::SessionErrorKind::Unsupported;
    let sessions = layer.sessions();
    assert_eq!(sessions.count("ada").await.map_err(kind), Err(unsupported));
    let ended = sessions.end_all("ada", EndedBy::User).await;
    assert_eq!(ended.map_err(kind), Err(unsupported));
    assert!(sessions.events().is_err());
    let limit = cloakroom::SessionLimit::end_oldest(1);
    let builder = cloakroom::SessionLayer::builder(Plain(cloakroom::MemoryStore::new()));
    assert!(builder.with_session_limit(limit).build().is_err());
}

/// A store that keeps sessions, and nothing else.
#[derive(Debug)]
struct Plain(cloakroom::MemoryStore);

mod plain {
    use std::time::Duration;

    use cloakroom::{SessionId, Store};
    use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
    use cloakroom_core::{Record, Revision, StoreError, Timestamp, Tombstone};

    impl Store for super::Plain {
        async fn create(
            &self,
            id: SessionId,
            record: &Record,
            ttl: Duration,
        ) -> Result<Created, StoreError> {
            self.0.create(id, record, ttl).await
        }

        async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
            self.0.load(id).await
        }

        async fn update(
            &self,
            id: SessionId,
            expected: Revision,
            record: &Record,
            ttl: Duration,
        ) -> Result<Updated, StoreError> {
            self.0.update(id, expected, record, ttl).await
        }

        async fn touch(
            &self,
            id: SessionId,
            expected: Revision,
            seen: Timestamp,
            ttl: Duration,
        ) -> Result<Touched, StoreError> {
            self.0.touch(id, expected, seen, ttl).await
        }

        async fn end(
            &self,
            id: SessionId,
            expected: Option<Revision>,
            tombstone: &Tombstone,
            keep: Duration,
        ) -> Result<Ended, StoreError> {
            self.0.end(id, expected, tombstone, keep).await
        }
    }
}
