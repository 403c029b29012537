//! `update_now` and `take_once`.

use cloakroom::{Session, SessionErrorKind};
use cloakroom_core::StoreErrorKind::Unavailable;
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Fault::{After, Before, LoseCommand, LoseReply, Refuse};
use tests::faulty_store::Gate;
use tests::faulty_store::Verb::{Create, Load, Update};

#[tokio::test]
async fn update_now_returns_the_stored_value() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut other = browser.clone();
    let response = browser
        .request(|session| async move {
            other
                .request(|session| async move { session.insert("n", 10) })
                .await;
            let add = |n: Option<u32>| n.unwrap_or(0) + 1;
            assert_eq!(session.update_now("n", add).await?, 11);
            assert_eq!(session.get::<u32>("n")?, Some(11));
            assert_eq!(
                session
                    .update_now("n", |n: Option<u32>| n.unwrap_or(0))
                    .await?,
                11
            );
            Ok(())
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Load, Update, Update, Update],
        CookieChange::Nothing,
    );
    assert_eq!(browser.read().await, Some(11));
}

#[tokio::test]
async fn update_now_creates_a_session_and_fails_once_it_has_ended() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let mut elsewhere = browser.clone();
    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    let response = browser
        .request(
            move |session| async move { session.update_now("n", add).await.map(|n| n.to_string()) },
        )
        .await;
    assert_eq!(response.text(), "1");
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
    elsewhere.clone_from(&browser);
    browser
        .request(move |session| async move {
            elsewhere
                .request(|session| async move { session.destroy().await.map(|_| ()) })
                .await;
            for _ in 0..2 {
                let error = session.update_now("n", add).await.unwrap_err();
                assert_eq!(error.kind(), SessionErrorKind::Ended);
            }
            Ok(())
        })
        .await;
}

/// A browser whose session has the single-use entries `state` and `nonce`.
async fn with_state(fixture: &Fixture) -> Browser {
    let mut browser = fixture.browser_with_session().await;
    browser
        .request(|session| async move {
            session.insert("nonce", 7)?;
            session.insert("state", "once")
        })
        .await;
    fixture.clear_verbs();
    browser
}

async fn take(session: Session) -> Result<String, cloakroom::SessionError> {
    let taken = session.take_once::<String>("state").await?;
    Ok(taken.unwrap_or_default())
}

#[tokio::test]
async fn take_once_gives_a_value_once() {
    let fixture = Fixture::memory();
    let mut browser = with_state(&fixture).await;
    let response = browser.request(take).await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    assert_eq!(response.text(), "once");
    let response = browser.request(take).await;
    fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
    assert_eq!(response.text(), "");
}

/// Two requests that have loaded the session, each held before or after its commit.
#[tokio::test]
async fn take_once_gives_a_value_to_one_of_two_requests() {
    for fault in [Before, After] {
        let fixture = Fixture::memory();
        let browser = with_state(&fixture).await;
        let mut requests = Vec::new();
        for _ in 0..2 {
            let (loaded, mut tab) = (Gate::new(), browser.clone());
            let go = loaded.clone();
            let handler = |session: Session| async move {
                go.pass().await;
                take(session).await
            };
            let request = tokio::spawn(async move { tab.request(handler).await.text().to_owned() });
            loaded.reached().await;
            requests.push((loaded, request));
        }
        let mut gates = Vec::new();
        for (loaded, _) in &requests {
            let gate = Gate::new();
            fixture.store.next(Update, fault(gate.clone()));
            loaded.open();
            gate.reached().await;
            gates.push(gate);
        }
        gates.iter().rev().for_each(Gate::open);
        let mut given = Vec::new();
        for (_, request) in requests {
            given.push(request.await.unwrap());
        }
        given.sort();
        assert_eq!(given, ["", "once"]);
    }
}

#[tokio::test]
async fn take_once_gives_a_value_to_one_of_many_requests() {
    let fixture = Fixture::memory();
    let browser = with_state(&fixture).await;
    let loaded = std::sync::Arc::new(tokio::sync::Barrier::new(50));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (mut tab, loaded) = (browser.clone(), loaded.clone());
        requests.spawn(async move {
            let handler = |session: Session| async move {
                loaded.wait().await;
                take(session).await
            };
            tab.request(handler).await.text().to_owned()
        });
    }
    let mut given = requests.join_all().await;
    given.retain(|text| !text.is_empty());
    assert_eq!(given, ["once"]);
}

/// Two tasks of one request take two entries, one of which another request has taken: each gets its own
/// value or none.
#[tokio::test]
async fn concurrent_take_once_calls_in_one_request_are_independent() {
    let fixture = Fixture::memory();
    let mut browser = with_state(&fixture).await;
    let mut other = browser.clone();
    let response = browser
        .request(|session| async move {
            assert_eq!(other.request(take).await.text(), "once");
            let state = session.take_once::<String>("state");
            let nonce = session.take_once::<u32>("nonce");
            let (state, nonce) = tokio::join!(state, nonce);
            assert_eq!((state?, nonce?), (None, Some(7)));
            Ok(())
        })
        .await;
    assert!(response.status.is_success());
}

#[tokio::test]
async fn take_once_gives_nothing_when_the_save_fails() {
    let fixture = Fixture::memory();
    let mut browser = with_state(&fixture).await;
    for fault in [Refuse(Unavailable), LoseCommand] {
        fixture.store.next(Update, fault);
        let response = browser.request(take).await;
        assert_eq!(response.status, 503);
        assert!(!response.text().contains("once"));
    }
    assert_eq!(
        browser.request(take).await.text(),
        "once",
        "it was not taken"
    );

    let mut browser = with_state(&fixture).await;
    fixture.store.next(Update, LoseReply);
    assert_eq!(
        browser.request(take).await.text(),
        "once",
        "a load has settled it"
    );
}

#[tokio::test]
async fn take_once_of_an_unsaved_value_needs_no_store() {
    let fixture = Fixture::memory();
    let response = fixture
        .browser()
        .request(|session| async move {
            session.insert("state", "once")?;
            let given = take(session.clone()).await?;
            assert_eq!(take(session).await?, "");
            Ok(given)
        })
        .await;
    assert_eq!(response.text(), "once");
    fixture.assert_response(&response, 200, &[], CookieChange::Nothing);
}

#[tokio::test]
async fn take_once_returns_a_concurrent_change_of_the_value() {
    let fixture = Fixture::memory();
    let mut browser = with_state(&fixture).await;
    let mut other = browser.clone();
    let response = browser
        .request(|session| async move {
            other
                .request(|session| async move { session.insert("state", "fresher") })
                .await;
            take(session).await
        })
        .await;
    assert_eq!(response.text(), "fresher");
    fixture.assert_response(
        &response,
        200,
        &[Load, Load, Update, Update, Update],
        CookieChange::Nothing,
    );
}
