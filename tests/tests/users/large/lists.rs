//! Lists, and the end of all sessions of a user who has very many.

use std::collections::HashSet;
use std::time::Duration;

use cloakroom::{RevokedBy, Session, SessionInfo, Sessions};
use tests::app::{Fixture, Handler, app};
use tests::browser::Browser;

use super::Far;
use crate::{sign_in, whoami};

/// Short of the number of sessions, and of what fits in a page.
const LISTED: usize = Sessions::MAX_LISTED;

async fn lists(count: usize) {
    let far = Far::with_sessions(count);
    let layer = far.layer().await;
    let sessions = layer.sessions();
    assert_eq!(sessions.count("ada").await.expect("it counts"), count);
    let listed = sessions.list("ada").await.expect("it lists");
    let listed: HashSet<_> = listed.iter().map(SessionInfo::id).collect();
    let newest = &far.ids[count.saturating_sub(LISTED)..];
    assert_eq!(listed, newest.iter().copied().collect(), "the newest");
    // Of all pages, in the order of creation.
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = sessions.list_page("ada", after).await.expect("it lists");
        assert!(page.sessions.len() <= 256);
        all.extend(page.sessions.iter().map(SessionInfo::id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.reverse();
    assert_eq!(all, far.ids);
    assert_eq!(sessions.list("bob").await.expect("it lists").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_sessions_are_listed() {
    lists(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_sessions_the_newest_are_listed_and_all_are_in_pages() {
    lists(10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_sessions_are_counted_and_the_newest_listed() {
    let far = Far::with_sessions(50_000);
    let layer = far.layer().await;
    let sessions = layer.sessions();
    assert_eq!(sessions.count("ada").await.expect("it counts"), 50_000);
    let monitor = far.server.monitor();
    let listed = sessions.list("ada").await.expect("it lists");
    assert_eq!(listed.len(), LISTED);
    let commands = monitor.commands().len();
    // Four pages, sixteen reads of 64 sessions, and perhaps a look at the time of the last revocation of everyone.
    assert!((20..=22).contains(&commands), "{commands}");
    // The oldest of all.
    let ended = sessions.revoke("ada", far.ids[0]).await;
    assert!(ended.expect("the store responds"));
}

async fn all_end(count: usize) {
    let far = Far::with_sessions(count);
    let layer = far.layer().await;
    let mut browser = Browser::new(app(layer.clone()));
    let id = sign_in(&mut browser, "ada").await;
    let others = Handler::with(|(session, sessions): (Session, Sessions)| async move {
        Ok(sessions.revoke_others(&session).await?.to_string())
    });
    let response = browser.request_with(others).await;
    assert_eq!(response.text(), count.to_string());
    assert_eq!(far.indexed(), 1, "the entries are removed");
    assert_eq!(whoami(&mut browser).await, "ada");
    let sessions = layer.sessions();
    let left = sessions.list("ada").await.expect("it lists");
    assert_eq!(left.iter().map(SessionInfo::id).collect::<Vec<_>>(), [id]);
    let ended = sessions.revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(ended.expect("it ends"), 1);
    assert_eq!(far.indexed(), 0);
    assert_eq!(whoami(&mut browser).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_sessions_end() {
    all_end(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sessions_end() {
    all_end(10_000).await;
}

/// More than fit in a page of a scan.
#[tokio::test(start_paused = true)]
async fn everyone_is_revoked_page_by_page() {
    let fixture = Fixture::memory();
    for number in 0..1_200 {
        sign_in(&mut fixture.browser(), format!("user {number}")).await;
    }
    let ended = fixture.layer().sessions().revoke_everyone().await;
    assert_eq!(ended.expect("it ends"), 1_200);
    fixture.clock.advance(Duration::from_secs(20));
    assert_eq!(
        fixture.layer().sessions().revoke_everyone().await.ok(),
        Some(0)
    );
}
