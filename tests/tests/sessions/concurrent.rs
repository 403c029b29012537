//! Concurrent edits of a session, by requests and by tasks of one request.

use std::sync::Arc;

use cloakroom::{ConflictPolicy, Session, SessionError, SessionErrorKind, SessionLayer};
use futures_util::FutureExt;
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Fault::Before;
use tests::faulty_store::Gate;
use tests::faulty_store::Verb::{Load, Update};
use tests::log::Log;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

fn add(session: &Session) -> Result<u32, SessionError> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_one_request_lose_no_update() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move {
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
    assert!(response.status.is_success(), "{}", response.text());
    assert_eq!(browser.read().await, Some(401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_two_servers_lose_no_update() {
    const REQUESTS: usize = 40;
    let fixture = Fixture::memory();
    let server = || {
        fixture
            .builder()
            .with_store_timeout(cloakroom::minutes(1))
            .build()
            .expect("it is valid")
    };
    let first = fixture.with_session(fixture.browser_of(server())).await;
    let second = first.on(tests::app::app(server()));
    let loaded = Arc::new(Barrier::new(REQUESTS));
    let mut requests = JoinSet::new();
    for request in 0..REQUESTS {
        let mut browser = [&first, &second][request % 2].clone();
        let loaded = Arc::clone(&loaded);
        requests.spawn(async move {
            let handler = move |session: Session| async move {
                loaded.wait().await;
                add(&session)?;
                session.insert(format!("own {request}"), request)
            };
            browser.request(handler).await.status
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
        .request(|session| async move {
            assert_eq!(session.keys().len(), REQUESTS + 1);
            Ok(())
        })
        .await;
}

/// A request inserts an entry that another request has changed meanwhile.
async fn overwrites(fixture: &Fixture, browser: &mut Browser) -> tests::browser::TestResponse {
    let mut other = browser.clone();
    let response = browser
        .request(|session| async move {
            session.insert("n", 2)?;
            other
                .request(|session| async move { session.insert("n", 3) })
                .await;
            Ok(())
        })
        .await;
    let verbs = fixture.store.take_verbs();
    assert_eq!(verbs[..4], [Load, Load, Update, Update]);
    response
}

#[tokio::test]
async fn the_later_of_two_inserts_wins_and_the_entry_is_logged() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let response = overwrites(&fixture, &mut browser).await;
    assert!(response.status.is_success());
    assert_eq!(browser.read().await, Some(2));
    assert_eq!(log.count("overwrote a concurrent change"), 1);
    assert!(log.text().contains("key=\"n\""));
}

#[tokio::test]
async fn in_strict_mode_the_later_insert_is_rejected() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_conflict_policy(ConflictPolicy::Reject)
        .build()
        .expect("it is valid");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let answer = overwrites(&fixture, &mut browser).await;
    assert_eq!(answer.status, http::StatusCode::CONFLICT);
    assert_eq!(answer.cookie_change(), CookieChange::Nothing);
    let error = answer.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), SessionErrorKind::Conflict);
    assert!(error.to_string().ends_with(": n"));
    assert_eq!(browser.read().await, Some(3));
    fixture.clear_verbs();

    // An update reads the value that it replaces, so it is no conflict.
    let mut other = browser.clone();
    let response = browser
        .request(|session| async move {
            add(&session)?;
            other
                .request(|session| async move { session.insert("n", 5) })
                .await;
            Ok(())
        })
        .await;
    assert!(response.status.is_success());
    assert_eq!(browser.read().await, Some(6));
}

/// A request saves and hands its record to a waiting request, which is then cancelled. The record
/// becomes stale, and a later request must not use it as the stored one.
#[tokio::test]
async fn a_record_handed_to_a_cancelled_request_is_not_mistaken_for_the_stored_one() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let insert = async |value| insert_n(&browser, value).await;
    let (gate, retry) = (fixture.store.hold(Update), Gate::new());
    let mut first = Box::pin(insert(10));
    assert!(first.as_mut().now_or_never().is_none());
    let mut cancelled = Box::pin(insert(20));
    let second_gate = fixture.store.hold(Update);
    assert!(cancelled.as_mut().now_or_never().is_none());
    insert(30).await;

    // Both updates conflict; the first holds the commit lock, and the second waits for it.
    gate.open();
    fixture.store.next(Update, Before(retry.clone()));
    assert!(first.as_mut().now_or_never().is_none());
    retry.reached().await;
    second_gate.open();
    assert!(cancelled.as_mut().now_or_never().is_none());
    retry.open();
    first.await;
    drop(cancelled);

    insert(40).await;
    let (mut last, tab) = (browser.clone(), browser.clone());
    let response = last
        .request(|session| async move {
            insert_n(&tab, 50).await;
            session.insert("n", 10)
        })
        .await;
    assert!(response.status.is_success());
    assert_eq!(last.read().await, Some(10), "the later insert wins");
}

async fn insert_n(browser: &Browser, value: u32) {
    let mut tab = browser.clone();
    let handler = move |session: Session| async move { session.insert("n", value) };
    assert!(tab.request(handler).await.status.is_success());
}

/// Returns a browser with another session of the same layer, whose id ends with the same byte: what is spread over
/// a fixed number of locks by the id would have both under one.
async fn neighbour_of(fixture: &Fixture, layer: &SessionLayer, browser: &mut Browser) -> Browser {
    async fn last_byte(browser: &mut Browser) -> String {
        let id = |session: Session| async move {
            let id = session.id().expect("it is stored");
            Ok(id.as_bytes()[15].to_string())
        };
        browser.request(id).await.text().to_owned()
    }
    let wanted = last_byte(browser).await;
    for _ in 0..10_000 {
        let mut other = fixture
            .with_session(fixture.browser_of(layer.clone()))
            .await;
        if last_byte(&mut other).await == wanted {
            return other;
        }
    }
    unreachable!("one in 256 is such a session");
}

/// The one that holds the lock of a contended session waits for the store, and many wait for the lock.
#[tokio::test]
async fn a_contended_session_does_not_delay_another_one() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let mut browser = fixture
        .with_session(fixture.browser_of(layer.clone()))
        .await;
    let mut stranger = neighbour_of(&fixture, &layer, &mut browser).await;
    let (store, mut other) = (fixture.store.clone(), browser.clone());
    let [refused, held] = [Gate::new(), Gate::new()];
    let gates = [refused.clone(), held.clone()];
    let mut holder = browser.clone();
    let holds = tokio::spawn(async move {
        let handler = move |session: Session| async move {
            add(&session)?;
            let add_too = |session: Session| async move { add(&session).map(drop) };
            other.request(add_too).await;
            for gate in gates {
                store.next(Update, Before(gate));
            }
            Ok(())
        };
        holder.request(handler).await.status
    });
    // The first attempt conflicts. Then it waits for the store while it holds the lock.
    refused.reached().await;
    refused.open();
    held.reached().await;
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let mut browser = browser.clone();
        waiting.spawn(async move {
            let handler = |session: Session| async move { add(&session).map(drop) };
            browser.request(handler).await.status
        });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    fixture.clear_verbs();
    let response = stranger
        .request(|session| async move { add(&session).map(drop) })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    held.open();
    assert_eq!(holds.await.expect("no panic"), 200);
    for status in waiting.join_all().await {
        assert_eq!(status, 200);
    }
    assert_eq!(browser.read().await, Some(1 + 2 + 100));
}

/// Beyond the bound, a request is answered at once, and may try again.
#[tokio::test]
async fn too_many_writers_of_one_session_are_refused_at_once() {
    const BOUND: usize = 1024;
    let log = Log::capture();
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_store_timeout(cloakroom::minutes(5));
    let layer = layer.build().expect("it is valid");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let (store, mut other) = (fixture.store.clone(), browser.clone());
    let [refused, held] = [Gate::new(), Gate::new()];
    let gates = [refused.clone(), held.clone()];
    let mut holder = browser.clone();
    let holds = tokio::spawn(async move {
        let handler = move |session: Session| async move {
            add(&session)?;
            let add_too = |session: Session| async move { add(&session).map(drop) };
            other.request(add_too).await;
            for gate in gates {
                store.next(Update, Before(gate));
            }
            Ok(())
        };
        holder.request(handler).await.status
    });
    refused.reached().await;
    refused.open();
    held.reached().await;
    let mut waiting = JoinSet::new();
    for _ in 0..BOUND - 1 {
        let mut browser = browser.clone();
        waiting.spawn(async move {
            let handler = |session: Session| async move { add(&session).map(drop) };
            browser.request(handler).await.status
        });
    }
    // All of them have loaded the session, and wait.
    let loaded = async {
        let mut loads = 0;
        while loads < BOUND - 1 {
            loads += fixture.store.take_verbs().len();
            tokio::task::yield_now().await;
        }
    };
    let loaded = tokio::time::timeout(std::time::Duration::from_secs(60), loaded).await;
    loaded.expect("all of them load the session");
    tokio::task::yield_now().await;
    let response = browser
        .request(|session| async move { add(&session).map(drop) })
        .await;
    assert_eq!(response.status, 429);
    assert_eq!(response.headers[http::header::RETRY_AFTER], "1");
    let error = response
        .extension::<SessionError>()
        .expect("it is an error response");
    assert_eq!(error.kind(), SessionErrorKind::TooManyWriters);
    assert_eq!(log.count("too many concurrent writers of one session"), 1);
    assert_eq!(log.count("failed to save the session"), 0);
    held.open();
    assert_eq!(holds.await.expect("no panic"), 200);
    for status in waiting.join_all().await {
        assert_eq!(status, 200);
    }
    let expected = u32::try_from(BOUND).expect("it is small") + 2;
    assert_eq!(
        browser.read().await,
        Some(expected),
        "each write counts once"
    );
}
