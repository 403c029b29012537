//! Lists of a user's sessions.

use cloakroom::{Expiry, SessionId, Sessions, days, hours};
use tests::app::{Handler, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

use super::{eventually, sign_in};

on_every_store!(
    the_list_is_sorted_by_last_use_and_marks_the_current_session,
    sessions_of_other_users_and_realms_are_not_listed,
    expired_sessions_are_not_listed_and_their_entries_are_removed,
    later_sign_ins_remove_expired_entries,
    any_session_is_found_by_its_id,
);

async fn ids(sessions: &Sessions, user: &str) -> Vec<SessionId> {
    let found = sessions.list(user).await.expect("the store responds");
    found.iter().map(cloakroom::SessionInfo::id).collect()
}

async fn the_list_is_sorted_by_last_use_and_marks_the_current_session(backend: Backend) {
    let mut phone = backend.browser().await;
    let mut laptop = backend.browser().await;
    let on_phone = sign_in(&mut phone, "ada").await;
    backend.clock.advance(hours(3));
    let on_laptop = sign_in(&mut laptop, "ada").await;
    let sessions = backend.sessions().await;
    assert_eq!(ids(&sessions, "ada").await, [on_laptop, on_phone]);
    assert_eq!(sessions.count("ada").await.expect("it counts"), 2);
    backend.clock.advance(hours(3));
    phone.read().await;
    assert_eq!(ids(&sessions, "ada").await, [on_phone, on_laptop]);

    let response = phone
        .request_with(Handler::with(
            |(session, sessions): (cloakroom::Session, Sessions)| async move {
                let mut text = String::new();
                for info in sessions.list(&session.require_user()?).await? {
                    assert_eq!(info.user(), session.user().as_ref());
                    assert!(info.signed_in_at().expect("a user is signed in") >= info.created_at());
                    assert!(info.last_seen() >= info.created_at());
                    assert!(info.last_seen() < info.expires_at());
                    assert!(info.expires_at() <= info.deadline());
                    text += if info.is_current(&session) {
                        "this "
                    } else {
                        "other "
                    };
                }
                Ok(text)
            },
        ))
        .await;
    assert_eq!(response.text(), "this other ");
}

async fn sessions_of_other_users_and_realms_are_not_listed(backend: Backend) {
    let mut ada = backend.browser().await;
    let mut bob = backend.browser().await;
    let adas = sign_in(&mut ada, "ada").await;
    sign_in(&mut bob, "bob").await;
    let mut anonymous = backend.browser().await;
    anonymous
        .request(|session| async move { session.insert("n", 1) })
        .await;
    let other = backend
        .builder()
        .await
        .with_realm("another app")
        .build()
        .expect("it is valid");
    let mut elsewhere = Browser::new(app(other.clone()));
    let ada_elsewhere = sign_in(&mut elsewhere, "ada").await;
    assert_eq!(ids(&backend.sessions().await, "ada").await, [adas]);
    assert_eq!(ids(&other.sessions(), "ada").await, [ada_elsewhere]);
    assert_eq!(ids(&backend.sessions().await, "eve").await, []);
    // The session of the other realm cannot be revoked here.
    let sessions = backend.sessions().await;
    let ended = sessions.revoke("ada", ada_elsewhere).await;
    assert!(!ended.expect("the store responds"));
    assert_eq!(ids(&other.sessions(), "ada").await, [ada_elsewhere]);
}

async fn expired_sessions_are_not_listed_and_their_entries_are_removed(backend: Backend) {
    let second = std::time::Duration::from_secs(1);
    let short = backend
        .builder()
        .await
        .with_expiry(Expiry::idle(second).absolute(days(9)))
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(short.clone()));
    let old = sign_in(&mut browser, "ada").await;
    // Redis uses the real clock, and the layer the test's.
    backend.clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(ids(&short.sessions(), "ada").await, []);
    let gone = async || {
        let found = short.sessions().find(old).await;
        found.expect("the store responds").is_none()
    };
    eventually("it is gone from the store, too", gone).await;
    assert_eq!(
        backend.entered("ada").await,
        [old],
        "it may be about to be begun"
    );
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    backend.clock.advance(hours(1));
    assert_eq!(ids(&short.sessions(), "ada").await, []);
    let cleaned = async || backend.entered("ada").await.is_empty();
    eventually("the old entry is removed", cleaned).await;
}

/// Without a limit, and if the sessions are never listed, the index must not grow either.
async fn later_sign_ins_remove_expired_entries(backend: Backend) {
    let second = std::time::Duration::from_secs(1);
    let short = Expiry::idle(second).absolute(days(9));
    let app = app(backend.layer().await);
    for _ in 0..20 {
        let sign_in = async move |session: cloakroom::Session| {
            session.sign_in("ada").with_expiry(short).await
        };
        Browser::new(app.clone()).request(sign_in).await;
    }
    assert_eq!(backend.entered("ada").await.len(), 20);
    tokio::time::sleep(second + second / 10).await;
    backend.clock.advance(hours(1));
    let mut browser = Browser::new(app);
    for _ in 0..500 {
        sign_in(&mut browser, "ada").await;
        if backend.entered("ada").await.len() <= 2 {
            return;
        }
    }
    panic!("{} entries are left", backend.entered("ada").await.len());
}

async fn any_session_is_found_by_its_id(backend: Backend) {
    let mut browser = backend.browser().await;
    let response = browser
        .request(|session| async move {
            session.insert("n", 1)?;
            session.save().await?;
            Ok(super::id(&session))
        })
        .await;
    let sessions = backend.sessions().await;
    let id: SessionId = response.text().parse().expect("it is an id");
    let found = sessions.find(id).await.expect("the store responds");
    assert_eq!(found.expect("it is there").user(), None);
    assert!(sessions.revoke_any(id).await.expect("the store responds"));
    assert!(!sessions.revoke_any(id).await.expect("the store responds"));
    assert!(
        sessions
            .find(id)
            .await
            .expect("the store responds")
            .is_none()
    );
    assert_eq!(browser.read().await, None);
}
