//! The app's code never runs under a lock of ours: keys, closures, what they have captured, and the clock may use
//! the session. It cannot make a request run for ever either.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use cloakroom::{Clock, MemoryStore, Reloaded, Session, SessionErrorKind, SessionLayer, Timestamp};
use cloakroom_core::SystemClock;
use futures_util::FutureExt;
use http::StatusCode;
use tests::app::{Fixture, app};
use tests::browser::Browser;

/// Runs a test in a thread of its own, and fails if that hangs.
fn within_time<T, F>(test: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        done.send(runtime.block_on(test()))
    });
    waits
        .recv_timeout(Duration::from_secs(60))
        .expect("the app's code waits for a lock that is held while it runs")
}

/// A key that uses the session when its text is asked for.
struct BusyKey<'a>(&'a Session, &'static str);

impl AsRef<str> for BusyKey<'_> {
    fn as_ref(&self) -> &str {
        let calls: u32 = self.0.get("calls").expect("a number").unwrap_or_default();
        self.0.insert("calls", calls + 1).expect("writable");
        self.1
    }
}

#[test]
fn a_key_may_use_the_session_and_is_asked_once() {
    let calls = within_time(|| async {
        let mut browser = Fixture::memory().browser();
        let response = browser
            .request(|session| async move {
                let key = || BusyKey(&session, "key");
                session.insert(key(), 1_u32)?;
                assert_eq!(session.get(key())?, Some(1_u32));
                assert!(session.contains(key()));
                session.update(key(), |n: Option<u32>| n.unwrap_or(0) + 1)?;
                session.increment(key(), 1_u32)?;
                session.remove(key())?;
                session.push(key(), 1_u32)?;
                session.merge(key(), vec![2_u32])?;
                assert_eq!(session.take(key())?, Some(vec![1_u32, 2]));
                session
                    .update_now(key(), |n: Option<u32>| n.unwrap_or(7))
                    .await?;
                assert_eq!(session.take_once(key()).await?, Some(7_u32));
                session.sign_in("ada").insert(key(), 1_u32)?.await?;
                let calls: Option<u32> = session.get("calls")?;
                Ok(calls.unwrap_or_default().to_string())
            })
            .await;
        response.text().to_owned()
    });
    assert_eq!(calls, "12", "once for each call");
}

/// Uses the session when it is dropped.
#[derive(Clone)]
struct UsesOnDrop {
    session: Session,
    drops: Arc<AtomicU32>,
}

impl Drop for UsesOnDrop {
    fn drop(&mut self) {
        let _: Option<u32> = self.session.get("n").expect("readable");
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// Logs an update whose closure has captured such a value.
fn update(session: &Session, drops: &Arc<AtomicU32>, result: String) {
    let captured = UsesOnDrop {
        session: session.clone(),
        drops: Arc::clone(drops),
    };
    let updated = session.update("text", move |_: Option<String>| {
        let _ = &captured;
        result.clone()
    });
    drop(updated);
}

#[test]
fn what_a_closure_has_captured_may_use_the_session_when_it_is_dropped() {
    let dropped = within_time(|| async {
        let fixture = Fixture::memory();
        let mut browser = fixture.browser_with_session().await;
        let drops = Arc::<AtomicU32>::default();
        let mut counts = Vec::new();
        // Saved; undone by the limit on the size; discarded with an error response; and with the session.
        for case in 0..4 {
            let counted = Arc::clone(&drops);
            browser
                .request(move |session| async move {
                    let long = if case == 1 { 100_000 } else { 1 };
                    update(&session, &counted, "x".repeat(long));
                    if case == 3 {
                        session.destroy().await?;
                    }
                    let status = if case == 2 {
                        StatusCode::BAD_GATEWAY
                    } else {
                        StatusCode::OK
                    };
                    Ok(status)
                })
                .await;
            counts.push(drops.load(Ordering::Relaxed));
        }
        counts
    });
    assert_eq!(dropped, [1, 2, 3, 4]);
}

/// A closure that has captured the session would keep it in memory, if the edits of a cancelled request were kept.
#[tokio::test]
async fn what_the_closures_of_a_cancelled_request_have_captured_is_dropped() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let drops = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&drops);
    let request = browser.request(move |session| async move {
        update(&session, &counted, "x".to_owned());
        std::future::pending::<()>().await;
        Ok(())
    });
    assert!(request.boxed_local().now_or_never().is_none());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

thread_local! {
    /// The session that [`BusyClock`] reads.
    static CURRENT: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// A clock that uses the session of the request.
#[derive(Debug)]
struct BusyClock;

impl Clock for BusyClock {
    fn now(&self) -> Timestamp {
        if let Some(session) = CURRENT.with_borrow(Clone::clone) {
            assert!(session.keys().len() < 100);
        }
        SystemClock.now()
    }
}

#[test]
fn the_clock_may_use_the_session() {
    within_time(|| async {
        let layer = SessionLayer::builder(MemoryStore::new())
            .with_clock(BusyClock)
            .build()
            .expect("it is valid");
        let mut browser = Browser::new(app(layer));
        for round in 0..3 {
            let response = browser
                .request(move |session| async move {
                    CURRENT.set(Some(session.clone()));
                    session.insert("n", round)?;
                    session.reset_expiry()?;
                    session.save().await?;
                    let _ = (
                        session.expires_at(),
                        session.deadline(),
                        session.last_seen(),
                    );
                    session.sign_in("ada").await?;
                    assert!(session.signed_in_within(Duration::from_secs(60)));
                    session.renew()?;
                    tokio::task::yield_now().await;
                    if round == 2 {
                        session.destroy().await?;
                    }
                    Ok(())
                })
                .await;
            assert_eq!(response.status, 200, "{}", response.text());
            CURRENT.set(None);
        }
    });
}

#[test]
fn a_closure_that_edits_its_own_entry_is_an_error_and_not_an_endless_loop() {
    let kind = within_time(|| async {
        let mut browser = Fixture::memory().browser();
        let response = browser
            .request(|session| async move {
                let inner = session.clone();
                let updated = session.update("n", move |n: Option<u32>| {
                    let n = n.unwrap_or(0) + 1;
                    inner.insert("n", n).expect("writable");
                    n
                });
                let error = updated.expect_err("it is never final");
                assert!(error.to_string().contains("never final"), "{error}");
                Ok(format!("{:?}", error.kind()))
            })
            .await;
        response.text().to_owned()
    });
    assert_eq!(kind, "Entry");
}

/// A replay runs the closure again, which edits again, so there is always one more edit to replay.
#[test]
fn a_closure_that_edits_the_session_at_each_replay_ends_with_an_error() {
    within_time(|| async {
        let fixture = Fixture::memory();
        let mut browser = fixture.browser_with_session().await;
        let response = browser
            .request(|session| async move {
                let inner = session.clone();
                session.update("n", move |n: Option<u32>| {
                    inner.insert("touched", true).expect("writable");
                    n.unwrap_or(0) + 1
                })?;
                let error = session.reload().await.expect_err("it is never final");
                assert_eq!(error.kind(), SessionErrorKind::Entry);
                // The edits are discarded, and the session can be used.
                assert_eq!(session.get("n")?, Some(1_u32));
                assert_eq!(session.reload().await?, Reloaded::Live);
                session.insert("n", 5)
            })
            .await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(browser.read().await, Some(5));
    });
}
