//! A user's sessions, listed.

use cloakroom::{Expiry, SessionId, Sessions, days, hours};
use tests::app::{Act, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

use super::{eventually, sign_in};

on_every_store!(
    the_last_used_comes_first_and_ones_own_is_marked,
    sessions_of_others_and_of_other_realms_are_not_listed,
    what_expired_is_not_listed_and_its_entry_goes_when_it_is_old,
    later_log_ins_clean_up_what_has_expired,
    any_session_is_found_by_its_id,
);

async fn ids(sessions: &Sessions, user: &str) -> Vec<SessionId> {
    let found = sessions.of(user).await.expect("the store answers");
    found.iter().map(cloakroom::SessionInfo::id).collect()
}

async fn the_last_used_comes_first_and_ones_own_is_marked(backend: Backend) {
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

    let answer = phone
        .perform(Act::with(
            |(session, sessions): (cloakroom::Session, Sessions)| async move {
                let mut text = String::new();
                for info in sessions.of(&session.require_user()?).await? {
                    assert_eq!(info.user(), session.user().as_ref());
                    assert!(info.signed_in_at().expect("somebody did") >= info.created_at());
                    assert!(info.last_seen() >= info.created_at());
                    assert!(info.last_seen() < info.expires_at());
                    assert!(info.expires_at() <= info.deadline());
                    text += if info.is(&session) { "this " } else { "other " };
                }
                Ok(text)
            },
        ))
        .await;
    assert_eq!(answer.text(), "this other ");
}

async fn sessions_of_others_and_of_other_realms_are_not_listed(backend: Backend) {
    let mut ada = backend.browser().await;
    let mut bob = backend.browser().await;
    let adas = sign_in(&mut ada, "ada").await;
    sign_in(&mut bob, "bob").await;
    let mut anonymous = backend.browser().await;
    anonymous
        .act(|session| async move { session.insert("n", 1) })
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
    // And the other app's Ada is not this one's to end.
    let sessions = backend.sessions().await;
    let ended = sessions.end_of("ada", ada_elsewhere).await;
    assert!(!ended.expect("the store answers"));
    assert_eq!(ids(&other.sessions(), "ada").await, [ada_elsewhere]);
}

async fn what_expired_is_not_listed_and_its_entry_goes_when_it_is_old(backend: Backend) {
    let second = std::time::Duration::from_secs(1);
    let short = backend
        .builder()
        .await
        .with_expiry(Expiry::idle(second).absolute(days(9)))
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(short.clone()));
    let old = sign_in(&mut browser, "ada").await;
    // By the real clock for Redis, and by the test's for the layer.
    backend.clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(ids(&short.sessions(), "ada").await, []);
    let gone = async || {
        let found = short.sessions().find(old).await;
        found.expect("the store answers").is_none()
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

/// Nobody ever lists this user's sessions, and there is no limit: still the index does not grow.
async fn later_log_ins_clean_up_what_has_expired(backend: Backend) {
    let second = std::time::Duration::from_secs(1);
    let short = Expiry::idle(second).absolute(days(9));
    let app = app(backend.layer().await);
    for _ in 0..20 {
        let sign_in = async move |session: cloakroom::Session| {
            session.sign_in("ada").with_expiry(short).await
        };
        Browser::new(app.clone()).act(sign_in).await;
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
    let answer = browser
        .act(|session| async move {
            session.insert("n", 1)?;
            session.save().await?;
            Ok(super::id(&session))
        })
        .await;
    let sessions = backend.sessions().await;
    let id: SessionId = answer.text().parse().expect("it is an id");
    let found = sessions.find(id).await.expect("the store answers");
    assert_eq!(found.expect("it is there").user(), None);
    assert!(sessions.end(id).await.expect("the store answers"));
    assert!(!sessions.end(id).await.expect("the store answers"));
    assert!(
        sessions
            .find(id)
            .await
            .expect("the store answers")
            .is_none()
    );
    assert_eq!(browser.read().await, None);
}
