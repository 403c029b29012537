//! Requests that commit: of one session at once, and with handlers that are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cloakroom_core::{SessionId, UserId};
use tokio::runtime::all_tasks_end;
use tokio::task::wait_for_steps;
use tokio::{Outcomes, check, runtime, spawn};

use super::app::App;
use crate::error::SessionError;
use crate::session::{Saved, Session};

fn increment(session: &Session) -> Result<(), SessionError> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    Ok(())
}

/// Signs a user in, and returns the cookie and the id.
async fn signed_in(app: &App, user: &'static str) -> (String, SessionId) {
    let signed_in = app
        .send(None, async move |session| session.sign_in(user).await)
        .await;
    let cookie = signed_in.cookie.expect("a session was created");
    all_tasks_end().await;
    let sessions = app.layer.sessions().list(user).await;
    let sessions = sessions.expect("the store does not fail");
    (cookie, sessions[0].id())
}

async fn is_locked(app: &App, id: SessionId) -> bool {
    let found = Arc::new(AtomicBool::new(true));
    let read = Arc::clone(&found);
    let look = async move |session: Session| {
        let is_locked = session.handle.context.key_locks.is_locked(id);
        read.store(is_locked, Ordering::Relaxed);
        Ok(())
    };
    app.send(None, look).await;
    found.load(Ordering::Relaxed)
}

/// Returns the value of the session with this cookie.
async fn value(app: &App, cookie: &str) -> u64 {
    let found = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&found);
    let answered = app
        .send(Some(cookie), async move |session| {
            read.store(session.get("n")?.unwrap_or(0), Ordering::Relaxed);
            Ok(())
        })
        .await;
    assert!(answered.is_ok);
    found.load(Ordering::Relaxed)
}

static EDITS: Outcomes<3> = Outcomes::new([
    "a dropped request has stored its edit",
    "a dropped request has not stored its edit",
    "all requests are answered",
]);

/// An edit that was acknowledged is stored once, one whose request was dropped at most once. The lock of the session is
/// removed.
pub fn requests_of_one_session(schedules: usize) {
    check(schedules, &EDITS, || {
        runtime::block_on(async {
            let app = App::new();
            let (cookie, id) = signed_in(&app, "ada").await;
            let requests: Vec<_> = (0..4)
                .map(|_| {
                    let (app, cookie) = (app.clone(), cookie.clone());
                    spawn(async move {
                        let edit = async |session: Session| increment(&session);
                        app.send(Some(&cookie), edit).await.is_ok
                    })
                })
                .collect();
            wait_for_steps(30).await;
            requests[0].abort();
            let mut acknowledged = 0;
            let mut dropped = 0;
            for request in requests {
                match request.await {
                    Ok(is_ok) => acknowledged += u64::from(is_ok),
                    Err(_) => dropped += 1,
                }
            }
            all_tasks_end().await;
            let stored = value(&app, &cookie).await;
            assert!(stored >= acknowledged && stored <= acknowledged + dropped);
            assert_eq!(acknowledged + dropped, 4, "no request fails");
            assert!(!is_locked(&app, id).await, "the last one removes the lock");
            EDITS.count_if(
                stored > acknowledged,
                "a dropped request has stored its edit",
            );
            EDITS.count_if(
                dropped == 1 && stored == 3,
                "a dropped request has not stored its edit",
            );
            EDITS.count_if(dropped == 0, "all requests are answered");
        });
    });
}

static SIGN_INS: Outcomes<4> = Outcomes::new([
    "a dropped sign-in has created a session",
    "a dropped sign-in has created none",
    "a sign-in is answered",
    "the edit of the other request carries over",
]);

/// A sign-in whose request is dropped at any step happens wholly or not at all: the user's index has the sessions that are
/// live, and the old session ends when the new one exists. An edit of the old session meanwhile is in one of them.
pub fn a_sign_in_is_dropped(schedules: usize) {
    check(schedules, &SIGN_INS, || {
        runtime::block_on(async {
            let app = App::new();
            let first = app.send(None, async |session| increment(&session)).await;
            let cookie = first.cookie.expect("a session was created");
            let signing_in = {
                let (app, cookie) = (app.clone(), cookie.clone());
                spawn(async move {
                    let sign_in = async |session: Session| session.sign_in("ada").await;
                    app.send(Some(&cookie), sign_in).await
                })
            };
            let other = {
                let (app, cookie) = (app.clone(), cookie.clone());
                spawn(async move {
                    let edit = async |session: Session| increment(&session);
                    app.send(Some(&cookie), edit).await.is_ok
                })
            };
            wait_for_steps(60).await;
            signing_in.abort();
            let answered = signing_in.await;
            let is_edited = other.await.expect("it is not dropped");
            all_tasks_end().await;
            let sessions = app.layer.sessions().list(UserId::from("ada")).await;
            let sessions = sessions.expect("the store does not fail");
            let old = app.layer.sessions().find(id_in(&cookie)).await;
            let old = old.expect("the store does not fail");
            assert!(sessions.len() <= 1);
            assert_eq!(old.is_none(), sessions.len() == 1, "wholly or not at all");
            assert!(is_edited);
            match answered {
                Ok(answered) => {
                    assert!(answered.is_ok && sessions.len() == 1);
                    SIGN_INS.count("a sign-in is answered");
                    let n = value(&app, &answered.cookie.expect("it is new")).await;
                    assert!((1..=2).contains(&n));
                    SIGN_INS.count_if(n == 2, "the edit of the other request carries over");
                }
                Err(_) if sessions.is_empty() => {
                    SIGN_INS.count("a dropped sign-in has created none");
                    assert_eq!(value(&app, &cookie).await, 2);
                }
                Err(_) => SIGN_INS.count("a dropped sign-in has created a session"),
            }
        });
    });
}

fn id_in(cookie: &str) -> SessionId {
    let (_, token) = cookie.split_once('=').expect("it has a name");
    let token = cloakroom_core::Token::parse(token);
    token.expect("it is a token").id()
}

static CLONES: Outcomes<2> = Outcomes::new([
    "the second save has nothing to store",
    "each save stores an edit",
]);

/// Two tasks of one request that save its new session create one session, with the edits of both.
pub fn two_tasks_of_one_request_save(schedules: usize) {
    check(schedules, &CLONES, || {
        runtime::block_on(async {
            let app = App::new();
            let answered = app
                .send(None, async |session| {
                    let save = |session: Session| {
                        spawn(async move {
                            increment(&session)?;
                            session.save().await
                        })
                    };
                    let tasks = [save(session.clone()), save(session)];
                    let mut stored = 0;
                    for task in tasks {
                        let saved = task.await.expect("it runs to its end")?;
                        stored += u8::from(saved == Saved::Stored);
                    }
                    CLONES.count_if(stored == 1, "the second save has nothing to store");
                    CLONES.count_if(stored == 2, "each save stores an edit");
                    Ok(())
                })
                .await;
            assert!(answered.is_ok);
            assert_eq!(app.memory.len(), 1, "one session");
            let cookie = answered.cookie.expect("a session was created");
            assert_eq!(value(&app, &cookie).await, 2);
        });
    });
}
