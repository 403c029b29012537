//! Sessions whose records this release cannot decode, because they are damaged or of a newer format: they hide no other
//! session from a list, and every revocation ends them.

use cloakroom::{RevokedBy, Session, SessionId, SessionLimit, Sessions, hours};
use cloakroom_core::{Clock, SystemClock};
use tests::app::{Handler, app};
use tests::backend::Backend;
use tests::browser::Browser;

use super::{sign_in, whoami};

const UNDECODABLE: [&str; 3] = ["damaged", "c1 damaged", "c3 of a newer release"];

/// Ada's session in a browser, and one session for each of the values that replace their records.
async fn with_undecodable(backend: &mut Backend) -> (Browser, SessionId, Vec<SessionId>) {
    let mut ids = Vec::new();
    for value in UNDECODABLE {
        let mut browser = backend.browser().await;
        let id = sign_in(&mut browser, "ada").await;
        ids.push(id);
        backend
            .server()
            .command(&["SET", &key(id), value, "PX", "600000"]);
    }
    // So that no session can be created under these ids any more: an entry without a session would be removed.
    backend.clock.advance(hours(1));
    let mut browser = backend.browser().await;
    let id = sign_in(&mut browser, "ada").await;
    (browser, id, ids)
}

fn key(id: SessionId) -> String {
    format!("cloakroom:{id}")
}

fn assert_ended(backend: &mut Backend, ids: &[SessionId]) {
    for id in ids {
        let value = backend.server().command(&["GET", &key(*id)]).text();
        assert!(value.starts_with("t1 "), "{value}");
    }
}

#[tokio::test]
async fn a_list_shows_the_readable_sessions_and_names_the_others() {
    let mut backend = Backend::redis();
    let (_browser, own, mut ids) = with_undecodable(&mut backend).await;
    let sessions = backend.sessions().await;
    for _ in 0..2 {
        let listed = sessions.list("ada").await.expect("it lists");
        assert_eq!(
            listed
                .iter()
                .map(cloakroom::SessionInfo::id)
                .collect::<Vec<_>>(),
            [own]
        );
        assert_eq!(sessions.count("ada").await.expect("it counts"), 1);
        let page = sessions.list_page("ada", None).await.expect("it lists");
        assert_eq!(page.sessions.len(), 1);
        let mut unreadable = page.unreadable;
        unreadable.sort();
        ids.sort();
        assert_eq!(unreadable, ids);
        // They may be live on a server of a newer release: a revocation has to find them.
        assert_eq!(backend.entered("ada").await.len(), 4);
    }
}

#[tokio::test]
async fn revoking_one_by_its_id_ends_it() {
    let mut backend = Backend::redis();
    let (_browser, _, ids) = with_undecodable(&mut backend).await;
    let sessions = backend.sessions().await;
    for id in &ids[..2] {
        assert!(sessions.revoke("ada", *id).await.expect("it ends"));
    }
    assert!(sessions.revoke_any(ids[2]).await.expect("it ends"));
    assert_ended(&mut backend, &ids);
    assert_eq!(sessions.count("ada").await.expect("it counts"), 1);
}

#[tokio::test]
async fn revoking_the_others_ends_them() {
    let mut backend = Backend::redis();
    let (mut browser, _, ids) = with_undecodable(&mut backend).await;
    let response = browser
        .request_with(Handler::with(
            |(session, sessions): (Session, Sessions)| async move {
                Ok(sessions.revoke_others(&session).await?.to_string())
            },
        ))
        .await;
    assert_eq!(response.text(), "3");
    assert_ended(&mut backend, &ids);
    assert_eq!(whoami(&mut browser).await, "ada");
}

#[tokio::test]
async fn revoking_all_ends_them() {
    let mut backend = Backend::redis();
    let (mut browser, _, ids) = with_undecodable(&mut backend).await;
    let sessions = backend.sessions().await;
    let ended = sessions.revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(ended.expect("they end"), 4);
    assert_ended(&mut backend, &ids);
    assert_eq!(whoami(&mut browser).await, "");
}

#[tokio::test]
async fn revoking_everyone_ends_them() {
    let mut backend = Backend::redis();
    let (_browser, _, ids) = with_undecodable(&mut backend).await;
    let clock = backend.clock.clone();
    clock.set(SystemClock.now());
    let ticking = tokio::spawn(async move {
        loop {
            clock.set(SystemClock.now());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let sessions = backend.sessions().await;
    let ended = sessions.revoke_everyone().await.expect("they end");
    ticking.abort();
    assert_eq!(ended, 4);
    assert_ended(&mut backend, &ids);
}

#[tokio::test]
async fn a_limit_counts_and_evicts_them() {
    let mut backend = Backend::redis();
    let (_browser, own, ids) = with_undecodable(&mut backend).await;
    let limit = SessionLimit::evict_oldest(2);
    let builder = backend.builder().await.with_session_limit(limit);
    let layer = builder.build().expect("a valid configuration");
    let sessions = layer.sessions();
    let mut another = Browser::new(app(layer));
    let id = sign_in(&mut another, "ada").await;
    assert_ended(&mut backend, &ids);
    let listed = sessions.list("ada").await.expect("it lists");
    let mut listed: Vec<_> = listed.iter().map(cloakroom::SessionInfo::id).collect();
    listed.sort();
    // Their ids are of the same millisecond.
    let mut expected = [own, id];
    expected.sort();
    assert_eq!(listed, expected);
}

/// A sign-out with the cookie from before a renewal ends the session in which that one continues.
#[tokio::test]
async fn a_sign_out_ends_an_undecodable_successor() {
    for value in UNDECODABLE {
        let mut backend = Backend::redis();
        let mut browser = backend.browser().await;
        sign_in(&mut browser, "ada").await;
        let mut tab = browser.clone();
        browser
            .request(|session| async move { session.renew() })
            .await;
        let successor = browser
            .request(|session| async move {
                Ok(session.id().map(|id| id.to_string()).unwrap_or_default())
            })
            .await;
        let successor: SessionId = successor.text().parse().expect("an id");
        backend
            .server()
            .command(&["SET", &key(successor), value, "PX", "600000"]);
        let response = tab
            .request(|session| async move { Ok(format!("{:?}", session.sign_out().await?)) })
            .await;
        assert_eq!(response.text(), "Ended", "{value}");
        assert_ended(&mut backend, &[successor]);
    }
}
