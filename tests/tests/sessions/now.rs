//! `update_now` and `take_once`.

use cloakroom::{Session, SessionErrorKind};
use cloakroom_core::StoreErrorKind::Unavailable;
use tests::app::Stage;
use tests::browser::{Browser, Effect};
use tests::faults::Fault::{After, Before, LoseAnswer, LoseCommand, Refuse};
use tests::faults::Gate;
use tests::faults::Verb::{Create, Load, Update};

#[tokio::test]
async fn update_now_gives_the_value_that_is_stored() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let mut other = browser.clone();
    let answer = browser
        .act(|session| async move {
            other
                .act(|session| async move { session.insert("n", 10) })
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
    stage.expect(
        &answer,
        200,
        &[Load, Load, Update, Update, Update],
        Effect::Nothing,
    );
    assert_eq!(browser.read().await, Some(11));
}

#[tokio::test]
async fn update_now_begins_a_session_and_knows_when_it_is_over() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let mut elsewhere = browser.clone();
    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    let answer = browser
        .act(
            move |session| async move { session.update_now("n", add).await.map(|n| n.to_string()) },
        )
        .await;
    assert_eq!(answer.text(), "1");
    stage.expect(&answer, 200, &[Create], Effect::Set);
    elsewhere.clone_from(&browser);
    browser
        .act(move |session| async move {
            elsewhere
                .act(|session| async move { session.destroy().await.map(|_| ()) })
                .await;
            for _ in 0..2 {
                let error = session.update_now("n", add).await.unwrap_err();
                assert_eq!(error.kind(), SessionErrorKind::Ended);
            }
            Ok(())
        })
        .await;
}

/// A browser whose session has the entries `state` and `nonce`, to be given out once each.
async fn with_state(stage: &Stage) -> Browser {
    let mut browser = stage.signed_in().await;
    browser
        .act(|session| async move {
            session.insert("nonce", 7)?;
            session.insert("state", "once")
        })
        .await;
    stage.forget();
    browser
}

async fn take(session: Session) -> Result<String, cloakroom::SessionError> {
    let taken = session.take_once::<String>("state").await?;
    Ok(taken.unwrap_or_default())
}

#[tokio::test]
async fn take_once_gives_a_value_once() {
    let stage = Stage::memory();
    let mut browser = with_state(&stage).await;
    let answer = browser.act(take).await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
    assert_eq!(answer.text(), "once");
    let answer = browser.act(take).await;
    stage.expect(&answer, 200, &[Load], Effect::Nothing);
    assert_eq!(answer.text(), "");
}

/// Two requests that have loaded the session, each held up before or after its commit.
#[tokio::test]
async fn take_once_gives_a_value_to_one_of_two_requests() {
    for fault in [Before, After] {
        let stage = Stage::memory();
        let browser = with_state(&stage).await;
        let mut requests = Vec::new();
        for _ in 0..2 {
            let (loaded, mut tab) = (Gate::new(), browser.clone());
            let go = loaded.clone();
            let act = |session: Session| async move {
                go.pass().await;
                take(session).await
            };
            let request = tokio::spawn(async move { tab.act(act).await.text().to_owned() });
            loaded.reached().await;
            requests.push((loaded, request));
        }
        let mut gates = Vec::new();
        for (loaded, _) in &requests {
            let gate = Gate::new();
            stage.store.next(Update, fault(gate.clone()));
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
    let stage = Stage::memory();
    let browser = with_state(&stage).await;
    let loaded = std::sync::Arc::new(tokio::sync::Barrier::new(50));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (mut tab, loaded) = (browser.clone(), loaded.clone());
        requests.spawn(async move {
            let act = |session: Session| async move {
                loaded.wait().await;
                take(session).await
            };
            tab.act(act).await.text().to_owned()
        });
    }
    let mut given = requests.join_all().await;
    given.retain(|text| !text.is_empty());
    assert_eq!(given, ["once"]);
}

/// Two tasks of one request that take two entries, of which another request has taken one: each
/// gets what it asked for, or nothing.
#[tokio::test]
async fn take_once_beside_another_in_the_same_request() {
    let stage = Stage::memory();
    let mut browser = with_state(&stage).await;
    let mut other = browser.clone();
    let answer = browser
        .act(|session| async move {
            assert_eq!(other.act(take).await.text(), "once");
            let state = session.take_once::<String>("state");
            let nonce = session.take_once::<u32>("nonce");
            let (state, nonce) = tokio::join!(state, nonce);
            assert_eq!((state?, nonce?), (None, Some(7)));
            Ok(())
        })
        .await;
    assert!(answer.status.is_success());
}

#[tokio::test]
async fn take_once_gives_nothing_when_the_save_fails() {
    let stage = Stage::memory();
    let mut browser = with_state(&stage).await;
    for fault in [Refuse(Unavailable), LoseCommand] {
        stage.store.next(Update, fault);
        let answer = browser.act(take).await;
        assert_eq!(answer.status, 503);
        assert!(!answer.text().contains("once"));
    }
    assert_eq!(browser.act(take).await.text(), "once", "it was not taken");

    let mut browser = with_state(&stage).await;
    stage.store.next(Update, LoseAnswer);
    assert_eq!(
        browser.act(take).await.text(),
        "once",
        "a load has settled it"
    );
}

#[tokio::test]
async fn take_once_of_what_this_request_put_in_needs_no_store() {
    let stage = Stage::memory();
    let answer = stage
        .browser()
        .act(|session| async move {
            session.insert("state", "once")?;
            let given = take(session.clone()).await?;
            assert_eq!(take(session).await?, "");
            Ok(given)
        })
        .await;
    assert_eq!(answer.text(), "once");
    stage.expect(&answer, 200, &[], Effect::Nothing);
}

#[tokio::test]
async fn take_once_finds_what_another_request_made_of_the_value() {
    let stage = Stage::memory();
    let mut browser = with_state(&stage).await;
    let mut other = browser.clone();
    let answer = browser
        .act(|session| async move {
            other
                .act(|session| async move { session.insert("state", "fresher") })
                .await;
            take(session).await
        })
        .await;
    assert_eq!(answer.text(), "fresher");
    stage.expect(
        &answer,
        200,
        &[Load, Load, Update, Update, Update],
        Effect::Nothing,
    );
}
