//! Requests, and tasks of one request, that edit a session at the same time.

use std::sync::Arc;

use cloakroom::{ConflictPolicy, Session, SessionError, SessionErrorKind};
use futures_util::FutureExt;
use tests::app::Stage;
use tests::browser::{Browser, Effect};
use tests::faults::Fault::Before;
use tests::faults::Gate;
use tests::faults::Verb::{Load, Update};
use tests::log::Log;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

fn add(session: &Session) -> Result<u32, SessionError> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_one_request_lose_no_update() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move {
            let mut tasks = JoinSet::new();
            for task in 0..20 {
                let session = session.clone();
                tasks.spawn(async move {
                    for _ in 0..20 {
                        add(&session)?;
                        if task % 5 == 0 {
                            session.save().await?;
                        }
                        tokio::task::yield_now().await;
                    }
                    Ok::<_, SessionError>(())
                });
            }
            tasks
                .join_all()
                .await
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
                .map(|_| ())
        })
        .await;
    assert!(answer.status.is_success(), "{}", answer.text());
    assert_eq!(browser.read().await, Some(401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_two_servers_lose_no_update() {
    const REQUESTS: usize = 40;
    let stage = Stage::memory();
    let server = || {
        stage
            .builder()
            .with_store_timeout(cloakroom::minutes(1))
            .build()
            .expect("it is valid")
    };
    let first = stage.with_session(stage.browser_of(server())).await;
    let second = first.on(tests::app::app(server()));
    let loaded = Arc::new(Barrier::new(REQUESTS));
    let mut requests = JoinSet::new();
    for request in 0..REQUESTS {
        let mut browser = [&first, &second][request % 2].clone();
        let loaded = Arc::clone(&loaded);
        requests.spawn(async move {
            let act = move |session: Session| async move {
                loaded.wait().await;
                add(&session)?;
                session.insert(format!("own {request}"), request)
            };
            browser.act(act).await.status
        });
    }
    let statuses = requests.join_all().await;
    assert!(statuses.iter().all(http::StatusCode::is_success));
    let mut browser: Browser = first;
    assert_eq!(
        browser.read().await,
        Some(u32::try_from(REQUESTS).unwrap() + 1)
    );
    browser
        .act(|session| async move {
            assert_eq!(session.keys().len(), REQUESTS + 1);
            Ok(())
        })
        .await;
}

/// One request inserts what another has changed in the meantime.
async fn overwrites(stage: &Stage, browser: &mut Browser) -> tests::browser::Answer {
    let mut other = browser.clone();
    let answer = browser
        .act(|session| async move {
            session.insert("n", 2)?;
            other
                .act(|session| async move { session.insert("n", 3) })
                .await;
            Ok(())
        })
        .await;
    let verbs = stage.store.take_verbs();
    assert_eq!(verbs[..4], [Load, Load, Update, Update]);
    answer
}

#[tokio::test]
async fn the_later_of_two_inserts_wins_and_an_event_names_the_entry() {
    let log = Log::keep();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let answer = overwrites(&stage, &mut browser).await;
    assert!(answer.status.is_success());
    assert_eq!(browser.read().await, Some(2));
    assert_eq!(log.count("overwrote a concurrent change"), 1);
    assert!(log.text().contains("key=\"n\""));
}

#[tokio::test]
async fn in_strict_mode_the_later_insert_is_refused() {
    let stage = Stage::memory();
    let layer = stage
        .builder()
        .with_conflict_policy(ConflictPolicy::Reject)
        .build()
        .expect("it is valid");
    let mut browser = stage.with_session(stage.browser_of(layer)).await;
    let answer = overwrites(&stage, &mut browser).await;
    assert_eq!(answer.status, http::StatusCode::CONFLICT);
    assert_eq!(answer.effect(), Effect::Nothing);
    let error = answer.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), SessionErrorKind::Conflict);
    assert!(error.to_string().ends_with(": n"));
    assert_eq!(browser.read().await, Some(3));
    stage.forget();

    // An update sees what it replaces.
    let mut other = browser.clone();
    let answer = browser
        .act(|session| async move {
            add(&session)?;
            other
                .act(|session| async move { session.insert("n", 5) })
                .await;
            Ok(())
        })
        .await;
    assert!(answer.status.is_success());
    assert_eq!(browser.read().await, Some(6));
}

/// A request saves and leaves its record to one that waits for its turn and then gives up. What was
/// left grows stale, and a later request must not take it for what is stored.
#[tokio::test]
async fn what_was_left_to_one_that_gave_up_is_not_taken_for_what_is_stored() {
    let stage = Stage::memory();
    let browser = stage.signed_in().await;
    let insert = async |value| insert_n(&browser, value).await;
    let (gate, retry) = (stage.store.hold(Update), Gate::new());
    let mut first = Box::pin(insert(10));
    assert!(first.as_mut().now_or_never().is_none());
    let mut gives_up = Box::pin(insert(20));
    let second_gate = stage.store.hold(Update);
    assert!(gives_up.as_mut().now_or_never().is_none());
    insert(30).await;

    // Both are refused; the first has its turn, and the second waits for it.
    gate.open();
    stage.store.next(Update, Before(retry.clone()));
    assert!(first.as_mut().now_or_never().is_none());
    retry.reached().await;
    second_gate.open();
    assert!(gives_up.as_mut().now_or_never().is_none());
    retry.open();
    first.await;
    drop(gives_up);

    insert(40).await;
    let (mut last, tab) = (browser.clone(), browser.clone());
    let answer = last
        .act(|session| async move {
            insert_n(&tab, 50).await;
            session.insert("n", 10)
        })
        .await;
    assert!(answer.status.is_success());
    assert_eq!(last.read().await, Some(10), "the later insert wins");
}

async fn insert_n(browser: &Browser, value: u32) {
    let mut tab = browser.clone();
    let act = move |session: Session| async move { session.insert("n", value) };
    assert!(tab.act(act).await.status.is_success());
}
